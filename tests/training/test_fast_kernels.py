"""Every compiled operator against torch's autograd of RecBole's own models, and the dropout masks."""

from __future__ import annotations

import math
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from helpers.fast import CPU, compiled_kernels, relative_distance, threads
from recsweep.recbole_api import compat
from recsweep.recbole_api.data import interaction
from recsweep.training.fast.dropout import FastDropout, Masks, use_fast_dropout
from recsweep.training.fast.families import served
from recsweep.training.fast.products import ProductFamily
from recsweep.training.fast.scores import NAN, TIE, Product
from recsweep.training.fast.stream import Batch
from recsweep.training.fast.table import Table

FAMILY_OF_MODEL = served()
FEW = hypothesis_settings(max_examples=12)
SEED = 7


@pytest.fixture(scope="module", autouse=True)
def kernels():
    return compiled_kernels()


# -- RecBole's models over made-up data -----------------------------------------------------------


class _Config(dict):
    """RecBole's config: what was not set is None."""

    def __missing__(self, key):
        return None


def make_model(name: str, users: int, items: int, width: int, **params: Any) -> Any:
    """RecBole's model with weights large enough that every gradient is worth a comparison."""
    compat.apply()
    from recbole.utils import get_model

    torch.manual_seed(SEED)
    config = _Config(
        **{"USER_ID_FIELD": "user", "ITEM_ID_FIELD": "item", "LIST_SUFFIX": "_list", "NEG_PREFIX": "neg_"},
        **{"ITEM_LIST_LENGTH_FIELD": "length", "MAX_ITEM_LIST_LENGTH": width, "device": CPU},
        **params,
    )
    counts = {"user": users, "item": items}
    model = get_model(name)(config, SimpleNamespace(num=counts.get, user_num=users, item_num=items))
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
    return model.train()


def make_table(users: int, items: int, width: int, samples: int, lengths: Any = None) -> Table:
    draw = torch.Generator().manual_seed(SEED)
    if lengths is None:
        lengths = torch.randint(1, width + 1, (samples,), generator=draw)
    sequences = torch.randint(1, items, (samples, width), generator=draw)
    sequences[torch.arange(width) >= lengths[:, None]] = 0
    return Table(
        users=torch.randint(1, users, (samples,), generator=draw),
        items=torch.randint(1, items, (samples,), generator=draw),
        sequences=sequences,
        lengths=lengths,
        device=CPU,
    )


def make_batch(table: Table, items: int, size: int) -> Batch:
    draw = torch.Generator().manual_seed(SEED + 1)
    rows = torch.randperm(len(table), generator=draw)[:size]
    return Batch(rows, torch.randint(1, items, (len(rows),), generator=draw))


def recbole_batch(table: Table, batch: Batch) -> Any:
    return interaction(
        {
            **{"user": table.users[batch.rows], "item": table.items[batch.rows]},
            **{"item_list": table.sequences[batch.rows], "length": table.lengths[batch.rows]},
            "neg_item": batch.negatives,
        }
    )


# -- gradients ------------------------------------------------------------------------------------

sizes = st.sampled_from([1, 2, 5, 8, 10, 16, 17, 24, 33, 50, 64])
layers = st.integers(1, 3)
embedding = st.fixed_dictionaries({"embedding_size": sizes})
recurrent = {"embedding_size": sizes, "hidden_size": sizes}


