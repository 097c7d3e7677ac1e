"""Nothing of a lease outlives it, its deadline, or its owner: whoever is killed, and whenever.

Owners are processes of their own (they are killed), with a temporary directory of their own, so that every trace found
is theirs: directories, mounts, control groups, containers, processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path

import docker
import pytest

from palestra.infra.sandbox.select import BACKENDS, open_backend
from palestra.infra.sandbox.types import Backend, Chunk, ExecResult, Lease, Limits, SandboxFailed

AS_ROOT = os.getuid() == 0
Alive = Callable[[str], bool]
Until = Callable[[Callable[[], bool]], bool]

# Eight leases that never rest; each step is one letter on standard output.
_OWNER = """
import asyncio, os, sys
from palestra.infra.sandbox.select import BACKENDS
from palestra.infra.sandbox.types import Limits

def step(letter):
    print(letter, end="", flush=True)

async def idle(lease):
    await asyncio.Event().wait()

async def sleep(lease):
    await lease.exec(f"echo asleep; sleep {token}")

async def daemons(lease):
    while True:
        await lease.exec(f"setsid sleep {token} >/dev/null 2>&1 & sleep 0.01")
        step("d")

async def write(lease):
    while True:
        await lease.write("f", bytes(3 << 20))
        step("w")

async def fork(lease):
    while True:
        child = await lease.fork()
        await child.exec("head -c 100000 /dev/zero >>f")
        await child.close()
        step("f")

async def snapshot(lease):
    while True:
        kept = await lease.snapshot()
        child = await kept.lease()
        await kept.close()
        await child.close()
        step("s")

async def stream(lease):
    async for chunk in lease.stream(f"setsid sleep {token} & yes"):
        await asyncio.sleep(0.02)

async def come_and_go(lease):
    while True:
        other = await backend.lease("base")
        await other.exec("true")
        await other.close()
        step("c")

async def work(kind):
    lease = await backend.lease("base", Limits(disk_bytes=32 << 20), owner=kind.__name__)
    step("l")
    await kind(lease)

async def main():
    await asyncio.gather(*map(work, (idle, sleep, daemons, write, fork, snapshot, stream, come_and_go)))

name, token = sys.argv[1], os.environ["TOKEN"]
backend = BACKENDS[name]()
step("!")
asyncio.run(main())
"""
_REAPER = """
import asyncio, sys
from palestra.infra.sandbox.select import BACKENDS
backend = BACKENDS[sys.argv[1]]()
print("!", end="", flush=True)
asyncio.run(backend.reap())
"""
# An owner that has forked (as multiprocessing does) and whose copy lives on.
_PARENT = """
import os, signal, sys
from palestra.infra.sandbox.sync import Sandboxes
box = Sandboxes(sys.argv[1]).lease("base")
copy = os.fork()
if copy == 0:
    signal.pause()
print(copy, flush=True)
box.exec("sleep " + os.environ["TOKEN"])
"""
_ONE_LEASE = """
import sys
from palestra.infra.sandbox.sync import Sandboxes
with Sandboxes("docker") as sandboxes, sandboxes.lease("base") as box:
    print(box.exec("echo works").text, end="", flush=True)
    sys.stdin.read()
"""


class Place:
    """A temporary directory for owners, and what they have left on the machine."""

    def __init__(self, backend: str, folder: Path, token: str, environment: Mapping[str, str] | None = None) -> None:
        self.backend, self.folder, self.token = backend, folder, token
        self.environment = {**os.environ, "TMPDIR": str(folder), "TOKEN": token, **(environment or {})}
        self.walls: set[str] = set()

    @contextlib.contextmanager
    def process(self, script: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A process of ours, killed at the end."""
        argv = [sys.executable, "-c", script, *words]
        pipe = subprocess.PIPE
        with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=self.environment) as process:
            try:
                yield process
            finally:
                process.kill()

    def kill_an_owner(self, steps: int) -> None:
        """Start an owner, let it do so many steps, kill it."""
        with self.process(_OWNER, self.backend) as owner:
            assert owner.stdout is not None
            assert len(owner.stdout.read(1 + steps)) == 1 + steps
            owner.kill()
            owner.wait()
            self.remember()

    def homes(self) -> list[Path]:
        """The directories of walls and leases."""
        root = self.folder / f"palestra-{os.getuid()}" / self.backend
        return sorted(root.iterdir()) if root.exists() else []

    def remember(self) -> None:
        """Note the names under which containers and control groups were made."""
        self.walls |= {home.name for home in self.homes()}

    def traces(self) -> dict[str, list[str]]:
        """What is left, by kind; nothing by nothing."""
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        found = {
            "directories": [home.name for home in self.homes()],
            "mounts": [line for line in mounts if str(self.folder) in line or any(wall in line for wall in self.walls)],
            "control groups": [str(group) for group in _groups() if group.name in self.walls],
            "containers": sorted(_containers(self.environment) & self.walls) if self.backend == "docker" else [],
            "processes": [line for line in _processes() if self.token in line or any(w in line for w in self.walls)],
        }
        return {kind: left for kind, left in found.items() if left}


