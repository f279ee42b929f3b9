"""Values of the wrong type or size: refused in their place, in our words."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.workspace import SWEEP, make_workspace
from recsweep.common.errors import InputError
from recsweep.sweeps.values import mixed


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("seed: yes\n", "4:7: `seed` must be a whole number, but got True"),
        ("seed: 4294967296\n", "4:7: `seed` must be at most 4294967295, but got 4294967296"),
        ("seed: 1.0\n", "4:7: `seed` must be a whole number, but got 1.0"),
        ("seed: '7'\n", "4:7: `seed` must be a whole number, but got '7'"),
        ("search: {max_evals: true}\n", "4:21: `search.max_evals` must be a whole number, but got True"),
        ("search: {transfer: 1}\n", "4:20: `search.transfer` must be true or false, but got 1"),
        ("search: {transfer: 'yes'}\n", "4:20: `search.transfer` must be true or false, but got 'yes'"),
        ("search: {warm_start: [7]}\n", "4:23: `search.warm_start.0` must be text, but got 7"),
        ("search: {timeout_minutes: .inf}\n", "4:27: `search.timeout_minutes` must be a finite number"),
        ("search: {timeout_minutes: 1e9}\n", "4:27: `search.timeout_minutes` must be at most 527040"),
        ("search: {phase_shares: {coarse: true}}\n", "4:33: `search.phase_shares.coarse` must be a number"),
        ("timeout_minutes: .nan\n", "4:18: `timeout_minutes` must be a finite number, but got nan"),
        ("cooldown: {seconds: .inf}\n", "4:21: `cooldown.seconds` must be a finite number, but got inf"),
        ("cooldown: {seconds: 1e300}\n", "4:21: `cooldown.seconds` must be at most 31622400"),
        ("cooldown: {until_celsius: .inf}\n", "4:27: `cooldown.until_celsius` must be a finite number"),
        (
            "workers: {trial_timeout_minutes: .inf}\n",
            "4:34: `workers.trial_timeout_minutes` must be a finite",
        ),
        (
            "workers: {store_patience_seconds: .inf}\n",
            "4:35: `workers.store_patience_seconds` must be a finite",
        ),
        ("workers: {count: 2.0}\n", "4:18: `workers.count` must be a whole number, but got 2.0"),
        ("training: {epochs: 10000000}\n", "4:20: `training.epochs` must be at most 1000000"),
        (
            "training: {train_batch_size: 9223372036854775808}\n",
            "4:30: `training.train_batch_size` must be at",
        ),
        ("training: {fast: 1}\n", "4:18: `training.fast` must be true or false, but got 1"),
        ("evaluation: {topk: [true]}\n", "4:21: `evaluation.topk.0` must be a whole number, but got True"),
        ("evaluation: {topk: 10}\n", "4:20: `evaluation.topk` must be a list, but got 10; write `[10]`"),
        ("evaluation: {metric: 10}\n", "4:22: `evaluation.metric` must be text, but got 10"),
        (
            'evaluation: {metric: "NDCG@10\\n"}\n',
            "4:22: `evaluation.metric`: a metric is a name and a cut-off",
        ),
        (
            "evaluation: {metric: NDCG@99999999999}\n",
            "4:22: `evaluation.metric`: a metric is a name and a cut",
        ),
        ("outputs: 5\n", "4:10: `outputs` must be a path, but got 5"),
        ('outputs: "a\\u202eb"\n', "4:10: `outputs`: a path has characters that can be seen, but got"),
        ("storage: [a]\n", "4:10: `storage`"),
        ("1: 2\n", "4:1: not valid YAML: the key 1 is no text; put it in quotes"),
    ],
)
def test_a_wrong_type_or_size_is_refused_in_our_words(tmp_path, extra, message):
    with pytest.raises(InputError) as caught:
        make_workspace(tmp_path, sweep=SWEEP + extra).load()
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}/sweep.yaml:{message}")
    assert not any(words in said for words in ("nput should", "unable to parse", "valid integer"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "space: {n_layers: {type: randint, min: true, max: 3}}\n",
            "1:40: `space.n_layers.min` must be a whole",
        ),
        (
            "space: {n_layers: {type: uniform, min: true, max: 3}}\n",
            "1:40: `space.n_layers.min` must be a number",
        ),
        (
            "space: {n_layers: {type: uniform, min: '0', max: 3}}\n",
            "1:40: `space.n_layers.min` must be a number",
        ),
        (
            "space: {n_layers: {type: quniform, min: 0, max: 3, q: true}}\n",
            "1:55: `space.n_layers.q` must be a",
        ),
        (
            "space: {n_layers: {type: uniform, min: .nan, max: 3}}\n",
            "1:19: `space.n_layers`: `min` and `max` must",
        ),
        (
            "space: {n_layers: {type: randint, min: 0, max: 1" + "0" * 400 + "}}\n",
            "1:19: `space.n_layers`: `min` and",
        ),
        (
            "space: {n_layers: {type: quniform, min: 16, max: 64, q: 1e-12}}\n",
            "1:19: `space.n_layers`: `q` must leave",
        ),
        (
            "space: {n_layers: {type: choice, values: [1, .inf]}}\n",
            "1:19: `space.n_layers`: `values` must be finite",
        ),
        (
            "fixed: {a: .nan}\nspace: {n_layers: {type: choice, values: [1]}}\n",
            "1:8: `fixed`: `a` must be finite",
        ),
        (
            "fixed: {a: 2024-01-01}\nspace: {n_layers: {type: choice, values: [1]}}\n",
            "1:8: `fixed`: `a` must be a",
        ),
        (
            "fixed: {a: {1: 2}}\nspace: {n_layers: {type: choice, values: [1]}}\n",
            "1:13: not valid YAML: the key 1 is no text",
        ),
        (
            "fixed: {a: !!binary aGk=}\nspace: {n_layers: {type: choice, values: [1]}}\n",
            "1:8: `fixed`: `a` must be",
        ),
    ],
)
def test_a_models_value_of_wrong_type_or_size_is_refused(tmp_path, model, message):
    with pytest.raises(InputError) as caught:
        make_workspace(tmp_path, model=model).load()
    assert str(caught.value).startswith(f"{tmp_path}/models/NARM.yaml:{message}")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("[true, 32, 64]", "True is true or false and 32 is a number"),
        ("[1, '2']", "1 is a number and '2' is text"),
        ("[[8, 8], 16]", "[8, 8] is a list and 16 is a number"),
        ("[[8, '8']]", "8 is a number and '8' is text"),
    ],
)
def test_a_list_of_mixed_values_is_refused_in_its_place(tmp_path, values, said):
    model = f"defaults: {{n_layers: 1}}\nspace:\n  n_layers: {{type: choice, values: {values}}}\n"
    with pytest.raises(InputError) as caught:
        make_workspace(tmp_path, model=model).plans()
    assert str(caught.value).startswith(
        f"{tmp_path}/models/NARM.yaml:3:36: the values must be of one kind, but {said}"
    )


@pytest.mark.parametrize("values", [(None, 0.1), (1, 2.5), ("a", None), ((8, 8), (8,)), (True, False)])
def test_null_may_stand_beside_values_of_one_kind(values):
    assert mixed(values) == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_evals": "2.5"}, "must be a whole number, but got '2.5'"),
        ({"max_evals": "1:30"}, "must be a whole number, but got '1:30'"),
        ({"max_evals": True}, "must be a whole number, but got True"),
        ({"seed": "4294967296"}, "must be at most 4294967295, but got '4294967296'"),
        ({"seed": "9" * 5000}, "must be a whole number, but got '999"),
        ({"cooldown": "inf"}, "must be a finite number, but got 'inf'"),
        ({"timeout_minutes": "nan"}, "must be a finite number, but got 'nan'"),
        ({"sweep_timeout_minutes": "1e400"}, "must be a finite number, but got '1e400'"),
        ({"transfer": "perhaps"}, "must be true or false, but got 'perhaps'"),
        ({"epochs": "١"}, "must be a whole number, but got '١'"),
    ],
)
def test_a_value_of_an_option_is_held_to_the_same_rules(tmp_path, options, message):
    with pytest.raises(InputError) as caught:
        make_workspace(tmp_path).load(**options)
    (option,) = options
    assert option.replace("_", "-") in str(caught.value).replace("_", "-").split(":")[0]
    assert str(caught.value).partition(": ")[2].startswith(message)


def test_options_give_numbers_and_switches_as_text(tmp_path):
    given = {"max_evals": "7", "cooldown": "1e1", "transfer": "yes", "seed": "4294967295", "outputs": "7"}
    config = make_workspace(tmp_path).load(**given).config
    assert (config.search.max_evals, config.cooldown.seconds, config.search.transfer) == (7, 10.0, True)
    assert (config.seed, config.outputs) == (4294967295, Path("7"))
