"""What the documentation must name, and where its links lead."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from recsweep.cli import cli
from recsweep.cli.reference import stale
from recsweep.common.files import to_plain
from recsweep.planning.plan import check_data, plan_sweep
from recsweep.sweeps.config import DatasetConfig, ModelConfig, SweepConfig, VariantsConfig
from recsweep.sweeps.fields import section as section_of
from recsweep.sweeps.loading import load_sweep
from recsweep.sweeps.overrides import OVERRIDES
from recsweep.sweeps.space import Choice, LogUniform, QUniform, RandInt, Uniform, grid_size

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "config" / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
MADE = {"outputs", "build", "dist"}


def pages() -> Iterator[Path]:
    """Every page of the checkout, without looking into environments and what was made."""
    for folder, inside, files in os.walk(ROOT):
        inside[:] = [name for name in inside if not name.startswith(".") and name not in MADE]
        yield from (Path(folder) / name for name in files if name.endswith(".md"))


PAGES = sorted(pages())
# What the loader fills in from the name of the file.
FROM_FILE_NAME = {(DatasetConfig, "name"), (ModelConfig, "model")}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def sections(path: Path) -> dict[str, str]:
    """The parts of a page by their headings of the second level."""
    _, *parts = re.split(r"^## ", text(path), flags=re.MULTILINE)
    return {part.splitlines()[0].strip(): part for part in parts}


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@cache
def rows(page: str) -> dict[str, list[str]]:
    """Cells of each table row by its first one."""
    lines = (re.split(r"(?<!\\)\|", line)[1:-1] for line in page.splitlines() if line.startswith("|"))
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in lines}


# -- config keys ---------------------------------------------------------------------------------


def fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo, type[BaseModel], str]]:
    """Dotted name of every field, those of models inside included, with the model and its own name."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}", field, model, name
        # The keys of `protocol` may stand at the top too, and are explained there.
        if name != "protocol" and (inner := section_of(field.annotation)) is not None:
            yield from fields(inner, f"{prefix}{name}.")


def default_text(field: FieldInfo, model: type[BaseModel], name: str) -> str:
    if (model, name) in FROM_FILE_NAME:
        return "the file's name"
    if field.is_required():
        return "required"
    if isinstance(field.default, BaseModel):
        return "all defaults"
    dumped = yaml.safe_dump(to_plain(field.default), default_flow_style=True)
    return dumped.removesuffix("...\n").strip()


def literals(annotation: Any) -> set[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return set(typing.get_args(annotation))
    return set().union(*(literals(part) for part in typing.get_args(annotation)))


@pytest.mark.parametrize(
    ("section", "whole"),
    [
        ("The sweep file", SweepConfig),
        ("A data set file", DatasetConfig),
        ("A model file", ModelConfig),
        ("Several models as one study", VariantsConfig),
    ],
)
def test_every_config_key_is_explained_with_its_default(section, whole):
    table = rows(sections(CONFIG)[section])
    for key, field, model, name in fields(whole):
        assert key in table, f"config/README.md, `{section}`: no row for `{key}`"
        default, _, advice = table[key]
        assert default == default_text(field, model, name), key
        assert advice, key
        missing = {value for value in literals(field.annotation) if f"`{value}`" not in advice}
        assert not missing, f"config/README.md does not explain {missing} of `{key}`"


def test_no_config_key_is_explained_that_does_not_exist():
    keys = {key for model in (SweepConfig, DatasetConfig, ModelConfig) for key, *_ in fields(model)}
    for section in ("The sweep file", "A data set file", "A model file"):
        found = rows(sections(CONFIG)[section]).keys() - {"key", "---"}
        assert found <= keys


@pytest.mark.parametrize("parameter", [Choice, Uniform, LogUniform, QUniform, RandInt])
def test_every_parameter_type_is_explained_by_an_example_that_holds(parameter):
    (kind,) = literals(parameter.model_fields["type"].annotation)
    keys, example, _ = rows(sections(CONFIG)["Parameter types"])[kind]
    assert set(re.findall(r"`(\w+)`", keys)) == set(parameter.model_fields)
    assert parameter.model_validate(yaml.safe_load(example.strip("`")))


def test_every_override_is_in_the_table():
    table = rows(sections(CONFIG)["Overrides"])
    for option, path in OVERRIDES.items():
        flag, _, key = table[".".join(path)]
        assert flag == ("" if option == "workers_per_study" else f"`--{option.replace('_', '-')}`")
        assert key == f"`{option}`"


def field_of(option: str) -> tuple[FieldInfo, type[BaseModel], str]:
    """The config field that an option of the command line overrides."""
    *parents, name = OVERRIDES[option]
    model: type[BaseModel] = SweepConfig
    for parent in parents:
        model = section_of(model.model_fields[parent].annotation)  # type: ignore[assignment]
    return model.model_fields[name], model, name


# -- examples ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """The files that the config page shows, beside those that come with recsweep."""
    root = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "config", root / "config")
    blocks = re.findall(r"```(?:yaml|python)\n# (\S+\.\w+)\n(.*?)```", text(CONFIG), flags=re.DOTALL)
    for name, content in blocks:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    (shown,) = re.findall(r"```\n(customer_id:token.*?)```", text(CONFIG), flags=re.DOTALL)
    header, *_ = shown.splitlines()
    bought = [f"c{user}\tp{item}\t5\t{1700000000 + item}" for user in (1, 2) for item in range(6)]
    plain = ["user_id:token\titem_id:token", *(f"u{n % 3}\ti{n}" for n in range(30))]
    for name, lines in [("shop", [header, *bought]), ("plain", plain)]:
        folder = root / "data" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def test_the_examples_of_the_config_page_are_a_sweep_that_loads(examples):
    sweep = load_sweep(examples / "config" / "shop.yaml", {"datasets": "shop"})
    assert [plan.label for plan in plan_sweep(sweep)] == ["shop/NPE"]
    assert check_data(sweep) == {"shop": 12}
    # Without times there are no sequences: a general model.
    model = "defaults: {embedding_size: 8}\nspace:\n  embedding_size: {type: choice, values: [8]}\n"
    (examples / "config" / "models" / "BPR.yaml").write_text(model, encoding="utf-8")
    sweep = load_sweep(examples / "config" / "shop.yaml", {"datasets": "plain", "models": "BPR"})
    assert [plan.label for plan in plan_sweep(sweep)] == ["plain/BPR"]
    assert check_data(sweep) == {"plain": 30}


