"""One command in a container: a small shell around it, and the engine's multiplexed stream.

The shell runs the command as its child, then kills every other process of its user (`kill -9 -1` spares the caller
and cannot reach another user's), and writes a last line to standard error: a nonce, the exit code, and the
container's count of out-of-memory kills. A command may forge that line or kill the shell, which are the same
user's: `outcome` then sees an exit code of the shell that does not fit, or none of the line, and calls the end
unclean, so that the caller kills again. Stream format: https://docs.docker.com/engine/api, "attach to a container",
8 bytes of header per frame.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from docker import DockerClient

from .run import Output
from .types import Ended, ExecResult

_AROUND = """
nonce=$1 cwd=$2 oom=0; shift 2
(cd -- "$cwd" || exit 125; exec "$@"); code=$?
kill -9 -1 2>/dev/null
for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
  [ -r $file ] && while read -r key value; do [ "$key" = oom_kill ] && oom=$value; done <$file
done
printf '\\n%s %s %s' "$nonce" $code $oom >&2
exit $code
"""
_TRAILER_ROOM = 128
_STDERR = 2


@dataclass(frozen=True)
class Command:
    """What to run inside."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    stdin: bytes


@dataclass
class Attached:
    """A started command and its connection."""

    exec_id: str
    nonce: str
    stdin: bytes
    output: Output
    reader: BinaryIO
    socket: socket.socket
    trailer: bytes = b""
    exit_code: int | None = None

    def feed(self) -> None:
        """Send standard input and its end (blocking)."""
        with contextlib.suppress(OSError):  # the command need not read its input, and hang_up ends us too
            self.socket.sendall(self.stdin)
            self.socket.shutdown(socket.SHUT_WR)

    def drain(self) -> None:
        """Read frames until the end or until the output limit (blocking)."""
        with contextlib.suppress(OSError):
            while not self.output.overflow.is_set():
                header = self.reader.read(8)
                if len(header) < 8:
                    return
                kind, size = struct.unpack(">BxxxL", header)
                self._keep(self.reader.read(size), to_stderr=kind == _STDERR)

    def _keep(self, data: bytes, *, to_stderr: bool) -> None:
        # The last bytes of stderr are ours, if anything: they must not count against the command's limit.
        if to_stderr:
            data = self.trailer + data
            self.trailer, data = data[-_TRAILER_ROOM:], data[:-_TRAILER_ROOM]
        self.output.add(data, to_stderr=to_stderr)

    def hang_up(self) -> None:
        """End `feed` and `drain` from another thread."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def finish(self, client: DockerClient) -> None:
        """Close the connection and fetch the shell's exit code (None while it runs)."""
        self.reader.close()
        self.socket.close()
        self.exit_code = client.api.exec_inspect(self.exec_id)["ExitCode"]


def attach(client: DockerClient, container: str, command: Command, user: str, room: int) -> Attached:
    """Start a command (blocking). `room` is the output limit in bytes."""
    nonce = secrets.token_hex(16)
    argv = ["/bin/sh", "-c", _AROUND, "sh", nonce, command.cwd, *command.argv]
    made = client.api.exec_create(container, argv, stdin=True, environment=dict(command.env), user=user, workdir="/")
    connection: Any = client.api.exec_start(made["Id"], socket=True)
    # The buffered reader, not the socket below it: the first frames may have come with the headers.
    reader = connection._response.raw._fp.fp
    return Attached(made["Id"], nonce, command.stdin, Output(room), reader, reader.raw._sock)


@dataclass(frozen=True)
class Outcome:
    """How a command ended, before it is known whether memory ran out. `clean`: surely nothing of it is alive."""

    result: ExecResult
    oom_kills: int
    clean: bool

    def with_oom(self, oom_kills: int) -> Outcome:
        """The same after a second kill, which told the count of out-of-memory kills."""
        return replace(self, oom_kills=oom_kills, clean=True)

    def as_exec_result(self, out_of_memory: bool) -> ExecResult:
        """The result for the caller."""
        return replace(self.result, exit_code=137, ended="out_of_memory") if out_of_memory else self.result


def outcome(running: Attached, finished: bool, seconds: float) -> Outcome:
    """Read the last line; `finished` is false if time or output ran out first."""
    head, found, tail = running.trailer.rpartition(b"\n" + running.nonce.encode() + b" ")
    words = tail.split()
    code, oom_kills = running.exit_code, 0
    if found and len(words) == 2 and all(word.isdigit() for word in words):
        claimed, oom_kills = int(words[0]), int(words[1])
        clean = finished and claimed == code and code != 137
        running.output.add(head, to_stderr=True)
    else:
        clean = False
        running.output.add(running.trailer, to_stderr=True)
    ended: Ended = "exited" if finished else "timed_out"
    if running.output.overflow.is_set():
        ended = "output_limit"
    shown = code if ended == "exited" and code is not None else 137
    stdout, stderr = bytes(running.output.stdout), bytes(running.output.stderr)
    return Outcome(ExecResult(shown, stdout, stderr, seconds, ended), oom_kills, clean)
