"""Operations on leases, each of which times itself in seconds and makes sure that it did what it says."""

from __future__ import annotations

import asyncio
import os
import time

from palestra.infra.sandbox.select import open_backend
from palestra.infra.sandbox.types import Backend, ExecResult, Lease, SandboxFailed

IMAGE = "base"
TREE = (
    "cd /work && for d in $(seq 20); do mkdir -p src/$d && "
    "for f in $(seq 25); do head -c 8389 /dev/urandom > src/$d/$f || exit 1; done; done"
)
"""500 files in 20 directories, 4 MiB."""
TEN_KIB = bytes(range(256)) * 40
_PROOF = "cd /work && find . -type f | sort | xargs cat | sha256sum && find . -type f | wc -l"


async def first_lease(name: str) -> float:
    """From nothing to the first command's end: `open_backend` (which tries a lease of its own), a lease, `true`."""
    began = time.perf_counter()
    backend = await open_backend(name)
    try:
        await fresh_lease(backend)
        return time.perf_counter() - began
    finally:
        await backend.close()


async def fresh_lease(backend: Backend) -> float:
    """Create, `true`, destroy."""
    began = time.perf_counter()
    lease = await backend.lease(IMAGE)
    try:
        result = await lease.exec(["true"])
    finally:
        await lease.close()
    elapsed = time.perf_counter() - began
    check(result)
    return elapsed


async def rate(backend: Backend, seconds: float, in_flight: int) -> float:
    """Fresh leases per second, so many at a time."""
    began = time.perf_counter()

    async def keep_going() -> int:
        count = 0
        while time.perf_counter() - began < seconds:
            await fresh_lease(backend)
            count += 1
        return count

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(keep_going()) for _ in range(in_flight)]
    return sum(task.result() for task in tasks) / (time.perf_counter() - began)


async def run_true(lease: Lease) -> float:
    """One external command, no builtin of a shell."""
    began = time.perf_counter()
    result = await lease.exec(["/bin/true"])
    elapsed = time.perf_counter() - began
    check(result)
    return elapsed


async def spawn_true() -> float:
    """The physical limit of an exec: the kernel starts /bin/true (`posix_spawn`), and it ends; no sandbox, no pipes."""
    began = time.perf_counter()
    status = os.waitpid(os.posix_spawn("/bin/true", ["/bin/true"], {}), 0)[1]
    elapsed = time.perf_counter() - began
    if status != 0:
        raise SandboxFailed(f"/bin/true ended with status {status}")
    return elapsed


async def there_and_back(lease: Lease) -> float:
    """A file of 10 KiB into the lease and out of it."""
    began = time.perf_counter()
    await lease.write("file", TEN_KIB)
    found = await lease.read("file")
    elapsed = time.perf_counter() - began
    if found != TEN_KIB:
        raise SandboxFailed("a file came back changed")
    return elapsed


async def make_tree(lease: Lease) -> None:
    """Write the tree, and prove once that a fork has the same bytes in as many files."""
    check(await lease.exec(TREE))
    twin = await lease.fork()
    try:
        here, there = check(await lease.exec(_PROOF)).stdout, check(await twin.exec(_PROOF)).stdout
    finally:
        await twin.close()
    if here != there or not here.endswith(b"\n500\n"):
        raise SandboxFailed(f"a fork differs from its origin: {here!r} and {there!r}")


async def fork(lease: Lease, use: bool) -> float:
    """Change the tree, then fork it; with `use` the clock also counts `true` in the fork and its close."""
    turn = str(time.time_ns()).encode()
    await lease.write("turn", turn)
    began = time.perf_counter()
    twin = await lease.fork()
    elapsed = time.perf_counter() - began
    try:
        elapsed += await run_true(twin) if use else 0
        if await twin.read("turn") != turn:
            raise SandboxFailed("a fork lacks what was written just before")
    finally:
        began = time.perf_counter()
        await twin.close()
    return elapsed + (time.perf_counter() - began if use else 0)


def check(result: ExecResult) -> ExecResult:
    """The result, if the command did what was asked."""
    if not result.ok:
        raise SandboxFailed(f"a command of the benchmark ended with {result.exit_code}: {result.text[-300:]}")
    return result
