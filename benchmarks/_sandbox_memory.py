"""What many idle leases weigh."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from palestra.infra.sandbox.types import Backend, Lease, SandboxError

READINGS = 5
PAUSE = 0.2
SETTLE_SECONDS = 15.0
KERNEL = ("SUnreclaim", "KernelStack", "PageTables", "Percpu", "Shmem")


@dataclass(frozen=True)
class Weight:
    """Bytes of `count` leases, or of each: what MemAvailable lacks, the proportional set size of this process and of
    the sandboxed ones, and the kernel's own share by kind (with tmpfs)."""

    count: int
    missing: float
    processes: float
    kernel: dict[str, float]

    @property
    def total(self) -> float:
        """The larger of what is missing and what can be told by name: a neighbour that ends can only hide the first."""
        return max(self.missing, self.processes + sum(self.kernel.values()))

    def each_beyond(self, first: Weight) -> Weight:
        """Per lease beyond those of `first`."""
        more = max(self.count - first.count, 1)
        kernel = {kind: (size - first.kernel[kind]) / more for kind, size in self.kernel.items()}
        return Weight(more, (self.missing - first.missing) / more, (self.processes - first.processes) / more, kernel)


class Crowd:
    """Leases that stay open until the block ends."""

    def __init__(self, backend: Backend, image: str, in_flight: int, tick: Callable[[], object]) -> None:
        self._backend, self._image, self._tick = backend, image, tick
        self._leases: list[Lease] = []
        self._in_flight = in_flight

    def __len__(self) -> int:
        return len(self._leases)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *unused: object) -> None:
        await self.shrink(0)

    async def grow(self, count: int) -> str:
        """Open leases, with `true` in each, until there are so many; returns what went wrong, if anything did."""
        missing = count - len(self._leases)
        tickets = iter(range(missing))

        async def opener() -> None:
            for _ in tickets:
                lease = await self._backend.lease(self._image)
                self._leases.append(lease)
                result = await lease.exec(["true"])
                if not result.ok:
                    raise SandboxError(f"`true` ended with {result.exit_code}: {result.text[-200:]}")
                self._tick()

        found = await asyncio.gather(*(opener() for _ in range(self._in_flight)), return_exceptions=True)
        for error in found:
            if isinstance(error, SandboxError | OSError):
                return f"{len(self._leases)} alive, then {type(error).__name__}: {error}"
            if error is not None:
                raise error
        return ""

    async def shrink(self, count: int) -> None:
        """Close leases until there are so few."""
        going, self._leases = self._leases[count:], self._leases[:count]
        for lease in going:
            await lease.close()

    def weigh(self) -> Weight:
        """The median of several readings of the machine, and the processes once."""
        gc.collect()
        readings = []
        for _ in range(READINGS):
            readings.append(meminfo())
            time.sleep(PAUSE)
        middle = {kind: statistics.median(reading[kind] for reading in readings) for kind in readings[0]}
        kernel = {kind: middle[kind] for kind in KERNEL}
        return Weight(len(self._leases), -middle["MemAvailable"], resident_bytes(), kernel)

    async def settle(self, first: Weight) -> float:
        """Bytes still missing since `first`; the kernel gets some seconds to give back what was freed."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            missing = self.weigh().missing - first.missing
            if missing <= 1 << 20 or time.monotonic() > deadline:
                return max(missing, 0)


def meminfo() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) << 10 for words in lines if words[-1] == "kB"}


def resident_bytes() -> int:
    """Proportional set size of this process, its descendants and every process in another PID namespace."""
    here = _namespace(os.getpid())
    family = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    total = 0
    for process in psutil.process_iter():
        try:
            if process.pid in family or _namespace(process.pid) != here:
                total += process.memory_full_info().pss
        except (psutil.Error, OSError):
            continue
    return total


def _namespace(pid: int) -> int:
    return os.stat(f"/proc/{pid}/ns/pid").st_ino
