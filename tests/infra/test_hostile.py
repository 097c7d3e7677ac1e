"""Commands that want too much, or will not die, on both isolating backends.

Each test tries one attack and shows its wall; the `box` fixture then shows that the attacked lease still answers and
that the next one is exactly like the first. The attacks use the shell and perl of the `base` image.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import subprocess
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from palestra.infra.sandbox.sync import Sandbox, Sandboxes
from palestra.infra.sandbox.types import WORK, Chunk, ExecResult, FileTooLarge, Limits, User

MIB = 1 << 20
AS_ROOT = os.getuid() == 0
X86 = platform.machine() == "x86_64"
BOTH_USERS = pytest.mark.parametrize("user", ["agent", "grader"])
needs_root = pytest.mark.skipif(not AS_ROOT, reason="control groups and a disk of its own need root")
State = Callable[[Sandboxes], str]
Call = Callable[[Sandbox], ExecResult]
Alive = Callable[[str], bool]
Until = Callable[[Callable[[], bool]], bool]


def _perl(script: str, *words: str) -> list[str]:
    return ["perl", "-e", script, *words]


def _named(cases: Mapping[str, object]) -> Any:
    return [pytest.param(case, id=name) for name, case in cases.items()]


FORK_BOMBS = {
    "shell": "b() { b | b & }; b; sleep 999",
    "perl": "exec perl -e 'while (1) { fork }'",
    "deaf sessions": "exec perl -MPOSIX -e '$SIG{$_} = q(IGNORE) for keys %SIG; while (1) { setsid if !fork }'",
}
MEMORY_BOMBS = {
    "one process": "exec perl -e '$x = q(x) x (1 << 30); print length $x'",
    "a child": "perl -e '$x = q(x) x (1 << 30); print length $x'; echo survived",
    "many": "for i in 1 2 3 4 5 6 7 8 9 10; do perl -e '$x = q(x) x (16 << 20); sleep 1' & done; wait; echo survived",
    "memfd": f"""exec perl -e '$f = syscall({319 if X86 else 279}, $n = "x\\0", 0); open F, ">&=$f";
             $x = q(x) x (1 << 20); for (1 .. 256) {{ syswrite(F, $x) or die $! }} print q(survived)'""",
}
DISK_FILLS = {
    "one file": "head -c 64M /dev/zero >fill",
    "unlinked": "exec 3>fill; rm fill; head -c 64M /dev/zero >&3",
    "both places": "head -c 5M /dev/zero >a && head -c 5M /dev/zero >/tmp/b",
    "allocated": "fallocate -l 64M fill",
}
# Objects that outlive the process which made them, in small pieces until memory is full.
SYSV_FILLS = {
    "shared memory": "while (1) { shmwrite(shmget(0, 1 << 16, 01666) // die($!), 'x' x 65536, 0, 65536) or die $! }",
    "messages": "$m = pack 'l! a*', 1, 'x' x 8000; while ($q = msgget(0, 01666)) { 1 while msgsnd $q, $m, 04000 } die",
}


LONG = "x" * (3 * MIB)
HUGE: dict[str, Call] = {
    "argument": lambda box: box.exec(["true", LONG]),
    "script": lambda box: box.exec(f": {LONG}"),
    "arguments": lambda box: box.exec(["true", *["x" * 100_000] * 40]),
    "name": lambda box: box.exec([LONG]),
    "variable": lambda box: box.exec("true", env={"LONG": LONG}),
    "variables": lambda box: box.exec("true", env={f"NAME{number}": "x" * 50_000 for number in range(100)}),
    "directory": lambda box: box.exec("true", cwd=f"{WORK}/{LONG}"),
    "broken directory": lambda box: box.exec("true", cwd="/work\0false\0"),
    "input": lambda box: box.exec("exit 126", stdin=bytes(128 * MIB)),
}


