"""Settings of a command beside those of a sweep."""

from __future__ import annotations

from recsweep.sweeps.setting import STUDIES, THIS, Setting

COMMAND_SETTINGS = (
    Setting(
        "config",
        "The sweep: a YAML file, or `FILE.py:NAME` for a `SweepConfig` made in Python.",
        STUDIES,
        make="CONFIG",
        shown="FILE",
        aliases=("sweep",),
        default="config/config.yaml",
        completes="file",
    ),
    Setting("dataset", "Only this data set.", STUDIES, make="DATASET", shown="NAME", completes="datasets"),
    Setting("model", "Only this model.", STUDIES, make="MODEL", shown="NAME", completes="models"),
    Setting("phase", "Only this phase.", STUDIES, make="PHASE", shown="NAME", completes="phases"),
    Setting(
        "study_name",
        "Name of the one study in the store, instead of its own.",
        STUDIES,
        make="STUDY_NAME",
        shown="NAME",
        more="Its files lie in `study-<name>/` beside those of the study of that model",
        completes="studies",
    ),
    Setting(
        "best_params",
        "Start from the parameters of a file; of a pattern, the newest.",
        THIS,
        make="BEST_PARAMS",
        shown="FILE",
        more="It takes the place of the defaults, or of the best of the phase before. A pattern "
        '(`"outputs/**/best_params.json"`) stands in quotes. The study keeps where it started from: give '
        "the same file when it goes on; `worker`, `evaluate` and `summarize` need none",
        completes="file",
    ),
    Setting(
        "more",
        "Add N trials to a study that is complete.",
        THIS,
        make="MORE",
        shown="N",
        span=(1, None),
        more="One that is not, or an exhaustive search, is refused. With phases, name one with `--phase`",
    ),
    Setting(
        "restart",
        "Start anew where a study was made from another config, or where every trial failed.",
        THIS,
        switch=True,
        more="The old study is kept in the store under another name. Else it does nothing",
    ),
    Setting(
        "dry_run",
        "Say what would run, and stop.",
        THIS,
        switch=True,
        more="The config is checked, the rows of the data are not",
    ),
    Setting("log", "Append the lines of the log to this file too.", THIS, shown="FILE", completes="file"),
    Setting("study", "Only the study of this name in the store.", THIS, shown="NAME", completes="studies"),
    Setting(
        "all",
        "Every study of the store that is being worked on.",
        THIS,
        switch=True,
        more="In place of a name. The runs that work on them end, whatever else they have to do",
    ),
    Setting(
        "now",
        "End trials with their epoch, and put their slots back; else they are finished.",
        THIS,
        switch=True,
    ),
    Setting(
        "host",
        "Where it listens.",
        THIS,
        shown="ADDRESS",
        default="127.0.0.1",
        more="The default is this machine alone",
    ),
    Setting("port", "Its port; 0 takes any free one.", THIS, shown="N", default=8080, span=(0, 65535)),
    Setting("save", "Write the best and last weights there.", THIS, shown="FOLDER", completes="folder"),
    Setting("no_test", "Leave the test split unseen.", THIS, switch=True),
    Setting("json", "Print it as JSON.", THIS, switch=True),
    Setting("csv", "Print it as CSV.", THIS, switch=True),
    Setting("archived", "Also those that made room for a study of another definition.", THIS, switch=True),
    Setting(
        "watch",
        "Print it again every N seconds, until nothing is left to run.",
        THIS,
        shown="N",
        span=(1, None),
    ),
    Setting("yes", "Do it without asking.", THIS, switch=True),
)
"""In the order of help."""
