"""A dense model turned sparse keeps its long-range retrieval: DSA's two stages, with controls of equal budget.

    python benchmarks/long_context.py                  # seeds 0 1 2, one thread
    python benchmarks/long_context.py --seed 7         # another one
    python benchmarks/long_context.py --quick          # half the context, a glance

For each seed a fresh model with plain latent attention learns to answer questions about contexts of 512 tokens
(`_retrieval.py`: 8 facts in filler, 40 facts, 20 ways of three facts), short contexts first. Then

1. warm-up: everything frozen but the indexer;
2. sparse stage: each query sees 64 positions, the indexer learns on those, the rest from the language-model loss.

Beside it, the same sparse stage from the same dense model with other choices of 64 positions: the last ones, random
ones, and those of an indexer without the warm-up. Scores are of held-out contexts: answers that are exact, as greedy
decoding would give them, and the loss. Writes `benchmarks/results/long_context.json` and `docs/long_context.png`.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _attention_mass import best_mass
from _common import RESULTS, ROOT, about, markdown
from _long_context_plot import plot
from _retrieval import KINDS, VOCABULARY
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from palestra.kernels.dsa import Selector
from palestra.policy.batches import Sample
from palestra.policy.config import DeepseekV32Config
from palestra.policy.dsa_training import StageConfig, dense_stage, probe, sparse_stage, warm_up
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM

SHORTEST = 24
OPTIMISER = OptimConfig(betas=(0.9, 0.98))
HELD_OUT = 1_000_003
# The loss at which contexts double, and what counts as solved (of each kind, answers exact).
GROW, SOLVED = 0.35, 0.98
# What keeping means, against the dense model: answers lost, and nats per token of loss gained.
LOST, GAINED = 0.02, 0.05
ARMS: dict[str, Selector] = {"sparse": "indexer", "window": "window", "random": "random", "no warm-up": "indexer"}


@dataclass(frozen=True)
class Plan:
    """Sizes of a run: the context, what a query may see of it, the steps of each stage, how often and on how much to
    look (samples of each kind)."""

    length: int = 512
    topk: int = 64
    dense_limit: int = 4000
    settle: int = 200
    warm_up: int = 200
    sparse: int = 150
    every: int = 20
    glance: int = 3
    held_out: int = 24

    @property
    def lengths(self) -> list[int]:
        """Of the contexts that dense training goes through."""
        return [SHORTEST, *(length for length in (64, 128, 256, 512, 1024) if length <= self.length)]


QUICK = Plan(length=256, topk=32, settle=120, warm_up=150, sparse=100, held_out=12)
Watch = Callable[[str, int], Callable[[int, str], None]]


def fresh_model(plan: Plan) -> DeepseekV32ForCausalLM:
    """Three layers of width 128, 0.6 million parameters, from torch's generator."""
    config = DeepseekV32Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=3,
        first_k_dense_replace=3,
        num_attention_heads=4,
        q_lora_rank=None,
        kv_lora_rank=64,
        qk_nope_head_dim=32,
        qk_rope_head_dim=16,
        v_head_dim=32,
        index_n_heads=4,
        index_head_dim=32,
        index_topk=plan.topk,
        max_position_embeddings=2 * plan.length,
        initializer_range=0.06,
        tie_word_embeddings=True,
    )
    return DeepseekV32ForCausalLM(config)


