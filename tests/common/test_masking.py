"""Secrets in the texts of others."""

from __future__ import annotations

import io
import sys

import pytest

from recsweep.common.errors import StoreUnavailable
from recsweep.common.masking import MaskedErrors, mask, mask_traceback, remember


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch):
    monkeypatch.delenv("PGPASSWORD", raising=False)


@pytest.mark.parametrize("secret", ["p@ss/w ö'rd", "simple-secret", "100%25 sure", "back\\slash"])
def test_a_secret_is_masked_however_it_is_quoted(secret):
    from urllib.parse import quote, quote_plus

    remember(quote(secret, safe=""))
    for form in (secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]):
        assert mask(f"it is {form}, they said") == "it is ***, they said"


def test_a_short_word_is_masked_where_it_stands_alone():
    remember("me")
    assert mask("some say me:me@home") == "some say ***:***@home"


def test_the_password_of_the_environment_is_masked(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hunter-two")
    assert mask("no hunter-two here") == "no *** here"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("open 'postgresql+psycopg://me:pw@host/db'", "open 'postgresql+psycopg://***@host/db'"),
        ("postgresql+psycopg://me:p@w@host/db", "postgresql+psycopg://***@host/db"),
        ("host=h password=pw user=me", "host=h password=*** user=me"),
        ("x://h/d?sslpassword=pw&a=1", "x://h/d?sslpassword=***&a=1"),
        ("x://h/d?a=1&api_key='p w'", "x://h/d?a=1&api_key=***"),
        ("sqlite:///home/me@work/x.db", "sqlite:///home/me@work/x.db"),
        ("key = 3, tokens: 5, a == b", "key = 3, tokens: 5, a == b"),
        ("write to me@host", "write to me@host"),
    ],
)
def test_what_looks_like_a_secret_is_masked_though_nobody_told(text, masked):
    assert mask(text) == masked


def test_errors_and_tracebacks_are_masked():
    remember("hunter-two")

    def fail() -> None:
        raise StoreUnavailable("the store said hunter-two") from OSError("login as hunter-two failed")

    with pytest.raises(StoreUnavailable) as caught:
        fail()
    assert str(caught.value) == "the store said ***"
    shown = mask_traceback(caught.value)
    assert "login as *** failed" in shown
    assert "StoreUnavailable: the store said ***" in shown
    assert "hunter" not in shown


def test_what_a_library_prints_itself_is_masked(monkeypatch):
    remember("hunter-two")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    MaskedErrors().write("it was hunter-two\n")
    assert sys.stderr.getvalue() == "it was ***\n"
