"""A split as arrays and plain JSON, and back. No file names code: what reads them makes a few known classes.

The form: `whole` and `parts` are RecBole's data sets, each a mapping from an attribute's name to its value;
`shared` are the attributes that all of them hold in common. A value is JSON's own, or a mapping of one key,
which says what it is (`_READERS`). Numbers lie in a list of arrays, and are named by their place in it.
What is no data (the config, the logger, DIEN's sampler) is not written but made anew.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from recsweep.recbole_api.compat import recbole
from recsweep.recbole_api.data import Split, interaction
from recsweep.recbole_api.windows import Windows, stored_parts

CLASSES = (
    *("Dataset", "SequentialDataset", "KnowledgeBasedDataset", "KGSeqDataset", "DecisionTreeDataset"),
    *("DIENDataset", "GRU4RecKGDataset", "KSRDataset"),
)
"""Every class of data sets that RecBole's models use, by its name there."""

# No data, or not this machine's: a trial has its own config, and knows where its data lie.
_ANEW = {"config", "logger", "seq_sampler", "dataset_path"}
_NEEDED = {
    **dict.fromkeys(("field2type", "field2source", "field2seqlen", "field2id_token", "field2token_id"), dict),
    **dict.fromkeys(("uid_field", "iid_field"), str),
}
_IDS = ("TOKEN", "TOKEN_SEQ")
_DEEPEST = 8
_PLAIN = (bool, int, str, type(None))


def dump_split(split: Split) -> tuple[dict[str, Any], list[torch.Tensor]]:
    """A split as JSON and its arrays.

    Raises:
        TypeError: a data set holds something of a kind that is not known here; the message names it.
    """
    kind = type(split.whole).__name__
    if _class(kind) is not type(split.whole):
        raise TypeError(f"{kind} is no data set of RecBole's that is known; add it to `stored.CLASSES`")
    writer = _Writer()
    whole, *others = held = [_data_of(dataset) for dataset in (split.whole, *split.parts)]
    common = [name for name in whole if all(name in own and own[name] is whole[name] for own in others)]
    shared = {name: writer.attribute(name, whole[name]) for name in common}
    apart = [
        {name: writer.attribute(name, value) for name, value in own.items() if name not in shared}
        for own in held
    ]
    content = {"class": kind, "shared": shared, "whole": apart[0], "parts": apart[1:]}
    return content, writer.arrays


def _class(name: Any) -> Any:
    """A class of data sets of RecBole's, by its name; None where it is none of those."""
    return getattr(recbole("data.dataset"), name) if name in CLASSES else None


def _table() -> Any:
    return recbole("data.interaction").Interaction


def _kinds() -> tuple[Any, Any]:
    """RecBole's enumerations that say what a column is, and which file it is from."""
    return recbole("utils").FeatureType, recbole("utils").FeatureSource


def _data_of(dataset: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(dataset).items() if name not in _ANEW}


class _Writer:
    """Turns values into JSON; gathers their arrays."""

    def __init__(self) -> None:
        self.arrays: list[torch.Tensor] = []
        self._numbers: dict[int, int] = {}

    def attribute(self, name: str, value: Any) -> Any:
        try:
            return self._json(value)
        except TypeError as error:
            raise TypeError(f"the data set's `{name}` holds {error}; teach `stored` to write it") from None

    def _json(self, value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            return {"float": str(value)}
        if value is None or isinstance(value, bool | int | float | str):
            return str(value) if isinstance(value, str) else value
        if isinstance(value, _kinds()):
            return {type(value).__name__: value.value}
        if isinstance(value, torch.Tensor):
            return self._windows(value) if isinstance(value, Windows) else {"tensor": self._number(value)}
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, _table()):
            return {"table": {str(name): self._column(column) for name, column in value.interaction.items()}}
        if type(value) is dict:
            return self._mapping(value)
        if type(value) in (list, tuple):
            return {type(value).__name__: [self._json(item) for item in value]}
        raise TypeError(f"a {type(value).__module__}.{type(value).__qualname__}")

    def _column(self, column: torch.Tensor) -> Any:
        return self._windows(column) if isinstance(column, Windows) else self._number(column)

    def _windows(self, tensor: Windows) -> dict[str, Any]:
        return {"windows": [*map(self._number, stored_parts(tensor)), tensor.width]}

    def _number(self, tensor: torch.Tensor) -> int:
        """The place of an array among all of them; what stands in several values is written once."""
        found = self._numbers.setdefault(id(tensor), len(self.arrays))
        if found == len(self.arrays):
            self.arrays.append(tensor)
        return found

    def _array(self, value: np.ndarray[Any, Any]) -> Any:
        if value.dtype.kind in "biuf":
            return {"array": self._number(torch.from_numpy(np.array(value)))}
        words = value.tolist()
        if value.ndim != 1 or not all(isinstance(word, str) for word in words):
            raise TypeError(f"an array of {value.dtype}")
        return {"words" if value.dtype == object else "text": words}

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        if all(isinstance(key, str) for key in value):
            if all(type(item) in _PLAIN for item in value.values()):
                return {"plain": {str(key): item for key, item in value.items()}}
            return {"dict": {str(key): self._json(item) for key, item in value.items()}}
        return {"pairs": [[self._json(key), self._json(item)] for key, item in value.items()]}