class Contexts:
    """An endless stream of batches of contexts of `length`, all kinds in turn, some `tokens` tokens each."""

    def __init__(self, seed: tuple[int, ...], length: int, tokens: int) -> None:
        self.rng, self.length, self.tokens = np.random.default_rng(seed), length, tokens

    def __iter__(self) -> Iterator[list[Sample]]:
        turn = 0
        while True:
            count = max(2, self.tokens // self.length)
            yield [KINDS[(turn + n) % len(KINDS)].sample(self.rng, self.length) for n in range(count)]
            turn += count


def held_out(seed: int, part: int, plan: Plan, count: int) -> dict[str, list[Sample]]:
    """Contexts of a stream that no training sees; another `part`, others."""
    rng = np.random.default_rng((seed, HELD_OUT, part))
    return {kind.name: [kind.sample(rng, plan.length) for _ in range(count)] for kind in KINDS}


def scores(
    model: DeepseekV32ForCausalLM, samples: dict[str, list[Sample]], *, sparse: bool, selector: Selector = "indexer"
) -> dict[str, Any]:
    """A probe of each kind."""
    return {
        kind: asdict(probe(model, contexts, sparse=sparse, selector=selector)) for kind, contexts in samples.items()
    }


def learner_of(model: DeepseekV32ForCausalLM, selector: Selector = "indexer") -> Learner:
    """A fresh optimiser for a model; contexts share nothing, so there is nothing to merge."""
    return Learner(model, OPTIMISER, selector=selector, share=False)


def train_dense(seed: int, plan: Plan, watch: Watch) -> tuple[DeepseekV32ForCausalLM, list[list[float]]]:
    """A dense model that solves all kinds, and its curve: (tokens seen, context, loss). RuntimeError if it does not."""
    torch.manual_seed(seed)
    model = fresh_model(plan)
    learner = learner_of(model)
    lengths, curve, recent = plan.lengths, list[list[float]](), list[float]()
    contexts = Contexts((seed, 0), lengths.pop(0), 1024)
    steady = StageConfig(steps=plan.dense_limit, lr=2e-3, final_lr=2e-3, warmup=50)
    tokens, tell = 0, watch("dense: contexts grow", len(lengths) + 1)
    for metrics in dense_stage(learner, contexts, steady):
        tokens += max(2, contexts.tokens // contexts.length) * contexts.length
        recent = [*recent[-29:], metrics["loss"]]
        mean = sum(recent) / len(recent)
        curve += [[tokens, contexts.length, mean]]
        tell(len(plan.lengths) - len(lengths) - 1, f"{contexts.length} tokens, loss {mean:.2f}")
        if len(recent) == 30 and mean < GROW:
            if not lengths:
                tell(len(plan.lengths), f"loss {mean:.2f}")
                return model, curve[::10] + settle(learner, seed, plan, watch, tokens)
            contexts.length, recent = lengths.pop(0), []
    raise RuntimeError(f"seed {seed}: contexts of {contexts.length} tokens not learnt in {plan.dense_limit} steps")


def settle(learner: Learner, seed: int, plan: Plan, watch: Watch, tokens: int) -> list[list[float]]:
    """Go on at full length with a falling learning rate, up to three times, until every kind is solved."""
    curve: list[list[float]] = []
    falling = StageConfig(steps=plan.settle, lr=2e-3, final_lr=4e-5)
    contexts = Contexts((seed, 1), plan.length, 2048)
    for attempt in range(3):
        tell = watch(f"dense: settle {attempt + 1}", plan.settle)
        for step, metrics in enumerate(dense_stage(learner, contexts, falling), start=1):
            tokens += 2048
            curve += [[tokens, plan.length, metrics["loss"]]]
            tell(step, f"loss {metrics['loss']:.3f}")
        found = scores(learner.model, held_out(seed, 2, plan, 4), sparse=False)
        if min(probe["exact"] for probe in found.values()) >= SOLVED:
            return curve[::10]
    raise RuntimeError(f"seed {seed}: the dense model does not solve contexts of {plan.length} tokens: {found}")


def watched(
    steps: Iterator[dict[str, float]],
    model: DeepseekV32ForCausalLM,
    samples: dict[str, list[Sample]],
    selector: Selector,
    plan: Plan,
    tell: Callable[[int, str], None],
) -> list[dict[str, Any]]:
    """Train; before the first step and after every so many, what top-k attention makes of a few held-out contexts."""
    curve = [{"step": 0, "kinds": scores(model, samples, sparse=True, selector=selector)}]
    for step, metrics in enumerate(steps, start=1):
        tell(step, f"loss {metrics['loss']:.3f}, indexer KL {metrics['indexer_kl']:.3f}")
        if step % plan.every == 0:
            curve += [{"step": step, "kinds": scores(model, samples, sparse=True, selector=selector)}]
    return curve


def run_seed(seed: int, plan: Plan, watch: Watch) -> dict[str, Any]:
    """All stages and controls of one seed: held-out scores and curves."""
    began = time.monotonic(), time.process_time()
    few, many = held_out(seed, 0, plan, plan.glance), held_out(seed, 1, plan, plan.held_out)
    dense, curve = train_dense(seed, plan, watch)
    found: dict[str, Any] = {"seed": seed, "scores": {"dense": scores(dense, many, sparse=False)}}
    found["dense"] = curve
    found["best_mass"] = {kind: best_mass(dense, contexts) for kind, contexts in many.items()}
    warm = copy.deepcopy(dense)
    batch = len(KINDS) * plan.length
    steps = warm_up(learner_of(warm), Contexts((seed, 2), plan.length, batch), StageConfig(steps=plan.warm_up))
    found["warm-up"] = watched(steps, warm, few, "indexer", plan, watch("warm-up", plan.warm_up))
    found["scores"]["dense, top-k after warm-up"] = scores(warm, many, sparse=True)
    for arm, selector in ARMS.items():
        model = copy.deepcopy(dense if arm == "no warm-up" else warm)
        contexts = Contexts((seed, 3), plan.length, batch)
        stage = StageConfig(steps=plan.sparse, lr=1e-3, final_lr=1e-4)
        steps = sparse_stage(learner_of(model, selector), contexts, stage)
        found[arm] = watched(steps, model, few, selector, plan, watch(f"sparse stage: {arm}", plan.sparse))
        found["scores"][arm] = scores(model, many, sparse=True, selector=selector)
    found["minutes"] = (time.monotonic() - began[0]) / 60
    found["cpu_minutes"] = (time.process_time() - began[1]) / 60
    return found


def kept(found: dict[str, Any], arm: str) -> bool:
    """Whether an arm kept what the dense model could, of every kind."""
    pairs = [(found["scores"]["dense"][kind.name], found["scores"][arm][kind.name]) for kind in KINDS]
    return all(one["exact"] <= other["exact"] + LOST and other["loss"] <= one["loss"] + GAINED for one, other in pairs)


def table(results: Sequence[dict[str, Any]]) -> str:
    """A Markdown table, a row per seed and arm."""
    rows = []
    for found in results:
        for arm, kinds in found["scores"].items():
            exact = [f"{100 * kinds[kind.name]['exact']:.1f} %" for kind in KINDS]
            losses = " / ".join(f"{kinds[kind.name]['loss']:.3f}" for kind in KINDS)
            shares = found["best_mass"]["hops"] if arm == "dense" else kinds["hops"]["recall"]
            recall = ("at most " if arm == "dense" else "") + " / ".join(f"{share:.2f}" for share in shares)
            verdict = "" if arm == "dense" else "kept" if kept(found, arm) else "lost"
            rows.append([str(found["seed"]), arm, *exact, losses, recall, verdict])
    head = [
        "seed",
        "model",
        *(f"{kind.name}, exact" for kind in KINDS),
        "loss, nats per token",
        "recall by layer (hops)",
        "",
    ]
    return markdown(head, rows)


def rounded(value: Any) -> Any:
    """The same data with five digits after the point."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return round(value, 5) if isinstance(value, float) else value


def watch_on(progress: Progress, seed: int) -> Watch:
    """A bar per stage."""

    def stage(title: str, total: int) -> Callable[[int, str], None]:
        task = progress.add_task(f"seed {seed}, {title}", total=total, note="")
        return lambda done, note: progress.update(task, completed=done, note=note)

    return stage


def natural(text: str) -> int:
    """A seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def main() -> None:
    """Run all seeds, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=natural, nargs="+", default=[0, 1, 2])
    parser.add_argument("--quick", action="store_true", help="contexts of 256 tokens, one seed, nothing is written")
    parser.add_argument("--out", type=Path, default=RESULTS / "long_context.json")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "long_context.png")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    plan, machine = QUICK if arguments.quick else Plan(), about(["torch", "numpy"])
    results: list[dict[str, Any]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True)) as progress:
        for seed in arguments.seed[:1] if arguments.quick else arguments.seed:
            results.append(run_seed(seed, plan, watch_on(progress, seed)))
            progress.console.print(f"seed {seed}: {results[-1]['cpu_minutes']:.1f} minutes of CPU time")
            if not arguments.quick:
                found = {"about": machine, "plan": asdict(plan), "results": rounded(results)}
                arguments.out.write_text(json.dumps(found) + "\n")
                plot(results, plan.topk, arguments.plot)
    print(table(results))


if __name__ == "__main__":
    main()
