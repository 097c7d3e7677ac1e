"""Which backend to use: by name, or the strongest that works here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from .types import Backend, SandboxUnavailable


def _docker() -> Backend:
    from .docker import DockerBackend

    return DockerBackend()


def _bwrap() -> Backend:
    from .bwrap import BwrapBackend

    return BwrapBackend()


def _process() -> Backend:
    from .process import ProcessBackend

    return ProcessBackend()


BACKENDS: Mapping[str, Callable[[], Backend]] = MappingProxyType(
    {"docker": _docker, "bwrap": _bwrap, "process": _process}
)
ISOLATING = ("docker", "bwrap")
INSTALL = (
    "apt-get install -y docker.io && (setsid dockerd >/var/log/dockerd.log 2>&1 &)  or  apt-get install -y bubblewrap"
)


async def open_backend(name: str = "auto") -> Backend:
    """A backend that was just checked. `auto` takes docker where an engine answers and has or can build our images,
    else bwrap. Raises ValueError for an unknown name, SandboxUnavailable with the remedy where nothing works."""
    if name != "auto" and name not in BACKENDS:
        raise ValueError(f"unknown sandbox {name!r}: choose one of auto, {', '.join(BACKENDS)}")
    reasons = []
    for candidate in ISOLATING if name == "auto" else (name,):
        backend = BACKENDS[candidate]()
        reason = await backend.check()
        if reason is None:
            return backend
        await backend.close()
        reasons.append(f"{candidate}: {reason}")
    if name != "auto":
        raise SandboxUnavailable(reasons[0])
    raise SandboxUnavailable(f"no sandbox works here ({'; '.join(reasons)}). As root: {INSTALL}")