def load_split(content: Any, arrays: Sequence[torch.Tensor]) -> Split:
    """The inverse of `dump_split`.

    Raises:
        ValueError: this is no split: a wrong form, or ids beyond those that there are.
    """
    if not isinstance(content, dict) or content.keys() != {"class", "shared", "whole", "parts"}:
        raise ValueError("a split has `class`, `shared`, `whole` and `parts`")
    found = content["class"]
    cls = _class(found)
    if cls is None:
        raise ValueError(f"{found!r} is no data set of RecBole's")
    if not isinstance(content["parts"], list) or len(content["parts"]) != 3:
        raise ValueError("a split has three parts")
    reader = _Reader(arrays)
    shared = reader.attributes(cls, content["shared"])
    made = [_made(cls, shared, reader.attributes(cls, own)) for own in (content["whole"], *content["parts"])]
    for dataset in made:
        _check(dataset)
    whole, train, valid, test = made
    if found == "DIENDataset":  # drew its negatives when the split was made, and draws no more
        sampler = recbole("sampler").SeqSampler(whole)
        for dataset in made:
            dataset.seq_sampler = sampler
    return Split(whole, (train, valid, test))


def _made(cls: Any, shared: dict[str, Any], own: dict[str, Any]) -> Any:
    dataset = cls.__new__(cls)
    vars(dataset).update(shared, **own)
    vars(dataset).update(config=None, logger=logging.getLogger())
    return dataset


