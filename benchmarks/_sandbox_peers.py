"""What the sandboxes are measured against: Docker through its SDK, and SWE-ReX.

Docker is driven as a user does: `containers.run(..., remove=True)`, `exec_run`, `commit`. The low-level calls, other
log drivers and `commit(pause=False)` were tried beside them and are not faster. It gets the same image, no network and
the limits and walls of a lease, but is spared the writable tmpfs mounts and the users of its own.
"""

from __future__ import annotations

import io
import os
import tarfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self

import docker
from docker.errors import NotFound
from docker.models.containers import Container
from docker.models.images import Image
from docker.types import Ulimit

from palestra.infra.images.build import ensure_engine_image
from palestra.infra.sandbox.types import DEFAULT_LIMITS, WORK

LABEL = "palestra.benchmark"
IDLE = ["sleep", "infinity"]
WALLS: dict[str, Any] = {
    "network_mode": "none",
    "mem_limit": DEFAULT_LIMITS.memory_bytes,
    "nano_cpus": int(DEFAULT_LIMITS.cpus * 1e9),
    "pids_limit": DEFAULT_LIMITS.processes,
    "ulimits": [Ulimit(name="nofile", soft=DEFAULT_LIMITS.open_files, hard=DEFAULT_LIMITS.open_files)],
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "labels": {LABEL: "1"},
}


class RawDocker:
    """The engine, one container that stays up, and one that also holds a working tree."""

    def __init__(self, image: str) -> None:
        self.client = docker.from_env(timeout=120)
        self.image = ensure_engine_image(self.client, image)
        self.sweep()
        self._live: Container | None = None
        self._tree: Container | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        self.sweep()
        self.client.close()

    def sweep(self) -> None:
        """Remove every container and image that a benchmark made."""
        for container in self.client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
            _remove(container)
        for image in self.client.images.list(name=LABEL):
            self.client.images.remove(str(image.id), force=True)

    def run_and_remove(self, client: docker.DockerClient | None = None) -> float:
        """A container that runs `true` and is gone."""
        began = time.perf_counter()
        (client or self.client).containers.run(self.image, ["true"], remove=True, read_only=True, **WALLS)
        return time.perf_counter() - began

    def exec_run(self) -> float:
        """`/bin/true` in a running container."""
        if self._live is None:
            self._live = self.client.containers.run(self.image, IDLE, detach=True, read_only=True, **WALLS)
        return _exec(self._live, ["/bin/true"])

    def make_tree(self, script: str) -> None:
        """Start the container with a working tree: `script` writes it into /work."""
        self._tree = self.client.containers.run(self.image, IDLE, detach=True, working_dir="/work", **WALLS)
        _exec(self._tree, ["sh", "-c", script])

    def commit_and_start(self) -> float:
        """A second live container from the state of the one with the tree; its removal is not counted."""
        return self._fork(IDLE, wait=False)

    def commit_and_run(self) -> float:
        """The same, until `true` has run in it instead of an idle process."""
        return self._fork(["true"], wait=True)

    def _fork(self, command: list[str], wait: bool) -> float:
        assert self._tree is not None
        _exec(self._tree, ["sh", "-c", f"echo {uuid.uuid4()} > {WORK}/turn"])
        began = time.perf_counter()
        image: Image = self._tree.commit(LABEL, uuid.uuid4().hex)
        container = self.client.containers.run(str(image.id), command, detach=True, read_only=True, **WALLS)
        if wait:
            container.wait()
        elapsed = time.perf_counter() - began
        _remove(container)
        self.client.images.remove(str(image.id), force=True)
        return elapsed

    def there_and_back(self, data: bytes) -> float:
        """A file into a running container and back, by the archive calls."""
        assert self._tree is not None
        began = time.perf_counter()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            member = tarfile.TarInfo("file")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        self._tree.put_archive("/work", packed.getvalue())
        stream, _ = self._tree.get_archive(f"{WORK}/file")
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            found = archive.extractfile("file")
            assert found is not None
            assert found.read() == data
        return time.perf_counter() - began

    def rate(self, seconds: float, in_flight: int) -> float:
        """Containers that ran `true` and are gone, per second, from so many threads with a client each."""
        clients = [docker.from_env(timeout=120) for _ in range(in_flight)]
        began = time.perf_counter()

        def keep_going(client: docker.DockerClient) -> int:
            count = 0
            while time.perf_counter() - began < seconds:
                self.run_and_remove(client)
                count += 1
            return count

        with ThreadPoolExecutor(in_flight) as threads:
            total = sum(threads.map(keep_going, clients))
        elapsed = time.perf_counter() - began
        for client in clients:
            client.close()
        return total / elapsed


class SweRex:
    """SWE-ReX's local runtime: one bash session without isolation."""

    def __init__(self) -> None:
        os.environ.setdefault("SWE_REX_LOG_STREAM_LEVEL", "ERROR")
        from swerex.deployment.local import LocalDeployment

        self._deployment = LocalDeployment()

    async def __aenter__(self) -> Self:
        from swerex.runtime.abstract import CreateBashSessionRequest

        await self._deployment.start()  # type: ignore[no-untyped-call]
        await self._deployment.runtime.create_session(CreateBashSessionRequest())
        return self

    async def __aexit__(self, *unused: object) -> None:
        await self._deployment.stop()  # type: ignore[no-untyped-call]

    async def run_in_session(self) -> float:
        """`/bin/true` in the session."""
        from swerex.runtime.abstract import BashAction

        began = time.perf_counter()
        seen = await self._deployment.runtime.run_in_session(BashAction(command="/bin/true"))
        elapsed = time.perf_counter() - began
        if seen.exit_code != 0:
            raise RuntimeError(f"SWE-ReX says {seen}")
        return elapsed


def _exec(container: Container, argv: list[str]) -> float:
    began = time.perf_counter()
    code, output = container.exec_run(argv)
    elapsed = time.perf_counter() - began
    if code != 0:
        raise RuntimeError(f"{argv} in a container ended with {code}: {output!r}")
    return elapsed


def _remove(container: Container) -> None:
    with suppress(NotFound):
        container.remove(force=True, v=True)
