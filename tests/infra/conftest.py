"""What the tests of hostile commands and of leaks share: both isolating backends, a lease to attack that is watched,
and a look at the machine outside."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from palestra.infra.images.build import ensure_image, why_not_debootstrap
from palestra.infra.sandbox.doctor import why_not
from palestra.infra.sandbox.sync import Sandbox, Sandboxes
from palestra.infra.sandbox.types import Limits

WALLED = [pytest.param("docker", marks=pytest.mark.docker), "bwrap"]
_MIB = 1 << 20
_LIMITS = Limits(
    memory_bytes=64 * _MIB, processes=32, disk_bytes=8 * _MIB, open_files=128, output_bytes=64 << 10, seconds=10
)
# What a command can see of its sandbox, in an order that does not depend on chance.
_STATE = """
for p in /proc/[0-9]*; do read -r c <$p/comm && echo "process $c"; done
for d in / /work /tmp /dev /dev/shm /dev/pts /dev/mqueue /run /var/tmp; do echo $d; ls -A $d 2>&1; done
env | sort; ulimit -a; umask; hostname; pwd; cat /proc/net/dev /proc/sysvipc/*
cut -d ' ' -f 5,6 /proc/self/mountinfo | sort; cut -d ' ' -f 8 /proc/net/unix
"""


@pytest.fixture(scope="module", params=WALLED)
def walled_name(request: pytest.FixtureRequest) -> str:
    """The name of an isolating backend that works here, with its images built."""
    name = str(request.param)
    reason = why_not(name)
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"sandbox {name}: {reason}")
        pytest.skip(f"sandbox {name}: {reason}")
    if why_not_debootstrap() is None:
        for image in ("base", "python"):
            ensure_image(image)
    return name


@pytest.fixture(scope="module")
def walled(walled_name: str) -> Iterator[Sandboxes]:
    """Each isolating backend, by its synchronous face."""
    with Sandboxes(walled_name) as sandboxes:
        yield sandboxes


@pytest.fixture(scope="session")
def limits() -> Limits:
    """Limits that an attack meets soon."""
    return _LIMITS


@pytest.fixture
def state() -> Callable[[Sandboxes], str]:
    """What a fresh lease of a backend looks like from inside."""
    return _state


@pytest.fixture(scope="module")
def first_state(walled: Sandboxes) -> str:
    """What a lease looks like before anything hostile ran."""
    return _state(walled)


@pytest.fixture
def box(walled: Sandboxes, first_state: str) -> Iterator[Sandbox]:
    """A lease to attack; afterwards it still answers, and the next one is exactly like the first."""
    with walled.lease("base", _LIMITS) as box:
        yield box
        assert box.exec("echo fine", cwd="/").text == "fine\n"
    assert _state(walled) == first_state


@pytest.fixture
def other(walled: Sandboxes) -> Iterator[Sandbox]:
    """A second lease that lives at the same time and must not notice."""
    with walled.lease("base", _LIMITS) as other:
        yield other
        assert other.exec("echo fine").text == "fine\n"


@pytest.fixture
def token() -> str:
    """A duration for `sleep` that no other process of this machine names."""
    return f"98{uuid.uuid4().int % 10**12:012d}"


@pytest.fixture
def alive() -> Callable[[str], bool]:
    """Whether a process of this machine has a token in its command line."""
    return _alive


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], bool]:
    """Whether a condition comes true in time; polls, because kernel and engine free things after they have answered."""
    return _until


def _state(sandboxes: Sandboxes) -> str:
    with sandboxes.lease("base", _LIMITS) as box:
        return box.exec(_STATE).text + box.exec("ls -A /grade", user="grader").text


def _alive(token: str) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if token.encode() in (entry / "cmdline").read_bytes():
                    return True
            except (FileNotFoundError, ProcessLookupError):
                continue
    return False


def _until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        threading.Event().wait(0.01)
    return True