class _Reader:
    """Turns JSON into values, of the few kinds that there are."""

    def __init__(self, arrays: Sequence[torch.Tensor]) -> None:
        self._arrays = arrays

    def attributes(self, cls: type, given: Any) -> dict[str, Any]:
        if not isinstance(given, dict):
            raise ValueError("attributes are a mapping")
        for name in given:
            if name.startswith("__") or name in _ANEW or hasattr(cls, name):
                raise ValueError(f"a data set holds no data called {name!r}")
        return {name: self.value(value, 0) for name, value in given.items()}

    def value(self, given: Any, depth: int) -> Any:
        if not isinstance(given, dict | list):
            return given
        if isinstance(given, list) or len(given) != 1 or depth > _DEEPEST:
            raise ValueError("a value is one of JSON's, or a mapping of one key that says what it is")
        ((kind, content),) = given.items()
        reader, form = _READERS.get(kind, (None, object))
        if reader is None or not isinstance(content, form):
            raise ValueError(f"no value is a {kind!r}")
        return reader(self, content, depth)

    def tensor(self, number: Any, depth: int) -> torch.Tensor:
        if type(number) is not int or not 0 <= number < len(self._arrays):
            raise ValueError(f"there is no array {number!r}")
        return self._arrays[number]

    def column(self, given: Any, depth: int) -> torch.Tensor:
        if isinstance(given, dict) and given.keys() == {"windows"} and isinstance(given["windows"], list):
            return self.windows(given["windows"], depth)
        return self.tensor(given, depth)

    def windows(self, given: list[Any], depth: int) -> Windows:
        if len(given) != 4 or type(given[3]) is not int or given[3] < 1:
            raise ValueError("windows are three arrays and a width")
        array, begins, lengths = (self.tensor(number, depth) for number in given[:3])
        _check_windows(array, begins, lengths, given[3])
        return Windows(array, begins, lengths, given[3])

    def items(self, given: list[Any], depth: int) -> list[Any]:
        return [self.value(item, depth + 1) for item in given]

    def plain(self, given: dict[str, Any], depth: int) -> dict[str, Any]:
        """Tokens and their numbers, by the million: looked at, but not one by one."""
        if not {type(item) for item in given.values()} <= set(_PLAIN):
            raise ValueError("a plain mapping holds plain values")
        return given

    def mapping(self, given: dict[str, Any], depth: int) -> dict[str, Any]:
        return {name: self.value(item, depth + 1) for name, item in given.items()}

    def pairs(self, given: list[Any], depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for pair in given:
            if not isinstance(pair, list) or len(pair) != 2 or isinstance(pair[0], dict | list):
                raise ValueError("a pair is a plain key and its value")
            found[pair[0]] = self.value(pair[1], depth + 1)
        return found

    def table(self, given: dict[str, Any], depth: int) -> Any:
        columns = {name: self.column(column, depth) for name, column in given.items()}
        if (
            len({column.shape[:1] for column in columns.values()}) != 1
            or not next(iter(columns.values())).dim()
        ):
            raise ValueError("the columns of a table have one length")
        return interaction(columns)


def _check_windows(array: torch.Tensor, begins: torch.Tensor, lengths: torch.Tensor, width: int) -> None:
    """Refuse windows that reach beyond their array."""
    whole = (torch.int32, torch.int64)
    if not begins.dim() == lengths.dim() == array.dim() == 1 or begins.dtype not in whole:
        raise ValueError("windows are made of columns")
    if begins.shape != lengths.shape or lengths.dtype != torch.int64:
        raise ValueError("each window has a length")
    if len(begins):
        (low, high), (shortest, longest) = begins.aminmax(), lengths.aminmax()
        if low < 0 or int(high) + width > len(array) or shortest < 0 or longest > width:
            raise ValueError("a window reaches beyond its array")


def _words(given: list[Any], dtype: Any) -> np.ndarray[Any, Any]:
    if not all(isinstance(word, str) for word in given):
        raise ValueError("words are text")
    return np.array(given, dtype=dtype)


_READERS: dict[str, tuple[Callable[[_Reader, Any, int], Any], type]] = {
    "float": (lambda reader, text, depth: float(text), str),
    "FeatureType": (lambda reader, name, depth: recbole("utils").FeatureType(name), str),
    "FeatureSource": (lambda reader, name, depth: recbole("utils").FeatureSource(name), str),
    "tensor": (_Reader.tensor, int),
    "windows": (_Reader.windows, list),
    "array": (lambda reader, number, depth: reader.tensor(number, depth).numpy(), int),
    "text": (lambda reader, words, depth: _words(words, np.str_), list),
    "words": (lambda reader, words, depth: _words(words, np.object_), list),
    "list": (_Reader.items, list),
    "tuple": (lambda reader, given, depth: tuple(reader.items(given, depth)), list),
    "dict": (_Reader.mapping, dict),
    "plain": (_Reader.plain, dict),
    "pairs": (_Reader.pairs, list),
    "table": (_Reader.table, dict),
}


def _check(dataset: Any) -> None:
    """Refuse what would fail later, or reach beyond an array in a compiled kernel: ids that are none."""
    for name, kind in {"inter_feat": _table(), **_NEEDED}.items():
        if not isinstance(getattr(dataset, name, None), kind):
            raise ValueError(f"a data set needs `{name}`")
    limits = {field: len(words) for field, words in dataset.field2id_token.items()}
    for field, limit in list(limits.items()):
        limits[str(getattr(dataset, f"{field}_list_field", field))] = limit
    limits[getattr(dataset, "neg_item_list_field", dataset.iid_field)] = limits[dataset.iid_field]
    length_field = getattr(dataset, "item_list_length_field", None)
    if length_field is not None:
        limits[length_field] = dataset.max_item_list_len + 1
    tables = [value for value in vars(dataset).values() if isinstance(value, _table())]
    for field, column in [pair for table in tables for pair in table.interaction.items()]:
        if field in limits and (_kind(dataset, field) in _IDS or field == length_field):
            _check_ids(field, column, int(field == length_field), limits[field])


def _kind(dataset: Any, field: str) -> str:
    """The name of a column's type; of a cache that somebody wrote it may be anything."""
    return str(getattr(dataset.field2type.get(field), "name", ""))


def _check_ids(field: str, column: torch.Tensor, lowest: int, limit: int) -> None:
    if column.dtype != torch.int64:
        raise ValueError(f"`{field}` holds no ids")
    if isinstance(column, Windows):
        column = column.array
    if column.numel():
        low, high = torch.aminmax(column)
        if int(low) < lowest or int(high) >= limit:
            raise ValueError(f"`{field}` must be from {lowest} to {limit - 1}")
