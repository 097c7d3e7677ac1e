"""What benchmarks share: sides that are timed in turn, verdicts on their ratio, tables, the machine they ran on."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
BURST = 5
WARM_UPS = 2
PAUSE = 0.1


@dataclass
class Side:
    """One contender of a comparison. `once` does the operation and returns what it measured, in `unit`."""

    name: str
    once: Callable[[], Awaitable[float]]
    unit: str = "s"
    samples: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0

    @property
    def median(self) -> float:
        """The middle of the samples."""
        return statistics.median(self.samples)

    def report(self) -> dict[str, Any]:
        """For the JSON file. `cpu` is what the whole machine computed per operation, in seconds."""
        spread = {"median": self.median, "min": min(self.samples), "max": max(self.samples), "n": len(self.samples)}
        return {"unit": self.unit, **spread, "cpu": self.cpu_seconds / len(self.samples)}


async def take_turns(
    sides: Sequence[Side], rounds: int, tick: Callable[[], object], burst: int = BURST, warm_ups: int = WARM_UPS
) -> None:
    """A A A A A B B B B B A A ...: `rounds` bursts of each side in turn, after uncounted ones; `tick` after each.

    A pause follows each burst, so that what its side still clears away in the background does not burden the next."""
    for side in sides:
        for _ in range(warm_ups):
            await side.once()
    for _ in range(rounds):
        for side in sides:
            before = busy_seconds()
            for _ in range(burst):
                side.samples.append(await side.once())
            side.cpu_seconds += busy_seconds() - before
            await asyncio.sleep(PAUSE)
            tick()


def busy_seconds() -> float:
    """CPU time that the whole machine has computed so far: a daemon's work counts too, and so does a neighbour's."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


@dataclass(frozen=True)
class Row:
    """A line of the table. `ratio` is how many times better ours is than the peer."""

    measure: str
    ours: str
    peer: str = ""
    ratio: float | None = None
    floor: str = ""
    goal: str = ""
    verdict: str = ""


def judged(
    measure: str,
    ours: Side,
    peer: Side,
    floor: float | None = None,
    goal: float | None = None,
    goal_seconds: float | None = None,
) -> Row:
    """The row of a ratio of medians: of rates (unit `/s`) more is better, of times less. No floor, no verdict."""
    ratio = ours.median / peer.median if ours.unit == "/s" else peer.median / ours.median
    reached = ratio >= goal if goal else goal_seconds is not None and ours.median <= goal_seconds
    verdict = "" if floor is None else "goal" if reached else "floor" if ratio >= floor else "below"
    wanted = f"{goal:g}x" if goal else shown(goal_seconds, "s") if goal_seconds else ""
    figures = shown(ours.median, ours.unit), f"{shown(peer.median, peer.unit)} ({peer.name})"
    return Row(measure, *figures, ratio, f"{floor:g}x" if floor else "", wanted, verdict)


def table(rows: Iterable[Row]) -> str:
    """The rows in Markdown."""
    cells = [
        [row.measure, row.ours, row.peer, f"{row.ratio:.1f}x" if row.ratio else "", row.floor, row.goal, row.verdict]
        for row in rows
    ]
    return markdown(["measure", "ours", "peer", "ratio", "floor", "goal", "verdict"], cells)


def spread(sides: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures of `Side.report` in Markdown."""
    cells = []
    for name, side in sides.items():
        figures = [shown(side[key], side["unit"]) for key in ("median", "min", "max")]
        cells.append([name, *figures, str(side["n"]), shown(side["cpu"], "s") if side["unit"] == "s" else ""])
    return markdown(["side", "median", "min", "max", "n", "CPU time of the machine, each"], cells)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def shown(value: float, unit: str) -> str:
    """A figure with its unit, three digits; seconds below one as milliseconds."""
    if unit == "s" and value < 1:
        value, unit = value * 1e3, "ms"
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"


def put(path: Path, mark: str, body: str) -> None:
    """Replace what stands between the markers `<!-- MARK:begin -->` and `<!-- MARK:end -->` of a file."""
    marked = re.compile(rf"(<!-- {mark}:begin -->\n).*?(<!-- {mark}:end -->)", re.S)
    path.write_text(marked.sub(lambda found: f"{found.group(1)}{body}\n{found.group(2)}", path.read_text()))


def about(packages: Sequence[str] = ()) -> dict[str, Any]:
    """The commit, the machine, its load just now, and the versions of what was measured."""
    commit = output_of("git", "-C", str(ROOT), "rev-parse", "HEAD")
    changed = output_of("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit + (" with changes" if changed else ""),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "load_before": [round(load, 2) for load in os.getloadavg()],
        **{name: _version(name) for name in packages},
    }


def output_of(*argv: str) -> str:
    """What a command prints, stripped; empty where it is missing or fails."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def report(machine: Mapping[str, Any], rows: Iterable[Row], figures: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of a run."""
    return {"about": dict(machine), "rows": [asdict(row) for row in rows], "figures": dict(figures)}
