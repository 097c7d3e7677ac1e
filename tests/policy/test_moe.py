"""Routed experts: the hand-written gradient against finite differences and the plain path, and forced choices."""

import copy

import pytest
import torch

from palestra.policy.config import DeepseekV32Config
from palestra.policy.moe import Experts, Router

CONFIG = DeepseekV32Config(
    vocab_size=8,
    hidden_size=5,
    moe_intermediate_size=4,
    intermediate_size=8,
    num_hidden_layers=1,
    first_k_dense_replace=0,
    num_attention_heads=1,
    n_routed_experts=6,
    num_experts_per_tok=2,
    n_group=1,
    topk_group=1,
)


def experts(dtype: torch.dtype) -> Experts:
    torch.manual_seed(0)
    found = Experts(CONFIG).to(dtype)
    for parameter in found.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return found


def test_gradients_equal_finite_differences_and_the_plain_path() -> None:
    layer = experts(torch.float64)
    # Expert 5 has no token.
    choice = torch.stack([torch.randperm(5)[:2] for _ in range(7)])
    weights = torch.rand(7, 2, dtype=torch.float64, requires_grad=True)
    x = torch.randn(7, 5, dtype=torch.float64, requires_grad=True)
    inputs = (x, weights, layer.gate_up_proj, layer.down_proj)
    assert torch.autograd.gradcheck(lambda x, weights, *_: layer._chosen_experts(x, choice, weights), inputs)
    probe = torch.randn(7, 5, dtype=torch.float64)
    slopes = [
        torch.autograd.grad((path(x, choice, weights) * probe).sum(), inputs)
        for path in (layer._chosen_experts, layer._every_expert)
    ]
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other)


def test_half_precision_stays_near_single() -> None:
    single = experts(torch.float32)
    half = copy.deepcopy(single).bfloat16()
    x, choice = torch.randn(30, 5), torch.randint(0, 6, (30, 2))
    weights = torch.rand(30, 2)
    found = half._chosen_experts(x.bfloat16(), choice, weights)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), single._chosen_experts(x, choice, weights), rtol=0.1, atol=0.1)


@pytest.mark.parametrize("rows", [[], [0, 2], [0, 1, 2, 3]])
def test_choices_are_forced_where_they_are_given(rows: list[int]) -> None:
    torch.manual_seed(1)
    router, x = Router(CONFIG), torch.randn(4, 5)
    torch.nn.init.normal_(router.weight)
    free, _ = router(x)
    forced = torch.full((4, 2), -1)
    forced[rows] = torch.tensor([5, 0])
    choice, weights = router(x, forced)
    for row in range(4):
        assert choice[row].tolist() == ([5, 0] if row in rows else free[row].tolist())
    scores = (x @ router.weight.T).sigmoid().gather(1, choice)
    torch.testing.assert_close(weights, scores / scores.sum(dim=1, keepdim=True) * CONFIG.routed_scaling_factor)
