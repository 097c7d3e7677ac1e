"""Connect to Ray: a cluster by address, or a local one that ends with this process; what it has; whether it lives."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray
from ray.util.client import ray as client

from .errors import RolloutError

# Ray's own default, stated so that Ray does not warn about a coming change of it.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")

CONNECT_SECONDS = 20.0
CLIENT_ATTEMPTS = 4
GONE_SECONDS = 10.0
_REFUSED = "InvalidAuthToken"
_REPEAT = "start a cluster (`ray start --head`, or leave out --ray) and repeat the same command, which goes on"
_PROBE = "import logging, sys, ray; ray.init(sys.argv[1], logging_level=logging.ERROR, log_to_driver=False)"


class ClusterUnavailable(RolloutError):
    """No Ray cluster answers at the given address; the message names it and the remedy."""


class ClusterTooSmall(RolloutError):
    """The cluster has no place for what was asked for; the message names both."""


def connect(address: str | None = None, cpus: int | None = None, seconds: float = CONNECT_SECONDS) -> None:
    """Connect once per process; later calls keep the first connection. `ray://HOST:PORT` connects through a Ray Client
    server, from machines that are no part of the cluster. Raises ClusterUnavailable, for a cluster by its address after
    `seconds` at most (Ray Client has limits of its own).
    """
    if ray.is_initialized():
        return
    try:
        if address:
            if address.startswith("ray://"):  # Ray Client gives up by itself
                _connect_client(address)
            else:
                _probe(address, seconds)
                ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        else:
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
    except Exception as error:  # Ray raises bare ones, too
        if not address:
            why = " ".join(str(error).split())[:300]
            raise ClusterUnavailable(f"Ray cannot start on this machine: {type(error).__name__}: {why}") from error
        raise ClusterUnavailable(
            f"no Ray cluster answers at {address!r} ({type(error).__name__}: {str(error)[:200]}): "
            "start one with `ray start --head`, or leave out --ray"
        ) from error


def _connect_client(address: str) -> None:
    """Through a Ray Client server, which starts a process per client, and at times one that dies at once (Ray's issue
    63202: it forks while gRPC works): then again.
    """
    for left in reversed(range(CLIENT_ATTEMPTS)):
        try:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
            return
        except ConnectionAbortedError:
            if not left:
                raise


def _probe(address: str, seconds: float) -> None:
    """Connect from a process of its own first: where something else than Ray listens, or Ray that wants a token, Ray
    waits in C++, for ever, and cannot be interrupted. Shows this user's token where the cluster asks for one (and only
    there: one that does not, refuses to work with those who do). TimeoutError, ConnectionError.
    """
    deadline = time.monotonic() + seconds
    refused = _attempt(address, deadline)
    if refused and "RAY_AUTH_MODE" not in os.environ:
        os.environ["RAY_AUTH_MODE"] = "token"
        refused = _attempt(address, deadline)
        with contextlib.suppress(ImportError):  # Ray read the mode when it was imported
            from ray._raylet import Config  # type: ignore[attr-defined]

            Config.initialize("")
    if refused:
        raise ConnectionError(
            "it asks for a token that this user does not have: put the cluster's into ~/.ray/auth_token"
        )


def _attempt(address: str, deadline: float) -> bool:
    """Connect and leave again; True where the cluster asked for another token."""
    with tempfile.NamedTemporaryFile() as told:
        process = subprocess.Popen([sys.executable, "-c", _PROBE, address], stdout=told, stderr=told)
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    raise TimeoutError("something listens there, but nothing speaks Ray in time")
                if _REFUSED in Path(told.name).read_text(errors="replace"):
                    return True
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()
        text = Path(told.name).read_text(errors="replace").strip()
        if process.returncode:
            lines = text.split("\n") or ["no reason"]
            raise ConnectionError(" ".join(lines[-1].split()))
    return False


def places(demand: Mapping[str, float]) -> int:
    """How many workers that each need `demand` (CPU, GPU, custom resources) the living nodes can hold, when nothing
    else runs there.
    """
    return sum(_fit(resources, demand) for resources in _nodes())


def share_of_cpus(workers: int, demand: Mapping[str, float]) -> float:
    """The most CPUs, one at most, that each of `workers` can have beside `demand`; a whole part of one, so that nodes
    fill up.
    """
    for parts in range(1, workers + 1):
        share = math.floor(10_000 / parts) / 10_000  # Ray counts in ten thousandths
        if places({"CPU": share, **demand}) >= workers:
            return share
    return math.floor(10_000 / workers) / 10_000


def check_places(workers: int, demand: Mapping[str, float]) -> None:
    """Raises ClusterTooSmall where the cluster can never hold that many workers at once."""
    found = places(demand)
    if found < workers:
        wanted = ", ".join(f"{name} {amount:g}" for name, amount in sorted(demand.items()) if amount)
        raise ClusterTooSmall(
            f"the Ray cluster has room for {found} of {workers} workers that need {wanted or 'nothing'} each: it has "
            f"{_inventory()}; ask for less (--workers, --resources), or start nodes with `ray start --resources`"
        )


def check_alive(since: float | None) -> float | None:
    """The moment since which the cluster's head does not answer, None while it does; call it again with that.

    Raises ClusterUnavailable after GONE_SECONDS. Through Ray Client, which watches its connection itself, see
    `watched`.
    """
    if _is_client():
        return None
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
    except OSError as error:
        now = time.monotonic()
        if since is not None and now - since >= GONE_SECONDS:
            raise ClusterUnavailable(
                f"the head of the Ray cluster at {host}:{port} is gone ({error}): what was finished is kept; {_REPEAT}"
            ) from error
        return since or now
    return None


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """ClusterUnavailable where what is done here failed because the cluster is gone: Ray itself then raises many
    things, Ray Client once it gave its connection up.
    """
    through_client = _is_client()
    try:
        yield
    except Exception as error:
        if through_client and not _is_client():
            raise ClusterUnavailable(
                f"the connection to the Ray cluster is lost ({error}): what was finished is kept; {_REPEAT}"
            ) from error
        silent = None
        while isinstance(error, OSError) and (silent := check_alive(silent)) is not None:
            time.sleep(1.0)
        if isinstance(error, OSError) and error.errno is None:  # Ray's own; the head may outlive the node for a moment
            raise ClusterUnavailable(
                f"the Ray node of this process is gone ({error}): what was finished is kept; {_REPEAT}"
            ) from error
        raise


def _is_client() -> bool:
    """Whether this process is connected through Ray Client, and has not given that up."""
    return bool(client.is_connected())  # type: ignore[no-untyped-call]


def _fit(has: Mapping[str, float], demand: Mapping[str, float]) -> int:
    needs = {name: amount for name, amount in demand.items() if amount > 0}
    if not needs:
        return sys.maxsize >> 32
    return min(math.floor(has.get(name, 0.0) / amount + 1e-9) for name, amount in needs.items())


def _nodes() -> list[dict[str, float]]:
    """What each living node has in all."""
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]


def _inventory() -> str:
    """What the living nodes have, as people read it."""
    nodes = _nodes()
    hidden = ("node:", "memory", "object_store_memory", "accelerator_type:")
    shown = [", ".join(f"{k} {v:g}" for k, v in sorted(n.items()) if not k.startswith(hidden)) or "-" for n in nodes]
    shown.sort()
    return f"{len(nodes)} nodes ({'; '.join(shown[:4])}{'; ...' if len(shown) > 4 else ''})"
