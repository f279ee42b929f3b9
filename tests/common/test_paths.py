from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recsweep.common.paths import Outputs

OUT = Outputs(Path("outputs"), "mine")


def test_outputs_have_the_names_that_the_documentation_promises():
    assert OUT.database == Path("outputs/recsweep.db")
    assert OUT.cache == Path("outputs/cache")
    assert OUT.logs == Path("outputs/logs/mine")
    assert OUT.prepared("ml-100k") == Path("outputs/prepared/mine/ml-100k.yaml")
    assert OUT.best_result("ml-100k", "NARM") == Path("outputs/results/mine/ml-100k/NARM/best_result.yaml")
    assert OUT.best_config("ml-100k", "NARM") == Path("outputs/results/mine/ml-100k/NARM/best_config.yaml")
    assert OUT.best_params("ml-100k", "NARM") == Path("outputs/results/mine/ml-100k/NARM/best_params.json")
    assert OUT.trials("ml-100k", "NARM") == Path("outputs/results/mine/ml-100k/NARM/trials.csv")
    assert OUT.trials("ml-100k", "NARM", "loss") == Path("outputs/results/mine/ml-100k/NARM/loss/trials.csv")
    assert [OUT.summary(s) for s in ("csv", "md", "tex")] == [
        Path(f"outputs/results/mine/summary.{suffix}") for suffix in ("csv", "md", "tex")
    ]
    assert OUT.all_plots == Path("outputs/plots/mine")
    assert OUT.trial_checkpoints("ml-100k", "NARM", 3) == Path(
        "outputs/checkpoints/mine/ml-100k/NARM/trial-3"
    )


def test_the_sweeps_of_an_output_folder_share_its_sqlite_store():
    assert OUT.storage_url.reveal() == "sqlite:///outputs/recsweep.db"
    assert Outputs(Path("/data/out"), "mine").storage_url.reveal() == "sqlite:////data/out/recsweep.db"
    other = replace(OUT, sweep="other")
    assert (other.database, other.cache) == (OUT.database, OUT.cache)


def test_two_sweeps_studies_phases_and_workers_never_share_a_file():
    places = [(d, m, p) for d in ("a", "b") for m in ("X", "Y") for p in (None, "coarse")]
    each = [
        replace(OUT, sweep=s, study_name=n) for s in ("mine", "other") for n in (None, "x/y", "x", "coarse")
    ]
    names = [out.best_result(*parts) for out in each for parts in places]
    names += [out.trials(*parts) for out in each for parts in places]
    names += [out.plots(*parts) / "history.html" for out in each for parts in places]
    names += [out.trial_checkpoints(a, b, slot, c) for out in each for a, b, c in places for slot in (0, 1)]
    sweeps = [out for out in each if out.study_name is None]
    names += [out.worker_log(d, m, worker) for out in sweeps for d in "ab" for m in "XY" for worker in (0, 1)]
    names += [out.prepared(dataset) for out in sweeps for dataset in ("a", "b")]
    names += [out.summary("md") for out in sweeps] + [out.all_plots / "index.html" for out in sweeps]
    assert len(set(names)) == len(names)


def test_the_name_of_a_study_is_one_folder_whatever_it_holds():
    folder = OUT.study("a", "X")
    for name in ("../../../etc", "..", "/etc/passwd", "a b\n|c"):
        apart = replace(OUT, study_name=name).study("a", "X")
        assert (apart.parent, ".." in apart.parts) == (folder, False)


def test_asking_for_names_makes_no_folder(tmp_path):
    out = Outputs(tmp_path / "outputs", "mine")
    out.best_result("a", "X"), out.worker_log("a", "X", 0), out.cache, out.summary("csv"), out.storage_url
    assert list(tmp_path.iterdir()) == []
