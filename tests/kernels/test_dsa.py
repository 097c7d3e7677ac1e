"""Sparse attention over forests against a plain float64 loop over queries: output, loss, mass and all gradients."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from palestra.kernels import forest as forest_module
from palestra.kernels.dsa import DsaOptions, IndexTensors, dsa_attention, select
from palestra.kernels.forest import Forest

HEADS, INDEX_HEADS = 2, 3
SHAPES = ((HEADS, 6), (HEADS, 6), (HEADS, 5), (INDEX_HEADS, 4), (4,), (INDEX_HEADS,))
BRANCHING = [[1] * 30 + [2] * 9, [1] * 30 + [3] * 40, [1] * 30 + [3] * 20 + [4] * 25, [1] * 12, [5] * 8, [5] * 33]


def grown(sequences: list[list[int]]) -> Forest:
    return Forest.grow([np.array(sequence, np.int64) for sequence in sequences])


def random_inputs(size: int, seed: int, dtype: torch.dtype) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, *shape, generator=generator, dtype=dtype, requires_grad=True) for shape in SHAPES]


def run(inputs: list[Tensor], weight: Tensor, forest: Forest, options: DsaOptions) -> tuple[Tensor, Tensor, Tensor]:
    found = dsa_attention(inputs[0], inputs[1], inputs[2], IndexTensors(*inputs[3:]), weight, forest, options)
    return found.out_NHv, found.loss, found.mass


def naive(inputs: list[Tensor], weight: Tensor, forest: Forest, options: DsaOptions) -> tuple[Tensor, Tensor, Tensor]:
    """Query by query in float64 along the query's own path."""
    q, k, v, iq, ik, iw = (tensor.double() for tensor in inputs)
    out, loss, mass = [torch.zeros(())] * len(q), torch.zeros((), dtype=torch.float64), torch.zeros(2).double()
    paths = {int(path[end]): path[: end + 1] for path in forest.paths for end in range(len(path))}
    for node, path in sorted(paths.items()):
        scores = (torch.einsum("jd,sd->js", iq[node], ik[path]).relu() * iw[node][:, None]).sum(0)
        everything = torch.ones(len(path), dtype=torch.bool)
        chosen = select(scores.detach(), everything, options.topk, recent_ties=True)
        if options.selector == "window":
            chosen = torch.arange(len(path)) >= len(path) - options.topk
        logits = torch.einsum("hd,shd->hs", q[node], k[path]) * options.scale
        opened = chosen if options.sparse else everything
        probs = logits.masked_fill(~opened, -torch.inf).softmax(-1)
        out[node] = torch.einsum("hs,shd->hd", probs, v[path])
        if options.indexer_loss != "none":
            among = chosen if options.indexer_loss == "sparse" else everything
            target = (probs.detach().sum(0) * among)[among]
            target = target / target.sum()
            divergence = (torch.xlogy(target, target) - target * scores[among].log_softmax(-1)).sum()
            loss = loss + weight[node].double() * divergence
        if len(path) > options.topk:
            held = (logits.detach().softmax(-1).mean(0) * chosen).sum()
            mass = mass + weight[node].double() * torch.stack((held, torch.ones_like(held)))
    return torch.stack(out), loss, mass


def check(forest: Forest, options: DsaOptions, dtype: torch.dtype, bound: float, seed: int = 0) -> None:
    """Everything within ``bound`` of the naive float64 loop, relative to the norm of what is compared."""
    inputs = random_inputs(len(forest), seed, dtype)
    generator = torch.Generator().manual_seed(seed + 1)
    weight = torch.rand(len(forest), generator=generator, dtype=dtype)
    probe = torch.randn(len(forest), *SHAPES[2], generator=generator, dtype=dtype)
    found, wanted = run(inputs, weight, forest, options), naive(inputs, weight, forest, options)
    results = []
    for out, loss, mass in (found, wanted):
        slopes = torch.autograd.grad((out * probe).sum() + 2 * loss, inputs, materialize_grads=True)
        results.append((out, loss, *((mass,) if options.measure else ()), *slopes))
    for one, other in zip(*results, strict=True):
        assert (one.double() - other.double()).norm() <= bound * other.double().norm().clamp(min=1e-2)


@pytest.mark.parametrize("loss", ["sparse", "dense", "none"])
@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("topk", [9, 500])
def test_forest_equals_naive(loss: Any, sparse: bool, topk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest_module, "_STRIPE_ROWS", (16, 32))
    options = DsaOptions(scale=0.4, topk=topk, sparse=sparse, indexer_loss=loss)
    forest = grown(BRANCHING)
    assert len(forest.stripes) > 3
    check(forest, options, torch.float64, 1e-11)
    check(forest, options, torch.float32, 1e-5)


@pytest.mark.parametrize("selector", ["indexer", "window"])
@pytest.mark.parametrize("sparse", [True, False])
def test_selectors_and_their_mass_equal_naive(selector: Any, sparse: bool) -> None:
    check(grown(BRANCHING), DsaOptions(0.4, 9, sparse, selector=selector, measure=True), torch.float64, 1e-11)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=14), min_size=1, max_size=8),
    st.sampled_from([("none", True), ("sparse", True), ("dense", False), ("dense", True)]),
    st.integers(1, 9),
)
def test_random_tries_equal_naive(sequences: list[list[int]], stage: tuple[Any, bool], topk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forest_module, "_STRIPE_ROWS", (3, 5))
        options = DsaOptions(scale=0.4, topk=topk, sparse=stage[1], indexer_loss=stage[0])
        check(grown(sequences), options, torch.float64, 1e-11, seed=len(sequences))


def test_gradients_equal_finite_differences() -> None:
    forest = grown([[1, 2, 3], [1, 2, 4, 5], [6, 7]])
    inputs, weight = random_inputs(len(forest), 5, torch.float64), torch.rand(len(forest), dtype=torch.float64)
    options = DsaOptions(scale=0.4, topk=2, sparse=True)
    assert torch.autograd.gradcheck(lambda *qkv: run([*qkv, *inputs[3:]], weight, forest, options)[0], inputs[:3])


def test_the_random_selector_takes_topk_with_the_query_itself() -> None:
    """With keys of zero attention is uniform over what is selected, and values that are one-hot show what that is."""
    length, topk = 90, 7
    forest = Forest.separate([length])
    zero, values = torch.zeros(length, 1, 4), torch.eye(length).unsqueeze(1)
    options = DsaOptions(1.0, topk, selector="random", seed=3)

    def chosen(how: DsaOptions) -> Tensor:
        return dsa_attention(zero, zero, values, None, torch.ones(length), forest, how).out_NHv[:, 0] > 0

    found = chosen(options)
    assert found.sum(dim=1).tolist() == [min(number + 1, topk) for number in range(length)]
    assert bool(found.diagonal().all())
    assert not bool(found.triu(1).any())
    assert torch.equal(found, chosen(options))
    assert not torch.equal(found, chosen(replace(options, seed=4)))
    # Not a window: the oldest position is still picked by late queries.
    assert int(found[topk:, 0].sum()) > 5


def test_ties_go_to_the_most_recent() -> None:
    scores = torch.tensor([[0.0, 2.0, 0.0, 0.0, -1.0, 0.0]])
    visible = torch.tensor([[True, True, True, True, True, False]])
    assert select(scores, visible, 3, recent_ties=True).tolist() == [[False, True, True, True, False, False]]
