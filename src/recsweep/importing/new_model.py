"""The files of a new model of one's own: its code, its file, its test, and a sweep of it."""

from __future__ import annotations

import keyword
import re

from recsweep.common.errors import InputError
from recsweep.recbole_api import catalog

_CODE = '''"""NAME: products of the vectors of users and items, and a bias of each item; trained on pairs."""

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.model.loss import BPRLoss
from recbole.utils import InputType


class NAME(GeneralRecommender):
    """Change what it computes; a setting that it reads from `config` can be searched by `NAME.yaml`."""

    input_type = InputType.PAIRWISE  # a batch has users, items, and an item each that was not chosen

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        width = config["embedding_size"]
        self.users = torch.nn.Embedding(self.n_users, width)
        self.items = torch.nn.Embedding(self.n_items, width)
        self.bias = torch.nn.Embedding(self.n_items, 1)
        self.dropout = torch.nn.Dropout(config["dropout_prob"])
        self.loss = BPRLoss()
        for part in (self.users, self.items, self.bias):
            torch.nn.init.normal_(part.weight, std=0.1)

    def forward(self, user, item):
        products = self.dropout(self.users(user)) * self.items(item)
        return products.sum(-1) + self.bias(item).squeeze(-1)

    def calculate_loss(self, interaction):
        user = interaction[self.USER_ID]
        chosen, other = interaction[self.ITEM_ID], interaction[self.NEG_ITEM_ID]
        return self.loss(self.forward(user, chosen), self.forward(user, other))

    def predict(self, interaction):
        return self.forward(interaction[self.USER_ID], interaction[self.ITEM_ID])

    def full_sort_predict(self, interaction):
        """The scores of all items for the users of a batch."""
        users = self.users(interaction[self.USER_ID])
        return users @ self.items.weight.T + self.bias.weight.squeeze(-1)
'''
_SEQUENTIAL = '''"""NAME: the mean of a user's last items' vectors; trained on the item that came next."""

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType


class NAME(SequentialRecommender):
    """Change what it computes; a setting that it reads from `config` can be searched by `NAME.yaml`."""

    input_type = InputType.POINTWISE  # a batch has sequences and the items that came next, and no others

    def __init__(self, config, dataset):
        super().__init__(config, dataset)
        width = config["embedding_size"]
        self.items = torch.nn.Embedding(self.n_items, width)
        self.layer = torch.nn.Linear(width, width)
        self.dropout = torch.nn.Dropout(config["dropout_prob"])
        self.loss = torch.nn.CrossEntropyLoss()
        torch.nn.init.normal_(self.items.weight, std=0.1)

    def forward(self, interaction):
        """A vector for each sequence of a batch; behind its end stands item 0, which is none."""
        sequence, length = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        there = (sequence > 0).unsqueeze(-1)
        mean = (self.items(sequence) * there).sum(1) / length.unsqueeze(-1)
        return self.layer(self.dropout(mean))

    def calculate_loss(self, interaction):
        return self.loss(self.full_sort_predict(interaction), interaction[self.POS_ITEM_ID])

    def predict(self, interaction):
        return (self.forward(interaction) * self.items(interaction[self.ITEM_ID])).sum(-1)

    def full_sort_predict(self, interaction):
        """The scores of all items for the sequences of a batch."""
        return self.forward(interaction) @ self.items.weight.T
'''
_FILE = """model: FILE.py:NAME # a path relative to this file
defaults: {learning_rate: 0.001, embedding_size: 64, dropout_prob: 0.1} # trial number one
space:
  learning_rate: {type: loguniform, min: 1.0e-4, max: 1.0e-2}
  embedding_size: {type: choice, values: [32, 64, 128]}
  dropout_prob: {type: uniform, min: 0.0, max: 0.5}
"""
_TEST = '''"""NAME trains. Run it by `pytest`."""

from pathlib import Path

import torch

from recsweep.datasets.prepare import prepare
from recsweep.planning.plan import plan_sweep
from recsweep.sweeps.loading import load_sweep
from recsweep.training.training import train


def test_it_trains(tmp_path):
    plan = plan_sweep(load_sweep(Path(__file__).parents[1] / "FILE.yaml"))[0]
    settings = {**plan.settings(plan.defaults, seed=1), "epochs": 1}
    split = prepare(settings, plan.files, tmp_path).split
    trained = train(settings, split, torch.device("cpu"))
    assert trained.epochs == 1
    assert 0 < trained.score <= 1
'''
_SWEEP = """sweep: FILE
models: [NAME]
datasets: [DATASET]
search: {max_evals: 5}
training: {epochs: 5, stopping_step: 5}
evaluation: {metric: NDCG@10}
"""
_DATA = "path: builtin # ml-100k, which comes with RecBole\n"


def new_model(name: str, dataset: str = "", *, sequential: bool = False) -> dict[str, str]:
    """The texts of a new model's files, by their paths below the folder of sweeps.

    Args:
        name: of its class.
        dataset: of a data set that is there; empty for a file of ml-100k.
        sequential: it recommends from the last items of a user, and not from users and items.

    Raises:
        InputError: it cannot be a class, or RecBole has a model of that name.
    """
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", name) or keyword.iskeyword(name) or len(name) > 60:
        raise InputError("NAME", f"{name!r} is no name of a class", "write one such as MyRec")
    if name.lower() in {model.lower() for model in catalog.models()}:
        raise InputError("NAME", f"RecBole has a model {name}", "choose another name")
    file = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    texts = {
        f"models/{file}.py": _SEQUENTIAL if sequential else _CODE,
        f"models/{name}.yaml": _FILE,
        f"models/test_{file}.py": _TEST,
        f"{file}.yaml": _SWEEP.replace("DATASET", dataset or "ml-100k"),
    }
    if not dataset:
        texts["datasets/ml-100k.yaml"] = _DATA
    return {path: text.replace("NAME", name).replace("FILE", file) for path, text in texts.items()}
