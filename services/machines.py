"""What a job runs on: Ray workers and the sandboxes an environment needs."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..envs.environment import Environment
from .errors import BadRequest

if TYPE_CHECKING:
    from ..infra.sandbox.sync import Sandboxes

Say = Callable[[str], None]
_CONNECT_SECONDS = 5.0


def connect_ray(address: str | None, workers: int = 1) -> float:
    """Connect to Ray; returns how many CPUs it has. A local Ray gets at least `workers`.

    Raises ClusterUnavailable or BadRequest.
    """
    from ..rollout.cluster import connect

    _check_address(address)
    connect(address, None if address else max(workers, os.cpu_count() or 1))
    import ray

    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources.get("CPU", 1.0)


def _check_address(address: str | None) -> None:
    """BadRequest where nothing listens at HOST:PORT or ray://HOST:PORT; Ray itself would wait for it for ever."""
    if not address or address in ("auto", "local"):
        return
    try:
        socket.create_connection(_place(address), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise BadRequest(
            f"no Ray cluster answers at {address!r} ({error}): start one with `ray start --head`, or leave out --ray"
        ) from error


def _place(address: str) -> tuple[str, int]:
    parts = urlsplit(address if "://" in address else f"ray://{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise BadRequest(f"Ray address {address!r} is not HOST:PORT, ray://HOST:PORT or auto")
    return host, port


def sandbox_for(cls: type[Environment], wanted: str, say: Say) -> str | None:
    """The backend that episodes of this environment lease from, checked, its images made; None where it needs none.

    `auto` takes Docker, else bubblewrap; the unsafe `process` only by its name.
    Raises SandboxUnavailable, ImageError, BadRequest.
    """
    from ..infra.sandbox.select import BACKENDS
    from ..infra.sandbox.sync import Sandboxes

    if wanted != "auto" and wanted not in BACKENDS:
        raise BadRequest(f"unknown sandbox {wanted!r}: choose one of auto, {', '.join(BACKENDS)}")
    if cls.image is None:
        return None
    with Sandboxes(wanted) as sandboxes:
        name = sandboxes.name
    if name == "process":
        say("sandbox `process` isolates nothing: use it only with a policy you trust")
    else:
        for image in cls.images or (cls.image,):
            _ensure_image(name, image, say)
    return name


def open_sandboxes(name: str | None) -> Sandboxes | None:
    """The sandboxes of a backend that `sandbox_for` chose."""
    from ..infra.sandbox.sync import Sandboxes

    return Sandboxes(name) if name else None


def _ensure_image(backend: str, image: str, say: Say) -> None:
    from ..infra.images import build

    if backend == "docker":
        from docker import DockerClient

        client = DockerClient.from_env()
        try:
            build.ensure_engine_image(client, image, say)
        finally:
            client.close()
    elif build.find_image(image) is None and build.why_not_debootstrap() is None:
        build.ensure_image(image, say)


def unwrapped(error: BaseException) -> BaseException:
    """What a Ray task really raised."""
    cause: Any = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error
