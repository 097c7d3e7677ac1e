"""A command that is talked to while it runs, on every backend."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from palestra.infra.sandbox.sync import Sandbox, Sandboxes
from palestra.infra.sandbox.types import Chunk, ExecResult, Input, Limits

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
LIMITS = Limits(memory_bytes=256 << 20, seconds=60)
ECHO = ["python3", "-uc", "import sys\nfor line in sys.stdin: print(line.upper(), end='')\nprint('the end')"]


@pytest.fixture(scope="module", params=[DOCKER, "bwrap", "process"])
def sandboxes(request: pytest.FixtureRequest) -> Iterator[Sandboxes]:
    with Sandboxes(request.param) as found:
        yield found


@pytest.fixture
def box(sandboxes: Sandboxes) -> Iterator[Sandbox]:
    with sandboxes.lease("python", LIMITS) as found:
        yield found


def test_question_and_answer_in_turns(box: Sandbox) -> None:
    given = Input()
    given.write(b"early\n")
    events = box.stream(ECHO, stdin=given)
    assert next(events) == Chunk("stdout", b"EARLY\n")
    for word in (b"one", b"two", "drü".encode()):
        given.write(word + b"\n")
        assert next(events) == Chunk("stdout", word.decode().upper().encode() + b"\n")
    given.end()
    rest = list(events)
    assert b"".join(event.data for event in rest if isinstance(event, Chunk)) == b"the end\n"
    assert isinstance(rest[-1], ExecResult)
    assert rest[-1].ok
    given.write(b"too late\n")
    assert box.exec(["echo", "next"]).stdout == b"next\n"


def test_more_than_a_pipe_holds_arrives_whole(box: Sandbox) -> None:
    """The command reads nothing before all was written, so that the backend must keep it."""
    piece = bytes(range(256)) * 2048
    script = "import sys,time,hashlib\nsys.stdout.write('go\\n'); sys.stdout.flush()\nd = sys.stdin.buffer.read()\n"
    given = Input()
    events = box.stream(["python3", "-c", script + "print(len(d), hashlib.sha256(d).hexdigest())"], stdin=given)
    assert next(events) == Chunk("stdout", b"go\n")
    for _ in range(16):
        given.write(piece)
    given.end()
    told = b"".join(event.data for event in events if isinstance(event, Chunk))
    assert told.decode().split() == [str(16 * len(piece)), hashlib.sha256(piece * 16).hexdigest()]


def test_a_command_that_does_not_listen_ends_all_the_same(box: Sandbox) -> None:
    given = Input()
    events = box.stream("exec <&-; echo deaf; exit 3", stdin=given)
    assert next(events) == Chunk("stdout", b"deaf\n")
    given.write(b"x" * 100_000)
    last = list(events)[-1]
    assert isinstance(last, ExecResult)
    assert (last.exit_code, last.ended) == (3, "exited")


def test_leaving_the_conversation_kills_the_command(box: Sandbox) -> None:
    given = Input()
    events = box.stream(ECHO, stdin=given)
    given.write(b"x\n")
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert box.exec(["echo", "free"]).stdout == b"free\n"


def test_a_silent_conversation_runs_into_its_time_limit(box: Sandbox) -> None:
    last = list(box.stream(ECHO, stdin=Input(), timeout=0.3))[-1]
    assert isinstance(last, ExecResult)
    assert (last.ended, last.exit_code) == ("timed_out", 137)


def test_more_than_a_command_can_take_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match="stdin of 67108865 bytes is more than"):
        Input().write(b"x" * ((64 << 20) + 1))


def test_a_conversation_waits_no_longer_than_asked(box: Sandbox) -> None:
    talk = box.converse(ECHO)
    talk.send(b"hello\n")
    assert talk.receive(30) == Chunk("stdout", b"HELLO\n")
    assert talk.receive(0.05) is None
    talk.send(b"again\n")
    assert talk.receive(30) == Chunk("stdout", b"AGAIN\n")
    talk.close()
    talk.close()
    assert box.exec(["echo", "free"]).stdout == b"free\n"


def test_a_conversation_tells_how_the_command_ended(box: Sandbox) -> None:
    talk = box.converse(["python3", "-c", "exit(int(input()))"])
    talk.send(b"7\n")
    last = talk.receive(30)
    assert isinstance(last, ExecResult)
    assert last.exit_code == 7
    assert talk.receive(1) is None
