"""The rows of sampling: tokens per CPU-second of a group, greedy tokens, a decoding step far into a text."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from _common import Row, Side, judged
from _policy_bench import Bench, Scale
from _policy_peers import Peer, transformers, vllm
from _policy_world import SHAPE, ids

from palestra.policy.cache import Context, PagedCache
from palestra.policy.decode import Decoder, extend
from palestra.policy.engine import PolicyEngine
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.rollout.types import Sampling


async def sample(bench: Bench) -> None:
    """A group's responses."""
    for dtype in bench.scale.dtypes:
        await _sample(bench, dtype)


async def _sample(bench: Bench, dtype: str) -> None:
    scale, world, work = bench.scale, bench.world, bench.work
    engine = _engine(world.model(dtype), scale)
    with (
        transformers(world.v32, work, dtype) as reference,
        vllm(world.v3, work, dtype, latent=True) as latent,
        vllm(world.v3, work, dtype, latent=False) as expanded,
    ):
        peers = {"transformers": reference, "vLLM with latent attention": latent, "vLLM": expanded}
        rng = random.Random("warm-up")
        await _responses(engine, rng, replace(scale, new=4))
        for name, peer in peers.items():
            bench.met(f"{name}, {dtype}", peer)
            size = 2 if peer is reference else scale.group
            await _asked(peer, rng, replace(scale, group=size, new=4))
        ours = Side("ours", partial(_responses, engine, random.Random("ours"), scale), "/s")
        others = [Side(name, partial(_asked, peer, random.Random(name), scale), "/s") for name, peer in peers.items()]
        await bench.compare(f"tokens per CPU-second, {dtype}", others[:1], [ours, *others[1:]])
    await engine.close()
    say = f"tokens per CPU-second, G = {scale.group}, prompt {scale.prompt}, {scale.new} new, {dtype}"
    bench.rows.append(judged(say, ours, others[0], 10, 40))
    bench.rows.append(judged("the same", ours, others[1], 1, 2))
    bench.rows.append(judged("the same, keys and values of each head cached by prefix", ours, others[2], 1, 2))


def _engine(model: DeepseekV32ForCausalLM, scale: Scale) -> PolicyEngine:
    return PolicyEngine(model, slots=scale.group, max_len=scale.prompt + max(scale.new, scale.longest) + 32)


async def _responses(engine: PolicyEngine, rng: random.Random, scale: Scale) -> float:
    """Tokens per CPU-second of a group by our engine."""
    prompt = ids(rng, scale.prompt)
    wanted = [Sampling(temperature=1.0, top_p=1.0, max_tokens=scale.new, seed=seed) for seed in range(scale.group)]
    began = time.process_time()
    found = await asyncio.gather(*(engine.generate(prompt, sampling) for sampling in wanted))
    spent = time.process_time() - began
    tokens = sum(len(each.tokens) for each in found)
    assert tokens == scale.group * scale.new
    return tokens / spent


async def _asked(peer: Peer, rng: random.Random, scale: Scale) -> float:
    """The same of a peer."""
    prompts = [ids(rng, scale.prompt)] * scale.group
    answer = await asyncio.to_thread(peer.ask, "generate", prompts=prompts, new=scale.new, greedy=False)
    tokens = sum(map(len, answer["tokens"]))
    assert tokens == scale.group * scale.new
    return tokens / float(answer["cpu"])