class TestResources:
    @pytest.mark.parametrize("bomb", _named(FORK_BOMBS))
    def test_fork_bomb(self, box: Sandbox, other: Sandbox, bomb: str, token: str, alive: Alive) -> None:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(box.exec, f": {token}; {bomb}", timeout=0.7)
            assert other.exec("echo fine").text == "fine\n"
            assert running.result().ended in ("timed_out", "exited", "output_limit", "out_of_memory")
        assert not alive(token)

    def test_processes_are_bounded(self, box: Sandbox, limits: Limits) -> None:
        script = "for (1 .. 99) { my $p = fork; last if !defined $p; $n++; sleep 99 if !$p } print $n"
        started = int(box.exec(_perl(script)).stdout)
        assert limits.processes // 2 < started <= limits.processes
        assert box.exec("ulimit -n 9999; ulimit -u 9999; ulimit -n").stdout == b"128\n"

    @needs_root
    @pytest.mark.parametrize("bomb", _named(MEMORY_BOMBS))
    def test_memory_bomb(self, box: Sandbox, bomb: str) -> None:
        result = box.exec(bomb)
        assert (result.ended, result.exit_code) == ("out_of_memory", 137), result

    def test_shared_memory_fill(self, box: Sandbox) -> None:
        assert not box.exec("head -c 256M /dev/zero >/dev/shm/x").ok
        box.exec("rm -f /dev/shm/x")

    @needs_root
    def test_disk_larger_than_memory(self, walled: Sandboxes, first_state: str, state: State) -> None:
        with walled.lease("base", Limits(memory_bytes=24 * MIB, disk_bytes=96 * MIB, processes=32)) as box:
            assert box.exec("head -c 96M /dev/zero >fill").ended in ("out_of_memory", "exited")
            assert box.exec("true").ended in ("out_of_memory", "exited")
        assert state(walled) == first_state

    @needs_root
    @pytest.mark.parametrize("fill", _named(SYSV_FILLS))
    def test_memory_without_a_process(self, box: Sandbox, fill: str) -> None:
        assert not box.exec(_perl(fill)).ok
        assert box.exec(_perl("print 'x' x (1 << 20)"), user="grader").ended != "out_of_memory"

    @needs_root
    @pytest.mark.parametrize("fill", _named(DISK_FILLS))
    def test_disk_fill(self, box: Sandbox, fill: str) -> None:
        result = box.exec(fill)
        assert b"No space left" in result.stderr, result
        with pytest.raises(OSError, match="No space left") as caught:
            box.write("more", b"x" * (9 * MIB))
        assert caught.value.errno == errno.ENOSPC
        box.exec("rm -f fill a /tmp/b more")
        box.write("after", b"x" * (6 * MIB))
        assert len(box.read("after")) == 6 * MIB

    @needs_root
    def test_inode_exhaustion(self, walled: Sandboxes, limits: Limits, first_state: str, state: State) -> None:
        with walled.lease("base", limits) as box:
            result = box.exec(_perl("for (1 .. 1e6) { open F, '>', $_ or die $! }"))
            assert result.ended == "out_of_memory" or b"No space left" in result.stderr, result
            with contextlib.suppress(OSError, FileTooLarge):
                assert 0 < len(box.list()) <= 10_000
            with contextlib.suppress(OSError):
                box.write("one/more", b"")
        assert state(walled) == first_state

    @pytest.mark.parametrize("flood", ["yes", "yes >&2", "yes & yes >&2", "trap '' PIPE; while :; do yes; done"])
    def test_output_flood(self, box: Sandbox, limits: Limits, flood: str, token: str, alive: Alive) -> None:
        result = box.exec(f": {token}; {flood}; :")
        assert (result.ended, result.exit_code) == ("output_limit", 137)
        assert len(result.stdout + result.stderr) == limits.output_bytes
        assert not alive(token)

    def test_long_line(self, box: Sandbox, limits: Limits) -> None:
        result = box.exec("head -c 100M /dev/zero | tr '\\0' x")
        assert (result.ended, result.stdout) == ("output_limit", b"x" * limits.output_bytes)

    def test_open_file_exhaustion(self, box: Sandbox, limits: Limits) -> None:
        count = box.exec(_perl("while (open my $f, '<', '/dev/null') { push @f, $f } print scalar(@f), ' ', $! + 0"))
        opened, reason = map(int, count.stdout.split())
        assert limits.open_files - 10 < opened < limits.open_files
        assert reason == errno.EMFILE

    def test_many_commands_leave_no_zombies(self, box: Sandbox, limits: Limits) -> None:
        box.exec(_perl("for (1 .. 300) { my $p = fork // last; exit if $p == 0 && !fork }"))
        assert len(box.exec("echo /proc/[0-9]*").text.split()) <= 4
        for number in range(limits.processes + 10):
            assert box.exec(f"exit {number}").exit_code == number

    @pytest.mark.parametrize("call", _named(HUGE))
    def test_huge_command(self, box: Sandbox, call: Call) -> None:
        """A size is refused with a shell's exit code or one clear line; it is no broken machine (SandboxFailed)."""
        try:
            ending: int | str = call(box).exit_code
        except (ValueError, OSError) as error:
            ending = str(error)
        assert ending in (125, 126, 127) or re.fullmatch(r"(?s:(?=.{10,500}$)[^\n]*)", str(ending)), ending

    def test_huge_stdin(self, box: Sandbox) -> None:
        data = b"x" * (32 * MIB)
        assert box.exec("true", stdin=data).ok
        assert box.exec("exec <&-; exit 3", stdin=data).exit_code == 3
        assert box.exec("exec sleep 9", stdin=data, timeout=0.2).ended == "timed_out"
        assert box.exec("wc -c", stdin=data).text == f"{len(data)}\n"


