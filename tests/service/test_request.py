"""The body of a job: by the config's types, told by field, and the same sweep that a file would be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from helpers.bad_jobs import SPACE, WRONG
from helpers.service import CONFIG, JOB
from recsweep.planning.plan import plan_sweep
from recsweep.service.body import read_object
from recsweep.service.planned import dry_run
from recsweep.service.refusals import Refused
from recsweep.service.request import KEYS, JobRequest, default_engine, request_of
from recsweep.service.rows import Rows
from recsweep.service.sweep_of import plans_of, sweep_of
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.fields import facts, field_at
from recsweep.sweeps.loading import load_sweep
from recsweep.sweeps.tracking import TrackingConfig

KEY = "0123456789abcdef" * 2 + "01234567"
"""As long as one of W&B's."""
BOTH = {
    "learning_rate": {"type": "choice", "values": [0.001, 0.01]},
    "n_heads": {"type": "randint", "min": 1, "max": 2},
}


def asked(**changes: Any) -> JobRequest:
    data = {key: value for key, value in {**JOB, **changes}.items() if value is not None}
    return request_of(read_object(json.dumps(data).encode()))


def planned(**changes: Any):
    request = asked(**changes)
    return plans_of(sweep_of(request, "1", config=CONFIG), request)


@pytest.mark.parametrize(
    ("field", "change"), WRONG, ids=[f"{n}-{field}" for n, (field, _) in enumerate(WRONG)]
)
def test_a_mistake_is_told_at_its_field(field, change):
    with pytest.raises(Refused) as refused:
        planned(**change)
    mistake = refused.value.mistakes[0]
    assert mistake.field == field
    assert mistake.problem
    assert mistake.fix
    assert str(CONFIG.parent) not in str(refused.value)


@pytest.mark.parametrize("model", ["Pop", "Random"])
@pytest.mark.parametrize("space", [None, {}])
def test_a_model_without_parameters_is_a_job_of_one_trial(model, space):
    (plan,) = planned(model=model, search_space=space)
    assert (plan.budget, dict(plan.space)) == (1, {})


def test_all_mistakes_of_a_body_are_told():
    with pytest.raises(Refused) as refused:
        asked(num_samples=0, seed=-1, colour="red")
    assert {one.field for one in refused.value.mistakes} == {"num_samples", "seed", "colour"}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"\xff", "not UTF-8"),
        (b"[]", "must be a JSON object, but is a list"),
        (b"null", "but is null"),
        (b"3", "but is the value 3"),
        (b'{"a": NaN}', "holds NaN"),
        (b'{"a": -Infinity}', "holds -Infinity"),
        (b'{"a": 1e999}', "must be a finite number"),
        (b'{"a": 1, "a": 2}', "a: stands twice"),
        (b'{"a": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"a": 9007199254740993}', "must lie within"),
        (b'{"a": ' + b"[" * 100000 + b"]" * 100000 + b"}", "deep"),
        (b'{"a": ' + b"[" * 20 + b"]" * 20 + b"}", "deep"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"a": "\\ud800"}', "half of a pair"),
        (b'{"\\ud800": 1}', "half of a pair"),
        (b'{"a": "' + b"x" * 1001 + b'"}', "at most 1,000 characters"),
    ],
)
def test_what_is_no_plain_object_is_refused(raw, words):
    with pytest.raises(Refused, match=words):
        read_object(raw)


def test_defaults_are_those_of_the_config():
    request = request_of({"name": "a", "dataset": "ml-100k", "model": "FPMC"})
    for field, path in KEYS.items():
        if field == "engine":
            continue
        value: Any = request
        for part in field.split("."):
            value = getattr(value, part)
        assert value == facts(SweepConfig, path).default, field
    assert request.driven_by == default_engine()


