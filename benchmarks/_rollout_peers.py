"""A peer in an environment of its own, kept alive and asked for a figure whenever its turn comes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
VENVS = Path(sys.prefix) / "peers"
LINE_LIMIT = 1 << 20
STOP_SECONDS = 20.0


class PeerFailed(Exception):
    """A peer that cannot be started or died; the message says what it wrote last."""


class Peer:
    """`package` in its own virtual environment, running the module `_rollout_PACKAGE` and timing itself there."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.version = ""
        self._home = VENVS / package
        self._said = self._home / "stderr.txt"
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        if not (self._home / "bin" / "python").exists():
            raise PeerFailed(f"{self.package} is not installed in {self._home}: run `make bench-rollout`")
        home = self._home / "home"
        home.mkdir(exist_ok=True)
        environment = os.environ | {
            "PATH": f"{self._home / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(HERE),
            "HOME": str(home),  # caches stay in the peer's own place
            "OMP_NUM_THREADS": "1",
        }
        program = f"import asyncio, _rollout_{self.package} as peer; asyncio.run(peer.main())"
        with self._said.open("wb") as said:
            self._process = await asyncio.create_subprocess_exec(
                *(str(self._home / "bin" / "python"), "-c", program),
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=said,
                limit=LINE_LIMIT,
            )
        self.version = (await self._read())["version"]
        return self

    async def __aexit__(self, *unused: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def rate(self, count: int, variant: str = "") -> float:
        """How many per second of `count`, as the peer measures it. PeerFailed where it dies."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"count": count, "variant": variant}).encode() + b"\n")
        await self._process.stdin.drain()
        return float((await self._read())["rate"])

    async def _read(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            last = self._said.read_text(errors="replace").strip().splitlines()[-1:]
            raise PeerFailed(f"the peer {self.package} ended (all of it: {self._said}): {''.join(last)}")
        found: dict[str, Any] = json.loads(line)
        return found