@st.composite
def transformer(draw):
    heads = draw(st.sampled_from([1, 2, 3, 5]))
    return {
        **{"n_heads": heads, "hidden_size": heads * draw(st.sampled_from([4, 5, 8, 16, 17, 20]))},
        **{"inner_size": draw(sizes), "n_layers": draw(layers), "layer_norm_eps": 1e-12},
        "hidden_act": draw(st.sampled_from(["gelu", "relu", "swish", "tanh", "sigmoid"])),
        **{"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "initializer_range": 0.02},
    }


CASES: dict[str, tuple[Any, tuple[str, ...]]] = {
    "FPMC": (embedding, ("BPR",)),
    "BPR": (embedding, ("BPR",)),
    "STAMP": (embedding, ("CE", "BPR")),
    "FOSSIL": (
        st.fixed_dictionaries(
            {
                **{"embedding_size": sizes, "order_len": st.integers(1, 5)},
                "alpha": st.sampled_from([0.0, 0.2, 0.6, 1.0]),
                "reg_weight": st.sampled_from([0.0, 0.0, 0.5]),
            }
        ),
        ("CE", "BPR"),
    ),
    "GRU4Rec": (
        st.fixed_dictionaries({**recurrent, "num_layers": layers, "dropout_prob": st.just(0.0)}),
        ("CE", "BPR"),
    ),
    "NARM": (
        st.fixed_dictionaries({**recurrent, "n_layers": layers, "dropout_probs": st.just([0.0, 0.0])}),
        ("CE", "BPR"),
    ),
    "SASRec": (transformer(), ("CE", "BPR")),
}
OTHER_OPERATORS = {"adam_step", "rank_targets", "dropout", "top_items"}  # the last one in test_top.py
OTHER_OPERATORS |= {"pairs_step", "tower_scores"}  # test_pairs.py
OTHER_OPERATORS |= {"use_products", "used_products", "rate_products"}  # test_gemm.py
OTHER_OPERATORS |= {"bag_sums", "bag_gradients", "reconstruct"}  # test_autoencoders.py
OTHER_OPERATORS |= {"graph_mean", "lightgcn_step", "sgl_step", "ngcf_nodes", "ngcf_step"}  # the gate
OTHER_OPERATORS |= {"gcmc_step", "gcmc_nodes", "ncl_step"}  # the gate
OTHER_OPERATORS |= {"rows_times", "slim", "simplex_step"}  # the gate
OTHER_OPERATORS |= {"facet_sums", "facet_gradients", "facet_loss", "facet_scores", "skip_draws"}  # the gate
OTHER_OPERATORS |= {"attention_scores", "crossed_scores"}  # test_fast_validation.py
OTHER_OPERATORS |= {"top_scores", "hits_of_lists"}  # test_fast_validation.py
OTHER_OPERATORS |= {"draw_unseen", "draw_others", "hash_unseen", "hash_others"}  # test_fast_stream.py
ELSEWHERE = {
    "LightGCN",
    "NGCF",
    "SGL",
    "NCL",
    "GCMC",
    "MultiDAE",
    "MultiVAE",
    "CDAE",
    "RecVAE",
    "SimpleX",
}  # their steps are other than these
WITH_KERNELS = sorted(
    name
    for name, family in FAMILY_OF_MODEL.items()
    if family.has_kernels and issubclass(family, ProductFamily)  # others have a file of their own
)
shapes = st.fixed_dictionaries(
    {
        **{"items": st.sampled_from([3, 20, 97, 1500]), "width": st.integers(1, 40)},
        "size": st.sampled_from([1, 2, 3, 40, 129, 300]),
    }
)


def test_every_family_with_kernels_has_a_case():
    assert set(WITH_KERNELS) - ELSEWHERE == set(CASES)


def test_every_operator_is_tested_here(kernels):
    names = torch._C._dispatch_get_all_op_names()
    operators = {name.split("::")[1].split(".")[0] for name in names if name.startswith("recsweep::")}
    by_model = {f"{name.lower()}_{kind}" for name in CASES for kind in ("step", "encode")}
    assert operators <= by_model | OTHER_OPERATORS, "operators that nothing tests"


def gradients_of(name: str, params: dict[str, Any], shape: dict[str, int], native: Any, workers: int = 1):
    """Loss and gradients by parameter, of a family and of RecBole."""
    users, items = 30, shape["items"]
    params = {**params, "order_len": min(params.get("order_len", 1), shape["width"])}
    model = make_model(name, users, items, shape["width"], **params)
    table = make_table(users, items, shape["width"], max(shape["size"], 10), shape.get("lengths"))
    batch = make_batch(table, items, shape["size"])
    expected = model.calculate_loss(recbole_batch(table, batch))
    expected.backward()
    theirs = {key: parameter.grad.clone() for key, parameter in model.named_parameters()}
    family = FAMILY_OF_MODEL[name](model, native, SEED)
    with threads(workers):
        loss = float(family.step(table, batch))
    ours = {key: parameter.grad.clone() for key, parameter in model.named_parameters()}
    return (loss, ours), (float(expected.detach()), theirs)


def assert_same_gradients(name: str, found: Any, expected: Any) -> None:
    (loss, ours), (their_loss, theirs) = found, expected
    assert loss == pytest.approx(their_loss, rel=1e-5), name
    # What is smaller than rounding of the largest gradient is not compared: a key's bias has none.
    largest = max(float(gradient.abs().max()) for gradient in theirs.values())
    for key, gradient in theirs.items():
        bound = 2e-4 * float(gradient.norm()) + 2e-6 * largest * math.sqrt(gradient.numel()) + 1e-7
        distance = float((ours[key] - gradient).norm())
        assert distance <= bound, f"{name} {key}: {distance:.1e} from RecBole's, norm {gradient.norm():.1e}"


@pytest.mark.parametrize("path", ["compiled", "torch"])
@pytest.mark.parametrize(
    ("name", "loss"), [(name, loss) for name, (_, kinds) in sorted(CASES.items()) for loss in kinds]
)
def test_gradients_are_those_of_recboles_loss(kernels, name, loss, path):
    @FEW
    @given(CASES[name][0], shapes)
    def check(params, shape):
        native = kernels if path == "compiled" else None
        assert_same_gradients(name, *gradients_of(name, {**params, "loss_type": loss}, shape, native))

    check()


@cache
def usual(name: str) -> dict[str, Any]:
    """Parameters of an ordinary size."""
    return {
        **{"embedding_size": 24, "hidden_size": 24, "inner_size": 40, "n_heads": 2, "layer_norm_eps": 1e-12},
        **{"n_layers": 2, "num_layers": 2, "dropout_prob": 0.0, "dropout_probs": [0.0, 0.0], "alpha": 0.6},
        **{"hidden_act": "gelu", "hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "order_len": 3},
        **{"initializer_range": 0.02, "reg_weight": 0.1, "loss_type": CASES[name][1][0]},
    }


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize(
    "shape",
    [
        {"items": 50, "width": 20, "size": 1500, "lengths": torch.ones(1500, dtype=torch.int64)},
        {"items": 50, "width": 20, "size": 300, "lengths": torch.full((300,), 20)},
        {"items": 9000, "width": 6, "size": 600},
    ],
    ids=["all-of-length-1", "all-of-full-length", "many-items"],
)
def test_gradients_of_extreme_batches(kernels, name, shape):
    assert_same_gradients(name, *gradients_of(name, usual(name), shape, kernels))


@pytest.mark.parametrize("name", sorted(CASES))
def test_gradients_by_two_threads(kernels, name):
    shape = {"items": 200, "width": 30, "size": 700}
    assert_same_gradients(name, *gradients_of(name, usual(name), shape, kernels, workers=2))


@pytest.mark.parametrize("name", sorted(CASES))
def test_gradients_are_added_to_what_is_there(kernels, name):
    model = make_model(name, 30, 40, 12, **usual(name))
    table = make_table(30, 40, 12, 60)
    batch = make_batch(table, 40, 50)
    family = FAMILY_OF_MODEL[name](model, kernels, SEED)
    family.step(table, batch)
    once = [gradient.clone() for gradient in family.gradients]
    family.step(table, batch)
    for first, both in zip(once, family.gradients, strict=True):
        assert relative_distance(both, 2 * first) < 1e-5 or float(first.norm()) < 1e-6


@pytest.mark.parametrize("name", sorted(CASES))
def test_weights_are_not_changed_by_a_step(kernels, name):
    model = make_model(name, 30, 40, 12, **usual(name))
    table = make_table(30, 40, 12, 60)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    FAMILY_OF_MODEL[name](model, kernels, SEED).step(table, make_batch(table, 40, 50))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


# -- scores ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["compiled", "torch"])
@pytest.mark.parametrize("name", sorted(CASES))
def test_scores_are_those_of_recbole_in_eval_mode(kernels, name, path):
    @FEW
    @given(CASES[name][0], shapes)
    def check(params, shape):
        params = {**params, "order_len": min(params.get("order_len", 1), shape["width"])}
        params["loss_type"] = CASES[name][1][0]
        dropouts = {"dropout_prob": 0.5, "dropout_probs": [0.5, 0.5], "hidden_dropout_prob": 0.5}
        params |= {key: value for key, value in dropouts.items() if key in params}  # no effect here
        model = make_model(name, 30, shape["items"], shape["width"], **params).eval()
        table = make_table(30, shape["items"], shape["width"], shape["size"])
        rows = torch.randperm(len(table), generator=torch.Generator().manual_seed(1))
        batch = Batch(rows, table.items[rows])
        family = FAMILY_OF_MODEL[name](model, kernels if path == "compiled" else None, SEED)
        with torch.no_grad():
            expected = model.full_sort_predict(recbole_batch(table, batch)).view(len(rows), -1)
            items, bias = family.candidates()
            found = family.queries(table, rows) @ items.t() + (0 if bias is None else bias)
        assert relative_distance(found, expected) < 1e-5, f"{name} {params}"

    check()


# -- Adam -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("workers", [1, 2])
def test_adam_is_torchs_adam(kernels, decay, workers):
    draw = torch.Generator().manual_seed(3)
    start = [torch.randn(shape, generator=draw) for shape in [(300, 257), (7,), (1, 1), (65, 3)]]
    theirs = [torch.nn.Parameter(weight.clone()) for weight in start]
    ours = [weight.clone() for weight in start]
    first, second = ([torch.zeros_like(weight) for weight in ours] for _ in range(2))
    adam = torch.optim.Adam(theirs, lr=0.01, weight_decay=decay, foreach=False)
    for step in range(1, 6):
        gradients = [torch.randn(weight.shape, generator=draw) for weight in ours]
        gradients[0][: 100 * step] = 0.0
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient.clone()
        adam.step()
        with threads(workers):
            kernels.adam_step(ours, gradients, first, second, 0.01, 0.9, 0.999, 1e-8, decay, step)
        assert all(not gradient.any() for gradient in gradients), "gradients end as zeros"
    for number, parameter in enumerate(theirs):
        state = adam.state[parameter]
        assert relative_distance(ours[number], parameter.detach()) < 1e-6
        assert relative_distance(first[number], state["exp_avg"]) < 1e-6
        assert relative_distance(second[number], state["exp_avg_sq"]) < 1e-6


# -- ranks ----------------------------------------------------------------------------------------


def by_torch(queries: Any, items: Any, bias: Any, targets: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return Product(queries, items, bias).ranks(targets)


@FEW
@given(n=st.sampled_from([1, 5, 300]), items=st.sampled_from([2, 30, 3000]), k=sizes, shifted=st.booleans())
def test_ranks_are_places_in_the_sorted_scores(n, items, k, shifted):
    draw = torch.Generator().manual_seed(n + items)
    queries, embeddings = torch.randn(n, k, generator=draw), torch.randn(items, k, generator=draw)
    bias = torch.randn(items, generator=draw) if shifted else None
    targets = torch.randint(1, items, (n,), generator=draw)
    scores = queries.double() @ embeddings.double().t() + (0 if bias is None else bias.double())
    scores[:, 0] = -torch.inf
    order = torch.topk(scores, items, dim=1).indices
    expected = (order == targets[:, None]).nonzero()[:, 1]
    for ranks, doubts in (
        compiled_kernels().rank_targets(queries, embeddings, bias, targets),
        by_torch(queries, embeddings, bias, targets),
    ):
        assert not (doubts == NAN).any()
        assert (doubts == 0).float().mean() >= 0.9, "few ties among random numbers"
        # Scores of nearly the same size may change places in float32.
        assert ((ranks - expected)[doubts == 0].abs() <= 1).all()
        assert (ranks == expected)[doubts == 0].float().mean() > 0.98


RANKERS = pytest.mark.parametrize("native", [True, False], ids=["compiled", "torch"])


def ranked(scores: torch.Tensor, targets: list[int], native: bool) -> tuple[list[int], list[int]]:
    """Ranks and doubts for scores that are given as they are."""
    operator = compiled_kernels().rank_targets if native else by_torch
    items = scores.t().contiguous()
    ranks, doubts = operator(torch.eye(len(scores)), items, None, torch.tensor(targets))
    return ranks.tolist(), doubts.tolist()


def one(*scores: float) -> torch.Tensor:
    return torch.tensor([scores])


@RANKERS
def test_padding_is_never_ranked(native):
    assert ranked(one(9.0, 1.0, 3.0, 2.0), [3], native) == ([1], [0])


@RANKERS
def test_a_tie_with_the_target_is_told_for_its_row_alone(native):
    scores = torch.rand(300, 50, generator=torch.Generator().manual_seed(1))
    assert not any(ranked(scores, [2] * 300, native)[1])
    scores[250, 40] = scores[250, 2]
    scores[251, 40] = scores[251, 41]
    ranks, doubts = ranked(scores, [2] * 300, native)
    assert [row for row, doubt in enumerate(doubts) if doubt] == [250]
    assert doubts[250] == TIE
    assert ranks == (scores[:, 1:] > scores[:, 2:3]).sum(1).tolist()


@RANKERS
def test_a_score_that_is_nan_is_told(native):
    assert ranked(one(0.0, 1.0, math.nan, 2.0), [3], native)[1] == [NAN]
    assert ranked(one(0.0, 1.0, math.nan, 2.0), [2], native)[1] == [NAN]
    assert ranked(one(0.0, math.nan, math.nan), [1], native)[1] == [NAN]


@RANKERS
def test_infinite_scores_are_tied(native):
    assert ranked(one(0.0, math.inf, math.inf, 1.0), [1], native)[1] == [TIE]
    assert ranked(one(0.0, math.inf, 2.0, 1.0), [1], native) == ([0], [0])


@RANKERS
def test_ties_between_other_items_change_no_rank(native):
    assert ranked(one(0.0, 5.0, 5.0, 2.0, 1.0, 1.0), [3], native) == ([2], [0])


# -- dropout --------------------------------------------------------------------------------------

N = 1 << 20
SHARES = [0.1, 0.25, 0.5, 0.9]


def mask_of(drop: Any, shape: Any = (N,)) -> torch.Tensor:
    return drop(torch.ones(shape))


def compiled_drop(p: float, seed: int = SEED, stream: int = 1):
    return lambda x: compiled_kernels().dropout(x, p, seed, stream)


def numpy_drop(p: float, seed: int = SEED):
    masks = Masks(seed, None)
    return lambda x: masks.drop(x, p)


DROPS = pytest.mark.parametrize("make", [compiled_drop, numpy_drop], ids=["compiled", "numpy"])


def zeros(mask: torch.Tensor) -> torch.Tensor:
    return (mask == 0).double()


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """In standard deviations of what independent masks have."""
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).mean() / (a.std() * b.std())) * math.sqrt(a.numel())


@DROPS
@pytest.mark.parametrize("p", SHARES)
def test_dropout_has_its_share_of_zeros_its_mean_and_its_variance(make, p):
    mask = mask_of(make(p))
    share = float(zeros(mask).mean())
    assert abs(share - p) < 4.5 * math.sqrt(p * (1 - p) / N) + 1e-5
    kept = mask[mask != 0]
    assert float(kept.min()) == float(kept.max()) == pytest.approx(1 / (1 - p), rel=1e-4)
    variance = p / (1 - p)
    assert float(mask.double().mean()) == pytest.approx(1, abs=4.5 * math.sqrt(variance / N) + 1e-4)
    assert float(mask.double().var()) == pytest.approx(variance, rel=0.02)


@DROPS
@pytest.mark.parametrize("p", SHARES)
def test_dropped_elements_are_independent_of_their_neighbours(make, p):
    mask = zeros(mask_of(make(p)))
    for lag in (1, 2, 3, 4, 8, 16, 64, 128, 1000, 4096, 65536):
        assert abs(correlation(mask[:-lag], mask[lag:])) < 4.5, f"elements {lag} apart"


@DROPS
def test_pairs_and_bytes_of_masks_are_as_frequent_as_chance_has_them(make):
    """Chi-square over patterns of eight neighbours."""
    bits = zeros(mask_of(make(0.5))).view(-1, 8)
    counts = torch.bincount((bits @ (2.0 ** torch.arange(8, dtype=torch.float64))).long(), minlength=256)
    expected = len(bits) / 256
    statistic = float(((counts - expected) ** 2 / expected).sum())
    assert 150 < statistic < 380, "255 degrees of freedom"


@DROPS
def test_rows_columns_and_blocks_lose_equal_shares(make):
    mask = zeros(mask_of(make(0.3), (2048, 512)))
    for name, shares, count in (("row", mask.mean(1), 512), ("column", mask.mean(0), 2048)):
        normal = (shares - 0.3) / math.sqrt(0.21 / count)
        assert float(normal.abs().max()) < 5.5, name
        assert float((normal**2).mean()) == pytest.approx(1, abs=0.3), name
    rows = mask - mask.mean()
    together = (rows[:-1] * rows[1:]).mean(1) / 0.21 * math.sqrt(512)
    assert float(together.abs().max()) < 5.5, "one row against the next"


@pytest.mark.parametrize("p", SHARES)
def test_streams_and_seeds_are_independent(p):
    base = zeros(mask_of(compiled_drop(p)))
    for seed, stream in [(SEED, 0), (SEED, 2), (SEED, 3), (SEED, 1025), (SEED + 1, 1), (SEED + 2**32, 1)]:
        other = zeros(mask_of(compiled_drop(p, seed, stream)))
        assert abs(correlation(base, other)) < 4.5, f"seed {seed}, stream {stream}"
        for lag in (1, 2, 64):
            assert abs(correlation(base[lag:], other[:-lag])) < 4.5, f"seed {seed}, stream {stream}, {lag}"


def test_the_fallback_draws_anew_and_repeats_by_seed():
    masks, again = Masks(SEED, None), Masks(SEED, None)
    x = torch.ones(N)
    first, second = masks.drop(x, 0.5), masks.drop(x, 0.5)
    assert abs(correlation(zeros(first), zeros(second))) < 4.5
    assert torch.equal(again.drop(x, 0.5), first)
    assert torch.equal(again.drop(x, 0.5), second)
    assert abs(correlation(zeros(Masks(SEED + 1, None).drop(x, 0.5)), zeros(first))) < 4.5


def test_the_compiled_masks_of_a_trial_repeat_with_its_seed():
    kernels = compiled_kernels()
    masks, again = Masks(SEED, kernels), Masks(SEED, kernels)
    x = torch.ones(1000)
    first, second = masks.drop(x, 0.5), masks.drop(x, 0.5)
    assert not torch.equal(first, second)
    assert torch.equal(again.drop(x, 0.5), first)
    assert torch.equal(again.drop(x, 0.5), second)


@pytest.mark.parametrize("native", [True, False], ids=["compiled", "numpy"])
@pytest.mark.parametrize("contiguous", [True, False])
def test_the_backward_pass_has_the_mask_of_the_forward_pass(native, contiguous):
    layer = FastDropout(0.4, Masks(SEED, compiled_kernels() if native else None))
    x = torch.randn(64, 48) if contiguous else torch.randn(48, 64).t()
    x.requires_grad_()
    result = layer(x)
    slope = torch.randn(48, 64).t()
    result.backward(slope)
    factor = torch.where(result == 0, 0.0, 1 / 0.6)
    assert torch.allclose(x.grad, slope * factor, rtol=1e-4)
    assert torch.allclose(result, x * factor, rtol=1e-4)


@pytest.mark.parametrize("native", [True, False], ids=["compiled", "numpy"])
def test_dropout_of_zero_one_and_nearly_one(native):
    masks = Masks(SEED, compiled_kernels() if native else None)
    x = torch.randn(N)
    assert FastDropout(0.0, masks)(x) is x
    assert FastDropout(0.5, masks).eval()(x) is x
    assert not FastDropout(1.0, masks)(x).any()
    rare = FastDropout(0.999, masks)(torch.ones(N))
    assert float(zeros(rare).mean()) == pytest.approx(0.999, abs=2e-4)
    assert float(rare.max()) == pytest.approx(1000, rel=0.02)
    almost = FastDropout(1 - 1e-12, masks)(torch.ones(1000))
    assert torch.isfinite(almost).all()
    assert float((almost != 0).double().sum()) <= 1


def test_no_dropout_is_a_copy_in_the_operator():
    x = torch.randn(100)
    result = compiled_drop(0.0)(x)
    assert torch.equal(result, x)
    assert result.data_ptr() != x.data_ptr()


def test_dropout_does_not_depend_on_the_number_of_threads():
    x = torch.randn(500_000)
    found = []
    for workers in (1, 2):
        with threads(workers):
            found.append(compiled_drop(0.3)(x))
    assert torch.equal(*found)


def test_half_precision_takes_the_fallback():
    layer = FastDropout(0.5, Masks(SEED, compiled_kernels()))
    result = layer(torch.ones(10_000, dtype=torch.bfloat16))
    assert result.dtype == torch.bfloat16
    assert set(result.tolist()) == {0.0, 2.0}


def test_only_plain_dropout_layers_are_replaced_and_the_state_stays():
    inner = torch.nn.Sequential(torch.nn.Dropout(0.1))
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0.3), inner, torch.nn.Dropout2d())
    names = list(model.state_dict())
    use_fast_dropout(model.eval(), Masks(SEED, None))
    assert [type(model[index]) for index in (1, 3)] == [FastDropout, torch.nn.Dropout2d]
    assert (model[2][0].p, model[2][0].training) == (0.1, False)
    assert list(model.state_dict()) == names


