"""How fast sandboxes start, run a command and fork, and how little one weighs; beside Docker and SWE-ReX in one run.

    python benchmarks/sandbox.py                            # all rows, about five minutes
    python benchmarks/sandbox.py --rows fresh exec --quick  # a glance

Every side has the image `base`, no network and the default limits. Sides take turns in bursts of five, after two
uncounted operations each, so that both backends are warm (`docker` has its outer container up) except where the row
says cold. Figures are medians. Wants root, Docker, bubblewrap and the extra `bench`, on a machine that has nothing else
to do. A whole run writes `benchmarks/results/sandbox.json`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import _sandbox_leases as leases
from _common import (
    BURST,
    RESULTS,
    WARM_UPS,
    Row,
    Side,
    about,
    judged,
    output_of,
    report,
    shown,
    spread,
    table,
    take_turns,
)
from _sandbox_memory import Crowd, Weight
from _sandbox_peers import RawDocker, SweRex
from docker.errors import DockerException
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from palestra.infra.images.definitions import ImageError
from palestra.infra.sandbox.select import ISOLATING, open_backend
from palestra.infra.sandbox.types import Backend, Lease, SandboxError

IN_FLIGHT = 16
MAX_LEASE_BYTES = 2 << 20


@dataclass(frozen=True)
class Scale:
    """How much is measured: rounds of five, slices of the sustained rate, leases alive at once."""

    fresh: int = 12
    exec: int = 30
    fork: int = 8
    files: int = 20
    cold: int = 5
    slices: int = 4
    slice_seconds: float = 2.5
    crowd: tuple[int, int] = (500, 1000)


QUICK = Scale(2, 4, 1, 2, 1, 1, 1.0, (20, 40))


@dataclass
class Bench:
    """What the measurements share and what they found."""

    peer: RawDocker
    scale: Scale
    progress: Progress
    backends: dict[str, Backend] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    sides: dict[str, dict[str, Any]] = field(default_factory=dict)
    weights: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def compare(
        self, title: str, sides: list[Side], rounds: int, burst: int = BURST, warm_ups: int = WARM_UPS
    ) -> None:
        """Let the sides take turns and keep their figures."""
        task = self.progress.add_task(title, total=rounds * len(sides))
        await take_turns(sides, rounds, lambda: self.progress.advance(task), burst, warm_ups)
        for side in sides:
            self.sides[f"{title}: {side.name}"] = side.report()

    async def lease_each(self, stack: AsyncExitStack) -> dict[str, Lease]:
        """A lease of each backend, closed with the stack."""
        return {name: await _leased(stack, backend) for name, backend in self.backends.items()}


async def cold(bench: Bench) -> None:
    """A new backend each time."""
    sides = [Side(name, partial(leases.first_lease, name)) for name in ISOLATING]
    await bench.compare("first lease of a cold backend", sides, bench.scale.cold, burst=1, warm_ups=1)
    bench.rows += [
        Row(f"cold backend: open, first lease, `true`, {side.name}", shown(side.median, "s")) for side in sides
    ]


async def fresh(bench: Bench) -> None:
    """Create, `true`, destroy."""
    bwrap, docker = (Side(name, partial(leases.fresh_lease, bench.backends[name])) for name in ("bwrap", "docker"))
    peer = Side("docker run + remove", partial(_blocking, bench.peer.run_and_remove))
    await bench.compare("fresh sandbox", [bwrap, docker, peer], bench.scale.fresh)
    bench.rows.append(judged("fresh sandbox: create, `true`, destroy, bwrap", bwrap, peer, 30, 100))
    bench.rows.append(judged("the same through the docker backend", docker, peer, 20, 60))


async def exec_(bench: Bench) -> None:
    """An external command where everything stands already."""
    async with AsyncExitStack() as stack:
        swe_rex = await stack.enter_async_context(SweRex())
        process = await open_backend("process")
        stack.push_async_callback(process.close)
        boxes = {**await bench.lease_each(stack), "process": await _leased(stack, process)}
        ours = {name: Side(name, partial(leases.run_true, box)) for name, box in boxes.items()}
        raw = Side("docker exec", partial(_blocking, bench.peer.exec_run))
        session = Side("SWE-ReX run_in_session", swe_rex.run_in_session)
        limit = Side("spawn, the physical limit", leases.spawn_true)
        sides = [*ours.values(), raw, session, limit]
        await bench.compare("exec of /bin/true in a live lease", sides, bench.scale.exec)
    for peer in (raw, session):
        bench.rows += [judged(f"exec in a live lease, {name}", ours[name], peer, 40, 100) for name in bench.backends]
    bench.rows.append(judged("exec, process backend (no isolation)", ours["process"], session))
    bench.rows.append(judged("limit of any exec: spawn of /bin/true and its end", limit, raw))


async def fork(bench: Bench) -> None:
    """A second live sandbox from one whose working tree changed since the last fork."""
    async with AsyncExitStack() as stack:
        alone, used = {}, {}
        for name, box in (await bench.lease_each(stack)).items():
            await leases.make_tree(box)
            alone[name] = Side(f"{name}, fork", partial(leases.fork, box, use=False))
            used[name] = Side(f"{name}, fork + true + close", partial(leases.fork, box, use=True))
        bench.peer.make_tree(leases.TREE)
        start = Side("docker commit + run", partial(_blocking, bench.peer.commit_and_start))
        run = Side("docker commit + run true", partial(_blocking, bench.peer.commit_and_run))
        sides = [*alone.values(), *used.values(), start, run]
        await bench.compare("fork of a tree of 500 files, 4 MiB", sides, bench.scale.fork)
    for name in bench.backends:
        bench.rows.append(judged(f"fork of a live lease with its tree, {name}", alone[name], start, 100, None, 2e-3))
        bench.rows.append(judged(f"fork, `true` in it, close, {name}", used[name], run))


async def sustained(bench: Bench) -> None:
    """Fresh leases per second, many in flight."""
    how = bench.scale.slice_seconds, IN_FLIGHT
    sides = [Side(name, partial(leases.rate, box, *how), "/s") for name, box in bench.backends.items()]
    peer = Side("docker run + remove", partial(_blocking, partial(bench.peer.rate, *how)), "/s")
    await bench.compare(f"fresh leases per second, {IN_FLIGHT} in flight", [*sides, peer], bench.scale.slices, 1, 0)
    bench.rows += [judged(f"sustained, {IN_FLIGHT} in flight, {side.name}", side, peer, 10, 50) for side in sides]


async def memory(bench: Bench) -> None:
    """Many idle leases at once, each after its first command; then all but one close."""
    total = bench.scale.crowd[-1]
    for name, backend in bench.backends.items():
        task = bench.progress.add_task(f"{total} leases alive, {name}", total=total)
        async with Crowd(backend, leases.IMAGE, IN_FLIGHT, partial(bench.progress.advance, task)) as crowd:
            await crowd.grow(1)
            first = crowd.weigh()
            for count, promise in zip(bench.scale.crowd, ("floor", "goal"), strict=True):
                error = await crowd.grow(count)
                each = crowd.weigh().each_beyond(first)
                bench.weights[f"{len(crowd)} leases alive, each, {name}"] = {**asdict(each), "error": error}
                bench.rows.append(_memory_row(name, count, each, error, promise))
            await crowd.shrink(1)
            left = await crowd.settle(first)
            bench.weights[f"after closing {total - 1}, {name}"] = {"held": left}
            bench.rows.append(Row(f"memory still held after closing {total - 1}, {name}", _mib(left)))


def _memory_row(name: str, count: int, each: Weight, error: str, promise: str) -> Row:
    figures = f"{_mib(each.total)} each ({_mib(each.processes)} processes)"
    bound = f"< {_mib(MAX_LEASE_BYTES)}"
    floor, goal = (bound, "") if promise == "floor" else ("", bound)
    verdict = promise if not error and each.total < MAX_LEASE_BYTES else "below"
    measure = f"{count:,} leases alive: memory beyond the first, {name}"
    return Row(measure, error or figures, floor=floor, goal=goal, verdict=verdict)


async def files(bench: Bench) -> None:
    """10 KiB into a live lease and back."""
    async with AsyncExitStack() as stack:
        boxes = await bench.lease_each(stack)
        sides = [Side(name, partial(leases.there_and_back, box)) for name, box in boxes.items()]
        bench.peer.make_tree("true")
        peer = Side("put_archive + get_archive", partial(_blocking, partial(bench.peer.there_and_back, leases.TEN_KIB)))
        await bench.compare("write and read 10 KiB", [*sides, peer], bench.scale.files)
    bench.rows += [judged(f"write and read a file of 10 KiB, {side.name}", side, peer) for side in sides]


ROWS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "cold": cold,
    "fresh": fresh,
    "exec": exec_,
    "fork": fork,
    "sustained": sustained,
    "memory": memory,
    "files": files,
}


async def measure(chosen: list[str], scale: Scale) -> Bench:
    """Run the rows; whatever happens, nothing is left."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    async with AsyncExitStack() as stack:
        peer = stack.enter_context(RawDocker(leases.IMAGE))
        bench = Bench(peer, scale, stack.enter_context(Progress(*columns, console=Console(stderr=True))))
        if "cold" in chosen:
            await cold(bench)
        for name in ("bwrap", "docker"):
            bench.backends[name] = await open_backend(name)
            stack.push_async_callback(bench.backends[name].close)
        for name, row in ROWS.items():
            if name in chosen and row is not cold:
                await row(bench)
        return bench


