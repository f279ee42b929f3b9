"""Where a search starts: settled once, told with its reason where it cannot."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil

import pytest
import yaml

from helpers.found import result_in
from helpers.phased import MODEL, fill, workspace
from recsweep.common.errors import InputError, StudyChanged, UserError
from recsweep.report.study_files import write_study
from recsweep.search.starts import (
    as_begun,
    begin,
    known_good,
    newest,
    open_study,
    read_params,
    read_single,
    settled_starts,
)
from recsweep.study import Inherited, Store

PHASES = "phases: [coarse, loss, full], max_evals: 9"
GOOD = {"n_layers": 2, "hidden_size": 96}


@pytest.fixture
def store(tmp_path, empty_store):
    path = tmp_path / "outputs" / "recsweep.db"
    path.parent.mkdir()
    shutil.copy(empty_store, path)
    store = Store(f"sqlite:///{path}")
    yield store
    store.close()


@pytest.fixture
def phases(tmp_path):
    return workspace(tmp_path, PHASES).plans()


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf-8")
    return path


def refused(error, call, *arguments):
    with pytest.raises(error) as caught:
        call(*arguments)
    assert caught.value.exit_code == 2
    return str(caught.value)


# -- phases ---------------------------------------------------------------------------------------


def test_the_first_phase_starts_at_the_defaults(phases, store):
    begun, origin = begin(phases[0], store)
    assert (begun, origin) == (phases[0], None)
    assert begun.defaults == {"n_layers": 1, "hidden_size": 64}


def test_a_phase_inherits_the_best_of_the_one_before(phases, store):
    coarse, loss, _ = phases
    fill(coarse, store, [0.1, 0.3, 0.2], [coarse.defaults, GOOD, coarse.defaults])
    begun, origin = begin(loss, store)
    assert begun.start == {**GOOD, "loss_type": "CE", "weight_decay": 0.0}
    assert (begun.inherits, begun.budget, origin.slot) == (True, 4, 1)
    study = open_study(begun, store, origin=origin)
    assert study.ensure_slots(begun.budget) == 3, "slot 0 is filled"
    (first,) = study.results()
    assert (first.slot, first.score, first.params) == (0, 0.3, {"loss_type": "CE"})
    assert first.inherited == Inherited("coarse", 1)
    assert first.seed == coarse.trial_seed(1)
    assert first.result.metrics == {"ndcg@10": 0.3}
    assert first.curve == {1: 0.3}


def test_a_later_phase_starts_from_all_that_was_found_before_it(phases, store):
    coarse, loss, full = phases
    fill(coarse, store, [0.1, 0.3, 0.2], [coarse.defaults, GOOD, coarse.defaults])
    begun, origin = begin(loss, store)
    study = open_study(begun, store, origin=origin)
    found = {"loss_type": "BPR", "weight_decay": 0.1}
    fill(begun, store, [0.2, 0.4, 0.1], [begun.defaults, found, begun.defaults], study)
    last, origin = begin(full, store)
    assert last.start == {**GOOD, **found}
    assert last.defaults == {**GOOD, **found}
    assert (origin.slot, origin.score) == (2, 0.4)


def test_an_inherited_best_is_inherited_again_from_its_origin(phases, store):
    coarse, loss, full = phases
    fill(coarse, store, [0.1, 0.9, 0.2], [coarse.defaults, GOOD, coarse.defaults])
    begun, origin = begin(loss, store)
    study = open_study(begun, store, origin=origin)
    fill(begun, store, [0.2, 0.2, 0.2], study=study)
    last, origin = begin(full, store)
    study = open_study(last, store, origin=origin)
    assert study.results()[0].inherited == Inherited("coarse", 1)


def test_a_start_gives_values_to_parameters_that_exist_later(phases, store):
    """`weight_decay` has no meaning with CE; a later phase that tries BPR needs it all the same."""
    coarse, loss, _ = phases
    fill(coarse, store, [0.1, 0.3, 0.2], [coarse.defaults, GOOD, coarse.defaults])
    begun, _ = begin(loss, store)
    assert begun.start["weight_decay"] == 0.0
    assert begun.defaults == {"loss_type": "CE"}
    assert begun.complete({"loss_type": "BPR", "weight_decay": 0.1})["weight_decay"] == 0.1
    narrower = dataclasses.replace(
        begun, model=begun.model.model_copy(update={"phases": {"loss": ("loss_type",)}})
    )
    assert narrower.complete({"loss_type": "BPR"})["weight_decay"] == 0.0


def test_a_phase_waits_until_the_one_before_is_complete(phases, store):
    coarse, loss, _ = phases
    fill(coarse, store, [0.1, 0.3])
    assert refused(UserError, begin, loss, store) == (
        "toy/NARM/coarse: 2 of 3 trials are there, and the next phase starts from the best of all; "
        "run `recsweep tune` with --phase coarse first"
    )


def test_a_phase_whose_predecessor_is_nowhere_says_what_to_do(phases, store):
    assert refused(UserError, begin, phases[1], store) == (
        "toy/NARM/loss: starts from the best of the phase coarse, which is not in the store; "
        "run `recsweep tune` with --phase coarse first, or give a file with --best-params"
    )


def test_a_phase_in_which_nothing_succeeded_gives_no_start(phases, store):
    fill(phases[0], store, [None, None, None])
    assert "toy/NARM/coarse: no trial succeeded, so that the next phase has no start" in refused(
        UserError, begin, phases[1], store
    )


def test_a_phase_in_which_nothing_exists_to_search_is_refused(tmp_path, store):
    model = MODEL.replace("loss: [loss_type, weight_decay]", "loss: [weight_decay]")
    coarse, loss = workspace(tmp_path, "phases: [coarse, loss], max_evals: 4", model=model).plans()
    fill(coarse, store, [0.1, 0.2])
    begun, origin = begin(loss, store)
    assert refused(UserError, lambda: open_study(begun, store, origin=origin)) == (
        "toy/NARM/loss: there is nothing to search; none of the phase's parameters exists where it starts; "
        "add what they depend on to the phase, or leave the phase out"
    )
    assert store.find_study(loss.name) is None


def test_a_phase_that_ended_early_by_a_limit_is_complete(tmp_path, store):
    coarse, loss = workspace(
        tmp_path, "phases: [coarse, loss], max_evals: 20, no_improvement_after: 2"
    ).plans()
    fill(coarse, store, [0.3, 0.1, 0.2])
    begun, origin = begin(loss, store)
    assert (origin.slot, begun.inherits) == (0, True)


def test_the_file_of_the_phase_before_serves_without_a_store(phases, store):
    coarse, loss, _ = phases
    write(coarse.outputs.best_params("toy", "NARM", "coarse"), {**GOOD, "loss_type": "CE"})
    begun, origin = begin(loss, store)
    assert (origin, begun.inherits, begun.budget) == (None, False, 3)
    assert begun.start == {**GOOD, "loss_type": "CE", "weight_decay": 0.0}
    assert known_good(begun, open_study(begun, store)) == ({"loss_type": "CE"},)


def test_the_files_that_a_phase_writes_are_what_the_next_one_reads(phases, store, tmp_path):
    coarse, loss, _ = phases
    fill(coarse, store, [0.1, 0.3, 0.2], [coarse.defaults, GOOD, coarse.defaults])
    write_study(result_in(coarse, store))
    with_store, _ = begin(loss, store)
    empty = Store(f"sqlite:///{tmp_path / 'empty.db'}")
    from_file, _ = begin(loss, empty)
    empty.close()
    assert from_file.start == with_store.start
    assert from_file.content_hash == with_store.content_hash


def test_a_phase_that_would_start_elsewhere_now_is_refused_with_the_difference(phases, store):
    coarse, loss, _ = phases
    fill(coarse, store, [0.1, 0.3, 0.2], [coarse.defaults, GOOD, coarse.defaults])
    begun, origin = begin(loss, store)
    study = open_study(begun, store, origin=origin)
    fill(begun, store, [0.2], study=study)
    fill(dataclasses.replace(coarse, slots=4), store, [0.8])
    again, origin = begin(loss, store)
    message = refused(StudyChanged, lambda: open_study(again, store, origin=origin))
    assert "phase.start.hidden_size: 96 -> 64, phase.start.n_layers: 2 -> 1" in message


# -- as it stands in the store ---------------------------------------------------------------------


def test_an_opened_study_is_as_the_store_has_it(phases, store):
    coarse, loss, _ = phases
    fill(coarse, store, [0.1, 0.3, 0.2], [coarse.defaults, GOOD, coarse.defaults])
    begun, origin = begin(loss, store)
    study = open_study(begun, store, origin=origin)
    fill(begun, store, [0.2, 0.4, 0.1], study=study)
    found = as_begun(loss, store)
    assert found.definition == begun.definition
    assert (found.start, found.inherits, found.budget) == (begun.start, True, 4)
    more = dataclasses.replace(begun, slots=6)
    fill(more, store, [0.5, 0.6], study=study)
    assert as_begun(loss, store).budget == 6, "trials that were added are counted"
    assert as_begun(phases[2], store) == phases[2], "what is not there is as it was planned"


# -- a file instead of the defaults ----------------------------------------------------------------


def test_defaults_fill_what_a_starting_file_leaves_out(tmp_path, store):
    plan = workspace(tmp_path).plan()
    file = write(tmp_path / "best.json", {"hidden_size": 96.0})
    begun, origin = begin(plan, store, str(file))
    assert origin is None
    assert begun.start == {"n_layers": 1, "hidden_size": 96, "loss_type": "CE", "weight_decay": 0.0}
    assert type(begun.start["hidden_size"]) is int
    assert begun.defaults == {"n_layers": 1, "hidden_size": 96, "loss_type": "CE"}
    assert begun.content_hash != plan.content_hash


def test_a_file_wins_over_the_phase_before(phases, store, tmp_path):
    file = write(tmp_path / "best.json", GOOD)
    begun, origin = begin(phases[1], store, str(file))
    assert (begun.start["hidden_size"], begun.inherits, origin) == (96, False, None)


def test_a_best_result_will_do_as_a_file(tmp_path, store):
    plan = workspace(tmp_path).plan()
    file = write(tmp_path / "best_result.yaml", yaml.safe_dump({"score": 0.1, "parameters": GOOD}))
    assert begin(plan, store, str(file))[0].start["n_layers"] == 2


def test_of_a_pattern_the_newest_file_is_taken(tmp_path, monkeypatch):
    for number, name in enumerate(["old", "newest", "older"]):
        file = write(tmp_path / name / "deep" / "best_params.json", {})
        moment = 2_000_000_000 + (5 if name == "newest" else -number)
        os.utime(file, (moment, moment))
    (tmp_path / "folder" / "best_params.json").mkdir(parents=True)
    wanted = tmp_path / "newest" / "deep" / "best_params.json"
    assert newest(f"{tmp_path}/**/best_params.json") == wanted
    monkeypatch.chdir(tmp_path)
    assert newest("*/deep/best_params.json").resolve() == wanted
    assert newest("old/deep/best_params.json").resolve() == tmp_path / "old/deep/best_params.json"


@pytest.mark.parametrize(
    "pattern", ["none.json", "**/none*.json", "/no/such/*.json", "/", ".", "a**b.json", "[a.json"]
)
def test_a_pattern_that_meets_no_file_is_told(tmp_path, monkeypatch, pattern):
    monkeypatch.chdir(tmp_path)
    assert refused(InputError, newest, pattern) == (
        f"--best-params: there is no file {pattern}; give a best_params.json"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"hiden_size": 64}', "{file}: NARM does not search `hiden_size`; did you mean `hidden_size`?"),
        (
            '{"hidden_size": 60}',
            "{file}: 60 of `hidden_size` lies outside its space; widen the space, or take another value",
        ),
        (
            '{"loss_type": ["CE"]}',
            "{file}: ['CE'] of `loss_type` lies outside its space; widen the space, or take another value",
        ),
        ('{"n_layers": }', "{file}:1:14: not valid JSON: Expecting value; correct it"),
        ("[]", '{file}: must hold parameters by name; write {"learning_rate": 0.001}'),
        ("3", '{file}: must hold parameters by name; write {"learning_rate": 0.001}'),
        ('{"parameters": 3}', '{file}: must hold parameters by name; write {"learning_rate": 0.001}'),
        (
            '[{"n_layers": 1}, {"n_layers": 2}]',
            "{file}: must hold one configuration, but holds 2; keep one of them",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_told(tmp_path, store, content, message):
    plan = workspace(tmp_path).plan()
    file = write(tmp_path / "best.json", content)
    assert refused(InputError, begin, plan, store, str(file)) == message.replace("{file}", str(file))


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    folder = tmp_path / "folder.json"
    folder.mkdir()
    assert refused(InputError, read_params, folder).startswith(f"{folder}: cannot be read: ")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe{}")
    assert "cannot be read" in refused(InputError, read_params, tmp_path / "bytes.json")
    assert "there is no such file" in refused(InputError, read_params, tmp_path / "none.json")
    assert "there is no such file" in refused(InputError, read_params, tmp_path / "none.yaml")
    numbers = write(tmp_path / "numbers.yaml", "1: 2\n")
    assert "the key 1 is no text; put it in quotes" in refused(InputError, read_single, numbers)


# -- warm start and transfer -----------------------------------------------------------------------


def test_files_are_tried_after_the_defaults_in_their_order_and_once(tmp_path, store):
    plan = workspace(tmp_path, "warm_start: [a.json, 'found/{dataset}-{model}-{phase}.yaml', a.json]").plan()
    write(tmp_path / "a.json", [{"n_layers": 2}, {"hidden_size": 64.0}, {"hidden_size": 128}])
    write(tmp_path / "found" / "toy-NARM-full.yaml", "loss_type: BPR\nweight_decay: 0.1\n")
    study = open_study(plan, store)
    assert settled_starts(plan, study) == (
        {"n_layers": 1, "hidden_size": 64, "loss_type": "CE"},
        {"n_layers": 2, "hidden_size": 64, "loss_type": "CE"},
        {"n_layers": 1, "hidden_size": 128, "loss_type": "CE"},
        {"n_layers": 1, "hidden_size": 64, "loss_type": "BPR", "weight_decay": 0.1},
    )


def test_starts_that_differ_in_type_alone_are_two(tmp_path, store, monkeypatch):
    (plan,) = workspace(tmp_path, "max_evals: 9").plans()
    ones = ({"x": 1}, {"x": True}, {"x": 1.0}, {"x": 1})
    monkeypatch.setattr("recsweep.search.starts._transferred", lambda plan, store: iter(ones))
    first, *others = known_good(plan, open_study(plan, store))
    assert first == plan.defaults
    assert [type(params["x"]) for params in others] == [int, bool, float]


def test_paths_are_relative_to_where_they_are_written(tmp_path, store, monkeypatch):
    space = workspace(tmp_path / "config")
    sweep = space.sweep.read_text().replace("max_evals: 4", "warm_start: [a.json]")
    write(tmp_path / "config" / "a.json", {"n_layers": 2})
    write(tmp_path / "a.json", {"hidden_size": 128})
    monkeypatch.chdir(tmp_path)
    by_option = space.plan(warm_start="a.json")
    assert known_good(by_option, open_study(by_option, store))[1]["hidden_size"] == 128
    space.sweep.write_text(sweep)
    by_file = dataclasses.replace(space.plan(), study_name="by-file")
    assert known_good(by_file, open_study(by_file, store))[1]["n_layers"] == 2


def test_other_braces_in_a_name_stay_as_they_are(tmp_path, store):
    plan = workspace(tmp_path, "warm_start: ['{model.__class__}{0}}{dataset}.json']").plan()
    write(tmp_path / "{model.__class__}{0}}toy.json", {"n_layers": 2})
    assert settled_starts(plan, open_study(plan, store))[1]["n_layers"] == 2


def test_the_best_of_another_study_is_tried_first(tmp_path, store):
    other = dataclasses.replace(workspace(tmp_path).plan(), study_name="last-year/toy")
    fill(other, store, [0.1, 0.4, 0.2], [other.defaults, {**other.defaults, "n_layers": 2}, other.defaults])
    plan = workspace(tmp_path, "warm_start: ['last-year/{dataset}']").plan()
    assert settled_starts(plan, open_study(plan, store))[1:] == ({**plan.defaults, "n_layers": 2},)


@pytest.mark.parametrize("made", [False, True])
def test_a_missing_study_or_one_without_a_fit_is_told(tmp_path, store, made):
    plan = workspace(tmp_path, "warm_start: [last-year]").plan()
    if made:
        narrow = plan.model.space["hidden_size"].model_copy(update={"min": 64})
        model = plan.model.model_copy(update={"space": {**plan.model.space, "hidden_size": narrow}})
        fill(
            dataclasses.replace(plan, study_name="last-year"),
            store,
            [0.4],
            [{**plan.defaults, "hidden_size": 32}],
        )
        plan = dataclasses.replace(plan, model=model)
    assert refused(UserError, open_study, plan, store) == (
        "toy/NARM: warm_start names the study last-year, of which the store has no complete trial "
        "in this space; name one that has, or a file"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file; give a best_params.json or best_result.yaml"),
        ({"num_layers": 1}, "NARM does not search `num_layers`; did you mean `n_layers`?"),
        ({"n_layers": 3}, "3 of `n_layers` lies outside its space; widen the space, or take another value"),
    ],
)
def test_a_file_of_a_warm_start_that_does_not_fit_is_told(tmp_path, store, content, message):
    plan = workspace(tmp_path, "warm_start: [a.json]").plan()
    if content is not None:
        write(tmp_path / "a.json", content)
    assert refused(InputError, open_study, plan, store) == f"{tmp_path / 'a.json'}: {message}"


def two_data_sets(root, search):
    space = workspace(root, search)
    space.sweep.write_text(space.sweep.read_text().replace("[toy]", "[one, two, toy]"))
    for name in ("one", "two"):
        (root / "datasets" / f"{name}.yaml").write_text("path: toy\n")
    return space.plans()


def test_transfer_takes_the_models_best_on_the_other_data_sets(tmp_path, store):
    one, two, toy = two_data_sets(tmp_path, "transfer: true, max_evals: 4")
    assert settled_starts(one, open_study(one, store)) == (one.defaults,), "nothing to learn from yet"
    for plan, params in ((one, {"hidden_size": 96}), (two, {"n_layers": 2})):
        fill(plan, store, [0.1, 0.2], [plan.defaults, {**plan.defaults, **params}])
    assert settled_starts(toy, open_study(toy, store)) == (
        toy.defaults,
        {**toy.defaults, "hidden_size": 96},
        {**toy.defaults, "n_layers": 2},
    )


def test_transfer_leaves_out_failed_missing_and_known_ones(tmp_path, store):
    one, two, toy = two_data_sets(tmp_path, "transfer: true, max_evals: 4")
    fill(one, store, [None, None])
    fill(two, store, [0.3], [two.defaults])
    assert settled_starts(toy, open_study(toy, store)) == (toy.defaults,)


# -- settled when it is opened ---------------------------------------------------------------------


def test_files_and_studies_that_change_after_the_opening_move_nothing(tmp_path, store):
    plan = workspace(tmp_path, "warm_start: [a.json]").plan()
    file = write(tmp_path / "a.json", {"n_layers": 2})
    study = open_study(plan, store)
    before = settled_starts(plan, study)
    fill(plan, store, [0.1], study=study)
    write(file, {"hidden_size": 128})
    assert settled_starts(plan, open_study(plan, store)) == before
    file.unlink()
    assert settled_starts(plan, open_study(plan, store)) == before


def test_a_study_without_trials_is_settled_anew(tmp_path, store):
    plan = workspace(tmp_path, "warm_start: [a.json]").plan()
    file = write(tmp_path / "a.json", {"n_layers": 2})
    open_study(plan, store)
    write(file, {"hidden_size": 128})
    assert settled_starts(plan, open_study(plan, store))[1]["hidden_size"] == 128


def test_a_study_that_starts_at_the_defaults_alone_writes_nothing_down(tmp_path, store):
    study = open_study(workspace(tmp_path).plan(), store)
    assert study.attributes.keys() == {"definition"}


def test_what_is_settled_comes_back_in_its_own_types(tmp_path, store):
    plan = workspace(tmp_path, "warm_start: [a.json]").plan()
    write(tmp_path / "a.json", {"hidden_size": 96.0, "n_layers": 2.0})
    open_study(plan, store)
    again = Store(store.address)
    found = settled_starts(plan, again.find_study(plan.name))[1]
    again.close()
    assert {name: type(found[name]) for name in ("hidden_size", "n_layers")} == {
        "hidden_size": int,
        "n_layers": int,
    }


def test_variants_start_with_every_model_whatever_the_file_says_of_one(tmp_path, store):
    space = workspace(tmp_path)
    space.sweep.write_text(space.sweep.read_text().replace("[NARM]", "[Any]"))
    (tmp_path / "models" / "STAMP.yaml").write_text(
        "defaults: {embedding_size: 8}\nspace:\n  embedding_size: {type: choice, values: [8, 16]}\n"
    )
    (tmp_path / "models" / "Any.yaml").write_text("model_variants: [NARM, STAMP]\n")
    file = write(tmp_path / "best.json", {"model": "STAMP", "STAMP.embedding_size": 16})
    plan, _ = begin(space.plan(), store, str(file))
    assert [plan.model_of(params) for params in plan.known_good] == ["STAMP", "NARM"]
    assert plan.known_good[0] == {"model": "STAMP", "STAMP.embedding_size": 16}
    assert plan.known_good[1]["NARM.n_layers"] == 1, "the other models keep their defaults"