def test_a_job_is_the_study_of_a_file_like_it(tmp_path: Path):
    for folder in ("models", "datasets"):
        (tmp_path / folder).mkdir()
    (tmp_path / "datasets" / "ml-100k.yaml").write_bytes((CONFIG / "datasets" / "ml-100k.yaml").read_bytes())
    (tmp_path / "models" / "SASRec.yaml").write_text(
        "fixed: {loss_type: CE, hidden_act: gelu, n_layers: 2, hidden_size: 64,\n"
        "  hidden_dropout_prob: 0.5, attn_dropout_prob: 0.5}\n"
        "defaults: {learning_rate: 0.001, n_heads: 2}\n"
        "space:\n  learning_rate: {type: choice, values: [0.001, 0.01]}\n"
        "  n_heads: {type: randint, min: 1, max: 2}\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "sweep: mine\nmodels: [SASRec]\ndatasets: [ml-100k]\noutputs: elsewhere\n"
        "search: {engine: optuna, algo: random, max_evals: 5}\ntraining: {epochs: 7}\nseed: 3\n"
    )
    (by_file,) = plan_sweep(load_sweep(tmp_path / "mine.yaml"))
    (by_job,) = planned(search_space=BOTH, engine="optuna", algo="random", epochs=7, seed=3)
    assert by_job.content_hash == by_file.content_hash
    assert [by_job.trial_seed(n) for n in range(3)] == [by_file.trial_seed(n) for n in range(3)]
    assert [by_job.proposal_seed(n) for n in range(3)] == [by_file.proposal_seed(n) for n in range(3)]
    assert by_job.budget == by_file.budget == 4, "as many as there are configurations"
    assert by_job.name == "job-1/ml-100k/SASRec/full"
    text = (tmp_path / "mine.yaml").read_text().replace("max_evals: 5", "max_evals: 5, noise: true")
    (tmp_path / "mine.yaml").write_text(text)
    (by_file,) = plan_sweep(load_sweep(tmp_path / "mine.yaml"))
    (by_job,) = planned(search_space=BOTH, engine="optuna", algo="random", epochs=7, seed=3, noise=True)
    assert by_job.content_hash == by_file.content_hash
    assert by_job.budget == by_file.budget == 5, "some are trained again"


def test_what_a_job_leaves_out_of_a_file_is_explained():
    page = (CONFIG.parent / "docs" / "how-to" / "service.md").read_text()
    said, (_, left) = (
        page.partition("## Errors")[0],
        page.partition("## Errors")[0].split("no matter of a job"),
    )
    for section in ("search", "pruning", "training", "evaluation", "workers"):
        for key in field_at(SweepConfig, (section,))[0].annotation.model_fields:
            if (section, key) not in KEYS.values():
                assert section == "workers" or f"`{key}`" in left or f"`{section}.{key}`" in left, key
    assert [field for field in KEYS if f"`{field.split('.')[-1]}`" not in said] == []


def test_the_constraints_of_a_model_hold_for_jobs_too(tmp_path: Path):
    shutil.copytree(CONFIG / "datasets", tmp_path / "datasets")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "SASRec.yaml").write_text(
        "defaults: {hidden_size: 64, n_heads: 2, learning_rate: 0.001}\nspace:\n"
        "  hidden_size: {type: choice, values: [64, 66]}\n  n_heads: {type: choice, values: [2, 4]}\n"
        "  learning_rate: {type: choice, values: [0.001, 0.01]}\nrequire: hidden_size % n_heads == 0\n"
    )

    def plan(**changes: Any):
        request = asked(**changes)
        return plans_of(sweep_of(request, "1", config=tmp_path), request)[0]

    heads = {"n_heads": {"type": "choice", "values": [2, 3, 4]}}
    assert plan(search_space=heads).budget == 2, "three heads do not divide 64"
    assert plan(search_space=None, defaults={"n_heads": 4}, num_samples=9).budget == 6
    assert plan(search_space={"learning_rate": BOTH["learning_rate"]}).model.require == ()
    with pytest.raises(Refused, match="does not hold at the defaults") as refused:
        plan(search_space={"n_heads": {"type": "choice", "values": [2, 3]}}, defaults={"n_heads": 3})
    assert refused.value.mistakes[0].field == "defaults"


def test_a_job_has_the_trials_that_were_asked_for_alone():
    assert sweep_of(asked(), "1", config=CONFIG).config.popularity == "none"


