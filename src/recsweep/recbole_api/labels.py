"""A task of telling 1 from 0 has rows of both, or nothing is learned: counted in the split itself."""

from __future__ import annotations

from typing import Any

from recsweep.common.errors import UserError
from recsweep.recbole_api.data import Split
from recsweep.recbole_api.needs import LABEL, needs
from recsweep.recbole_api.settings import LABEL_SCALE


def confirm_labels(config: Any, split: Split) -> None:
    """Count the labels that a model would train on, where no negatives are drawn.

    Args:
        config: a RecBole config, complete.

    Raises:
        UserError: there are none, or all are the same.
    """
    model = config["model"]
    if (
        config[LABEL_SCALE]
        or not needs(model).labels
        or config["train_neg_sample_args"]["distribution"] != "none"
    ):
        return
    rows = split.parts[0].inter_feat
    labels = rows.interaction.get(LABEL)
    ones = int((labels == 1).sum()) if labels is not None else 0
    zeros = int((labels == 0).sum()) if labels is not None else 0
    if ones and zeros and ones + zeros == len(rows):
        return
    found = f"{ones} are labelled 1, {zeros} are labelled 0" if labels is not None else "none is labelled"
    raise UserError(
        f"{model}: of {len(rows)} rows for training {found}; it learns to tell 1 from 0, and no negatives "
        "are drawn; change `label_threshold` of the data set, or draw negatives: "
        "`train_neg_sample_args: {distribution: uniform, sample_num: 1}`"
    )
