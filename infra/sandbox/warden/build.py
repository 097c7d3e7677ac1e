"""The warden's program: compiled once per version of its source, into the cache that images live in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ...images.build import cache_root
from ..types import SandboxUnavailable

SOURCE = Path(__file__).parent / "c"
FLAGS = ("-std=gnu11", "-O2", "-static", "-Wall", "-Wextra")
INSTALL = "as root: apt-get install -y gcc libc6-dev"


def find_compiler() -> str | None:
    """`$CC`, or the first C compiler on the path."""
    chosen = os.environ.get("CC")
    return shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)


def why_not_warden() -> str | None:
    """None if the warden is compiled or can be, else one line with the remedy."""
    if _place().exists() or find_compiler() is not None:
        return None
    return f"there is no C compiler for the sandbox supervisor; {INSTALL}"


def ensure_warden() -> Path:
    """The warden's program, compiled now if need be (about a second). Raises SandboxUnavailable."""
    place = _place()
    if place.exists():
        return place
    compiler = find_compiler()
    if compiler is None:
        raise SandboxUnavailable(str(why_not_warden()))
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        made = Path(folder) / "warden"
        argv = [compiler, *FLAGS, "-o", str(made), *map(str, sorted(SOURCE.glob("*.c")))]
        run = subprocess.run(argv, capture_output=True, text=True)
        if run.returncode != 0:
            lines = run.stderr.strip().splitlines() or ["no message"]
            reason = next((line for line in lines if "error" in line), lines[-1])
            raise SandboxUnavailable(f"{compiler} cannot compile the sandbox supervisor ({reason}); {INSTALL}")
        made.chmod(0o755)
        made.replace(place)  # whoever compiled at the same time made the same file
    return place


def _place() -> Path:
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for file in sorted(SOURCE.glob("*.[ch]")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return cache_root().parent / "wardens" / digest.hexdigest()[:16]