async def _leased(stack: AsyncExitStack, backend: Backend) -> Lease:
    lease = await backend.lease(leases.IMAGE)
    stack.push_async_callback(lease.close)
    return lease


async def _blocking(work: Callable[[], float]) -> float:
    """A peer that blocks the loop: nothing of ours is in flight meanwhile."""
    return work()


def _mib(size: float) -> str:
    return f"{size / (1 << 20):.2f} MiB"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="only these")
    parser.add_argument("--quick", action="store_true", help="few repetitions, small crowds")
    parser.add_argument("--out", type=Path, help="where the JSON goes (default: results/sandbox.json of a whole run)")
    arguments = parser.parse_args()
    if find_spec("swerex") is None:
        sys.exit("SWE-ReX is not installed: pip install -e '.[bench]'")
    whole = not arguments.quick and set(arguments.rows) == set(ROWS)
    out = arguments.out or (RESULTS / "sandbox.json" if whole else None)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a lease alive may cost its owner a few
    machine = about(("docker", "swe-rex"))
    machine["docker engine"] = output_of("docker", "version", "--format", "{{.Server.Version}}")
    machine["bwrap"] = output_of("bwrap", "--version")
    try:
        bench = asyncio.run(measure(arguments.rows, QUICK if arguments.quick else Scale()))
    except (SandboxError, ImageError, DockerException) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("stopped; everything was removed")
    print(table(bench.rows), *([spread(bench.sides)] if bench.sides else []), sep="\n\n")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        found = report(machine, bench.rows, {**bench.sides, **bench.weights})
        out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
