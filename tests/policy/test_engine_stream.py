"""Streams of the policy engine: token by token, the same as whole completions, and gone from the batch when left."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
import torch

from palestra.policy.config import DeepseekV32Config
from palestra.policy.engine import PolicyEngine
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.rollout.errors import EngineError
from palestra.rollout.types import Completion, Delta, Sampling

CONFIG = DeepseekV32Config(
    vocab_size=37,
    hidden_size=16,
    intermediate_size=24,
    moe_intermediate_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    n_routed_experts=4,
    num_experts_per_tok=2,
    n_group=1,
    topk_group=1,
    first_k_dense_replace=1,
    q_lora_rank=8,
    kv_lora_rank=8,
    qk_nope_head_dim=4,
    qk_rope_head_dim=4,
    v_head_dim=6,
    index_n_heads=2,
    index_head_dim=8,
    index_topk=16,
    max_position_embeddings=512,
    initializer_range=0.3,
)
PROMPT = [1, 5, 9, 2]
SAMPLING = Sampling(top_p=0.9, max_tokens=12, seed=4)


def engine(slots: int = 2) -> PolicyEngine:
    torch.manual_seed(0)
    return PolicyEngine(DeepseekV32ForCausalLM(CONFIG), slots=slots, max_len=512)


async def collect(policy: PolicyEngine, sampling: Sampling) -> tuple[list[Delta], Completion]:
    *deltas, last = [piece async for piece in policy.stream(PROMPT, sampling)]
    assert isinstance(last, Completion)
    return [delta for delta in deltas if isinstance(delta, Delta)], last


@pytest.mark.parametrize("max_tokens", [0, 1, 12])
def test_a_stream_is_the_completion_token_by_token(max_tokens: int) -> None:
    sampling = replace(SAMPLING, max_tokens=max_tokens)

    async def main() -> None:
        whole = await engine().generate(PROMPT, sampling)
        deltas, last = await collect(engine(), sampling)
        assert last == whole
        assert [delta.tokens for delta in deltas] == [(token,) for token in whole.tokens]
        assert [delta.logprobs for delta in deltas] == [(logprob,) for logprob in whole.logprobs]

    asyncio.run(main())


def test_a_reader_who_is_late_loses_nothing() -> None:
    async def main() -> None:
        policy = engine()
        tokens: list[int] = []
        async for piece in policy.stream(PROMPT, SAMPLING):
            if isinstance(piece, Completion):
                assert tokens == list(piece.tokens)
            else:
                tokens += piece.tokens
                await policy.generate([3], replace(SAMPLING, max_tokens=3))
        assert len(tokens) == 12

    asyncio.run(main())


@pytest.mark.parametrize("how", ["left", "cancelled"])
def test_a_stream_that_is_left_leaves_the_batch(how: str) -> None:
    policy = engine(slots=1)
    batches: list[int] = []
    advance = policy._advance

    def counted(batch: list[Any]) -> None:
        batches.append(len(batch))
        advance(batch)

    policy._advance = counted  # type: ignore[method-assign]

    async def leave() -> None:
        async with aclosing(policy.stream(PROMPT, replace(SAMPLING, max_tokens=400))) as stream:  # type: ignore[type-var]
            async for _ in stream:
                if how == "cancelled":
                    await asyncio.Event().wait()
                return

    async def main() -> None:
        task = asyncio.create_task(leave())
        while not batches:
            await asyncio.sleep(0)
        task.cancel() if how == "cancelled" else await task
        await asyncio.wait([task])
        assert policy._task is not None
        await policy._task
        assert len(batches) < 10
        assert policy._scheduler.running == policy._scheduler.waiting == []
        assert policy._cache.room == policy._cache.pages
        assert (await policy.generate(PROMPT, SAMPLING)).tokens == (await engine().generate(PROMPT, SAMPLING)).tokens

    asyncio.run(main())


def test_a_broken_engine_ends_its_streams() -> None:
    async def main() -> None:
        policy = engine()
        with pytest.raises(EngineError, match="needs 1 to 511"):
            await collect_from(policy, [])
        state = {name: torch.full_like(tensor, float("nan")) for name, tensor in policy.model.state_dict().items()}
        policy.load_weights(state, 1)
        with pytest.raises(EngineError, match="not finite"):
            await collect_from(policy, PROMPT)
        closing = engine()
        task = asyncio.create_task(collect_from(closing, PROMPT))
        await asyncio.sleep(0)
        await closing.close()
        with pytest.raises(EngineError, match="closed"):
            await task

    asyncio.run(main())


async def collect_from(policy: PolicyEngine, prompt: list[int]) -> None:
    async for _ in policy.stream(prompt, SAMPLING):
        pass
