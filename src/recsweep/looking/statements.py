"""The comparison of models as text, as a table, and as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recsweep.looking.listing import markdown
from recsweep.report.model_comparison import Compared
from recsweep.statistics.comparison import TESTS, Comparison, metric_name
from recsweep.statistics.paired import p_text
from recsweep.statistics.ranks import Ranking


def text(compared: Compared) -> str:
    """Statements in sentences, data set by data set; the ranks; what was left out."""
    lines = ["", "Their models on test:", ""] if compared.comparisons else [""]
    for dataset, sentences in compared.sentences.items():
        lines += [*(f"- {dataset}: {sentence}" for sentence in sentences), ""]
    if compared.comparisons:
        lines += [_procedure(compared.comparisons[0]), ""]
    for ranking in compared.rankings:
        lines += [_ranked(ranking), ""]
    lines += [f"- {remark}" for remark in compared.remarks]
    return "\n".join(lines).rstrip() + "\n"


def table(compared: Compared) -> str:
    """A row a pair."""
    shown = [_shown(one) for one in compared.comparisons]
    columns = ("users", "seeds", "difference", "interval", "effect", "p", "corrected")
    remarks = "".join(f"\n- {remark}" for remark in compared.remarks)
    return f"{markdown(shown, columns)}\n{remarks}"


def rows(compared: Compared) -> list[dict[str, Any]]:
    """A row a pair, every value in full."""
    return [_row(one) for one in compared.comparisons]


def plain(compared: Compared) -> dict[str, Any]:
    """All of it as plain JSON."""
    pairs = [{**_row(one), "sentence": one.sentence()} for one in compared.comparisons]
    return {
        "comparisons": pairs,
        "ranks": [_ranks(one) for one in compared.rankings],
        "remarks": list(compared.remarks),
    }


def _procedure(one: Comparison) -> str:
    """How these statements were come to."""
    how = one.procedure
    return (
        f"In brackets: the {how.confidence} interval of a bootstrap over {one.resampled}. "
        f"P-values are of a {TESTS[how.test]}; those of one data set and metric were corrected together."
    )


def _ranked(ranking: Ranking) -> str:
    each = ", ".join(
        f"{model} {rank:.2f} ({low:.2f} to {high:.2f})"
        for model, rank, low, high in zip(
            ranking.models, ranking.ranks, ranking.low, ranking.high, strict=True
        )
    )
    told = f"Mean ranks in {metric_name(ranking.metric)} over {len(ranking.datasets)} data sets: {each}."
    if ranking.critical is None or ranking.friedman is None:
        return told
    groups = "; ".join(", ".join(group) for group in ranking.groups) or "none"
    return (
        f"{told} Friedman's test (Iman and Davenport): {p_text(ranking.friedman.p)}; Nemenyi's critical "
        f"difference {ranking.critical:.2f}; not told apart: {groups}."
    )


def _row(one: Comparison) -> dict[str, Any]:
    return {
        **{"dataset": one.dataset, "metric": one.metric, "a": one.a, "b": one.b, "better": one.better},
        **{"mean_a": one.mean_a, "mean_b": one.mean_b, "difference": one.difference},
        **{"low": one.low, "high": one.high, "effect": one.effect, "p": one.p},
        **{"p_corrected": one.p_corrected, "test": one.procedure.test},
        **{f"p_{name}": p for name, p in one.tests.items()},
        **{"correction": one.procedure.correction, "comparisons": one.comparisons},
        **{"users": one.users, "seeds": one.seeds, "splits": one.splits, "smallest": one.smallest},
    }


def _shown(one: Comparison) -> dict[str, str]:
    value, low, high = one.digits(one.difference, one.low, one.high)
    return {
        **{"dataset": one.dataset, "metric": one.metric, "pair": f"{one.a} - {one.b}"},
        **{"difference": value, "interval": f"{low} to {high}", "effect": f"{one.effect:.2f}"},
        **{"p": f"{one.p:.2g}", "corrected": f"{one.p_corrected:.2g}", "users": str(one.users)},
        **{"seeds": str(one.seeds), "better": one.better or "cannot tell"},
    }


def _ranks(ranking: Ranking) -> dict[str, Any]:
    numbers: Sequence[tuple[str, float, float, float]] = list(
        zip(ranking.models, ranking.ranks, ranking.low, ranking.high, strict=True)
    )
    friedman = ranking.friedman
    return {
        "metric": metric_name(ranking.metric),
        "datasets": list(ranking.datasets),
        "models": [{"model": m, "mean_rank": r, "low": low, "high": high} for m, r, low, high in numbers],
        "friedman_p": None if friedman is None else friedman.p,
        "critical_difference": ranking.critical,
        "not_told_apart": [list(group) for group in ranking.groups],
    }
