"""Token log-probabilities in chunks against autograd through all logits."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from palestra.policy import loss as module
from palestra.policy.loss import Truncation, token_logprobs

ROWS, HIDDEN, VOCABULARY = 13, 6, 31


def problem(dtype: torch.dtype, truncated: bool) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    rows_P = torch.tensor(sorted([*range(ROWS), 2, 2, 7, 12]))
    targets_P = torch.randint(0, VOCABULARY, (len(rows_P),), generator=generator)
    kept: list[tuple[int, ...] | None] = [None] * ROWS
    if truncated:
        for row in range(0, ROWS, 2):
            own = {token for at, token in zip(rows_P.tolist(), targets_P.tolist(), strict=True) if at == row}
            kept[row] = tuple(sorted(own | {1, 4, row}))
    return {
        "hidden": torch.randn(ROWS, HIDDEN, generator=generator, dtype=dtype, requires_grad=True),
        "weight": torch.randn(VOCABULARY, HIDDEN, generator=generator, dtype=dtype, requires_grad=True),
        "rows": rows_P,
        "targets": targets_P,
        "temperature": torch.rand(ROWS, generator=generator) + 0.5,
        "kept": kept,
        "probe": torch.randn(len(rows_P), generator=generator, dtype=dtype),
    }


def naive(given: dict[str, Any]) -> Tensor:
    logits = given["hidden"].double() @ given["weight"].double().T / given["temperature"].double()[:, None]
    for row, ids in enumerate(given["kept"]):
        if ids is not None:
            cut = torch.ones(VOCABULARY, dtype=torch.bool)
            cut[list(ids)] = False
            logits = logits.index_put((torch.tensor(row),), logits[row].masked_fill(cut, -math.inf))
    found: Tensor = logits.log_softmax(dim=-1)[given["rows"], given["targets"]]
    return found


@pytest.mark.parametrize("truncated", [False, True])
@pytest.mark.parametrize("kept_bytes", [0, 1 << 20])
@pytest.mark.parametrize("chunk_rows", [1, 4, 100])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_values_and_gradients_equal_autograd(
    truncated: bool, kept_bytes: int, chunk_rows: int, dtype: torch.dtype, bound: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", kept_bytes)
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk_rows * VOCABULARY * dtype.itemsize)
    given = problem(dtype, truncated)
    inputs = (given["hidden"], given["weight"])
    found = token_logprobs(*inputs, given["rows"], given["targets"], given["temperature"], Truncation.of(given["kept"]))
    expected = naive(given)
    slopes = torch.autograd.grad((found * given["probe"]).sum(), inputs)
    wanted = torch.autograd.grad((expected * given["probe"]).sum(), inputs)
    for one, other in zip((found, *slopes), (expected, *wanted), strict=True):
        assert one.dtype == dtype
        assert float((one.double() - other).detach().norm()) <= bound * float(other.detach().norm())


def test_what_was_cut_off_has_no_probability() -> None:
    given = problem(torch.float32, truncated=False)
    kept: list[tuple[int, ...] | None] = [None] * ROWS
    kept[0] = tuple(token for token in range(VOCABULARY) if token != int(given["targets"][0]))
    arguments = given["hidden"], given["weight"], given["rows"], given["targets"], given["temperature"]
    found = token_logprobs(*arguments, Truncation.of(kept))
    assert found[0] == -math.inf
    assert bool(found[1:].isfinite().all())
    assert Truncation.of([None, None]) is None


def test_half_precision_is_summed_in_float32() -> None:
    given = problem(torch.bfloat16, truncated=True)
    arguments = given["hidden"], given["weight"], given["rows"], given["targets"], given["temperature"]
    found = token_logprobs(*arguments, Truncation.of(given["kept"]))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), naive(given), rtol=0.02, atol=0.05)
    slope = torch.autograd.grad((found * given["probe"].float()).sum(), given["weight"])[0]
    assert slope.dtype == torch.bfloat16


def test_nothing_asked_for_gives_nothing() -> None:
    weight, none = torch.randn(5, 3, requires_grad=True), torch.zeros(0, dtype=torch.long)
    found = token_logprobs(torch.zeros(0, 3), weight, none, none, torch.zeros(0))
    assert found.shape == (0,)
    assert not torch.autograd.grad(found.sum(), weight)[0].any()
