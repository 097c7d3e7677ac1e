"""What the `docker` backend asks of the engine; every call here blocks."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import requests
from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Ulimit

from ..images.build import why_not_debootstrap
from ..images.definitions import load, names
from . import owner as owners
from .seccomp import container_profile

_OWNER = "palestra.owner"
SOCKET = "control"
START = "as root: apt-get install -y docker.io && (setsid dockerd >/var/log/dockerd.log 2>&1 &)"
BROKEN = (DockerException, requests.RequestException, OSError)
_MAX_PROCESSES = 200_000


def open_client() -> DockerClient:
    """A client whose engine has answered; raises one of `BROKEN`."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not host.startswith("unix://"):
        raise DockerException(f"DOCKER_HOST is {host!r}: leases need an engine on this machine, unix:///PATH")
    with socket.socket(socket.AF_UNIX) as probe:  # where nobody answers, the SDK would leave its socket open
        probe.connect(host.removeprefix("unix://"))
    client = DockerClient.from_env(max_pool_size=8, timeout=120)
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
    client: DockerClient, reference: str, home: Path, warden: Path, first_uid: int, groups: tuple[Path, ...]
) -> None:
    """Make and start the outer wall of an image; it is named after its home."""
    inside = [f"/lease/cg/{index}" for index in range(len(groups))]
    binds = [f"{warden}:/lease/warden:ro", f"{home}:/lease/home"]
    binds += [f"{folder}:{place}:rw" for folder, place in zip(groups, inside, strict=True)]
    host = client.api.create_host_config(
        binds=binds,
        tmpfs={"/lease": "rw,exec,nosuid,nodev,size=1m,mode=0755"},
        auto_remove=True,
        network_mode="none",
        cap_drop=["ALL"],
        cap_add=["SETUID", "SETGID", "CHOWN"],
        # Unconfined where AppArmor is on: its profile forbids every mount, also those in the warden's own namespace.
        security_opt=["no-new-privileges:true", "apparmor=unconfined", f"seccomp={container_profile()}"],
        read_only=True,
        pids_limit=_MAX_PROCESSES,
        ulimits=[Ulimit(name="core", soft=0, hard=0)],
        log_config=LogConfig(type="json-file", config={"max-size": "64k", "max-file": "1"}),
    )
    # A new /proc may be mounted only where all of the present one is in sight; leases get a new one.
    host["MaskedPaths"], host["ReadonlyPaths"] = [], []
    host["CgroupnsMode"] = "host"
    made = client.api.create_container(
        reference,
        ["outer", f"/lease/home/{SOCKET}", str(first_uid), home.name, *inside],
        entrypoint=["/lease/warden"],
        name=home.name,
        hostname="sandbox",
        user="0:0",
        host_config=host,
        labels={_OWNER: owners.mark()},
    )
    try:
        client.api.start(made["Id"])
    except BaseException:
        remove(client, home.name)
        raise


def last_words(client: DockerClient, name: str) -> str:
    """The last line that a container's warden wrote."""
    try:
        text: bytes = client.api.logs(name, tail=1)
    except APIError:
        return "it ended at once"
    return text.decode("utf-8", "replace").strip() or "it says nothing"


def remove(client: DockerClient, name: str) -> None:
    """Remove a container, running or not; returns when it is gone."""
    try:
        client.api.remove_container(name, force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:
            raise
        with contextlib.suppress(NotFound):  # 409: the engine itself, or a reaper, is removing it just now
            client.api.wait(name, condition="removed", timeout=60)


def orphans(client: DockerClient) -> tuple[str, ...]:
    """Containers with our label whose owner is gone."""
    found = client.api.containers(all=True, filters={"label": _OWNER})
    return tuple(item["Names"][0].lstrip("/") for item in found if not owners.is_alive(item["Labels"][_OWNER]))


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
