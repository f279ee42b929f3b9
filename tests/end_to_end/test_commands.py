"""Every command on real interactions, as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from running import Folder, taken, tune_options

STUDY = "smoke/ml-100k-small/FPMC/full"
RESULTS = "results/smoke/ml-100k-small/FPMC"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Folder:
    """A folder in which one study of two trials was tuned. Tests copy it or only read."""
    folder = Folder(tmp_path_factory.mktemp("tuned")).sharing(cache)
    done = folder.run("tune", *tune_options(2), fresh=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def own(tuned: Folder, tmp_path: Path) -> Folder:
    """A copy of that folder to change."""
    shutil.rmtree(tmp_path)
    shutil.copytree(tuned.path, tmp_path, symlinks=True)
    copy = Folder.__new__(Folder)
    copy.path = tmp_path
    return copy


def test_tuning_writes_every_file_and_prints_the_table(tuned: Folder) -> None:
    best = yaml.safe_load((tuned.outputs / RESULTS / "best_result.yaml").read_text())
    trials = [t for t in tuned.trials(STUDY) if t.counted]
    assert len(trials) == 2
    assert best["score"] == max(t.score for t in trials if t.score is not None)
    assert best["validation"]["ndcg@10"] == best["score"]
    assert set(best["test"]) == set(best["validation"])
    assert best["environment"]["versions"]["recbole"] == "1.2.1"
    assert len(best["content"]["data"]["ml-100k.inter"]) == 64
    params = json.loads((tuned.outputs / RESULTS / "best_params.json").read_text())
    assert params == best["parameters"]
    for suffix in ("csv", "md", "tex"):
        assert "FPMC" in (tuned.outputs / f"results/smoke/summary.{suffix}").read_text()
    kept = sorted(p.name for p in (tuned.outputs / "checkpoints/smoke/ml-100k-small/FPMC").glob("*/*"))
    assert kept == ["best.pth", "last.pth", "manifest.json"]


def test_the_first_trial_has_the_published_defaults(tuned: Folder) -> None:
    first = next(t for t in tuned.trials(STUDY) if t.slot == 0)
    assert first.params == {"learning_rate": 0.001, "embedding_size": 64, "weight_decay": 0.0}


def test_a_second_run_trains_nothing_and_a_larger_budget_only_the_difference(own: Folder) -> None:
    again = own.run("tune", *tune_options(2))
    assert again.returncode == 0, again.stderr
    assert "all 2 trials are in the store, nothing to train" in again.stderr
    assert len(own.trials(STUDY)) == 2
    more = own.run("tune", *tune_options(3))
    assert more.returncode == 0, more.stderr
    assert "1 of 3 trials to run" in more.stderr
    assert [t.slot for t in own.trials(STUDY) if t.counted] == [0, 1, 2]


def test_restart_keeps_the_study_of_a_changed_config(own: Folder) -> None:
    refused = own.run("tune", *tune_options(2, epochs=2))
    assert refused.returncode == 2
    assert "training.epochs: 1 -> 2" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    restarted = own.run("tune", *tune_options(1, epochs=2), "--restart")
    assert restarted.returncode == 0, restarted.stderr
    assert len(own.trials(STUDY)) == 1


def test_result_files_are_rebuilt_from_the_store_byte_by_byte(own: Folder) -> None:
    files = [p for p in (own.outputs / "results").rglob("*") if p.is_file() and p.suffix != ".parquet"]
    before = {path: path.read_bytes() for path in files}
    shutil.rmtree(own.outputs / "results")
    done = own.run("summarize", *taken("summarize", tune_options(2)))
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in files} == before


def test_the_best_config_trains_to_the_score_of_its_trial(tuned: Folder) -> None:
    best = yaml.safe_load((tuned.outputs / RESULTS / "best_result.yaml").read_text())
    done = tuned.run("train", "--config", f"outputs/{RESULTS}/best_config.yaml", "--outputs", "elsewhere")
    assert done.returncode == 0, done.stderr
    assert f"validation ndcg@10 {best['score']:.4f}" in done.stdout
    assert f"test ndcg@10 {best['test']['ndcg@10']:.4f}" in done.stdout


def test_a_misspelt_key_of_a_config_to_train_is_named(tuned: Folder) -> None:
    path = tuned.path / "misspelt.yaml"
    path.write_text("model: NARM\ndataset: ml-100k\nnum_layers: 2\n")
    done = tuned.run("train", "--config", str(path))
    assert done.returncode == 2
    assert done.stderr == f"recsweep: {path}:3:1: NARM never reads `num_layers`; did you mean `n_layers`?\n"


def test_a_dry_run_says_how_many_trials_would_run_and_makes_nothing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    done = folder.run("tune", "--dry-run", "--max-evals", "5")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("6 studies, 30 trials to run with hyperopt/bayes")
    assert not folder.outputs.exists()


def test_an_open_study_is_not_evaluated_on_the_test_split(own: Folder) -> None:
    done = own.run("evaluate", *tune_options(3))
    assert done.returncode == 2
    assert "the test split stays unseen until the study is closed" in done.stderr
    closed = own.run("evaluate", *tune_options(2))
    assert closed.returncode == 0, closed.stderr
    assert "ml-100k-small/FPMC test ndcg@10" in closed.stdout


def test_lost_scores_per_user_are_made_again_by_evaluate_and_exported(own: Folder) -> None:
    users = own.outputs / RESULTS / "users.parquet"
    before = users.read_bytes()
    users.unlink()
    lost = own.run("export", "users.csv", "FPMC", "--per-user")
    assert lost.returncode == 2
    assert "has no scores per user" in lost.stderr
    assert own.run("evaluate", *tune_options(2)).returncode == 0
    assert users.read_bytes() == before
    done = own.run("export", "users.csv", "FPMC", "--per-user")
    assert done.returncode == 0, done.stderr
    lines = (own.path / "users.csv").read_text().splitlines()
    assert lines[0] == "user,recall@10,mrr@10,ndcg@10,hit@10"
    assert done.stdout == f"{len(lines) - 1} users of {STUDY} in users.csv\n"


def test_a_winner_without_weights_is_trained_again_to_the_same_test_metrics(own: Folder) -> None:
    best = own.outputs / RESULTS / "best_result.yaml"
    before = yaml.safe_load(best.read_text())
    shutil.rmtree(own.outputs / "checkpoints")
    study = _study(own)
    study.set_attribute("test", {"trial_id": -1, "metrics": {}})  # of a winner that was beaten
    done = own.run("evaluate", *tune_options(2))
    assert done.returncode == 0, done.stderr
    assert "training it again for the test split" in done.stderr
    assert yaml.safe_load(best.read_text()) == before


def test_an_exhaustive_search_visits_every_point_of_the_grid_once(folder: Folder) -> None:
    folder.edit(
        "models/FPMC.yaml",
        space__learning_rate={"type": "choice", "values": [0.001, 0.01]},
        space__embedding_size={"type": "quniform", "min": 32, "max": 64, "q": 32},
        space__weight_decay={"type": "choice", "values": [0.0]},
    )
    done = folder.run("tune", *tune_options(2), "--algo", "exhaustive")
    assert done.returncode == 0, done.stderr
    tried = [json.dumps(t.params) for t in folder.trials(STUDY) if t.counted]
    assert len(tried) == len(set(tried)) == 4
    assert '"embedding_size": 32,' in tried[-1] or '"embedding_size": 32,' in tried[1]


def test_prepare_describes_the_data_and_doctor_says_all_is_well(tuned: Folder) -> None:
    done = tuned.run("prepare", "--models", "FPMC GRU4Rec")
    assert done.returncode == 0, done.stderr
    assert "found in the cache" in done.stdout
    found = yaml.safe_load((tuned.outputs / "prepared/smoke/ml-100k-small.yaml").read_text())
    assert found["interactions"] == 20805
    (split,) = found["splits"].values()
    assert (split["users"], split["items"], split["models"]) == (779, 1169, ["FPMC", "GRU4Rec"])
    doctor = tuned.run("doctor", "--config", "config/smoke.yaml")
    assert doctor.returncode == 0, doctor.stdout
    assert "ok  recbole: 1.2.1" in doctor.stdout
    assert "ok  compiled kernels: " in doctor.stdout
    assert "BAD" not in doctor.stdout


def test_doctor_marks_what_is_wrong_and_ends_with_2(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.edit("config.yaml", evaluation__metric="NDGC@10")
    doctor = folder.run("doctor", "--config", "config/config.yaml")
    assert doctor.returncode == 2
    assert "BAD config: config/config.yaml:" in doctor.stdout


def test_an_unknown_option_value_ends_with_2_before_anything_is_made(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    done = folder.run("tune", "--models", "GRU4Rek")
    assert done.returncode == 2
    assert done.stderr.startswith("recsweep: --models: unknown model `GRU4Rek`; did you mean `GRU4Rec`?")
    assert not folder.outputs.exists()


def test_bad_data_is_refused_with_its_place_before_the_first_trial(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    data = tmp_path / "shop"
    data.mkdir()
    (data / "shop.inter").write_text(
        "user_id:token\titem_id:token\ttimestamp:float\nu1\ti1\t1\nu1\ti2\tyesterday\n"
    )
    (tmp_path / "config/datasets/shop.yaml").write_text("path: ../../shop\n")
    done = folder.run("tune", "--datasets", "shop", *tune_options(1))
    assert done.returncode == 2
    assert done.stderr == (
        f"recsweep: {data / 'shop.inter'}:3:7: `timestamp` must be a number, but got 'yesterday'; "
        "correct it, or drop the row\n"
    )


def test_a_general_model_on_a_random_split_of_own_data(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    data = tmp_path / "shop"
    data.mkdir()
    rows = [f"u{u}\ti{(u * 7 + n * n) % 30}\t{1700000000 + n}" for u in range(40) for n in range(10)]
    header = "user_id:token\titem_id:token\ttimestamp:float"
    (data / "shop.inter").write_text("\n".join([header, *rows]) + "\n")
    (tmp_path / "config/datasets/shop.yaml").write_text(
        "path: ../../shop\nsplit: {type: ratio, order: random}\n"
    )
    (tmp_path / "config/models/BPR.yaml").write_text(
        "defaults: {embedding_size: 8}\nspace:\n  embedding_size: {type: choice, values: [8, 16]}\n"
    )
    options = ("--models", "BPR", "--max-evals", "2", "--epochs", "2")
    done = folder.run("tune", "--datasets", "shop", *options)
    assert done.returncode == 0, done.stderr
    assert "rest" not in done.stderr, "nobody asks for a rest where there is no GPU"
    assert "cooldown" not in done.stderr
    results = folder.outputs / "results/smoke/shop/BPR"
    best = yaml.safe_load((results / "best_result.yaml").read_text())
    again = folder.run("train", "--config", str(results / "best_config.yaml"))
    assert again.returncode == 0, again.stderr
    assert f"validation ndcg@10 {best['score']:.4f}" in again.stdout
    assert f"test ndcg@10 {best['test']['ndcg@10']:.4f}" in again.stdout


def test_cooldown_rests_between_trials_and_not_after_the_last(folder: Folder) -> None:
    options = ("--models", "FPMC", "--max-evals", "2", "--epochs", "1")
    done = folder.run("tune", *options, "--cooldown", "2")
    assert done.returncode == 0, done.stderr
    first, second = sorted(folder.trials(STUDY), key=lambda t: t.slot)
    assert first.finished is not None
    assert second.started is not None
    assert 2 <= (second.started - first.finished).total_seconds() < 4
    assert "rest" in done.stderr


def _study(folder: Folder):
    from recsweep.study import Store

    return Store(f"sqlite:///{folder.outputs}/recsweep.db").find_study(STUDY)


ONE_STUDY = ("--dataset", "ml-100k-small", "--model", "FPMC", "--max-evals", "2", "--epochs", "1")


def test_lists_of_a_winner_and_of_what_train_saved_are_the_same(own: Folder) -> None:
    (own.path / "some.txt").write_text("7\n3\n\n7\n")
    done = own.run("recommend", *ONE_STUDY, "--users", "some.txt", "--to", "a.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ml-100k-small/FPMC: 2 lists of 10 items in a.csv\n"
    rows = (own.path / "a.csv").read_text().splitlines()
    assert rows[0] == "user,item,rank,score"
    assert [row.split(",")[::2] for row in rows[1:]] == [[u, str(r)] for u in "73" for r in range(1, 11)]

    trained = own.run(
        "train", "--config", f"outputs/{RESULTS}/best_config.yaml", "--save", "kept", "--no-test"
    )
    assert trained.returncode == 0, trained.stderr
    again = own.run("recommend", "--trained", "kept", "--users", "some.txt", "--to", "b.csv")
    assert again.returncode == 0, again.stderr
    assert (own.path / "b.csv").read_text() == (own.path / "a.csv").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--to", "lists.txt"), "--to: lists.txt does not say in which form to write"),
        (("--to", "a.csv", "--users", "none.txt"), "--users: none.txt cannot be read"),
        (("--to", "a.csv", "--users", "wrong.txt"), "wrong.txt:2:1: the data set has no user x7"),
        (("--to", "a.csv", "--trained", "kept"), "--dataset names a study, and --trained another model"),
    ],
)
def test_lists_that_cannot_be_made_are_refused_and_nothing_is_written(
    own: Folder, options: tuple[str, ...], said: str
) -> None:
    (own.path / "wrong.txt").write_text("7\nx7\n")
    done = own.run("recommend", *ONE_STUDY, *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert not list(own.path.glob("*.csv"))


@pytest.mark.long
def test_the_best_of_a_study_is_trained_again_by_its_name_alone(tuned: Folder) -> None:
    best = yaml.safe_load((tuned.outputs / RESULTS / "best_result.yaml").read_text())
    done = tuned.run("train", "--best", "smoke/ml-100k-small/FPMC", "--no-test")
    assert done.returncode == 0, done.stderr
    assert f"validation ndcg@10 {best['score']:.4f}" in done.stdout


@pytest.mark.long
def test_the_best_is_trained_on_validation_data_too(own: Folder) -> None:
    done = own.run("train", "--best", STUDY, "--on", "train+valid", "--save", "kept", "--no-test")
    assert done.returncode == 0, done.stderr
    assert "training on train+valid for 1 epoch: nothing is left to validate on" in done.stderr
    assert done.stdout.startswith("trained for 1 epoch, ")
    kept = yaml.safe_load((own.path / "kept" / "config.yaml").read_text())
    assert (kept["train_on"], kept["epochs"]) == ("train+valid", 1)
    again = own.run("train", "--config", "kept/config.yaml", "--save", "again", "--no-test")
    assert again.returncode == 0, again.stderr
    made = own.run("recommend", "--trained", "kept", "--to", "a.csv")
    assert made.returncode == 0, made.stderr
    assert own.run("recommend", "--trained", "again", "--to", "b.csv").returncode == 0
    assert (own.path / "a.csv").read_text() == (own.path / "b.csv").read_text()


def test_what_says_not_what_to_train_is_refused(tuned: Folder) -> None:
    for options, said in [
        ((), "neither --config nor --best is given"),
        (("--config", "x.yaml", "--best", STUDY), "--best stands beside --config"),
        (("--config", "x.yaml", "--on", "train+valid"), "--on is for --best"),
        (("--best", "smoke/none"), "the store has no study smoke/none"),
    ]:
        done = tuned.run("train", *options)
        assert done.returncode == 2
        assert said in done.stderr


@pytest.mark.long
def test_other_metrics_of_a_winner_are_measured_without_training(own: Folder) -> None:
    best = yaml.safe_load((own.outputs / RESULTS / "best_result.yaml").read_text())
    done = own.run("evaluate", *ONE_STUDY, "--metrics", "ndcg@10 hit@3", "--json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert row["model"] == "ml-100k-small/FPMC"
    assert row["ndcg@10"] == pytest.approx(best["test"]["ndcg@10"])
    assert {*row} == {"model", "ndcg@10", "hit@3"}
    groups = own.run("evaluate", *ONE_STUDY, "--metrics", "hit@3", "--by", "activity", "--csv")
    assert groups.returncode == 0, groups.stderr
    assert groups.stdout.startswith("model,activity,cases,hit@3\n")
    shutil.rmtree(own.outputs / "checkpoints")
    refused = own.run("evaluate", *ONE_STUDY, "--metrics", "ndcg@10")
    assert refused.returncode == 2
    assert "the weights of trial" in refused.stderr
    open_study = own.run(
        "evaluate", *ONE_STUDY[:4], *tune_options(3)[2:4], "--epochs", "1", "--by", "activity"
    )
    assert open_study.returncode == 2
    assert "the test split stays unseen until the study is closed" in open_study.stderr


@pytest.mark.long
def test_an_ensemble_is_chosen_tested_once_and_measured_again(own: Folder) -> None:
    refused = own.run("ensemble", *ONE_STUDY[4:], "--models", "FPMC")
    assert refused.returncode == 2
    assert "the weights of two trials or more, and those of 1 are there" in refused.stderr
    assert "checkpoints.keep_best is 1; set it to 10" in refused.stderr

    checkpoints = own.outputs / "checkpoints/smoke/ml-100k-small/FPMC"
    (kept,) = checkpoints.glob("trial-*")
    other = next(t for t in own.trials(STUDY) if t.counted and kept.name != f"trial-{t.slot}")
    settings = yaml.safe_load((own.outputs / RESULTS / "best_config.yaml").read_text())
    (own.path / "other.yaml").write_text(yaml.safe_dump({**settings, **other.params, "seed": other.seed}))
    saved = f"outputs/checkpoints/smoke/ml-100k-small/FPMC/trial-{other.slot}"
    trained = own.run("train", "--config", "other.yaml", "--save", saved, "--no-test")
    assert trained.returncode == 0, trained.stderr

    done = own.run("ensemble", "smoke/ml-100k-small", *ONE_STUDY[4:], "--models", "FPMC")
    assert done.returncode == 0, done.stderr
    assert "of 2 models, fused by" in done.stdout
    file = own.outputs / "results/smoke/ml-100k-small/ensemble/ensemble.yaml"
    content = yaml.safe_load(file.read_text())
    assert content["validation"] >= content["best_single"]["validation"]
    assert {*content["test"]} == {"recall@10", "mrr@10", "ndcg@10", "hit@10"}
    again = own.run("ensemble", "smoke/ml-100k-small", *ONE_STUDY[4:], "--models", "FPMC")
    assert again.stdout == done.stdout

    measured = own.run("evaluate", "--trained", str(file), "--metrics", "ndcg@10", "--json")
    assert measured.returncode == 0, measured.stderr
    assert json.loads(measured.stdout)[0]["ndcg@10"] == pytest.approx(content["test"]["ndcg@10"])
    listed = own.run("recommend", "--trained", str(file), "--to", "together.csv")
    assert listed.returncode == 0, listed.stderr
    assert (own.path / "together.csv").read_text().startswith("user,item,rank,score\n")
    assert "ensemble" not in own.run("ls").stdout