async def greedy(bench: Bench) -> None:
    """Token for token."""
    scale, rng = bench.scale, random.Random("greedy")
    prompts = sorted((ids(rng, rng.randint(2, scale.longest)) for _ in range(scale.prompts)), key=len)
    engine = _engine(bench.world.model(), scale)
    wanted = Sampling(temperature=0.0, top_p=1.0, max_tokens=scale.new)
    found = await asyncio.gather(*(engine.generate(prompt, wanted) for prompt in prompts))
    await engine.close()
    ours = [list(each.tokens) for each in found]
    bar = bench.progress.add_task("greedy", total=len(prompts))
    with transformers(bench.world.v32, bench.work, "float32") as peer:
        theirs: list[list[int]] = []
        for start in range(0, len(prompts), 16):
            batch = prompts[start : start + 16]
            answer = await asyncio.to_thread(peer.ask, "generate", prompts=batch, new=scale.new, greedy=True)
            theirs += answer["tokens"]
            bench.progress.advance(bar, len(batch))
        ties = [
            _tie(peer, prompt, own, other)
            for prompt, own, other in zip(prompts, ours, theirs, strict=True)
            if own != other
        ]
    with vllm(bench.world.v3, bench.work, "float32", latent=False) as other_peer:
        answer = await asyncio.to_thread(other_peer.ask, "generate", prompts=prompts, new=scale.new, greedy=True)
    vllm_same = sum(own == other for own, other in zip(ours, answer["tokens"], strict=True))
    same = len(prompts) - len(ties)
    bench.figures["greedy"] = {"prompts": len(prompts), "same": same, "ties": ties, "same_as_vllm": vllm_same}
    says = f"{same} of {len(prompts)} prompts, {scale.new} tokens each"
    near = f"; first differences at gaps of {max(tie['gap'] for tie in ties):.1g} in logits at most" if ties else ""
    verdict = "below" if ties else "goal"
    peer_says = f"vLLM: {vllm_same}"
    bench.rows.append(
        Row(
            "greedy tokens in float32 as transformers'", says + near, peer_says, None, "identical", "identical", verdict
        )
    )


def _tie(peer: Peer, prompt: Sequence[int], own: list[int], other: list[int]) -> dict[str, Any]:
    """Where two continuations part, and how far the two likeliest tokens are apart there."""
    place = next(n for n, pair in enumerate(zip(own, other, strict=True)) if pair[0] != pair[1])
    return {"place": place, "ours": own[place], "theirs": other[place]} | peer.ask(
        "gap", tokens=[*prompt, *own[:place]]
    )


async def context(bench: Bench) -> None:
    """Decoding far into a text."""
    # As many heads, and for the indexer half as many of the same width, as V3.2 has for a latent of this size, by four.
    heads = {"num_attention_heads": 32, "index_n_heads": 16, "index_head_dim": 128}
    config = replace(SHAPE, index_topk=2048 if bench.scale.context > 16384 else 512, **heads)
    torch.manual_seed(0)
    model = DeepseekV32ForCausalLM(config)
    sides = {}
    for size in (4, 1):
        cache, contexts = _filled(model, size, bench.scale.context, bench.scale.rounds + bench.scale.more)
        for name, sparse in (("sparse", True), ("dense", False)):
            decoder = Decoder(model, sparse=sparse)
            sides[name] = Side(name, partial(_decoded, decoder, cache, contexts, bench.scale.steps))
            await sides[name].once()
        title = f"decoding at {bench.scale.context:,} tokens, {size} at a time"
        await bench.compare(title, [], list(sides.values()))
        bench.rows.append(judged(f"{title}, per token", sides["sparse"], sides["dense"], 3, 6))


def _filled(model: DeepseekV32ForCausalLM, size: int, length: int, rounds: int) -> tuple[PagedCache, list[Context]]:
    """`size` contexts of `length` tokens that nobody computed."""
    room = length + 1024
    cache = PagedCache(model.config, size * -(-room // 32), page_size=32)
    for store in (*cache.latent, *cache.index_keys):
        store.normal_()
    rng = random.Random("context")
    contexts = []
    for _ in range(size):
        tokens = ids(rng, length)
        contexts.append(cache.open(tokens))
        assert cache.reserve([(contexts[-1], length)])
        cache.commit(contexts[-1], tokens)
    return cache, contexts


async def _decoded(decoder: Decoder, cache: PagedCache, contexts: list[Context], steps: int) -> float:
    """CPU seconds per token."""
    began = time.process_time()
    for step in range(steps):
        extend(decoder, cache, contexts, [[2 + step]] * len(contexts))
    return (time.process_time() - began) / (steps * len(contexts))
