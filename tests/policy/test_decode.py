"""Cached steps against whole forwards: chunks, shared beginnings, selection, dtypes, the same bits in any company."""

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from palestra.policy.cache import Context, PagedCache
from palestra.policy.config import DeepseekV32Config
from palestra.policy.decode import Decoder, extend
from palestra.policy.folded import linear
from palestra.policy.model import DeepseekV32ForCausalLM

SMALL: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 32,
    "intermediate_size": 40,
    "moe_intermediate_size": 12,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 10,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
    "index_n_heads": 3,
    "index_head_dim": 16,
    "index_topk": 8,
    "max_position_embeddings": 256,
}
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 64,
    "mscale": 1.0,
    "mscale_all_dim": 1.0,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "sparse": {},
    "topk_above_context": {"index_topk": 64},
    "yarn": {"rope_parameters": YARN, "index_topk": 12},
    "groups": {"n_routed_experts": 16, "n_group": 4, "topk_group": 2, "num_experts_per_tok": 3, "n_shared_experts": 2},
    "no_shared_expert": {"n_shared_experts": 0, "first_k_dense_replace": 0},
    "odd_heads": {"num_attention_heads": 5, "v_head_dim": 21, "qk_nope_head_dim": 7, "index_n_heads": 2},
    "biased": {"tie_word_embeddings": True, "attention_bias": True},
    "no_q_lora": {"q_lora_rank": None, "attention_bias": True},
    "all_dense": {"first_k_dense_replace": 3},
}


pytestmark = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")


def random_model(dtype: torch.dtype = torch.float32, seed: int = 0, **changes: Any) -> DeepseekV32ForCausalLM:
    torch.manual_seed(seed)
    model = DeepseekV32ForCausalLM(DeepseekV32Config.from_dict(SMALL | changes), dtype=dtype)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(torch.randn_like(tensor) * 0.15)
    return model


@torch.no_grad()
def whole(model: DeepseekV32ForCausalLM, tokens_BT: Tensor, sparse: bool = True) -> Tensor:
    logits: Tensor = model(tokens_BT, sparse=sparse, ties="recent").logits_BTV
    return logits


def bound(model: DeepseekV32ForCausalLM) -> float:
    """The router works in float32 always; its product's rounding depends on how many tokens it sees at once."""
    if model.dtype == torch.float64:
        return 2e-6 if model.config.moe_layers else 1e-12
    return 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sparse", [True, False])
def test_steps_and_chunks_equal_a_whole_forward(variant: str, dtype: torch.dtype, sparse: bool) -> None:
    model = random_model(dtype, **VARIANTS[variant])
    tokens = torch.randint(0, 61, (3, 40))
    expected = whole(model, tokens, sparse)
    decoder = Decoder(model, sparse=sparse)
    for page_size in (4, 32):
        cache = PagedCache(model.config, 60, page_size=page_size, dtype=dtype)
        contexts, at = [cache.open([]) for _ in range(3)], 0
        for size in (1, 1, 9, 1, 20, 3, 1, 1, 3):
            logits = extend(decoder, cache, contexts, tokens[:, at : at + size].tolist(), last_only=False)
            assert (logits.view(3, size, -1) - expected[:, at : at + size]).abs().max() <= bound(model)
            at += size
        assert at == tokens.shape[1]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("members", [2, 12])
def test_a_tree_of_contexts_equals_whole_forwards(variant: str, members: int) -> None:
    """One beginning, two branches, many members: shared pages are asked together, whatever the lengths."""
    model = random_model(**VARIANTS[variant])
    cache = PagedCache(model.config, 300, page_size=4)
    decoder, rng = Decoder(model), random.Random(members)
    trunk = [rng.randrange(61) for _ in range(22)]
    branches = [[*trunk, *(rng.randrange(61) for _ in range(length))] for length in (9, 3)]
    texts = [list(branches[n % 2]) for n in range(members)] + [[rng.randrange(61) for _ in range(30)]]
    contexts: list[Context] = []
    computed = 0
    for text in texts:
        context = cache.open(text)
        computed += len(text) - context.length
        if context.length < len(text):
            extend(decoder, cache, [context], [text[context.length :]])
        contexts.append(context)
    assert computed < 22 + 9 + 3 + 30 + 2 * members
    for _ in range(7):
        new = [rng.randrange(61) for _ in texts]
        logits = extend(decoder, cache, contexts, [[token] for token in new])
        for row, (text, token) in enumerate(zip(texts, new, strict=True)):
            text.append(token)
            assert (logits[row] - whole(model, torch.tensor([text]))[0, -1]).abs().max() <= 1e-4


