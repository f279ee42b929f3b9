"""Addresses that may hold a secret: texts that print themselves without it, and what is said of bad ones."""

from __future__ import annotations


class Masked:
    """A text of which only a part is shown.

    It is no text: it equals another of its kind only, and what is made of it by `str`, `repr` or an f-string
    is masked. A kind of it sets `_text`, the whole, and `_shown`.
    """

    __slots__ = ("_shown", "_text")

    _text: str
    _shown: str

    def reveal(self) -> str:
        """The whole text, for whoever connects to what it names, and nobody else."""
        return self._text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._shown!r})"

    def __str__(self) -> str:
        return self._shown

    def __format__(self, form: str) -> str:
        return format(self._shown, form)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Masked) and other._text == self._text

    def __hash__(self) -> int:
        return hash((type(self), self._text))


class Malformed(ValueError):
    """No such address. Its message holds no part of what was given that may be a secret.

    Args:
        problem: the rule that was broken.
        fix: what to do about it.
    """

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem, self.fix = problem, fix