@pytest.mark.parametrize("name", ["GRU4Rec", "NARM", "SASRec"])
def test_kernel_dropout_repeats_by_seed_and_is_unbiased(kernels, name):
    params = {**usual(name), "dropout_prob": 0.3, "dropout_probs": [0.3, 0.3]}
    params |= {"hidden_dropout_prob": 0.3, "attn_dropout_prob": 0.3}
    model = make_model(name, 30, 40, 12, **params)
    table = make_table(30, 40, 12, 300)
    batch = make_batch(table, 40, 300)

    def losses(seed: int, steps: int = 2) -> list[float]:
        family = FAMILY_OF_MODEL[name](model, kernels, seed)
        return [float(family.step(table, batch)) for _ in range(steps)]

    first, second = losses(1)
    assert first != second, "each batch has masks of its own"
    assert losses(1) == [first, second]
    assert losses(2)[0] not in (first, second)
    with torch.no_grad():
        theirs = [float(model.calculate_loss(recbole_batch(table, batch))) for _ in range(60)]
    ours = losses(3, 60)
    error = math.sqrt((np.var(ours) + np.var(theirs)) / 60)
    assert abs(np.mean(ours) - np.mean(theirs)) < 4.5 * error, "the mean loss under dropout is RecBole's"
    assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.6)


