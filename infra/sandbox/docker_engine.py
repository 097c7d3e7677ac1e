"""The blocking half of the `docker` backend: what is asked of the engine, and the threads it is asked from."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import requests
from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Ulimit

from ..images.build import why_not_debootstrap
from ..images.definitions import load, names
from . import owner as owners
from .types import GRADE, TMP, WORK, LeaseInfo, Limits, SandboxFailed

T = TypeVar("T")
_LABEL = "palestra."
START = "as root: apt-get install -y docker.io && (setsid dockerd >/var/log/dockerd.log 2>&1 &)"
# Processes that the engine needs inside to start a command, beyond the command's own limit.
_ENGINE_PROCESSES = 64
_SHM_BYTES = 64 << 20
BROKEN = (DockerException, requests.RequestException, OSError)


@dataclass(frozen=True)
class Engine:
    """A client and the threads that its blocking calls run in."""

    client: DockerClient
    threads: ThreadPoolExecutor

    async def call(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a blocking engine call; raises SandboxFailed when the engine refuses or does not answer."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.threads, partial(work, *args, **kwargs))
        except BROKEN as error:
            raise SandboxFailed(f"the Docker engine failed: {error}") from error


def open_client() -> DockerClient:
    """A client whose engine has answered; raises one of `BROKEN`."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if host.startswith("unix://"):  # where nobody answers, the SDK would leave its socket open
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(host.removeprefix("unix://"))
    client = DockerClient.from_env(max_pool_size=64, timeout=120)
    try:
        client.ping()
    except BROKEN:
        client.close()
        raise
    return client


def first_line(error: Exception) -> str:
    """The first line of an error, for people."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def start(
    client: DockerClient, name: str, reference: str, first_uid: int, limits: Limits, labels: Mapping[str, str]
) -> None:
    """Make and start the locked-down container of a lease."""
    disk = f"rw,exec,nosuid,nodev,size={limits.disk_bytes}"
    container = client.containers.create(
        reference,
        ["sleep", "infinity"],
        name=name,
        hostname="sandbox",
        user="0:0",
        init=True,
        network_mode="none",
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        read_only=True,
        tmpfs={
            WORK: f"{disk},mode=0755,uid={first_uid},gid={first_uid}",
            TMP: f"{disk},mode=1777,uid={first_uid},gid={first_uid}",
            GRADE: f"{disk},mode=0700,uid={first_uid + 1},gid={first_uid + 1}",
        },
        mem_limit=limits.memory_bytes,
        memswap_limit=limits.memory_bytes,
        nano_cpus=int(min(limits.cpus, os.cpu_count() or 1) * 1e9),
        pids_limit=limits.processes + _ENGINE_PROCESSES,
        shm_size=_SHM_BYTES,
        ulimits=[
            Ulimit(name="nofile", soft=limits.open_files, hard=limits.open_files),
            Ulimit(name="nproc", soft=limits.processes, hard=limits.processes),
            Ulimit(name="core", soft=0, hard=0),
        ],
        log_config=LogConfig(type=LogConfig.types.NONE),
        labels={_LABEL + key: value for key, value in labels.items()},
    )
    try:
        container.start()
    except BaseException:
        remove(client, name)
        raise


def remove(client: DockerClient, name: str) -> None:
    """Remove a container, running or not; fine if it is gone."""
    try:
        client.api.remove_container(name, force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:  # 409: somebody else, a reaper say, is removing it just now
            raise


def list_leases(client: DockerClient) -> tuple[LeaseInfo, ...]:
    """Every container that carries our labels."""
    found = []
    for item in client.api.containers(all=True, filters={"label": _LABEL + "owner"}):
        labels: dict[str, str] = item["Labels"]
        owner = labels[_LABEL + "owner"]
        with contextlib.suppress(ValueError):  # a deadline that is not a number is not ours
            deadline = float(labels[_LABEL + "deadline"])
            name = item["Names"][0].lstrip("/")
            found.append(LeaseInfo(name, "docker", item["Image"], owner, deadline, owners.is_alive(owner)))
    return tuple(found)


def present_image(client: DockerClient) -> str | None:
    """The name of an image that the engine has, if any."""
    for name in names():
        with contextlib.suppress(ImageNotFound):  # asking is how one finds out
            client.images.get(load(name).reference)
            return name
    return None


def why_no_image(client: DockerClient) -> str | None:
    """None if an image can be made here: by debootstrap, else from the registry's base."""
    reason = why_not_debootstrap()
    if reason is None:
        return None
    base = f"debian:{load('base').suite}-slim"
    try:
        client.images.pull(base)
    except APIError as error:
        return f"the engine answers but has no image and cannot pull {base} ({first_line(error)}); {reason}"
    return None
