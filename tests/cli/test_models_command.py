"""`recsweep models`: narrowed, and for other programs."""

from __future__ import annotations

import json

from click.testing import CliRunner

from recsweep.cli.commands import cli


def test_the_list_is_narrowed_and_is_json():
    done = CliRunner().invoke(cli, ["models", "--needs", "kg", "--kind", "sequential", "--json"])
    assert [row["model"] for row in json.loads(done.stdout)] == ["GRU4RecKG", "KSR"]


def test_a_need_that_no_model_has_is_refused_with_those_there_are():
    done = CliRunner().invoke(cli, ["models", "--needs", "kq"])
    assert "no model needs `kq`" in str(done.exception)
