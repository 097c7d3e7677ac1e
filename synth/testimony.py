"""The other side of `witness.py`: a process that plays and judges what it is asked, a line of JSON each way.

`python -m palestra.synth.testimony`; only a witness starts it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import random
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any
from unittest import mock

import time_machine

from ..envs.environment import Environment
from ..envs.types import plain_copy
from ..infra.sandbox.sync import Sandboxes
from ..infra.sandbox.types import SandboxError
from ..verifiers.types import Verdict
from .stage import Stage
from .witness import Play, Question, Testimony

SHIFT = 411 * 86_400 + 5 * 3_600 + 1_234
"""Seconds by which the clock is ahead in the second round."""
_REMEMBERED, _LONGEST = 8, 200
_TEMPORARY = tuple(f"{folder}/" for folder in {tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"})
_NOTED = ("reached", "programs", "written", "found")
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")


class Watch:
    """What the process does while it is watched, by Python's audit events; it reaches no host."""

    def __init__(self) -> None:
        self.on = self.strict = False
        self.reached: list[str] = []
        self.programs: list[str] = []
        self.written: list[str] = []
        self.found: list[str] = []
        self.ours: tuple[str, ...] = ()
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in _NETWORK:
            self._network(event, arguments)
        elif event in _PROGRAMS:
            self.programs.append(str(arguments[0])[:200])
        elif event == "open" and isinstance(arguments[0], str | bytes):
            self._file(os.path.abspath(os.fsdecode(arguments[0])), _writes(arguments[1], arguments[2]))

    def _file(self, path: str, writes: bool) -> None:
        """Note a file that is written, and one that lies about on the machine: temporary, and not written here."""
        if writes:
            self.written.append(path[:_LONGEST])
        elif self.strict and path.startswith(_TEMPORARY) and not path.startswith(self.ours):
            self.found += [path[:_LONGEST]] if path[:_LONGEST] not in self.written else []

    def _network(self, event: str, arguments: tuple[Any, ...]) -> None:
        host = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments[0]
        host = host[0] if isinstance(host, tuple) else host
        if event in ("socket.connect", "socket.sendto") and isinstance(host, str | bytes) and "/" in str(host):
            return  # a socket of this machine
        if not self.strict and host in ("127.0.0.1", "::1", "localhost"):
            return
        self.reached.append(str(host)[:200])
        raise OSError(101, f"a task is judged without a network; it reached for {host!r}")

    @contextlib.contextmanager
    def watching(self, strict: bool) -> Iterator[None]:
        """Watch, and with `strict` refuse this machine's own addresses too."""
        self.reached, self.programs, self.written, self.found = [], [], [], []
        self.on, self.strict = True, strict
        try:
            yield
        finally:
            self.on = False

    @contextlib.contextmanager
    def resting(self) -> Iterator[None]:
        """Look away for a while."""
        before, self.on = self.on, False
        try:
            yield
        finally:
            self.on = before


def _writes(mode: object, flags: object) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


