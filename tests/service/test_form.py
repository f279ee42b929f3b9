"""The form for a job follows its engine."""

from __future__ import annotations

from recsweep.service.form import sections
from recsweep.sweeps.engine_table import ENGINES


def test_a_choice_names_the_engines_that_have_it():
    fields = {field.name: field for fields in sections().values() for field in fields}
    assert fields["engine"].left_out in ENGINES
    algos = fields["algo"]
    assert (algos.engines["gp"], algos.engines["tpe"]) == (("optuna",), ("ray",))
    assert "random" not in algos.engines, "all have it"
    assert fields["scheduler"].engines["pbt"] == ("ray",)
    assert "none" not in fields["scheduler"].engines
    assert all(row.algo(fields["algo"].default) for row in ENGINES.values()), "it may be the engine's own"