def test_bfloat16_is_near_float32() -> None:
    model = random_model(torch.bfloat16, index_topk=64)
    wide = random_model(index_topk=64)
    wide.load_state_dict(model.state_dict())
    tokens = torch.randint(0, 61, (12, 30))
    tokens[:, :20] = tokens[0, :20]
    expected = whole(wide, tokens)
    cache = PagedCache(model.config, 100, page_size=4, dtype=torch.bfloat16)
    decoder, contexts = Decoder(model), [cache.open([]) for _ in range(12)]
    extend(decoder, cache, contexts, tokens[:, :20].tolist())
    assert len({context.pages[4] for context in contexts}) == 1
    errors = []
    for at in range(20, 30):
        logits = extend(decoder, cache, contexts, tokens[:, at : at + 1].tolist())
        errors.append((logits.float() - expected[:, at]).square().mean() / expected[:, at].square().mean())
    # A router's choice may flip where two experts are nearly alike: few rows, so the mean, not the largest.
    assert sum(errors) / len(errors) < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("variant", ["sparse", "groups", "odd_heads", "topk_above_context"])
def test_deterministic_logits_do_not_depend_on_company(variant: str, dtype: torch.dtype) -> None:
    """Alone or among others, in one piece or in many, from the cache or not: the same bits."""
    model = random_model(dtype, **VARIANTS[variant])
    decoder, rng = Decoder(model, deterministic=True), random.Random(5)
    text = [rng.randrange(61) for _ in range(41)]

    def alone(size: int) -> Tensor:
        cache = PagedCache(model.config, 40, page_size=8, dtype=dtype)
        context = cache.open([])
        parts = [
            extend(decoder, cache, [context], [text[at : at + size]], last_only=False) for at in range(0, 41, size)
        ]
        return torch.cat(parts)

    expected = alone(41)
    assert torch.equal(alone(1), expected)
    assert torch.equal(alone(7), expected)
    cache = PagedCache(model.config, 300, page_size=4, dtype=dtype)
    others = [cache.open([]) for _ in range(5)]
    context, found = cache.open([]), []
    while context.length < 41:
        size = min(rng.randint(1, 9), 41 - context.length)
        crowd = [[rng.randrange(61) for _ in range(rng.randint(1, 6))] for _ in others]
        place = rng.randrange(6)
        contexts, news = list(others), list(crowd)
        contexts.insert(place, context)
        news.insert(place, text[context.length : context.length + size])
        before = sum(len(new) for new in news[:place])
        found.append(extend(decoder, cache, contexts, news, last_only=False)[before : before + size])
    assert torch.equal(torch.cat(found), expected)
    again = cache.open([*text[:30], 3])
    assert again.length == 30
    assert torch.equal(extend(decoder, cache, [again], [text[30:]], last_only=False), expected[30:])
    assert (expected.float() - whole(model, torch.tensor([text]))[0].float()).abs().max() < (
        1e-4 if dtype == torch.float32 else 10
    )


def test_deterministic_needs_a_dtype_it_can_vouch_for() -> None:
    with pytest.raises(ValueError, match=r"for float32 and bfloat16, not torch\.float64"):
        Decoder(random_model(torch.float64), deterministic=True)


def test_a_full_cache_is_said_and_changes_nothing() -> None:
    model = random_model()
    cache = PagedCache(model.config, 3, page_size=4)
    context = cache.open([])
    extend(model, cache, [context], [[1, 2, 3, 4, 5]])
    with pytest.raises(ValueError, match="contexts of 14 tokens in all need pages; 1 are left"):
        extend(model, cache, [context], [[1] * 9])
    logits = extend(model, cache, [context], [[6]])
    torch.testing.assert_close(logits, whole(model, torch.tensor([[1, 2, 3, 4, 5, 6]]))[:, -1], rtol=0, atol=1e-4)


def test_new_weights_count_once_refolded() -> None:
    model, other = random_model(), random_model(seed=3)
    decoder = Decoder(model)
    model.load_state_dict(other.state_dict())
    decoder.refold()
    cache = PagedCache(model.config, 10)
    logits = extend(decoder, cache, [cache.open([])], [[5, 6, 7]], last_only=False)
    torch.testing.assert_close(logits, whole(other, torch.tensor([[5, 6, 7]]))[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_linear_is_linear(dtype: torch.dtype) -> None:
    for rows in (1, 2, 33):
        x, weight, bias = (torch.randn(*shape).to(dtype) for shape in ((rows, 19), (7, 19), (7,)))
        expected = x.double() @ weight.double().T + bias.double()
        error = (linear(x, weight, bias).double() - expected).abs().max()
        assert error < {torch.float32: 1e-5, torch.float64: 1e-13, torch.bfloat16: 0.1}[dtype]
