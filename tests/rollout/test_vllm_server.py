"""The vLLM server as a child process: a stand-in for vLLM's Python that listens, says what it was told, or fails."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx
import pytest

from palestra.rollout.engines.vllm_server import CPU_OPTIONS, VllmServer, find_vllm_python
from palestra.rollout.errors import EngineError

LISTENS = """
import http.server, json, os, subprocess, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
told = {"argv": sys.argv[1:], "child": child.pid, "env": dict(os.environ)}

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())
    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def stand_in(folder: Path, program: str) -> Path:
    """An executable that runs `program` whatever it is asked to run."""
    (folder / "program.py").write_text(program)
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {folder}/program.py "$@"\n')
    python.chmod(0o755)
    return python


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_it_listens_is_told_what_is_needed_and_leaves_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        server = VllmServer(
            tmp_path, ["--dtype", "float32"], python=stand_in(tmp_path, LISTENS), log=tmp_path / "vllm.log"
        )
        async with server:
            told = httpx.get(server.server.url("//x")).json()
            assert server.server.model == tmp_path.name
            assert server.engine(50).server.base_url == server.server.base_url
        argv = told["argv"]
        assert argv[:2] == ["-m", "palestra_vllm"]
        for name, value in (("--model", str(tmp_path)), ("--served-model-name", tmp_path.name), ("--dtype", "float32")):
            assert argv[argv.index(name) + 1] == value
        assert argv[argv.index("--logprobs-mode") + 1] == "processed_logprobs"
        assert told["env"]["VLLM_SERVER_DEV_MODE"] == "1"
        inside = Path(told["env"]["PYTHONPATH"].split(os.pathsep)[0])
        assert (inside / "palestra_vllm.py").is_file()
        while is_alive(told["child"]):
            await asyncio.sleep(0)
        await server.close()

    asyncio.run(main())


def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        python = stand_in(tmp_path, "import sys; print('ValueError: no room', file=sys.stderr); sys.exit(3)")
        with pytest.raises(EngineError, match=r"ended with code 3: ValueError: no room \(its output is in .*vllm\.log"):
            async with VllmServer(tmp_path, python=python, log=tmp_path / "vllm.log"):
                pass
        with pytest.raises(EngineError, match="No module named 'vllm'"):
            async with VllmServer(tmp_path, python=Path(sys.executable), log=tmp_path / "own.log"):
                pass

    asyncio.run(main())


def test_one_that_does_not_come_up_is_stopped(tmp_path: Path) -> None:
    async def main() -> None:
        python = stand_in(tmp_path, "import time; time.sleep(600)")
        server = VllmServer(tmp_path, python=python, log=tmp_path / "vllm.log", patience=0.3)
        with pytest.raises(EngineError, match=r"did not come up in 0\.3 seconds"):
            async with server:
                pass
        assert server._process is None

    asyncio.run(main())


def test_the_python_is_named_or_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALESTRA_VLLM_PYTHON", str(tmp_path / "gone"))
    assert find_vllm_python() is None
    with pytest.raises(EngineError, match=r"run `make vllm`, or name one in PALESTRA_VLLM_PYTHON"):
        VllmServer(tmp_path)
    monkeypatch.setenv("PALESTRA_VLLM_PYTHON", sys.executable)
    assert find_vllm_python() == Path(sys.executable)
    json.loads(CPU_OPTIONS[-1])