class Bench:
    """Plays and judges; remembers a few tasks to judge them again between later ones."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._earlier: deque[tuple[Callable[[], Environment], Question]] = deque(maxlen=_REMEMBERED)

    def testify(self, question: Question) -> Testimony:
        """Answer a question; what goes wrong is in the answer."""
        try:
            cls = load_class(question.module, question.file, question.name, question.path)
            sandboxes = _sandboxes(question.sandbox) if question.sandbox else None
            own = [os.path.dirname(question.file), *question.path]
            self._watch.ours = tuple(f"{folder}/" for folder in own if folder and f"{folder}/" not in _TEMPORARY)
            with self._watch.watching(strict=sandboxes is None):
                said = self._hear(lambda: cls(sandboxes), question)
        except SandboxError as error:
            return Testimony(broken_machine=str(error))
        except Exception as error:
            return Testimony(error=f"raised {type(error).__name__}: {error}"[:500])
        watch = self._watch
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        told = {name: tuple(dict.fromkeys(getattr(watch, name)))[:20] for name in _NOTED}
        return said.model_copy(update={**told, "memory": memory})

    def _hear(self, make: Callable[[], Environment], question: Question) -> Testimony:
        stage = Stage(make, question.task)
        first = _backwards(stage, question.plays)
        shifted = _on_another_day(stage, question.plays)
        slow = _after_start(stage, question.plays, calls=True) if stage.make().image is None else shifted
        later = first
        if question.sandbox is None:  # other tasks in other sandboxes cannot meet
            with self._watch.resting():
                for other, asked in self._earlier:
                    with contextlib.suppress(Exception):
                        Stage(other, asked.task).play(asked.plays[0].calls, asked.plays[0].answer)
            later = tuple(_judged(stage, play) for play in question.plays)
            self._earlier.append((make, question))
        return Testimony(
            first=first,
            shifted=shifted,
            slow=slow,
            later=later,
            proposed=_proposed(make(), question) if question.stream else None,
        )


def _judged(stage: Stage, play: Play) -> Verdict:
    return stage.play(play.calls, play.answer).verdict


def _backwards(stage: Stage, plays: tuple[Play, ...]) -> tuple[Verdict, ...]:
    return tuple(reversed([_judged(stage, play) for play in reversed(plays)]))


def _on_another_day(stage: Stage, plays: tuple[Play, ...]) -> tuple[Verdict, ...]:
    """With the clock ahead; where there are sandboxes, whose leases go by the clock, only `verify` is moved."""
    if stage.make().image is None:
        with _ahead():
            return _backwards(stage, plays)
    return _after_start(stage, plays, calls=False)


def _after_start(stage: Stage, plays: tuple[Play, ...], calls: bool) -> tuple[Verdict, ...]:
    """With the clock ahead only after an episode has started: before its `calls`, or before `verify`."""
    said = []
    for play in plays:
        with stage.episode() as env:
            with _ahead() if calls else contextlib.nullcontext():
                for call in play.calls:
                    env.call(call)
                    if env.submitted:
                        break
                answer = env.answer if env.submitted else plain_copy(play.answer)
                world = env.finish(answer)
            with _ahead():
                said.append(stage.verdict(env, answer, world))
    return tuple(said)


@contextlib.contextmanager
def _ahead() -> Iterator[None]:
    """The clocks of this process ahead, also those that only count."""
    shifted: dict[str, Any] = {name: partial(_plus, getattr(time, name)) for name in ("monotonic", "perf_counter")}
    with time_machine.travel(time.time() + SHIFT, tick=True), mock.patch.multiple(time, **shifted):
        yield


def _plus(clock: Callable[[], float]) -> float:
    return clock() + SHIFT


def _proposed(env: Environment, question: Question) -> str:
    assert question.stream is not None
    return env.propose(random.Random(question.stream), question.task.level).id


@cache
def load_class(module: str, file: str, name: str, path: tuple[str, ...]) -> type[Environment]:
    """The class an asker named: from its module, or where that cannot be imported by its name, from its file."""
    sys.path[:] = list(dict.fromkeys([*path, *sys.path]))
    try:
        found: Any = importlib.import_module(module)
    except ImportError:
        spec = importlib.util.spec_from_file_location(module, file)
        if spec is None or spec.loader is None:
            raise
        found = sys.modules[module] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    for part in name.split("."):
        found = getattr(found, part)
    cls: type[Environment] = found
    return cls


@cache
def _sandboxes(name: str) -> Sandboxes:
    return Sandboxes(name)


def main() -> None:
    """Answer until nobody asks any more."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what an environment prints is no testimony
    bench = Bench(Watch())
    for line in sys.stdin.buffer:
        said = bench.testify(Question.model_validate_json(line))
        out.write(said.model_dump_json().encode("utf-8", "surrogatepass") + b"\n")
        out.flush()


if __name__ == "__main__":
    main()
