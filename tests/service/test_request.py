"""The body of a job: by the config's types, told by field, and the same sweep that a file would be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from helpers.service import CONFIG, JOB
from recsweep.planning.plan import plan_sweep
from recsweep.service.body import read_object
from recsweep.service.refusals import Refused
from recsweep.service.request import KEYS, JobRequest, default_engine, request_of
from recsweep.service.sweep_of import plans_of, sweep_of
from recsweep.sweeps.config import SweepConfig
from recsweep.sweeps.fields import facts
from recsweep.sweeps.loading import load_sweep

SPACE = JOB["search_space"]
BOTH = {
    "learning_rate": {"type": "choice", "values": [0.001, 0.01]},
    "n_heads": {"type": "randint", "min": 1, "max": 2},
}


def rate(**parameter: Any) -> dict[str, Any]:
    return {"search_space": {"learning_rate": parameter}}


def heads(**parameter: Any) -> dict[str, Any]:
    return {"search_space": {"n_heads": parameter}}


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": "<script>alert(1)</script>"}),
    ("name", {"name": "../../etc/passwd"}),
    ("name", {"name": "two\nlines"}),
    ("name", {"name": "'; DROP TABLE tuning_jobs; --"}),
    ("name", {"name": "$(reboot)"}),
    ("name", {"name": ""}),
    ("name", {"name": "   "}),
    ("name", {"name": 7}),
    ("name", {"name": "x" * 101}),
    ("name", {"name": None}),
    ("dataset", {"dataset": "../ml-100k"}),
    ("dataset", {"dataset": "ml-1000k"}),
    ("dataset", {"dataset": "/etc/passwd"}),
    ("dataset", {"dataset": ["ml-100k"]}),
    ("dataset", {"datasets": ["ml-100k"]}),
    ("model", {"model": "SASREC\0"}),
    ("model", {"model": "sasrec"}),
    ("model", {"model": None}),
    ("models", {"model": None, "models": []}),
    ("models.1", {"model": None, "models": ["FPMC", "FPMC"]}),
    ("models.0", {"model": None, "models": ["config/models/FPMC.yaml"]}),
    ("models", {"model": None, "models": ["FPMC"] * 51}),
    ("metric_name", {"metric_name": "NDCG"}),
    ("metric_name", {"metric_name": "Nothing@10"}),
    ("metric_mode", {"metric_mode": "min"}),
    ("metric_mode", {"metric_mode": "upwards"}),
    ("metrics.0", {"metrics": ["Nothing"]}),
    ("topk.0", {"topk": [0]}),
    ("topk.0", {"topk": [10**7]}),
    ("objectives", {"objectives": ["NDCG@10"]}),
    ("objectives", {"objectives": ["NDCG@10", "training_seconds"], "pruner": "median"}),
    ("num_samples", {"num_samples": 0}),
    ("num_samples", {"num_samples": "5"}),
    ("num_samples", {"num_samples": 5.5}),
    ("num_samples", {"num_samples": True}),
    ("num_samples", {"num_samples": 10**15}),
    ("num_samples", {"num_samples": 10**300}),
    ("max_concurrent_trials", {"max_concurrent_trials": 0}),
    ("max_concurrent_trials", {"max_concurrent_trials": 257}),
    ("seed", {"seed": -1}),
    ("seed", {"seed": 2**32}),
    ("engine", {"engine": "mine"}),
    ("engine", {"engine": "hyperopt", "algo": "gp"}),
    ("algo", {"algo": "gpp"}),
    ("scheduler", {"scheduler": "fifo"}),
    ("pruner", {"pruner": "medium"}),
    ("phases", {"phases": ["coarse"]}),
    ("phases.0", {"phases": ["course"]}),
    ("epochs", {"epochs": 0}),
    ("patience", {"patience": -1}),
    ("batch_size", {"batch_size": 2**31}),
    ("limits", {"limits": [1]}),
    ("limits.timeout_minutes", {"limits": {"timeout_minutes": 0}}),
    ("limits.trial_timeout", {"limits": {"trial_timeout": 3}}),
    ("search_space", {"search_space": {}}),
    ("search_space", {"search_space": [1]}),
    ("search_space", {"algo": "exhaustive"}),
    ("search_space.learning_rate", {"search_space": {"learning_rate": 3}}),
    ("search_space.learning_rate", rate(min=1, max=2)),
    ("search_space.learning_rate", rate(type="normal", min=1, max=2)),
    ("search_space.learning_rate", rate(type="uniform", min=2, max=1)),
    ("search_space.learning_rate", rate(type="uniform", min=0.1, max=1)),
    ("search_space.learning_rate.min", rate(type="uniform", min="0", max=1)),
    ("search_space.learning_rate.max", rate(type="uniform", min=0)),
    ("search_space.learning_rate.q", rate(type="uniform", min=0, max=1, q=1)),
    ("search_space.n_heads.values", heads(type="choice", values=[])),
    ("search_space.n_heads", heads(type="choice", values=[2, 2])),
    ("search_space.n_heads.values", heads(type="choice", values=[2, "4"])),
    ("search_space.n_layerz", {"search_space": {"n_layerz": {"type": "choice", "values": [1, 2]}}}),
    ("search_space.epochs", {"search_space": {"epochs": {"type": "randint", "min": 1, "max": 9}}}),
    ("search_space.learning_rate.when.n_heads", rate(**SPACE["learning_rate"], when={"n_heads": 2})),
    ("search_space", {"search_space": {f"p{n}": SPACE["learning_rate"] for n in range(101)}}),
    ("search_space.n_heads.values", heads(type="choice", values=list(range(1001)))),
    ("search_spaces.FPMC", {"search_spaces": {"FPMC": SPACE}}),
    ("search_space", {"model": "AnyOfSix"}),
    ("defaults.n_heads", {"defaults": {"n_heads": 4}}),
    ("defaults.learning_rate", {"defaults": {"learning_rate": 4}}),
    ("base_config", {"base_config": "/etc/passwd"}),
    ("storage", {"storage": "sqlite:////tmp/mine.db"}),
    ("outputs", {"outputs": "/tmp"}),
    ("warm_start", {"warm_start": ["/etc/passwd"]}),
    ("sweep", {"sweep": "mine.py:sweep"}),
    ("fixed", {"fixed": {"pre_model_path": "/etc/passwd"}}),
    ("max_evals", {"max_evals": 3}),
]  # fmt: skip


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


def test_a_job_is_the_study_that_a_file_with_the_same_content_is(tmp_path: Path):
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
    assert by_job.budget == by_file.budget == 5
    assert by_job.name == "job-1/ml-100k/SASRec/full"


def test_without_a_space_a_job_is_what_the_shipped_files_say():
    (by_file,) = plan_sweep(load_sweep(CONFIG / "config.yaml", {"models": "SASRec", "engine": "optuna"}))
    (by_job,) = planned(search_space=None, engine="optuna", pruner="median")
    assert by_job.content_hash == by_file.content_hash


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
