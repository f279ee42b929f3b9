"""How a command is declared: its place in `--help`, an example, and which settings it takes.

    @command(LOOK, "recsweep show s/ml-100k/FPMC", *STORE, "json", arguments=[argument("study")])
    def show(study: str, json: bool, **options: Any) -> None:
        ...

The docstring is its help. The settings stand in `sweeps/options.py`. A command takes only what it heeds;
another option of ours is refused with a hint, and is not taken from the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from recsweep.cli import complete
from recsweep.common.errors import InputError
from recsweep.sweeps.options import SETTINGS
from recsweep.sweeps.overrides import option_flags
from recsweep.sweeps.setting import HEADINGS, THIS, Setting

RUN, LOOK, KEEP = "Run studies", "Look at what was found", "Keep studies in order"
DATA, HELP = "Data and single models", "Set up and help"
GROUPS = (RUN, LOOK, KEEP, DATA, HELP)
"""Purposes of commands, in the order of `--help`."""
WIDTH = 100


def source(context: click.Context | None, name: str | None) -> str | None:
    """Where an option's value is from: `environment`, `commandline`, or another."""
    found = context.get_parameter_source(name) if context is not None and name else None
    return None if found is None else found.name.lower()


class Option(click.Option):
    """An option that the environment gives too, as `RECSWEEP_<NAME>`; an empty variable gives nothing."""

    def __init__(self, *arguments: Any, setting: Setting, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.setting = setting
        self.envvar = setting.variable

    def get_error_hint(self, ctx: click.Context | None) -> str:
        """The variable, where it is what the value came from."""
        return str(self.envvar) if source(ctx, self.name) == "environment" else super().get_error_hint(ctx)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """The option, and what it is for, with its default and its range."""
        flags, _ = super().get_help_record(ctx) or ("", "")
        facts = self.setting.facts
        words = f"of {', '.join(facts.choices)}" if self.setting.several and facts.choices else ""
        extra = [fact for fact in (words, _default(self.setting), facts.range) if fact]
        told = self.setting.help.replace("`", "")
        return flags, f"{told}  [{'; '.join(extra)}]" if extra else told

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Completions for the shell: choices, names of files beside the sweep, of studies in its store."""
        return complete.values(self.setting, ctx, incomplete)


def _default(setting: Setting) -> str:
    facts = setting.facts
    if facts.required and setting.key:
        return ""
    if facts.required:
        return "required"
    shown = facts.default_text.strip("[]")
    return "" if shown in ("null", "", "false") else f"default: {shown}"


def _made(setting: Setting) -> Option:
    """An option of click's. What overrides the sweep is checked with it, and is text until then."""
    kind: dict[str, Any] = {}
    if setting.switch:
        kind["is_flag"] = True
    elif setting.span and not setting.key:
        kind["type"] = click.IntRange(*setting.span)
    elif setting.choices and not setting.key:
        kind["type"] = click.Choice(setting.choices)
    if setting.default is not None:
        kind["default"] = setting.default
    words = setting.facts.choices if not setting.several else ()
    shown = setting.shown or (f"[{'|'.join(words)}]" if words else None)
    return Option(
        [*setting.flags, setting.name],
        setting=setting,
        required=setting.required,
        help=setting.help,
        metavar=None if setting.switch else shown,
        **kind,
    )


def argument(name: str, completes: str = "studies", **settings: Any) -> click.Argument:
    """The argument of a command, without a name: a study, or several.

    Args:
        completes: what the shell offers for it; see `Setting.completes`.
        settings: of click's.
    """
    offered = Setting(name, "", THIS, completes=completes)
    return click.Argument(
        [name],
        shell_complete=lambda context, _, typed: complete.values(offered, context, typed),
        **settings,
    )


class Command(click.Command):
    """A command with a place in `--help`, whose options stand in groups."""

    def __init__(self, *arguments: Any, group: str = HELP, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.group = group

    @property
    def takes(self) -> list[str]:
        """The names of the settings that it heeds."""
        return [option.setting.name for option in self.params if isinstance(option, Option)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and say of an option that other commands take why this one does not."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            flag = error.option_name
            setting = next((setting for setting in SETTINGS.values() if flag in setting.flags), None)
            if setting is None:
                raise
            why = setting.elsewhere or f"leave it out; `{ctx.command_path} --help` lists what it takes"
            raise InputError(flag, f"has no effect on `{ctx.command_path}`", why) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options under the headings of what they are for."""
        own = [option for option in self.params if isinstance(option, Option)]
        for heading in HEADINGS:
            rows = [o.get_help_record(ctx) for o in own if o.setting.heading == heading]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows, col_max=34)
        rest = [option.get_help_record(ctx) for option in self.get_params(ctx) if option not in own]
        with formatter.section("Other"):
            formatter.write_dl([row for row in rest if row and row[1]], col_max=34)
        if any(option.setting.key for option in own):
            formatter.write_paragraph()
            formatter.write_text(
                "What is given here goes before the environment (RECSWEEP_SEED for --seed), and that before "
                "the sweep file; a default holds where none of them says anything."
            )


class Commands(click.Group):
    """The commands in groups of what people do, each with the whole of what it is for."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """All commands, none of them cut."""
        for group in GROUPS:
            rows = [
                (name, (command.help or "").split("\n\n")[0].replace("\n", " "))
                for name, command in self.commands.items()
                if isinstance(command, Command) and command.group == group
            ]
            if rows:
                with formatter.section(group):
                    formatter.write_dl(rows)


def command(
    group: str,
    example: str,
    *takes: str | Setting,
    name: str | None = None,
    arguments: Sequence[click.Argument] = (),
) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command.

    Args:
        group: what people do with it; one of `GROUPS`.
        example: a call of it, as it is typed.
        takes: names of settings in the order of `SETTINGS`, or settings of its own.
        name: its name, where that is not the function's.
        arguments: what it takes without a name.
    """

    def declare(function: Callable[..., Any]) -> Command:
        settings = [SETTINGS[one] if isinstance(one, str) else one for one in dict.fromkeys(takes)]
        return Command(
            name or function.__name__.replace("_", "-"),
            callback=function,
            params=[*arguments, *map(_made, settings)],
            help=function.__doc__,
            epilog=f"Example: {example}",
            group=group,
        )

    return declare


def variables_of(group: click.Group) -> set[str]:
    """The variables of the environment that give options, of the commands of a group or of Snakemake's."""
    options = [option for command in group.commands.values() for option in command.params]
    own = {option.setting.variable for option in options if isinstance(option, Option)}
    return own | {setting.variable for setting in SETTINGS.values()}


def flags_of(group: click.Group, command: str, overrides: Mapping[str, Any]) -> list[str]:
    """The options that give a command the same overrides, as far as it takes them; one word each."""
    found = group.commands[command]
    return option_flags(overrides, found.takes if isinstance(found, Command) else ())