DAEMONS = {
    "setsid": "setsid sleep TOKEN </dev/null >/dev/null 2>&1 &",
    "nohup": "nohup sleep TOKEN </dev/null >/dev/null 2>&1 &",
    "holds stdout": "setsid sleep TOKEN &",
    "double fork": "perl -MPOSIX -e 'exit if fork; setsid; exit if fork; close $_ for *STDIN, *STDOUT, *STDERR; "
    "$SIG{$_} = q(IGNORE) for keys %SIG; exec q(sleep), q(TOKEN)'",
    "stopped": "setsid sleep TOKEN >/dev/null 2>&1 & kill -STOP $!",
    "renamed": "setsid perl -e '$0 = q(kworker TOKEN); sleep 999' >/dev/null 2>&1 &",
    "forks on": "setsid perl -e '$x = q(TOKEN); while (1) { exit if fork; select undef, undef, undef, .001 }' "
    ">/dev/null 2>&1 &",
}
DEAF = [
    "trap '' TERM HUP INT QUIT USR1; while :; do sleep TOKEN; done",
    "exec perl -e '$SIG{$_} = q(IGNORE) for keys %SIG; $x = q(TOKEN); 1 while 1'",
    "kill -STOP $$; : TOKEN",
    "exec >&- 2>&- <&-; sleep TOKEN",
]
KILLERS = [
    "kill -9 -1",
    "kill -STOP -1",
    "kill -9 1; kill -9 $PPID",
    "kill -STOP 1 $PPID",
    "for signal in $(seq 64); do kill -$signal 1; kill -$signal $PPID; done 2>/dev/null",
    "perl -e 'for (2 .. 70000) { kill 9, $_ if $_ != $$ }'",
]


