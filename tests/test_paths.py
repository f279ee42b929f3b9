from __future__ import annotations

from pathlib import Path

from recsweep.paths import Outputs

OUT = Outputs(Path("outputs"))


def test_outputs_have_the_names_that_the_documentation_promises():
    assert OUT.database == Path("outputs/recsweep.db")
    assert OUT.cache == Path("outputs/cache")
    assert OUT.logs == Path("outputs/logs")
    assert OUT.best_result("ml-100k", "NARM") == Path("outputs/results/tuning/ml-100k/NARM/best_result.yaml")
    assert OUT.best_config("ml-100k", "NARM") == Path("outputs/results/tuning/ml-100k/NARM/best_config.yaml")
    assert OUT.best_params("ml-100k", "NARM") == Path("outputs/results/tuning/ml-100k/NARM/best_params.json")
    assert OUT.trials("ml-100k", "NARM") == Path("outputs/results/tuning/ml-100k/NARM/trials.csv")
    assert [OUT.summary(s).name for s in ("csv", "md", "tex")] == ["summary.csv", "summary.md", "summary.tex"]
    assert OUT.trial_checkpoints("ml-100k", "NARM", 3) == Path("outputs/checkpoints/ml-100k/NARM/trial-3")


def test_default_store_is_sqlite_in_the_output_folder():
    assert OUT.storage_url == "sqlite:///outputs/recsweep.db"
    assert Outputs(Path("/data/out")).storage_url == "sqlite:////data/out/recsweep.db"


def test_two_studies_and_two_workers_never_share_a_file():
    pairs = [(d, m) for d in ("a", "b") for m in ("X", "Y")]
    names = [OUT.best_result(*pair) for pair in pairs] + [OUT.trials(*pair) for pair in pairs]
    names += [OUT.worker_log(*pair, worker) for pair in pairs for worker in (0, 1)]
    names += [OUT.trial_checkpoints(*pair, slot) for pair in pairs for slot in (0, 1)]
    names += [OUT.prepared(dataset) for dataset in ("a", "b")]
    assert len(set(names)) == len(names)


def test_asking_for_names_makes_no_folder(tmp_path):
    out = Outputs(tmp_path / "outputs")
    out.best_result("a", "X"), out.worker_log("a", "X", 0), out.cache, out.summary("csv"), out.storage_url
    assert list(tmp_path.iterdir()) == []
