"""Every output name in one place. Nothing here makes a folder or reads a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from recsweep.common.address import StoreAddress


def is_made(store: StoreAddress) -> bool:
    """True where a store may be there: to open one that is not would make it."""
    return store.file is None or store.file.is_file()


@dataclass(frozen=True)
class Outputs:
    """The names below one output folder (`outputs/` by default).

    Store and cache are shared by all sweeps; what is made for one sweep lies in folders of its name, so
    that a second sweep replaces nothing.
    """

    root: Path
    sweep: str
    study_name: str | None = None
    """The name of a study that has another than its own: its files lie apart from those of its model."""

    @property
    def database(self) -> Path:
        return self.root / "recsweep.db"

    @property
    def storage_url(self) -> StoreAddress:
        """Address of the default store, whose folder is made with it."""
        return StoreAddress(f"sqlite:///{self.database}", makes_folder=True)

    @property
    def cache(self) -> Path:
        """Prepared data sets, one folder per content hash."""
        return self.root / "cache"

    @property
    def estimates(self) -> Path:
        """Measurements for estimates, a file for each model on its data, by content."""
        return self.root / "estimates"

    @property
    def scratch(self) -> Path:
        """Folder of what processes write for a moment, one folder each."""
        return self.root / "scratch"

    @property
    def logs(self) -> Path:
        """The logs of the sweep."""
        return self.root / "logs" / self.sweep

    def prepared(self, dataset: str) -> Path:
        """File of what `recsweep prepare` found in a data set, and where it is cached."""
        return self.root / "prepared" / self.sweep / f"{dataset}.yaml"

    def _of_study(self, folder: Path, dataset: str, model: str, phase: str | None) -> Path:
        folder = folder / dataset / model / phase if phase else folder / dataset / model
        # A name may hold what no folder can be named: `sweep/dataset/model/phase` is one.
        return folder / f"study-{quote(self.study_name, safe='')}" if self.study_name else folder

    def study(self, dataset: str, model: str, phase: str | None = None) -> Path:
        """The files of a study; `phase`: of a phase before the model's last one."""
        return self._of_study(self.results, dataset, model, phase)

    def best_result(self, dataset: str, model: str, phase: str | None = None) -> Path:
        return self.study(dataset, model, phase) / "best_result.yaml"

    def best_config(self, dataset: str, model: str, phase: str | None = None) -> Path:
        return self.study(dataset, model, phase) / "best_config.yaml"

    def best_params(self, dataset: str, model: str, phase: str | None = None) -> Path:
        return self.study(dataset, model, phase) / "best_params.json"

    def trials(self, dataset: str, model: str, phase: str | None = None) -> Path:
        return self.study(dataset, model, phase) / "trials.csv"

    def study_results(self, dataset: str, model: str, phase: str | None = None) -> Path:
        """Every trial with all that the store knows of it."""
        return self.study(dataset, model, phase) / "study_results.json"

    def users(self, dataset: str, model: str, phase: str | None = None) -> Path:
        """The test scores of each user, of the winner."""
        return self.study(dataset, model, phase) / "users.parquet"

    def evidence_users(
        self, dataset: str, model: str, training_seed: int, split_seed: int, trial: int | None = None
    ) -> Path:
        """The same of the winner's configuration, trained with other seeds."""
        folder = self.study(dataset, model) / "evidence"
        own = folder if trial is None else folder / f"trial-{trial}"
        return own / f"users-{training_seed}-{split_seed}.parquet"

    def pareto(self, suffix: str, dataset: str, model: str, phase: str | None = None) -> Path:
        """The trials that no other one betters in every objective; `suffix` is csv or md."""
        return self.study(dataset, model, phase) / f"pareto.{suffix}"

    def evidence(self, dataset: str, model: str) -> Path:
        """The folder of what a model's best configurations came to on other seeds and splits."""
        return self.study(dataset, model, "evidence")

    def ensemble(self, dataset: str) -> Path:
        """The ensemble that was chosen on a data set; its members lie beside it."""
        return self.study(dataset, "ensemble") / "ensemble.yaml"

    @property
    def evidence_table(self) -> Path:
        """Every metric of all models over seeds and splits."""
        return self.results / "evidence.csv"

    @property
    def results(self) -> Path:
        return self.root / "results" / self.sweep

    def report(self, name: str) -> Path:
        """A file of the sweep's report: `index.html`, and what lies beside it."""
        return self.root / "report" / self.sweep / name

    @property
    def all_plots(self) -> Path:
        return self.root / "plots" / self.sweep

    def plots(self, dataset: str, model: str, phase: str | None = None) -> Path:
        """The pictures of a study."""
        return self._of_study(self.all_plots, dataset, model, phase)

    def summary(self, suffix: str) -> Path:
        """The table of best configurations; `suffix` is csv, md or tex."""
        return self.results / f"summary.{suffix}"

    @property
    def all_checkpoints(self) -> Path:
        """The checkpoints of all sweeps."""
        return self.root / "checkpoints"

    def checkpoints(self, dataset: str, model: str, phase: str | None = None) -> Path:
        return self._of_study(self.all_checkpoints / self.sweep, dataset, model, phase)

    def trial_checkpoints(self, dataset: str, model: str, slot: int, phase: str | None = None) -> Path:
        return self.checkpoints(dataset, model, phase) / f"trial-{slot}"

    def population_state(
        self, dataset: str, model: str, epoch: int, name: str, phase: str | None = None
    ) -> Path:
        """State of a member of a population at the end of an epoch; `name` says by which training."""
        return self.checkpoints(dataset, model, phase) / "population" / f"epoch-{epoch}-{name}.pt"

    def archived_checkpoints(self, dataset: str, model: str, phase: str | None = None, *, stamp: str) -> Path:
        """Weights of a study that was archived; `stamp`: the time in its name."""
        return self.checkpoints(dataset, model, phase) / f"@{stamp}"

    def old_checkpoints(self, dataset: str, model: str, slot: int, phase: str | None = None) -> Path:
        """Where earlier versions put a trial's weights, whatever sweep it was of. Only read."""
        folder = self.all_checkpoints / dataset / model
        return (folder / phase if phase else folder) / f"trial-{slot}"

    def ray_results(self, dataset: str, model: str, phase: str | None = None) -> Path:
        """Ray Tune's own files of a study that it drives; never read."""
        return self._of_study(self.root / "ray" / self.sweep, dataset, model, phase)

    @property
    def tracking(self) -> Path:
        """The files of trackers of the sweep: a folder and a log each."""
        return self.root / "tracking" / self.sweep

    @property
    def endings(self) -> Path:
        """Notes of how jobs of a run ended, until somebody was told of them."""
        return self.logs / "endings"

    @property
    def tune_log(self) -> Path:
        """Log of `recsweep tune`, run after run."""
        return self.logs / "tune.log"

    def trial_traceback(
        self, dataset: str, model: str, slot: int, attempt: int, phase: str | None = None
    ) -> Path:
        """Where a failed trial went wrong; each attempt at its slot has a file."""
        return self._of_study(self.logs, dataset, model, phase) / f"trial-{slot}-{attempt}.traceback.txt"

    def trouble(self, dataset: str, model: str, phase: str | None = None) -> Path:
        """Why a study came to no end."""
        return self._of_study(self.logs, dataset, model, phase) / "trouble.traceback.txt"

    def worker_log(self, dataset: str, model: str, worker: int) -> Path:
        return self._of_study(self.logs, dataset, model, None) / f"worker-{worker}.log"