class TestProcesses:
    @pytest.mark.parametrize("daemon", _named(DAEMONS))
    def test_daemon_dies_with_its_command(self, box: Sandbox, daemon: str, token: str, alive: Alive) -> None:
        result = box.exec(daemon.replace("TOKEN", token) + "\necho started")
        assert (result.ended, result.exit_code, result.stdout) == ("exited", 0, b"started\n")
        assert not alive(token)
        assert token not in box.exec("cat /proc/[0-9]*/cmdline | tr '\\0' ' '").text

    @pytest.mark.parametrize("daemon", _named(DAEMONS))
    def test_timeout_kills_daemons(self, box: Sandbox, daemon: str, token: str, alive: Alive) -> None:
        result = box.exec(f"{daemon}\nsleep TOKEN".replace("TOKEN", token), timeout=0.3)
        assert (result.ended, result.exit_code) == ("timed_out", 137)
        assert not alive(token)

    @pytest.mark.parametrize("deaf", DEAF)
    def test_deaf_command(self, box: Sandbox, deaf: str, token: str, alive: Alive) -> None:
        assert box.exec(deaf.replace("TOKEN", token), timeout=0.3).ended == "timed_out"
        assert not alive(token)

    def test_early_end_of_output_is_not_the_end(self, box: Sandbox) -> None:
        result = box.exec("echo before; exec >&- 2>&-; sleep 0.1; : >late; exit 3")
        assert (result.exit_code, result.stdout, result.ended) == (3, b"before\n", "exited")
        assert box.read("late") == b""

    @pytest.mark.parametrize("attack", KILLERS)
    @BOTH_USERS
    def test_killing_everything(self, box: Sandbox, attack: str, user: User) -> None:
        assert box.exec(f"{attack}; :", user=user, timeout=1).ended in ("exited", "timed_out")
        assert box.exec("exit 7").exit_code == 7

    def test_killing_another_lease(self, box: Sandbox, other: Sandbox, token: str, alive: Alive, until: Until) -> None:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(other.exec, f"sleep 0.{token}; echo survived")
            assert until(lambda: alive(token))
            box.exec(_perl("for (2 .. 70000) { kill 9, $_ if $_ != $$ } kill 9, -1"))
            assert running.result().text == "survived\n"

    @BOTH_USERS
    def test_nothing_is_inherited(self, box: Sandbox, user: User) -> None:
        script = "for (0 .. 9999) { $l = readlink qq(/proc/self/fd/$_); print qq($_ $l\\n) if $l }"
        links = dict(line.split(" ", 1) for line in box.exec(_perl(script), user=user).text.splitlines())
        assert links.keys() <= {"0", "1", "2"}, links
        assert box.exec(_perl("open F, '<', '/dev/tty' or exit 6"), user=user).exit_code == 6

    def test_output_in_flight(self, walled: Sandboxes) -> None:
        """Standard output sent over a socket that only holds itself: nobody has it open, and it is not closed."""
        script = """if True:
            import socket
            one, two = socket.socketpair()
            socket.send_fds(one, [b"x"], [one.fileno(), two.fileno(), 0, 1, 2])
            print("sent", flush=True)"""
        with walled.lease("python") as box:
            for _ in range(5):
                result = box.exec(["python3", "-c", script], timeout=5)
                assert (result.ended, result.text) == ("exited", "sent\n")

    def test_terminal_tricks(self, box: Sandbox) -> None:
        push, console = 0x5412, 0x541C  # TIOCSTI, TIOCLINUX
        script = (
            f"for $f (*STDIN, *STDOUT, *STDERR) {{ for ({push}, {console}) {{ $s = 'x'; print ioctl $f, $_, $s }} }}"
        )
        assert box.exec(_perl(script)).text == ""
        assert set(box.exec("ls -A /dev/pts").text.split()) <= {"ptmx"}


def _number(on_x86: int, on_arm: int) -> str:
    return f"syscall({on_x86 if X86 else on_arm}, "


# Things that the kernel counts per user, or once for the whole machine: how to take one.
SCARCE = {
    "inotify": _number(294, 26) + "0) >= 0",
    "timers": _number(222, 107) + "0, 0, $id = ' ' x 8) >= 0",
    "queues": _number(240, 180) + "$name = qq(q$$.) . ++$i, 0102, 0666, 0) >= 0 && $i < 99",
    "terminals": "open($f[$i++], '+<', '/dev/ptmx')",
}
_TAKE_ALL = """$| = 1; pipe R, W; for (1 .. 20) { if (!fork) { close R; 1 while %s; close W; sleep 9; exit } }
close W; <R>; print "held"; sleep 9"""
_SOCKETS = {
    "tcp": """socket(L, AF_INET, SOCK_STREAM, 0); bind(L, $here); listen(L, 500); for (1 .. 50) {
        socket(my $to, AF_INET, SOCK_STREAM, 0); connect($to, getsockname L); accept(my $from, L) or last;
        for my $f ($to, $from) { push @kept, $f; fcntl($f, F_SETFL, O_NONBLOCK); 1 while syswrite $f, $data } }""",
    "udp": """for (1 .. 100) { socket(my $f, AF_INET, SOCK_DGRAM, 0) or last; push @kept, $f; bind($f, $here);
        connect($f, getsockname $f); fcntl($f, F_SETFL, O_NONBLOCK); for (1 .. 200) { syswrite $f, $data or last } }""",
    "unix": """for (1 .. 50) { socketpair(my $to, my $from, AF_UNIX, SOCK_STREAM, 0) or last;
        for my $f ($to, $from) { push @kept, $f; fcntl($f, F_SETFL, O_NONBLOCK); 1 while syswrite $f, $data } }""",
    "pipes": """for (1 .. 50) { pipe(my $from, my $to) or last; push @kept, $from, $to; fcntl($to, 1031, 1 << 20);
        fcntl($to, F_SETFL, O_NONBLOCK); 1 while syswrite $to, $data }""",
}