def _groups() -> list[Path]:
    return [group for pattern in ("palestra/*", "*/palestra/*") for group in Path("/sys/fs/cgroup").glob(pattern)]


def _containers(environment: Mapping[str, str]) -> set[str]:
    with contextlib.closing(docker.from_env(environment=dict(environment))) as client:
        return {str(item["Names"][0]).lstrip("/") for item in client.api.containers(all=True)}


def _processes() -> Iterator[str]:
    """Command line and control groups of every process that is not a zombie."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                groups = re.findall(r"/palestra/[^/\n]+", (entry / "cgroup").read_text())
                if state != "Z" and int(entry.name) != os.getpid():
                    yield f"{entry.name} {line} {' '.join(groups)}"


@pytest.fixture
def place(walled_name: str, token: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """An empty place for one backend; this process reaps there too."""
    with tempfile.TemporaryDirectory(prefix="leaks") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Place(walled_name, Path(folder), token)


def _reap(name: str) -> tuple[str, ...]:
    async def work() -> tuple[str, ...]:
        backend = BACKENDS[name]()
        try:
            return await backend.reap()
        finally:
            await backend.close()

    return asyncio.run(work())


class TestKills:
    @pytest.mark.slow
    def test_two_hundred_leases_under_random_kills(self, place: Place) -> None:
        chance = random.Random(3)
        for number in range(25):
            place.kill_an_owner(chance.randrange(60) if number % 5 else chance.randrange(9))
            if number % 8 == 7:
                _reap(place.backend)
        _reap(place.backend)
        assert len(place.walls) > 20, "the owners did make leases"
        assert place.traces() == {}
        assert _reap(place.backend) == ()

    def test_traces_are_seen(self, place: Place) -> None:
        """The other tests find nothing; here is something to find."""
        with place.process(_OWNER, place.backend) as owner:
            assert owner.stdout is not None
            assert len(owner.stdout.read(30)) == 30
            place.remember()
            expected = {"directories", "processes"} | ({"control groups"} if AS_ROOT else set())
            expected |= {"containers"} if place.backend == "docker" else set()
            assert place.traces().keys() >= expected
            assert any(place.token in line for line in place.traces()["processes"])
            assert _reap(place.backend) == (), "its owner lives"
            owner.kill()
            owner.wait()
        assert _reap(place.backend) != ()
        assert place.traces() == {}

    def test_killed_reaper(self, place: Place, until: Until) -> None:
        for steps in (20, 1, 0, 12):
            place.kill_an_owner(steps)
        with place.process(_REAPER, place.backend) as reaper:
            assert reaper.stdout is not None
            assert reaper.stdout.read(1) == "!"
        before = len(place.homes())
        with place.process(_REAPER, place.backend) as reaper:
            assert until(lambda: len(place.homes()) < before or reaper.poll() is not None)
        _reap(place.backend)
        assert place.traces() == {}

    def test_two_reapers_at_once(self, place: Place) -> None:
        for steps in (10, 3):
            place.kill_an_owner(steps)
        with place.process(_REAPER, place.backend) as one, place.process(_REAPER, place.backend) as two:
            assert (one.wait(60), two.wait(60)) == (0, 0)
        assert place.traces() == {}

    def test_a_copy_of_the_owner_keeps_nothing_alive(self, place: Place, alive: Alive, until: Until) -> None:
        with place.process(_PARENT, place.backend) as owner:
            assert owner.stdout is not None
            copy = int(owner.stdout.readline())
            try:
                assert until(lambda: alive(f"sleep\0{place.token}"))
                owner.kill()
                owner.wait()
                place.remember()
                assert _reap(place.backend) != ()
                assert place.traces() == {}
            finally:
                os.kill(copy, signal.SIGKILL)


@contextlib.asynccontextmanager
async def _opened(name: str) -> AsyncIterator[Backend]:
    backend = await open_backend(name)
    try:
        yield backend
    finally:
        await backend.close()


class TestEnds:
    def test_deadline(self, place: Place, alive: Alive, until: Until) -> None:
        async def work() -> None:
            async with _opened(place.backend) as backend:
                other = await backend.lease("base")
                lease = await backend.lease("base", Limits(lease_seconds=0.5))
                await lease.write("f", b"x")
                with pytest.raises(SandboxFailed, match="deadline"):
                    await lease.exec(f"setsid sleep {place.token} & sleep {place.token}")
                assert await asyncio.to_thread(until, lambda: not alive(place.token))
                for call in (lease.read("f"), lease.write("f", b""), lease.list(), lease.exec("true"), lease.fork()):
                    with pytest.raises(SandboxFailed, match="deadline"):
                        await call
                assert (await other.exec("echo fine")).text == "fine\n"
                assert all(info.expired for info in await backend.list_leases() if info.id == lease.id)
                await backend.reap()
                assert {info.id for info in await backend.list_leases()} == {other.id}

        asyncio.run(work())
        assert place.traces() == {}

    def test_close_of_a_backend_in_use(self, place: Place) -> None:
        async def work() -> None:
            backend = await open_backend(place.backend)
            lease = await backend.lease("base")
            child, kept = await lease.fork(), await lease.snapshot()
            await kept.lease()
            running = asyncio.gather(
                lease.exec(f"setsid sleep {place.token} & sleep {place.token}"),
                child.exec(f"sleep {place.token}"),
                _read_all(await backend.lease("base"), f"sleep {place.token} & yes"),
                return_exceptions=True,
            )
            await asyncio.to_thread(place.remember)
            closing = [backend.close(), backend.close(), lease.close(), lease.close(), kept.close(), kept.close()]
            await asyncio.gather(*closing)
            assert {type(result) for result in await running} == {SandboxFailed}
            for call in (lease.exec("true"), child.read("f"), lease.fork(), kept.lease()):
                with pytest.raises(SandboxFailed):
                    await call
            await backend.close()

        asyncio.run(work())
        assert place.traces() == {}

    @pytest.mark.parametrize("command", ["exec", "stream"])
    def test_close_of_a_lease_that_runs(self, place: Place, command: str, alive: Alive, until: Until) -> None:
        async def work() -> None:
            async with _opened(place.backend) as backend:
                lease = await backend.lease("base")
                script = f"setsid sleep {place.token} & yes >&2 & exec sleep {place.token}"
                call = lease.exec(f"({script}) 2>/dev/null") if command == "exec" else _read_all(lease, script)
                running = asyncio.gather(call, return_exceptions=True)
                assert await asyncio.to_thread(until, lambda: alive(f"sleep\0{place.token}"))
                await asyncio.gather(lease.close(), lease.close())
                assert isinstance((await running)[0], SandboxFailed)
                assert not alive(place.token)
                assert await backend.list_leases() == ()

        asyncio.run(work())
        assert place.traces() == {}

    def test_close_of_a_lease_that_is_written_to(self, place: Place) -> None:
        async def work() -> None:
            async with _opened(place.backend) as backend:
                for turns in range(12):
                    lease = await backend.lease("base", Limits(disk_bytes=64 << 20))
                    running = asyncio.gather(lease.write("f", bytes(40 << 20)), return_exceptions=True)
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    await lease.close()
                    assert isinstance((await asyncio.wait_for(running, 20))[0], SandboxFailed)
                assert await backend.list_leases() == ()

        asyncio.run(work())
        assert place.traces() == {}

    def test_leases_that_differ(self, place: Place) -> None:
        """Leases of several limits come and go side by side; whatever a backend keeps ready fits only some of them."""

        async def come_and_go(backend: Backend, limits: Limits) -> None:
            for _ in range(20):
                lease = await backend.lease("base", limits)
                child = await lease.fork()
                assert (await child.exec("echo fine")).text == "fine\n"
                await asyncio.gather(lease.close(), child.close())

        async def work() -> None:
            async with _opened(place.backend) as backend:
                await asyncio.gather(*(come_and_go(backend, Limits(processes=count)) for count in (16, 32, 64)))

        asyncio.run(work())
        assert place.traces() == {}

    def test_cancelled_exec(self, place: Place, alive: Alive, until: Until) -> None:
        async def work() -> None:
            async with _opened(place.backend) as backend:
                lease = await backend.lease("base")
                await lease.write("f", b"kept")
                running = asyncio.create_task(lease.exec(f"setsid sleep {place.token} & sleep {place.token}"))
                assert await asyncio.to_thread(until, lambda: alive(f"sleep\0{place.token}"))
                running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await running
                assert not alive(place.token)
                assert (await lease.exec("cat f")).text == "kept"

        asyncio.run(work())
        assert place.traces() == {}

    def test_abandoned_stream(self, place: Place, alive: Alive) -> None:
        async def work() -> None:
            async with _opened(place.backend) as backend:
                lease = await backend.lease("base")
                for command in ("yes", "cat /dev/zero", "setsid yes & yes >&2"):
                    events = lease.stream(f": {place.token}; {command}; :")
                    assert isinstance(await anext(events), Chunk)
                    assert isinstance(events, AsyncGenerator)
                    await events.aclose()
                    assert not alive(place.token)
                    assert (await lease.exec("echo fine")).text == "fine\n"

        asyncio.run(work())
        assert place.traces() == {}

    def test_cancelled_anywhere(self, place: Place) -> None:
        """Every operation, cut short at random moments: leases still work, and what was being made is gone."""
        chance = random.Random(7)

        async def work() -> None:
            async with _opened(place.backend) as backend:
                lease = await backend.lease("base")
                operations: list[Callable[[], Awaitable[object]]] = [
                    lambda: lease.exec(f"setsid sleep {place.token} & echo x >>f; sleep 0.01"),
                    lambda: lease.write("g", bytes(5 << 20)),
                    lambda: lease.read("g"),
                    lambda: backend.lease("base"),
                    lambda: _read_all(lease, "head -c 3M /dev/zero"),
                ]
                for _ in range(100):
                    with contextlib.suppress(TimeoutError, FileNotFoundError):
                        await asyncio.wait_for(chance.choice(operations)(), chance.random() ** 2 * 0.02)
                assert (await lease.exec("echo fine")).text == "fine\n"

        asyncio.run(work())
        assert place.traces() == {}


async def _read_all(lease: Lease, command: str) -> ExecResult:
    last: Chunk | ExecResult | None = None
    async for event in lease.stream(command):
        last = event
    assert isinstance(last, ExecResult)
    return last


class Engine:
    """A second Docker engine, with its own containerd, all below one directory; its mounts are its own affair."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        flags = ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"]
        places = [f"--{name}={folder}/{name}" for name in ("data-root", "exec-root", "pidfile")]
        apart = ["bwrap", "--dev-bind", "/", "/", "--cap-add", "ALL", "--"]
        with open(folder / "log", "ab") as log:
            argv = [*apart, "dockerd", *flags, *places, f"--host=unix://{folder}/d.sock"]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *error: object) -> None:
        self.end(signal.SIGTERM)

    def end(self, number: signal.Signals) -> None:
        """Signal the engine, if it still runs, and wait for its end."""
        if self.process.poll() is None:
            os.kill(int((self.folder / "pidfile").read_text()), number)
        self.process.wait(60)

    def answers(self) -> bool:
        """Whether it is up."""
        assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(self.folder / "d.sock"))
            probe.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return probe.recv(12) == b"HTTP/1.0 200"
        return False


