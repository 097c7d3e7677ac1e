"""The rows of learning: an update of a group and of an episode tree, what sharing gains, the loss's memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import _policy_loss
from _common import Row, Side, judged
from _policy_bench import Bench
from _policy_peers import Peer, trl
from _policy_world import distinct, group, projection_share
from safetensors.torch import load_file
from torch import Tensor

from palestra.policy.batches import Sample
from palestra.policy.grpo import GrpoConfig
from palestra.policy.learner import Learner, OptimConfig

MICROBATCH = 4096  # positions: what both ways of our update fit into memory with
LR = 0.0  # the weights stay as they are, so every step is the first
UNCLIPPED = 1e6  # the norm is computed and nothing comes of it: gradients can be compared
AGREES = 1e-3
_VARIANTS = (("", False), (", completions only", True))
COMPARED = (
    "lm_head.weight",
    "model.embed_tokens.weight",
    "model.layers.0.self_attn.q_a_proj.weight",
    "model.layers.1.mlp.gate.weight",
    "model.layers.1.mlp.experts.gate_up_proj",
    "model.layers.3.self_attn.kv_b_proj.weight",
)


async def update(bench: Bench) -> None:
    """A GRPO step on a group."""
    scale = bench.scale
    samples = group(bench.world.model(), scale.group, scale.prompt, scale.response)
    plain, whole = _learner(bench, indexer=False), _learner(bench, indexer=True)
    shape = {"group": scale.group, "response": scale.response, "lr": LR, "max_grad_norm": UNCLIPPED}
    with trl(bench.world.v32, bench.work, **shape) as peer:
        bench.met("TRL", peer)
        responses = [each.tokens[scale.prompt :] for each in samples]
        advantages = [each.advantage for each in samples]
        peer.ask("give", prompt=samples[0].tokens[: scale.prompt], responses=responses, advantages=advantages)
        ours = Side("ours", partial(_step, plain, samples))
        indexer = Side("ours, indexer too", partial(_step, whole, samples))
        metrics = plain.grpo_step(samples, GrpoConfig())
        own = _gradients(plain)
        file = bench.work / "gradients.safetensors"
        sides = [Side(f"TRL{name}", partial(_trained, peer, file, only)) for name, only in _VARIANTS]
        await bench.compare("GRPO update", sides, [ours, indexer])
    errors = _differences(own, load_file(file))
    bench.figures["gradients"] = {"errors": errors, "loss": metrics["loss"]}
    say = f"GRPO update, G = {scale.group}, prompt {scale.prompt}, response {scale.response}"
    bench.rows.append(judged(say, ours, sides[0], 6, 12))
    bench.rows.append(judged("the same, TRL scoring completions only", ours, sides[1], 6, 12))
    bench.rows.append(judged("the same, ours training its indexer too", indexer, sides[0], 6, 12))
    worst = max(errors.values())
    says = f"{worst:.1g} at most, of {len(COMPARED)} tensors"
    bench.rows.append(
        Row(
            "relative difference of the gradients",
            says,
            "TRL",
            None,
            f"< {AGREES:g}",
            "",
            "floor" if worst < AGREES else "below",
        )
    )


def _learner(bench: Bench, *, indexer: bool, share: bool = True) -> Learner:
    config = OptimConfig(lr=LR, max_grad_norm=UNCLIPPED, indexer_weight=float(indexer), microbatch=MICROBATCH)
    return Learner(bench.world.model(), config, share=share)


async def _step(learner: Learner, samples: Sequence[Sample]) -> float:
    """CPU seconds of our update."""
    began = time.process_time()
    metrics = learner.grpo_step(samples, GrpoConfig())
    spent = time.process_time() - began
    assert not metrics["skipped"]
    return spent


async def _trained(peer: Peer, gradients: Path, completions_only: bool) -> float:
    """CPU seconds of TRL's; the first step leaves its gradients."""
    wanted = {} if gradients.exists() else {"gradients": str(gradients), "names": COMPARED}
    answer = await asyncio.to_thread(partial(peer.ask, "update", completions_only=completions_only, **wanted))
    return float(answer["cpu"])


def _gradients(learner: Learner) -> dict[str, Tensor]:
    """Copies of the last step's."""
    every = learner.model.named_parameters()
    return {name: each.grad.clone() for name, each in every if name in COMPARED and each.grad is not None}


def _differences(own: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, float]:
    """Relative to the second."""
    return {name: float((own[name] - wanted[name]).norm() / wanted[name].norm()) for name in COMPARED}


async def bound(bench: Bench) -> None:
    """What sharing the prompt gains, of what it could."""
    scale = bench.scale
    size, prompt, response = scale.group, scale.prompt, scale.response
    samples = group(bench.world.model(), size, prompt, response)
    ours, alone = await _both(bench, "group", samples)
    most = size * (prompt + response) / (prompt + size * response)
    head = projection_share()
    work = [
        tokens + size * response * head / (1 - head)
        for tokens in (size * (prompt + response), prompt + size * response)
    ]
    reached = alone.median / ours.median
    share = reached / most
    bench.figures["bound"] = {"tokens": most, "products": work[0] / work[1], "reached": reached}
    verdict = "goal" if share >= 0.9 else "floor" if share >= 0.7 else "below"
    says = f"{reached:.1f}x of {most:.1f}x (with the output projection, which is not shared, {work[0] / work[1]:.1f}x)"
    bench.rows.append(Row("token bound G(P+R)/(P+GR) reached", f"{share:.2f}", says, None, "0.7", "0.9", verdict))


async def _both(bench: Bench, title: str, samples: Sequence[Sample]) -> tuple[Side, Side]:
    """Our update, shared and each sample alone."""
    shared, separate = _learner(bench, indexer=True), _learner(bench, indexer=True, share=False)
    ours = Side("shared", partial(_step, shared, samples))
    alone = Side("each sample alone", partial(_step, separate, samples))
    await ours.once()
    await bench.compare(f"update of a {title}", [alone], [ours])
    found = _differences(_gradients(shared), _gradients(separate))
    bench.figures[f"update of a {title}: relative differences of gradients"] = found
    return ours, alone


async def tree(bench: Bench) -> None:
    """A branching episode, turn by turn."""
    for shape in bench.scale.trees:
        samples = shape.samples(bench.world.model())
        title = f"tree of {shape.turns} turns"
        ours, alone = await _both(bench, title, samples)
        tokens, linear = distinct(samples), sum(len(each.tokens) for each in samples)
        bench.figures[title] = asdict(shape) | {"samples": len(samples), "tokens": tokens, "linearised": linear}
        ways = f"{shape.extra} more ways of {shape.length} turns after turns {', '.join(map(str, shape.forks))}"
        say = f"update of a {shape.turns}-turn episode with {ways}: {tokens:,} tokens, linearised {linear:,}"
        judge = partial(judged, floor=8, goal=20) if shape.turns == 40 else judged
        bench.rows.append(judge(say, ours, alone))


async def loss(bench: Bench) -> None:
    """The loss at the published vocabulary."""
    sizes = {} if bench.scale.context > 16384 else {"rows": 4096}
    found = await asyncio.to_thread(_policy_loss.measure, **sizes)
    bench.figures["loss"] = asdict(found)
    bench.rows.append(_policy_loss.row(found))