def test_a_job_is_tracked_as_a_file_like_it():
    told = {"wandb": {"project": "mine"}, "mlflow": {"experiment": "a/b"}, "csv": {}}
    request = asked(tracking=told)
    assert request.plain()["tracking"] == told
    tracking = sweep_of(request_of(request.plain()), "1", config=CONFIG).config.tracking
    assert tracking == TrackingConfig.model_validate(told)
    assert sweep_of(asked(), "1", config=CONFIG).config.tracking == TrackingConfig()


@pytest.mark.parametrize(
    "tracking",
    [
        {"wandb": {"project": KEY}},
        {"wandb": {"api_key": KEY}},
        {"wandb": {"mode": KEY}},
        {"wandb": KEY},
        {"mlflow": {"uri": f"http://me:{KEY}@host"}},
        {"mlflow": {"experiment": f"local-{KEY}"}},
        {"trackers": [KEY]},
        KEY,
    ],
)
def test_a_key_is_refused_and_not_told_again(tracking):
    with pytest.raises(Refused) as refused:
        asked(tracking=tracking)
    for mistake in refused.value.mistakes:
        assert mistake.field.startswith("tracking")
        assert KEY not in f"{mistake.problem}{mistake.fix}{mistake.shown}{refused.value}"


def test_without_a_space_a_job_is_what_the_shipped_files_say():
    (by_file,) = plan_sweep(load_sweep(CONFIG / "config.yaml", {"models": "SASRec", "engine": "optuna"}))
    (by_job,) = planned(search_space=None, engine="optuna", pruner="median")
    assert by_job.content_hash == by_file.content_hash


@pytest.mark.parametrize(
    ("trouble", "changes", "engine"),
    [
        (None, {}, "ray"),
        (None, {"algo": "random"}, "ray"),
        (None, {"engine": "optuna"}, "optuna"),
        (None, {"engine": "hyperopt"}, "hyperopt"),
        (None, {"algo": "gp"}, "optuna"),  # which Ray Tune has not
        (None, {"objectives": ["NDCG@10", "training_seconds"]}, "optuna"),
        (None, {"budget": "epochs", "share": 40}, "optuna"),
        ("Ray 1.0 is installed", {}, "optuna"),
        ("Ray is not installed", {}, "optuna"),
    ],
)
def test_a_job_is_driven_by_what_is_here(
    trouble: str | None, changes: dict[str, Any], engine: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("recsweep.running.ray_link.trouble", lambda: trouble)
    request = asked(search_space=None, **changes)
    assert request.driven_by == engine
    assert request.plain()["engine"] == engine, "a job that was made stays with it"
    assert dry_run(request, CONFIG, Rows(most_bytes=0))["engine"] == engine


def test_a_kept_request_is_read_again_as_it_was():
    kept = json.loads(json.dumps(asked(search_space=BOTH, algo="tpe", limits={"timeout_minutes": 3}).plain()))
    assert kept["engine"] == default_engine()
    assert request_of(kept).plain() == kept
    hashes = [plan.content_hash for plan in planned(search_space=BOTH, algo="tpe")]
    again = request_of(kept)
    assert [plan.content_hash for plan in plans_of(sweep_of(again, "2", config=CONFIG), again)] == hashes


def test_several_models_have_spaces_of_their_own():
    plans = planned(model=None, models=["FPMC", "SASRec"], search_space=None, search_spaces={"SASRec": SPACE})
    assert [sorted(plan.space) for plan in plans] == [
        ["embedding_size", "learning_rate", "weight_decay"],
        ["learning_rate"],
    ]


def test_a_search_starts_where_it_is_told():
    (plan,) = planned(search_space=BOTH, defaults={"learning_rate": 0.01})
    assert plan.defaults == {"learning_rate": 0.01, "n_heads": 2}
    (plan,) = planned(search_space={"learner": {"type": "choice", "values": ["adam", "sgd"]}})
    assert plan.defaults == {"learner": "adam"}, "as RecBole ships it"


def test_every_field_says_what_it_is_for():
    properties = JobRequest.model_json_schema()["properties"]
    assert (
        properties["num_samples"]["description"]
        == "Trials of each study, the first of them with the defaults."
    )
    assert properties["num_samples"]["default"] == 20
