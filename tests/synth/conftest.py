"""Sandboxes for environments that need some, and what must hold after them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from palestra.infra.sandbox.doctor import why_not
from palestra.synth.audit.ground import WatchedSandboxes


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[WatchedSandboxes]:
    """The lightest isolating backend; skipped where it does not work."""
    reason = why_not("bwrap")
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"sandbox bwrap: {reason}")
        pytest.skip(f"sandbox bwrap: {reason}")
    with WatchedSandboxes("bwrap") as sandboxes:
        yield sandboxes


@pytest.fixture
def nothing_left(sandboxes: WatchedSandboxes) -> Iterator[None]:
    """Every lease that the test opened was closed; others on this machine may hold theirs."""
    before = {lease.id for lease in sandboxes.list_leases()}
    yield
    assert not [lease for lease in sandboxes.list_leases() if lease.id not in before]
