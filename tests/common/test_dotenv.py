"""Variables of the environment, or of `.env`."""

from __future__ import annotations

from recsweep.common import dotenv
from recsweep.common.masking import mask

TEXT = """# for the trackers
WANDB_API_KEY='a-key-of-40-letters'
export WANDB_ENTITY=team # ours
EMPTY=
WANDB_PROJECT="two words"
no line
=nothing
"""


def test_the_environment_goes_before_the_file_and_secrets_are_masked(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text(TEXT)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    for name in ("WANDB_API_KEY", "WANDB_ENTITY", "EMPTY"):
        monkeypatch.delenv(name, raising=False)
    names = ("WANDB_API_KEY", "WANDB_ENTITY", "WANDB_PROJECT", "EMPTY", "ELSE")
    found = dotenv.given(names, tmp_path / ".env")
    assert found == {"WANDB_API_KEY": "a-key-of-40-letters", "WANDB_ENTITY": "team", "WANDB_PROJECT": "mine"}
    assert mask("it says a-key-of-40-letters here") == "it says *** here"


def test_without_a_file_there_is_the_environment_alone(tmp_path):
    assert dotenv.read(tmp_path / ".env") == {}
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    assert dotenv.read(tmp_path / ".env") == {}


def test_quotes_keep_what_stands_in_them(tmp_path):
    (tmp_path / ".env").write_text(TEXT)
    assert dotenv.read(tmp_path / ".env")["WANDB_PROJECT"] == "two words"
