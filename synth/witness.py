"""A second opinion from another process: another hash seed, locale, time zone and clock, and no network.

A witness lives as long as the process that asks it and answers one question at a time, a line of JSON each way. What it
does is in `testimony.py`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ..envs.environment import Environment
from ..envs.types import Answer, Task, ToolCall, canonical
from ..infra.sandbox.types import SandboxFailed
from ..verifiers.types import Verdict
from .stage import CHECK_SECONDS, SANDBOX_SECONDS, Stage, failures
from .types import Evidence

ZONE = "WIT-13:47"  # thirteen hours and 47 minutes east of Greenwich
LOCALE = "C"
_CHUNK = 1 << 16


class Play(BaseModel):
    """What an agent does: calls, then an answer that counts where none of them submitted one."""

    model_config = ConfigDict(frozen=True)

    calls: tuple[ToolCall, ...] = ()
    answer: Answer = None


class Question(BaseModel):
    """What a witness is asked: play these and judge them."""

    model_config = ConfigDict(frozen=True)

    module: str
    file: str
    name: str
    path: tuple[str, ...]
    sandbox: str | None
    task: Task
    stream: str | None
    plays: tuple[Play, ...]


class Testimony(BaseModel):
    """What it says: the verdicts on the plays as they are, with the clock shifted before the episode and in it, and
    after others of earlier tasks; `error` is what stopped it, `reached` which hosts it wanted, `found` which temporary
    files it read that it had not written, `memory` the bytes it used at most.
    """

    model_config = ConfigDict(frozen=True)

    first: tuple[Verdict, ...] = ()
    shifted: tuple[Verdict, ...] = ()
    slow: tuple[Verdict, ...] = ()
    later: tuple[Verdict, ...] = ()
    proposed: str | None = None
    reached: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    memory: int = 0
    error: str = ""
    broken_machine: str = ""

    def hermetic(self) -> Evidence:
        """The check `hermetic`: neither proposing nor judging reached for a network or for what lies about."""
        wanted = [f"reached for {', '.join(self.reached)}"] if self.reached else []
        wanted += [f"read {', '.join(self.found)}, which is no part of the task"] if self.found else []
        detail = "; ".join(wanted) or "neither a network nor a temporary file was reached for"
        seen = {"programs": list(self.programs), "written": list(self.written), "memory_bytes": self.memory}
        return Evidence(name="hermetic", ok=not wanted, detail=detail, measured=seen)


class Witness:
    """The other process. It starts at the first question, and anew where it died or was too slow."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._left = b""

    def ask(self, stage: Stage, stream: str | None, plays: Sequence[Play]) -> Testimony:
        """Its testimony. AssertionError where it cannot give one, SandboxFailed where its machine broke."""
        env = stage.make()
        question = _question(env, stage.task, stream, plays)
        seconds = CHECK_SECONDS if env.image is None else SANDBOX_SECONDS
        line = self._exchange(question.model_dump_json().encode("utf-8", "surrogatepass"), seconds)
        testimony = Testimony.model_validate_json(line)
        if testimony.broken_machine:
            raise SandboxFailed(testimony.broken_machine)
        if testimony.error:
            raise AssertionError(f"another process {testimony.error}")
        return testimony

    def close(self) -> None:
        """End the other process."""
        if self._process is not None:
            process, self._process, self._left = self._process, None, b""
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.stdout.close()
            process.kill()
            process.wait()

    def _exchange(self, line: bytes, seconds: float) -> bytes:
        try:
            return self._try(line, time.monotonic() + seconds)
        except OSError:
            self.close()
            raise AssertionError("another process died of it") from None
        except BaseException:
            self.close()
            raise

    def _try(self, line: bytes, end: float) -> bytes:
        process = self._process = self._process or _start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(line + b"\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._left:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise AssertionError("another process was not over in time")
                data = os.read(process.stdout.fileno(), _CHUNK)
                if not data:
                    raise OSError("the witness closed its output")
                self._left += data
        said, _, self._left = self._left.partition(b"\n")
        return said


def _start() -> subprocess.Popen[bytes]:
    mine = os.environ.get("PYTHONHASHSEED", "random")
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "2" if mine == "1" else "1",
        "LC_ALL": LOCALE,
        "LANG": LOCALE,
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "TZ": ZONE,
    }
    return subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.testimony"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )


@functools.cache
def _witness(pid: int) -> Witness:
    witness = Witness()
    atexit.register(witness.close)
    return witness


def the_witness() -> Witness:
    """The witness of this process."""
    return _witness(os.getpid())


def _question(env: Environment, task: Task, stream: str | None, plays: Sequence[Play]) -> Question:
    cls = type(env)
    if "<locals>" in cls.__qualname__:
        raise AssertionError(f"{cls.__qualname__} cannot be loaded in another process: define it in a module")
    file = getattr(sys.modules.get(cls.__module__), "__file__", None) or ""
    return Question(
        module=cls.__module__,
        file=file,
        name=cls.__qualname__,
        path=tuple(sys.path),
        sandbox=env.sandboxes.backend_name if env.sandboxes is not None else None,
        task=task,
        stream=stream,
        plays=tuple(plays),
    )


def compare(said: Sequence[Verdict], here: Sequence[tuple[Play, Verdict]], where: str) -> str:
    """How often another place said the same. AssertionError where it did not."""
    for there, (play, verdict) in zip(said, here, strict=True):
        if there != verdict:
            raise AssertionError(
                f"{where} the verdict on {canonical(play.answer)[:200]} differs: "
                f"{failures(there)}; here: {failures(verdict)}"
            )
    return f"{len(said)} verdicts alike {where}"