def shown_in_readme() -> str:
    (section,) = [
        part for name, part in sections(ROOT / "README.md").items() if name.startswith("A model of")
    ]
    return re.findall(r"```yaml\n(.*?)```", section, flags=re.DOTALL)[0]


@pytest.mark.parametrize("page", ["config/README.md", "README.md"])
def test_the_example_of_a_model_is_tuned_once_its_file_is_there(examples, tmp_path, monkeypatch, page):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    own = tmp_path / "config" / "models" / "NPE.yaml"
    shown = (
        text(examples / "config" / "models" / "NPE.yaml") if page.startswith("config") else shown_in_readme()
    )
    own.write_text(shown, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    command = re.findall(r"^recsweep (tune --model NPE .*--dry-run)$", text(CONFIG), flags=re.MULTILINE)[0]
    done = CliRunner().invoke(cli, command.split())
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == "ml-100k/NPE: 20 of 20 trials to run"


def test_the_example_of_conditions_has_the_combinations_that_it_says(examples):
    (plan,) = plan_sweep(load_sweep(examples / "config" / "smoke.yaml", {"models": "Caser-losses"}))
    space = {name: parameter for name, parameter in plan.space.items() if name != "learning_rate"}
    assert grid_size(space) == 2 * 3 + 2 * 2, "two more decays in two of six cases"
    assert "weight_decay" not in plan.defaults


def test_the_example_of_phases_divides_the_budget_as_the_page_says(examples):
    plans = plan_sweep(load_sweep(examples / "config" / "phased.yaml"))
    budgets = {(plan.model_name, plan.phase): plan.budget for plan in plans}
    gru4rec = [budgets["GRU4Rec", phase] for phase in ("coarse", "architecture", "training")]
    fpmc = [budgets["FPMC", phase] for phase in ("coarse", "training")]
    assert len(budgets) == 5
    section = " ".join(sections(CONFIG)["Phases"].split())
    assert "GRU4Rec trains {}, {} and {} trials".format(*gru4rec) in section
    assert "budget goes to its other phases: {} and {}".format(*fpmc) in section
    assert sum(gru4rec) == sum(fpmc) == 30
    shown = yaml.safe_load(re.findall(r"```yaml\n(phases:.*?)```", text(CONFIG), flags=re.DOTALL)[0])
    shipped = yaml.safe_load(text(ROOT / "config" / "models" / "GRU4Rec.yaml"))
    assert shown["phases"] == shipped["phases"]


def test_the_examples_of_variants_and_of_objectives_are_studies(examples):
    (plan,) = plan_sweep(load_sweep(examples / "config" / "smoke.yaml", {"models": "Either"}))
    assert [params["model"] for params in plan.known_good] == ["GRU4Rec", "FPMC"]
    assert "GRU4Rec.learning_rate" in plan.space
    (plan,) = plan_sweep(load_sweep(examples / "config" / "tradeoff.yaml"))
    assert [objective.maximize for objective in plan.objectives] == [True, True, False]


def test_the_example_in_python_is_a_sweep(examples):
    (examples / "config" / "models" / "BPR.yaml").unlink(missing_ok=True)
    sweep = load_sweep(f"{examples / 'my_sweep.py'}:sweep", {"max_evals": "5"})
    plans = plan_sweep(sweep)
    assert [(plan.label, plan.budget) for plan in plans] == [("liked/BPR", 5), ("liked/FPMC", 5)]
    assert check_data(sweep)["liked"] > 10_000


# -- commands ------------------------------------------------------------------------------------


def command_text(name: str) -> str:
    """A command's section after the shared ones that it links to."""
    parts = sections(COMMANDS)
    own = parts[f"recsweep {name}"]
    linked = [part for heading, part in parts.items() if f"(#{slug(heading)})" in own]
    return "\n".join([*linked, own])


def option_rows(page: str) -> dict[str, list[str]]:
    """Default and meaning of each option in the tables of a page."""
    return {flag: row for first, row in rows(page).items() for flag in re.findall(r"--[a-z][a-z-]*", first)}


def shown_default(option: click.Option) -> str:
    """What the column `default` must say: what holds where the option is not given."""
    if option.required:
        return "required"
    if isinstance(option.default, str | int) and not option.is_flag:
        return str(option.default)
    return default_text(*field_of(option.name)) if option.name in OVERRIDES else "-"


def test_every_value_of_an_option_with_few_is_named():
    told = option_rows(sections(COMMANDS)["Options of a sweep"])
    for option in OVERRIDES:
        annotation = field_of(option)[0].annotation
        if typing.get_origin(annotation) is typing.Literal:
            _, values, _ = told[f"--{option.replace('_', '-')}"]
            missing = {value for value in literals(annotation) if f"`{value}`" not in values}
            assert not missing, f"docs/commands.md does not name {missing} of {option}"


def test_defaults_on_the_page_of_commands_are_those_of_the_models():
    field, model, name = field_of("max_evals")
    assert (model.__name__, name, field.default) == ("SearchConfig", "max_evals", 20)
    told = option_rows(command_text("tune"))
    assert (told["--max-evals"][0], told["--n-trials"][0]) == ("20", "20")


@pytest.mark.parametrize("name", cli.commands)
def test_every_command_and_option_is_explained(name):
    command, page = cli.commands[name], command_text(name)
    help_text = " ".join((command.help or "").split())
    assert help_text in " ".join(page.split()), f"docs/commands.md: `{help_text}`"
    example = (command.epilog or "").removeprefix("Example: ")
    assert example
    assert example in page, f"docs/commands.md lacks the example of {name}: {example}"
    told = option_rows(page)
    for option in (o for o in command.params if isinstance(o, click.Option)):
        for flag in option.opts:
            assert flag in told, f"docs/commands.md: no {flag} of {name}"
            default, _, meaning = told[flag]
            assert default == shown_default(option), f"docs/commands.md: the default of {flag} of {name}"
            assert meaning


def test_no_option_is_explained_that_does_not_exist():
    options = {"--help", "--version", "--cores", "--use-conda"} | {
        flag for command in cli.commands.values() for option in command.params for flag in option.opts
    }
    assert set(re.findall(r"--[a-z][a-z-]+", text(COMMANDS))) <= options | {"--config"}


def makefile(pattern: str) -> list[str]:
    joined = text(ROOT / "Makefile").replace("\\\n", " ")
    return re.findall(pattern, joined, flags=re.MULTILINE)


def test_every_make_target_and_variable_is_explained():
    told, overrides = rows(sections(COMMANDS)["Make targets"]), sections(CONFIG)["Overrides"]
    assert [name for name in makefile(r"^([a-z-]+):[^#\n]*## ") if f"make {name}" not in told] == []
    assert [name for name in makefile(r"^#v ([A-Z_]+)") if f"`{name}`" not in overrides] == []


def test_the_readme_has_every_variable_of_make_and_every_command():
    readme = text(ROOT / "README.md")
    told = {
        name
        for first in rows(sections(ROOT / "README.md")["Variables"])
        for name in re.findall("[A-Z_]+", first)
    }
    assert told == set(makefile(r"^#v ([A-Z_]+)"))
    (listed,) = re.findall(r"`recsweep ((?:[\w-]+ \| )+[\w-]+)`", readme)
    assert set(listed.split(" | ")) == set(cli.commands)


def test_the_defaults_of_the_readme_are_those_of_the_shipped_sweep():
    config = load_sweep(ROOT / "config" / "config.yaml").config.model_dump()
    told = rows(sections(ROOT / "README.md")["Variables"])
    names = dict(makefile(r"^key_([A-Z_]+) := (\w+)"))
    for variable, option in names.items():
        if option not in OVERRIDES:
            continue
        value: Any = config
        for key in OVERRIDES[option]:
            value = None if value is None else value[key]  # a section that the file leaves out
        default = next(cells for first, cells in told.items() if variable in re.findall("[A-Z_]+", first))[-1]
        if value not in (None, ()) and option != "outputs":
            shown = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            assert default == shown, f"README.md: the default of {variable}"


def test_what_is_made_from_the_settings_is_as_it_would_be_made():
    assert list(stale()) == [], "run `make docs`"


def test_make_documents_every_variable_that_it_reads():
    settings, others = makefile(r"^SETTINGS := (.*)$")[0], makefile(r"^OTHERS := (.*)$")[0]
    assert {*settings.split(), *others.split(), "PYTHON"} == set(makefile(r"^#v ([A-Z_]+)"))


# -- links ---------------------------------------------------------------------------------------


def links(path: Path) -> Iterator[str]:
    prose = re.sub(r"^```.*?^```", "", text(path), flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"`[^`\n]*`", "", prose)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if not re.match(r"[a-z]+:", target):
            yield target


@cache
def anchors(path: Path) -> set[str]:
    prose = re.sub(r"^```.*?^```", "", text(path), flags=re.DOTALL | re.MULTILINE)
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", prose, flags=re.MULTILINE)}


def lost(page: Path) -> Iterator[str]:
    """The links of a page that lead nowhere."""
    for target in links(page):
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        if not found.exists():
            yield f"{page.relative_to(ROOT)}: {target} is not there"
        elif anchor and anchor not in anchors(found):
            yield f"{page.relative_to(ROOT)}: no heading for {target}"


def test_every_relative_link_leads_somewhere():
    assert len(PAGES) > 50
    assert [one for page in PAGES for one in lost(page)] == []


def test_the_tree_of_the_architecture_page_is_the_source():
    tree = sections(ROOT / "docs" / "architecture.md")["The house"]
    told = re.findall(r"\b[a-z]\w*\.py\b", tree.partition("src/recsweep/")[2].partition("```")[0])
    files = [path.name for path in (ROOT / "src" / "recsweep").rglob("*.py")]
    assert sorted(told) == sorted(name for name in files if not name.startswith("__"))


def test_the_architecture_page_names_every_page_of_explanation():
    front = ROOT / "docs" / "architecture.md"
    told = set(re.findall(r"\]\(explanation/([a-z-]+\.md)\)", sections(front)["Read on"]))
    assert told == {path.name for path in (ROOT / "docs" / "explanation").iterdir()}


# -- pages that show commands --------------------------------------------------------------------


def shown_commands() -> Iterator[tuple[str, str]]:
    """Each command of ours in a block of a page of the documentation, with the page's name."""
    for path in (ROOT / "docs").rglob("*.md"):
        for block in re.findall(r"^```\w*\n(.*?)^```", text(path), flags=re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                if found := re.match(r"(?:\$ )?((?:recsweep|make) [a-z].*)", line):
                    yield path.name, found[1].split("  #")[0].split(" > ")[0]


@pytest.mark.parametrize("page", sorted({page for page, _ in shown_commands()}))
def test_a_command_that_a_page_shows_is_one(page):
    targets, variables = makefile(r"^([a-z-]+):[^#\n]*## "), set(makefile(r"^#v ([A-Z_]+)"))
    for command in sorted({command for of, command in shown_commands() if of == page}):
        program, name, *given = shlex.split(command)
        if program == "recsweep":
            assert cli.commands[name].make_context(name, given, resilient_parsing=False), command
        else:
            assert name in targets, command
            assert {word.partition("=")[0] for word in given} <= variables, command