# -- wrong input ----------------------------------------------------------------------------------


def sequence_call(kernels: Any, name: str, wrong: Any) -> None:
    """A step of a model, with something wrong in its arguments."""
    model = make_model(name, 30, 40, 12, **usual(name))
    table = make_table(30, 40, 12, 60)
    batch = make_batch(table, 40, 50)
    family = FAMILY_OF_MODEL[name](model, kernels, SEED)
    with pytest.raises(RuntimeError):
        wrong(family, table, batch)


SEQUENTIAL = sorted(set(CASES) - {"BPR", "FPMC"})


def replaced(table: Table, **columns: torch.Tensor) -> Table:
    return Table(**{**{name: getattr(table, name) for name in table.__dataclass_fields__}, **columns})


def strided(values: torch.Tensor) -> torch.Tensor:
    """The same values, every second one in memory."""
    return torch.stack([values, values], dim=1)[:, 0]


@pytest.mark.parametrize("name", SEQUENTIAL)
@pytest.mark.parametrize("kind", ["step", "encode"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda table: replaced(table, lengths=torch.where(torch.arange(60) == 7, 0, table.lengths)),
        lambda table: replaced(table, lengths=table.lengths + 12),
        lambda table: replaced(table, sequences=table.sequences.t().contiguous().t()),
        lambda table: replaced(table, sequences=table.sequences.int()),
        lambda table: replaced(table, lengths=table.lengths.int()),
        lambda table: replaced(table, lengths=strided(table.lengths)),
    ],
    ids=["length-0", "too-long", "strided-sequences", "int32-sequences", "int32-lengths", "strided-lengths"],
)
def test_wrong_sequences_raise(kernels, name, kind, damage):
    def wrong(family, table, batch):
        if kind == "step":
            family.step(damage(table), Batch(torch.arange(50), batch.negatives))
        else:
            family.queries(damage(table), torch.arange(50))

    sequence_call(kernels, name, wrong)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("damage", [torch.Tensor.int, torch.Tensor.float], ids=["int32", "float32"])
