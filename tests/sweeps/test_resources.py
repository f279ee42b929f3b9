"""What a study's job asks a scheduler for."""

from __future__ import annotations

import pytest

from helpers.workspace import SWEEP, make_workspace
from recsweep.common.errors import InputError
from recsweep.sweeps.resources import ResourcesConfig, largest


def test_a_models_file_goes_over_the_sweep_key_by_key(tmp_path):
    made = make_workspace(tmp_path, SWEEP + "resources: {cpus: 8, mem_gib: 16, minutes: 120}\n")
    made.model.write_text(made.model.read_text() + "resources: {cpus: 2, gpus: 0}\n")
    found = made.plan().resources
    assert found == ResourcesConfig(cpus=2, mem_gib=16, gpus=0, minutes=120)
    assert found.mebibytes == 16 * 1024


def test_they_are_no_part_of_a_studys_definition(tmp_path):
    made = make_workspace(tmp_path)
    before = made.plan()
    made.sweep.write_text(made.sweep.read_text() + "resources: {cpus: 8}\n")
    made.model.write_text(made.model.read_text() + "resources: {gpus: 2}\n")
    after = made.plan()
    assert after.resources.gpus == 2
    assert (after.definition, after.content_hash) == (before.definition, before.content_hash)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("resources: {cpus: 0}\n", "4:19: `resources.cpus` must be at least 1, but got 0"),
        ("resources: {mem_gib: 8G}\n", "4:22: `resources.mem_gib` must be a number, but got '8G'"),
        ("resources: {minutes: 0.5}\n", "4:22: `resources.minutes` must be a whole number"),
        ("resources: {gpu: 1}\n", "4:13: unknown key `resources.gpu`; did you mean `gpus`?"),
    ],
)
def test_a_bad_value_is_refused_where_it_stands(tmp_path, line, message):
    made = make_workspace(tmp_path, SWEEP + line)
    with pytest.raises(InputError) as refused:
        made.load()
    assert message in str(refused.value)


def test_a_study_of_several_models_gets_enough_for_each():
    found = largest([ResourcesConfig(cpus=2, minutes=60), ResourcesConfig(cpus=4), ResourcesConfig(gpus=0)])
    assert found == ResourcesConfig(cpus=4, gpus=0, minutes=60)
