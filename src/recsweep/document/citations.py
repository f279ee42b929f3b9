"""The works that a report cites: on models, data sets, samplers, pruners, metrics, tests; as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from recsweep.common.escape import for_latex
from recsweep.study import StudyRecord

FILE = Path(__file__).with_name("references.bib")
MODELS = {
    "GRU4Rec": ("hidasi2016session", "tan2016improved"),
    "NARM": ("li2017neural",),
    "STAMP": ("liu2018stamp",),
    "SASRec": ("kang2018self",),
    "FPMC": ("rendle2010factorizing",),
    "FOSSIL": ("he2016fusing",),
    "Pop": ("cremonesi2010performance",),
}
"""By RecBole's names. For another model, its own paper is to be added by hand; the report says so."""
ENGINES = {
    "hyperopt": ("bergstra2013making",),
    "optuna": ("akiba2019optuna",),
    "ray": ("liaw2018tune",),
}
ALGOS = {
    "random": ("bergstra2012random",),
    "bayes": ("bergstra2011algorithms",),
    "tpe": ("bergstra2011algorithms",),
    "anneal": ("kirkpatrick1983optimization",),
    "gp": ("snoek2012practical",),
    "cmaes": ("hansen2001completely",),
    "qmc": ("sobol1967distribution",),
    "nsga2": ("deb2002fast",),
    "exhaustive": (),
}
RULES = {
    "none": (),
    "median": ("golovin2017google",),
    "asha": ("li2020system",),
    "hyperband": ("li2018hyperband",),
    "wilcoxon": ("wilcoxon1945individual",),
    "pbt": ("jaderberg2017population",),
}
"""Pruners, and Ray Tune's schedulers."""
METRICS = {
    "ndcg": ("jarvelin2002cumulated",),
    "mrr": ("voorhees1999trec",),
    "recall": ("cremonesi2010performance",),
    "hit": ("cremonesi2010performance",),
    "precision": ("cremonesi2010performance",),
}
DATASETS = {"ml-": ("harper2015movielens",)}
"""By how the name of the data begins."""
METHODS = ("dodge2019show", "watanabe2023ped", "shehzad2023everyone")
"""Of every report: the random-search expectation, importance, the tuning appendix."""
ALWAYS = ("recsweep", "zhao2021recbole", "paszke2019pytorch")
COMPARED = (
    "efron1993introduction",
    "student1908probable",
    "smucker2007comparison",
    "ihemelandu2023inference",
)
"""Where models are compared with each other."""
ALARMS = {
    "budgets": ("shehzad2023everyone",),
    "convergence": ("dodge2019show",),
    "edge": ("shehzad2023everyone",),
    "first epoch": ("prechelt1998early",),
    "epochs": ("prechelt1998early",),
    "leak": ("ji2023critical", "meng2020exploring"),
    "order": ("kendall1938new", "voorhees2001evaluation"),
    "popularity": ("dacrema2019really", "ji2020revisit"),
    "power": ("sakai2016statistical",),
    "repeats": ("li2023next",),
    "sampled": ("krichene2020sampled",),
}
"""By the name of an alarm that was raised."""
CORRECTIONS = {"holm": "holm1979simple", "bonferroni": "dunn1961multiple", "bh": "benjamini1995controlling"}
_ENTRY = re.compile(r"^@(\w+)\{([^,]+),\n(.*?)^\}", re.DOTALL | re.MULTILINE)
_FIELD = re.compile(r"^  (\w+) = \{(.*)\},?$", re.MULTILINE)
_ACCENT = re.compile(r"\{?\\(['\"v])\{?([A-Za-z])\}?\}?")
_MARKS = {"'": "\u0301", '"': "\u0308", "v": "\u030c"}


@dataclass(frozen=True)
class Reference:
    """One entry of the file."""

    key: str
    bibtex: str
    fields: dict[str, str]

    @property
    def text(self) -> str:
        """`Kang and McAuley. Self-Attentive Sequential Recommendation. ICDM …, 2018. doi:…`, for people."""
        found = {name: _plain(value) for name, value in self.fields.items()}
        where = found.get("booktitle") or found.get("journal") or found.get("publisher") or found.get("note")
        doi = f" doi:{found['doi']}." if "doi" in found else ""
        return f"{_authors(found['author'])}. {found['title']}. {where}, {found['year']}.{doi}"


@cache
def references() -> dict[str, Reference]:
    """All entries, by their keys, in the order of the file."""
    text = FILE.read_text(encoding="utf-8")
    return {
        key: Reference(key, f"@{kind}{{{key},\n{body}}}", dict(_FIELD.findall(body)))
        for kind, key, body in _ENTRY.findall(text)
    }


def cited(records: Sequence[StudyRecord], more: Iterable[str] = ()) -> list[Reference]:
    """The works that a report on these studies cites, each once, in the order of the file.

    Args:
        more: keys of what else it speaks of.
    """
    keys = {*ALWAYS, *METHODS, *more}
    for record in records:
        keys |= set(_of_a_study(record))
    return [one for key, one in references().items() if key in keys]


def _of_a_study(record: StudyRecord) -> Iterable[str]:
    for model in record.models:
        yield from MODELS.get(model, ())
    for start, keys in DATASETS.items():
        if record.dataset.path == "builtin" or record.dataset_name.lower().startswith(start):
            yield from keys
    evaluation = record.evaluation
    for name in (evaluation.metric, *evaluation.metrics):
        yield from METRICS.get(name.split("@")[0].lower(), ())
    search = record.search
    yield from (*ENGINES.get(search.engine, ()), *ALGOS.get(search.algo, ()))
    for rule in (record.pruning.pruner, search.scheduler):
        yield from RULES.get(rule, ())


def uncited(records: Sequence[StudyRecord]) -> list[str]:
    """Models and data sets whose papers are not in the file."""
    models = [model for record in records for model in record.models if model not in MODELS]
    data = [
        record.dataset_name
        for record in records
        if record.dataset.path != "builtin" and not record.dataset_name.lower().startswith(tuple(DATASETS))
    ]
    return list(dict.fromkeys([*models, *data]))


def bibtex(found: Sequence[Reference]) -> str:
    """The entries as a BibTeX file."""
    return "\n\n".join(one.bibtex for one in found) + "\n"


def cite(keys: Iterable[str]) -> str:
    r"""`~\cite{…}` of keys in a TeX document; nothing where there are none."""
    held = [key for key in keys if key in references()]
    return rf"~\cite{{{','.join(held)}}}" if held else ""


def cite_model(record: StudyRecord) -> str:
    """A model's name with its citation, in a TeX document."""
    keys = [key for model in record.models for key in MODELS.get(model, ())]
    return for_latex(record.model_name) + cite(keys)


def _authors(text: str) -> str:
    names = text.split(" and ")
    family = [name.split(",")[0] for name in names]
    if len(family) > 3 or family[-1] == "others":
        return f"{family[0]} et al"
    return ", ".join(family[:-1]) + f" and {family[-1]}" if len(family) > 1 else family[0]


def _plain(text: str) -> str:
    """BibTeX's accents and braces as text."""
    import unicodedata

    marked = _ACCENT.sub(lambda found: found[2] + _MARKS[found[1]], text)
    return unicodedata.normalize("NFC", marked).replace("{", "").replace("}", "").replace("--", "–")