@pytest.mark.parametrize("which", ["rows", "negatives", "targets"])
def test_ids_of_another_type_raise(kernels, name, damage, which):
    def wrong(family, table, batch):
        if which == "targets":
            family.step(replaced(table, items=damage(table.items)), Batch(batch.rows, batch.negatives))
        else:
            family.step(table, Batch(**{**vars(batch), which: damage(getattr(batch, which))}))

    params = {**usual(name), "loss_type": "BPR"}
    if which == "rows" and name in ("BPR", "FPMC"):
        pytest.skip("torch looks the rows up before the kernel")
    model = make_model(name, 30, 40, 12, **params)
    table = make_table(30, 40, 12, 60)
    with pytest.raises((RuntimeError, IndexError)):
        wrong(FAMILY_OF_MODEL[name](model, kernels, SEED), table, make_batch(table, 40, 50))


@pytest.mark.parametrize("name", sorted(CASES))
def test_strided_negatives_raise(kernels, name):
    model = make_model(name, 30, 40, 12, **{**usual(name), "loss_type": "BPR"})
    table = make_table(30, 40, 12, 60)
    batch = make_batch(table, 40, 50)
    with pytest.raises(RuntimeError):
        FAMILY_OF_MODEL[name](model, kernels, SEED).step(table, Batch(batch.rows, strided(batch.negatives)))


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_fewer_negatives_than_samples_raise(kernels, name):
    model = make_model(name, 30, 40, 12, **{**usual(name), "loss_type": "BPR"})
    table = make_table(30, 40, 12, 60)
    batch = make_batch(table, 40, 50)
    with pytest.raises(RuntimeError):
        FAMILY_OF_MODEL[name](model, kernels, SEED).step(table, Batch(batch.rows, batch.negatives[:20]))


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_bpr_without_negatives_raises(kernels, name):
    model = make_model(name, 30, 40, 12, **{**usual(name), "loss_type": "BPR"})
    table = make_table(30, 40, 12, 60)
    with pytest.raises(RuntimeError, match="negatives"):
        FAMILY_OF_MODEL[name](model, kernels, SEED).step(table, Batch(torch.arange(5), None))


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize(
    "damage", [torch.Tensor.double, lambda w: w.t().contiguous().t()], ids=["double", "strided"]
)
def test_weights_of_another_type_or_order_raise(kernels, name, damage):
    model = make_model(name, 30, 40, 12, **usual(name))
    table = make_table(30, 40, 12, 60)
    family = FAMILY_OF_MODEL[name](model, kernels, SEED)
    family._plain = [damage(weight) if weight.dim() == 2 else weight for weight in family.plain]
    with pytest.raises(RuntimeError):
        family.step(table, make_batch(table, 40, 50))