@pytest.mark.slow
@pytest.mark.docker
@pytest.mark.skipif(not AS_ROOT, reason="a second engine needs root")
def test_engine_killed_and_started_again(token: str, alive: Alive, until: Until) -> None:
    if shutil.which("dockerd") is None:
        pytest.fail("dockerd is missing") if os.environ.get("CI") == "true" else pytest.skip("dockerd is missing")
    with tempfile.TemporaryDirectory(prefix="engine") as folder, contextlib.ExitStack() as at_last:
        at_last.callback(_kill_all, folder)
        place = Place("docker", Path(folder), token, {"DOCKER_HOST": f"unix://{folder}/d.sock"})
        with Engine(place.folder) as engine:
            assert until(engine.answers)
            with place.process(_OWNER, "docker") as owner:
                assert owner.stdout is not None
                assert len(owner.stdout.read(20)) == 20
                place.remember()
                engine.end(signal.SIGKILL)
                assert until(lambda: not alive(f"{folder}/exec-root/containerd/containerd.toml"))  # dies after it
                Path(folder, "exec-root/containerd/containerd.pid").unlink()  # a zombie would count as alive
        with Engine(place.folder) as engine:
            assert until(engine.answers)
            with place.process(_ONE_LEASE) as owner:
                assert owner.stdout is not None
                assert owner.stdout.readline() == "works\n"
                with place.process(_REAPER, "docker") as reaper:
                    assert reaper.wait(120) == 0
                assert {home.name for home in place.homes()} & place.walls == set()
                owner.communicate()
            assert place.traces() == {}
        assert not alive(folder)
        assert folder not in Path("/proc/self/mountinfo").read_text()


def _kill_all(folder: str) -> None:
    """What an engine that failed has left: nothing, if all is well."""
    for line in _processes():
        if folder in line:
            os.kill(int(line.split()[0]), signal.SIGKILL)