class TestNeighbours:
    @needs_root
    @pytest.mark.parametrize("take", _named(SCARCE))
    def test_nobody_else_runs_short(self, box: Sandbox, other: Sandbox, take: str) -> None:
        """What a lease takes of the kernel's tables, other leases and the machine itself must not miss."""
        one = _perl(f"exit !({take})")
        assert other.exec(one).ok
        events = box.stream(_perl(_TAKE_ALL % take))
        assert isinstance(events, Generator)
        with contextlib.closing(events):
            if next(events) == Chunk("stdout", b"held"):  # else a limit was met first
                assert other.exec(one).ok
                assert "$name" in take or subprocess.run(one).returncode == 0  # a queue's name would stay behind

    @needs_root
    @pytest.mark.parametrize("fill", _named(_SOCKETS))
    def test_memory_in_sockets(self, box: Sandbox, limits: Limits, fill: str) -> None:
        before = _socket_bytes()
        prepare = (
            "use Socket; use Fcntl; $| = 1; $data = 'x' x 60000; $here = pack_sockaddr_in 0, inet_aton '127.0.0.1';"
        )
        events = box.stream(_perl(f"{prepare} {fill} print 'held'; sleep 9"))
        assert isinstance(events, Generator)
        with contextlib.closing(events):
            if next(events) == Chunk("stdout", b"held"):
                assert _socket_bytes() - before < 2 * limits.memory_bytes


def _socket_bytes() -> int:
    """What TCP and UDP hold on the whole machine (proc(5), sockstat: pages)."""
    lines = Path("/proc/net/sockstat").read_text().splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith(("TCP:", "UDP:"))) * os.sysconf(
        "SC_PAGE_SIZE"
    )


class TestStreams:
    @pytest.mark.parametrize(
        "flood", ["yes", "yes >&2", "setsid yes & exec yes >&2", "trap '' PIPE; while :; do yes; done"]
    )
    def test_left_in_a_flood(self, box: Sandbox, flood: str, token: str, alive: Alive) -> None:
        for event in box.stream(f": {token}; {flood}; :"):
            assert isinstance(event, Chunk)
            break
        assert not alive(token)

    @pytest.mark.parametrize("daemon", _named(DAEMONS))
    def test_daemons_die_with_their_stream(self, box: Sandbox, daemon: str, token: str, alive: Alive) -> None:
        *_, last = box.stream(daemon.replace("TOKEN", token) + "\nexit 3")
        assert isinstance(last, ExecResult)
        assert (last.ended, last.exit_code) == ("exited", 3)
        assert not alive(token)

    def test_nobody_reads(self, box: Sandbox, token: str, alive: Alive, until: Until) -> None:
        """A reader that went to sleep holds the command back, but not its time limit."""
        events = box.stream(f"setsid sleep {token} & yes", timeout=0.3)
        assert isinstance(events, Generator)
        with contextlib.closing(events):
            assert isinstance(next(events), Chunk)
            assert until(lambda: not alive(token))
            *_, last = events
        assert isinstance(last, ExecResult)
        assert (last.ended, last.exit_code) == ("timed_out", 137)

    @needs_root
    def test_memory_bomb(self, box: Sandbox) -> None:
        *_, last = box.stream("exec perl -e '$x = q(x) x (1 << 30)'")
        assert isinstance(last, ExecResult)
        assert (last.ended, last.exit_code) == ("out_of_memory", 137)
