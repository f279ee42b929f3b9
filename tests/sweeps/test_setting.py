"""The registry of settings: each once, with what the models of the config say of it."""

from __future__ import annotations

import pytest

from recsweep.sweeps.config import DatasetConfig, ModelConfig, SweepConfig, VariantsConfig
from recsweep.sweeps.fields import descriptions, facts, field_at
from recsweep.sweeps.options import OF_A_SWEEP, SETTINGS, keys
from recsweep.sweeps.setting import HEADINGS

MODELS = (SweepConfig, DatasetConfig, ModelConfig, VariantsConfig)
KEYS = [(model, key) for model in MODELS for key in keys(model)]


def test_a_setting_has_help_a_heading_and_an_existing_key():
    for name, setting in SETTINGS.items():
        assert setting.help.endswith("."), name
        assert setting.heading in HEADINGS, name
        if setting.key:
            assert setting.facts == facts(SweepConfig, setting.path), name


def test_no_key_flag_or_variable_belongs_to_two_settings():
    flags = [flag for setting in SETTINGS.values() for flag in setting.flags]
    makes = [setting.make for setting in SETTINGS.values() if setting.make]
    paths = [SETTINGS[name].key for name in OF_A_SWEEP]
    for names in (flags, makes, paths):
        assert len(set(names)) == len(names)


def test_every_key_of_a_file_says_what_it_is_for():
    for model, key in KEYS:
        _, owner = field_at(model, key.split("."))
        assert descriptions(owner)[key.rpartition(".")[2]], f"{model.__name__}.{key}"


@pytest.mark.parametrize(
    ("key", "values", "default"),
    [
        ("search.engine", "`hyperopt`, `optuna`, `ray`", "hyperopt"),
        ("search.max_evals", "whole number, 1 to 1,000,000", "20"),
        ("search.timeout_minutes", "number or `null`, above 0, at most 527,040", "null"),
        ("search.phases", "list of `full`, `coarse`, `architecture`, `training`, `loss`", "[full]"),
        ("workers.threads", "whole number or `spare` or `null`, 1 to 4,096", "null"),
        ("workers.trials_per_gpu", "whole number or `auto`", "auto"),
        ("training.fast", "true or false", "true"),
        ("models", "list", "required"),
        ("pruning", "keys and values", "all defaults"),
    ],
)
def test_type_range_choices_and_default_are_those_of_the_model(key, values, default):
    found = facts(SweepConfig, tuple(key.split(".")))
    assert (found.values, found.default_text) == (values, default)
