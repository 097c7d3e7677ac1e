"""How fast the policy samples and learns, beside transformers, vLLM and TRL in one run, on the same random weights.

    make bench-policy                                             # all rows, about fifteen minutes
    python benchmarks/policy.py --only update bound --quick       # a glance

One thread each; time is CPU time (of a peer and its children), so that starts, waits and neighbours count little; sides
take turns, medians count. Peers run in processes and environments of their own and say their versions and settings in
the JSON. The model has V3.2's shape scaled down (`_policy_world.SHAPE`). What each row does:

* `sample`: G responses to one prompt at temperature 1, a fresh prompt every time, no truncation. Ours returns the
  log-probabilities too. transformers: `generate`, the group as one batch. vLLM: a request with n = G, compiled, once
  with its latent attention (its CPU build then caches no prefixes) and once without, with prefix caching: its fastest.
* `greedy`: the same tokens as transformers in float32, for prompts of many lengths; where not, how near the tie was.
* `update`: one optimiser step on a group, forward and backward, clipping, AdamW. TRL: its trainer's own loop on
  prepared completions, float32, nothing recomputed. Without Triton it scores the prompt's positions too; the row below
  has it score completions only, as on a GPU. The objective is the same: mean of 1/|o| sums, token ratios, clip 0.2, no
  KL, the off-policy sequence mask; gradients are compared. TRL trains no indexer; ours with it is a row of its own.
* `bound`: the same update with every sample computed alone, and how much of G(P + R) / (P + G R) sharing gains.
* `tree`: the turns of a branching episode, one sample each, merged where they agree and each alone.
* `loss`: peak memory of the loss. `context`: a decoding step at 32K tokens, of which 2048 are selected, and dense; the
  cache is filled with random numbers, as nobody waits for a prefill whose time is not measured.

A whole run writes `benchmarks/results/policy.json` and the table of the README.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import torch
from _common import RESULTS, ROOT, about, put, report, spread, table
from _policy_bench import QUICK, Bench, Scale
from _policy_learning import bound, loss, tree, update
from _policy_peers import PeerFailed
from _policy_sampling import context, greedy, sample
from _policy_world import SHAPE, World
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROWS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "sample": sample,
    "greedy": greedy,
    "update": update,
    "bound": bound,
    "tree": tree,
    "loss": loss,
    "context": context,
}


async def measure(chosen: list[str], scale: Scale, work: Path) -> Bench:
    """Run the rows."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bench = Bench(scale, work, progress, World.make(work))
        bench.figures["model"] = SHAPE.to_dict() | {"parameters": bench.world.parameters}
        for name, row in ROWS.items():
            if name in chosen:
                await row(bench)
        return bench


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), help="only these rows")
    parser.add_argument("--quick", action="store_true", help="small sizes: that it runs, not how fast")
    parser.add_argument("--out", type=Path, help="where the JSON goes (default: results/policy.json of a whole run)")
    arguments = parser.parse_args()
    whole = not arguments.quick and set(arguments.only) == set(ROWS)
    out = arguments.out or (RESULTS / "policy.json" if whole else None)
    torch.set_num_threads(1)
    machine = about(("torch",))
    try:
        with tempfile.TemporaryDirectory(prefix="palestra-bench-") as work:
            bench = asyncio.run(measure(arguments.only, QUICK if arguments.quick else Scale(), Path(work)))
    except PeerFailed as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped")
    machine["load_after"] = [round(load, 2) for load in os.getloadavg()]
    print(table(bench.rows), *([spread(bench.sides)] if bench.sides else []), sep="\n\n")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report(machine, bench.rows, {**bench.sides, **bench.figures}), indent=1) + "\n")
    if whole:
        put(ROOT / "README.md", "policy", table(bench.rows))


if __name__ == "__main__":
    main()
