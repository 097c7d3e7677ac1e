"""A vLLM server as a child process, run by the Python of vLLM's own environment (`make vllm` makes it)."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from ..errors import EngineError
from .server import Server
from .vllm import VllmEngine

PYTHON_VARIABLE = "PALESTRA_VLLM_PYTHON"
_ROOT = Path(__file__).resolve().parents[2]
_INSIDE = Path(__file__).resolve().parent / "inside_vllm"
_GRACE_SECONDS = 20.0
_CAUSE = re.compile(r"\w+Error: .{1,300}")

CPU_OPTIONS = (
    "--enforce-eager",
    "--no-enable-chunked-prefill",
    "--compilation-config",
    '{"custom_ops": ["all", "-rotary_embedding"]}',
)
"""For vLLM's CPU build: no compiler, and two ways around faults of 0.32. A seeded request whose prompt is computed in
chunks kills its worker ("CPU Generator does not use offset"). And the CPU kernel of the rotary embedding turns only
part of the heads of DeepSeek's queries: the model then says other things than it should, without any error."""


def find_vllm_python() -> Path | None:
    """The Python that has vLLM: PALESTRA_VLLM_PYTHON, else that of `.venv-vllm` in the project's folder."""
    named = os.environ.get(PYTHON_VARIABLE)
    path = Path(named) if named else _ROOT / ".venv-vllm" / "bin" / "python"
    return path if path.is_file() else None


class VllmServer:
    """Serves the checkpoint in `folder` on a loopback port, from `async with` to its end.

    `options` are further ones of `vllm serve`, such as `--dtype float32 --max-model-len 640`; `log` is where its output
    goes. EngineError where no Python has vLLM or the server does not come up within `patience` seconds.
    """

    def __init__(
        self,
        folder: str | Path,
        options: Sequence[str] = (),
        *,
        python: Path | None = None,
        log: Path | None = None,
        patience: float = 300.0,
    ) -> None:
        found = python or find_vllm_python()
        if found is None:
            raise EngineError(f"no Python with vLLM: run `make vllm`, or name one in {PYTHON_VARIABLE}")
        self.folder = Path(folder).resolve()
        self.log = log or Path(tempfile.mkstemp(prefix="palestra-vllm-", suffix=".log")[1])
        self.start_seconds = 0.0
        self._python = found
        self._options = options
        self._patience = patience
        self._process: asyncio.subprocess.Process | None = None
        self._port = 0

    @property
    def server(self) -> Server:
        """Where it listens."""
        return Server(f"http://127.0.0.1:{self._port}/v1", self.folder.name)

    def engine(self, vocab_size: int, timeout: float = 300.0) -> VllmEngine:
        """An engine on this server."""
        return VllmEngine(replace(self.server, timeout=timeout), vocab_size)

    async def __aenter__(self) -> Self:
        began = time.perf_counter()
        self._port = _free_port()
        with open(self.log, "ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(), env=self._environment(), stdout=log, stderr=log, start_new_session=True
            )
        try:
            await self._healthy()
        except BaseException:
            await self.close()
            raise
        self.start_seconds = time.perf_counter() - began
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop the server and everything it started."""
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                break
            try:
                await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
            except TimeoutError:
                continue
        await process.wait()

    def _command(self) -> list[str]:
        return [
            *(str(self._python), "-m", "palestra_vllm"),
            *("--model", str(self.folder), "--served-model-name", self.folder.name),
            *("--host", "127.0.0.1", "--port", str(self._port)),
            *("--logprobs-mode", "processed_logprobs", "--generation-config", "vllm", "--enable-scale-out"),
            *("--worker-extension-cls", "palestra_vllm.WeightUpdates"),
            *self._options,
        ]

    def _environment(self) -> dict[str, str]:
        """Ours, with the development endpoints that pause and reload, and nothing that calls the network."""
        path = os.pathsep.join(filter(None, (str(_INSIDE), os.environ.get("PYTHONPATH"))))
        quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"}
        cache = {"VLLM_CPU_KVCACHE_SPACE": "1"}  # GiB; vLLM's default takes nearly all memory
        return {**cache, **os.environ, **quiet, "PYTHONPATH": path, "VLLM_SERVER_DEV_MODE": "1"}

    async def _healthy(self) -> None:
        assert self._process is not None
        async with httpx.AsyncClient() as client:
            deadline = time.monotonic() + self._patience
            while time.monotonic() < deadline:
                if self._process.returncode is not None:
                    raise EngineError(f"vLLM ended with code {self._process.returncode}: {self._last_words()}")
                try:
                    if (await client.get(f"http://127.0.0.1:{self._port}/health")).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.2)
        raise EngineError(f"vLLM did not come up in {self._patience:g} seconds; its output is in {self.log}")

    def _last_words(self) -> str:
        with open(self.log, errors="replace") as log:
            cause = next((found[0] for line in log if (found := _CAUSE.search(line))), "it left no error")
        return f"{cause} (its output is in {self.log})"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
