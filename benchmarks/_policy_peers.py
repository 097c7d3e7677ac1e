"""A peer of the policy in a process of its own, with the Python that has it: kept alive and asked in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from palestra.rollout.engines.vllm_server import find_vllm_python

HERE = Path(__file__).resolve().parent
OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "VLLM_NO_USAGE_STATS": "1", "TOKENIZERS_PARALLELISM": "false"}
TRL_PYTHON = Path(sys.prefix) / "peers" / "trl" / "bin" / "python"


class PeerFailed(Exception):
    """A peer that cannot be started, died or could not do what it was asked; the message says its last words."""


class Peer:
    """Runs the module `_policy_NAME` with `arguments` (JSON) in one thread and asks it for what its handlers return."""

    def __init__(
        self, name: str, python: Path, work: Path, arguments: Mapping[str, Any], environment: Mapping[str, str] = {}
    ) -> None:
        if not python.exists():
            raise PeerFailed(f"{python} is missing: run `make bench-policy`")
        self.name = name
        self._said = work / f"{name}.log"
        with self._said.open("ab") as said:
            self._process = subprocess.Popen(
                [str(python), str(HERE / f"_policy_{name}.py"), json.dumps(dict(arguments))],
                env={**os.environ, **OFFLINE, "OMP_NUM_THREADS": "1", **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        self.about = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *unused: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """What the handler `do` returns. PeerFailed where it raises or the peer dies."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            last = self._said.read_text(errors="replace").strip().splitlines()[-8:]
            raise PeerFailed("\n".join((f"the peer {self.name} ended; its last words:", *last)))
        found: dict[str, Any] = json.loads(line)
        if "failed" in found:
            raise PeerFailed(f"the peer {self.name} failed: {found['failed']}")
        return found


def transformers(folder: Path, work: Path, dtype: str) -> Peer:
    """`generate` of the checkpoint in `folder`, in our own environment."""
    return Peer("transformers", Path(sys.executable), work, {"folder": str(folder), "dtype": dtype})


def vllm(folder: Path, work: Path, dtype: str, latent: bool) -> Peer:
    """vLLM on a `deepseek_v3` checkpoint: with its latent attention, whose CPU build can share no prefixes, or with
    keys and values of each head, which it can cache by prefix.
    """
    threads = {"VLLM_CPU_OMP_THREADS_BIND": str(max(os.sched_getaffinity(0))), "VLLM_CPU_KVCACHE_SPACE": "2"}
    modes = {"VLLM_MLA_DISABLE": str(int(not latent)), "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    cache = {"VLLM_CACHE_ROOT": str(work / "vllm-cache")}
    python = find_vllm_python() or Path(".venv-vllm/bin/python")
    return Peer("vllm", python, work, {"folder": str(folder), "dtype": dtype}, {**threads, **modes, **cache})


def trl(folder: Path, work: Path, **shape: Any) -> Peer:
    """TRL's GRPOTrainer on the checkpoint in `folder`."""
    return Peer("trl", TRL_PYTHON, work, {"folder": str(folder), "output": str(work / "trl"), **shape})