def test_the_other_operators_raise_too(kernels):
    x = torch.randn(6, 4)
    with pytest.raises(RuntimeError):
        kernels.dropout(x.double(), 0.5, 1, 1)
    with pytest.raises(RuntimeError):
        kernels.adam_step([x.t()], [x.t()], [x.t()], [x.t()], 0.1, 0.9, 0.999, 1e-8, 0.0, 1)
    with pytest.raises(RuntimeError):
        kernels.adam_step([x.double()], [x], [x], [x], 0.1, 0.9, 0.999, 1e-8, 0.0, 1)
    targets = torch.ones(6, dtype=torch.int64)
    for wrong in (
        (x.double(), x, None, targets),
        (x, x.double(), None, targets),
        (x.t(), x, None, targets),
        (torch.randn(4, 6).t(), x, None, targets),
        (x, torch.randn(6, 5), None, targets),
        (x, x, torch.randn(6).double(), targets),
        (x, x, None, targets.int()),
        (x, x, None, targets[:5]),
    ):
        with pytest.raises(RuntimeError):
            kernels.rank_targets(*wrong)


@pytest.mark.parametrize("column", range(6))
@pytest.mark.parametrize("wrong", [-1, 9])
def test_simplex_refuses_what_is_not_there(kernels, column, wrong):
    weights = [torch.randn(9, 4), torch.randn(9, 4), torch.randn(4, 4)]
    gradients = [torch.zeros_like(weight) for weight in weights]
    columns = [torch.tensor(numbers) for numbers in ([2, 8], [1, 0], [1, 8], [3, 4])]
    columns += [torch.ones(9, 2, dtype=torch.int64), torch.full((9,), 2)]
    numbers = (0.5, 0.4, 10.0, 0.1, False, 0.0, 1)
    assert math.isfinite(kernels.simplex_step(weights, gradients, *columns, *numbers))
    columns[column] = (
        columns[column].clone().index_fill_(0, torch.tensor([columns[column].shape[0] - 1]), wrong)
    )
    with pytest.raises(RuntimeError, match=f"{wrong} (of|items in)"):
        kernels.simplex_step(weights, gradients, *columns, *numbers)


@example(shape=(0,))
@example(shape=(0, 4))
@example(shape=(3, 1, 2))
@FEW
@given(shape=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_dropout_keeps_the_shape(shape):
    assert compiled_drop(0.5)(torch.ones(shape)).shape == shape
