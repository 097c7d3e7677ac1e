"""What this machine has for sandboxes, what is missing, and the command that mends it."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass

from ..images.build import find_image, why_not_debootstrap
from ..images.definitions import names
from .select import BACKENDS, ISOLATING
from .types import Backend
from .warden.build import why_not_warden


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `remedy` is empty where `ok`."""

    name: str
    ok: bool
    detail: str
    remedy: str


def why_not(backend_name: str) -> str | None:
    """None if this backend works here, else one line with the remedy (a test's reason to skip). Raises KeyError."""
    return asyncio.run(_check(BACKENDS[backend_name]()))


def diagnose() -> list[Finding]:
    """Every isolating backend, the compiler for the supervisor, debootstrap, and each image."""
    findings = [_backend(name) for name in ISOLATING]
    findings.append(_finding("sandbox supervisor", why_not_warden(), "compiled, or there is a C compiler"))
    reason = why_not_debootstrap()
    findings.append(_finding("debootstrap", reason, shutil.which("debootstrap") or "/usr/sbin/debootstrap"))
    for name in names():
        built = find_image(name)
        missing = None if built else f"not built; palestra images build {name}"
        findings.append(_finding(f"image {name}", missing, str(built.rootfs) if built else ""))
    return findings


async def _check(backend: Backend) -> str | None:
    try:
        return await backend.check()
    finally:
        await backend.close()


def _backend(name: str) -> Finding:
    return _finding(f"sandbox {name}", why_not(name), "ran `true` in a fresh lease")


def _finding(name: str, reason: str | None, detail: str) -> Finding:
    if reason is None:
        return Finding(name, True, detail, "")
    problem, _, remedy = reason.rpartition("; ")
    return Finding(name, False, problem or reason, remedy)
