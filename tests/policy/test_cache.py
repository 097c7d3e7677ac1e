"""The paged cache against a plain list of everything that was ever committed, and its room under pressure."""

import random
from typing import Any

import pytest
import torch

from palestra.policy.cache import Context, PagedCache
from palestra.policy.config import DeepseekV32Config

CONFIG = DeepseekV32Config.from_dict(
    {
        "vocab_size": 37,
        "hidden_size": 16,
        "intermediate_size": 16,
        "moe_intermediate_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        "q_lora_rank": 8,
        "kv_lora_rank": 6,
        "qk_nope_head_dim": 4,
        "qk_rope_head_dim": 2,
        "v_head_dim": 4,
        "index_n_heads": 2,
        "index_head_dim": 4,
        "index_topk": 8,
        "max_position_embeddings": 512,
    }
)


def cache_of(pages: int, page_size: int = 4) -> PagedCache:
    return PagedCache(CONFIG, pages, page_size=page_size)


def fill(cache: PagedCache, tokens: list[int]) -> Context | None:
    """A context of ``tokens`` whose latents say which tokens stood before them; None where there is no room."""
    context = cache.open(tokens)
    start = context.length
    if not cache.reserve([(context, len(tokens))]):
        cache.close(context)
        return None
    slots = torch.from_numpy(cache.slots(context, start, len(tokens)))
    for store in (*cache.latent, *cache.index_keys):
        store[slots] = signatures(tokens)[start:].unsqueeze(-1)
    cache.commit(context, tokens[start:])
    return context


def signatures(tokens: list[int]) -> torch.Tensor:
    return torch.tensor([hash(tuple(tokens[: n + 1])) % 100_003 for n in range(len(tokens))], dtype=torch.float32)


def check(cache: PagedCache, context: Context, tokens: list[int]) -> None:
    slots = torch.from_numpy(cache.slots(context, 0, context.length))
    assert len(slots.unique()) == context.length  # type: ignore[no-untyped-call]
    assert int(slots.min()) >= cache.page_size
    for store in (*cache.latent, *cache.index_keys):
        assert torch.equal(store[slots, 0], signatures(tokens)[: context.length])


@pytest.mark.parametrize("seed", range(6))
def test_any_history_of_opening_and_closing(seed: int) -> None:
    """Whatever a context finds cached is what stood there; pages in use are never given away; all come back."""
    rng = random.Random(seed)
    cache, known = cache_of(pages=rng.choice([9, 20, 60]), page_size=rng.choice([1, 3, 4, 8])), [[1, 2, 3]]
    held: list[tuple[Context, list[int]]] = []
    refused = reused = 0
    for _ in range(400):
        if held and rng.random() < 0.5:
            context, tokens = held.pop(rng.randrange(len(held)))
            check(cache, context, tokens)
            cache.close(context)
            continue
        base = rng.choice(known)
        tokens = base[: rng.randint(1, len(base))] + [rng.randint(0, 2) for _ in range(rng.randint(0, 9))]
        known.append(tokens)
        matched = cache.match(tokens)
        needed, room = cache.needed(tokens), cache.room
        context_or_none = fill(cache, tokens)
        assert (context_or_none is not None) == (needed <= room)
        if context_or_none is None:
            refused += 1
            continue
        reused += matched
        assert context_or_none.length == len(tokens)
        check(cache, context_or_none, tokens)
        held.append((context_or_none, tokens))
    for context, tokens in held:
        check(cache, context, tokens)
        cache.close(context)
    assert cache.room == cache.pages
    assert reused > 100
    assert refused > 0 or cache.pages == 60


def test_the_longest_beginning_is_found_to_the_token() -> None:
    cache = cache_of(20)
    first = fill(cache, [*range(10)])
    assert first is not None
    assert cache.match([*range(10)]) == 9  # the last token's logits are wanted: it is computed again
    assert cache.match([*range(8)]) == 8
    assert cache.match([*range(7), 30, 31]) == 7
    assert cache.match([*range(9), 30]) == 9
    assert cache.match([30, 31]) == 0
    again = cache.open([*range(10), 11])
    assert again.length == 10
    assert again.pages[:2] == first.pages[:2]
    assert again.pages[2] is not first.pages[2]
    cache.close(first)
    last = cache.open([*range(10), 12, 13])
    assert last.length == 10  # its page is not used any more: it goes on in it
    cache.close(again)
    cache.close(last)


def test_equal_pages_become_one() -> None:
    cache = cache_of(20)
    one, other = cache.open([]), cache.open([])
    assert cache.reserve([(one, 8), (other, 8)])
    cache.commit(one, [*range(8)])
    cache.commit(other, [*range(8)])
    assert one.pages == other.pages
    assert cache.room == 18
    cache.close(one)
    assert cache.match([*range(9)]) == 8
    cache.close(other)
    assert cache.room == 20


def test_the_least_recently_used_goes_first() -> None:
    cache = cache_of(6)
    for start in (0, 10, 20):
        context = fill(cache, [*range(start, start + 8)])
        assert context is not None
        cache.close(context)
    cache.close(cache.open([*range(9)]))  # used again
    context = fill(cache, [30, 31, 32, 33, 34])
    assert context is not None
    assert cache.match([*range(9)]) == 8
    assert cache.match([*range(10, 19)]) == 0
    assert cache.match([*range(20, 29)]) == 8


def test_neighbours_where_possible() -> None:
    cache = cache_of(12)
    context = fill(cache, [*range(16)])
    assert context is not None
    numbers = [page.number for page in context.pages]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    group = [cache.open([]) for _ in range(5)]
    assert cache.reserve([(one, 3) for one in group])
    numbers = [one.pages[0].number for one in group]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    assert not cache.reserve([(one, 12) for one in group])
    assert all(len(one.pages) == 1 for one in group)


@pytest.mark.parametrize("bad", [{"pages": 0}, {"pages": 3, "page_size": 0}])
def test_a_cache_without_room_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="both must be at least 1"):
        PagedCache(CONFIG, **bad)
