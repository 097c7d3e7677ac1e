"""Every backend keeps the contract; the isolating ones stand against hostile commands and leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest

from palestra.infra.images.build import ensure_image, why_not_debootstrap
from palestra.infra.sandbox import cgroup, owner
from palestra.infra.sandbox.doctor import diagnose, why_not
from palestra.infra.sandbox.seccomp import program
from palestra.infra.sandbox.select import open_backend
from palestra.infra.sandbox.sync import Sandbox, Sandboxes
from palestra.infra.sandbox.types import (
    WORK,
    Chunk,
    ExecResult,
    FileTooLarge,
    Limits,
    PathEscape,
    SandboxError,
    SandboxFailed,
)

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
WALLED = [DOCKER, "bwrap"]
MIB = 1 << 20
LIMITS = Limits(memory_bytes=128 * MIB, processes=48, disk_bytes=16 * MIB, output_bytes=64 << 10, seconds=20)


def _opened(name: str) -> Sandboxes:
    reason = why_not(name)
    if reason is not None:
        message = f"sandbox {name}: {reason}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    if why_not_debootstrap() is None:
        ensure_image("python")
    return Sandboxes(name)


@pytest.fixture(scope="module", params=[DOCKER, "bwrap", "process"])
def any_backend(request: pytest.FixtureRequest) -> Iterator[Sandboxes]:
    with _opened(request.param) as sandboxes:
        yield sandboxes


@pytest.fixture(scope="module", params=WALLED)
def walled(request: pytest.FixtureRequest) -> Iterator[Sandboxes]:
    with _opened(request.param) as sandboxes:
        yield sandboxes


@pytest.fixture
def any_box(any_backend: Sandboxes) -> Iterator[Sandbox]:
    with any_backend.lease("python", LIMITS) as box:
        yield box


@pytest.fixture
def box(walled: Sandboxes) -> Iterator[Sandbox]:
    with walled.lease("python", LIMITS) as box:
        yield box


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether a condition comes true in time; polls, because the engine frees things after it has answered."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        threading.Event().wait(0.01)
    return True


def _alive(token: str) -> bool:
    """True if a process of this machine has `token` in its command line."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if token.encode() in (entry / "cmdline").read_bytes():
                    return True
            except (FileNotFoundError, ProcessLookupError):
                continue
    return False


def _token() -> str:
    """A duration for `sleep` that no other process names."""
    return f"99{uuid.uuid4().int % 10**10:010d}"


class TestContract:
    def test_output_exit_code_and_duration(self, any_box: Sandbox) -> None:
        result = any_box.exec("echo out; echo err >&2; exit 7")
        assert (result.exit_code, result.stdout, result.stderr, result.ended) == (7, b"out\n", b"err\n", "exited")
        assert result.text == "out\nerr\n"
        assert 0 < result.seconds < 20
        assert not result.ok

    def test_argv_reaches_the_command_as_it_is(self, any_box: Sandbox) -> None:
        words = ["a b", "", "$HOME", "a=b", "-n", "x\ny"]
        shown = any_box.exec(["/usr/bin/printf", "[%s]", *words])
        assert shown.stdout.decode() == "".join(f"[{word}]" for word in words)

    def test_environment_is_clean(self, any_box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PALESTRA_TEST_SECRET", "host")
        seen = any_box.exec("env", env={"COLOUR": "blue green"}).text.splitlines()
        assert "COLOUR=blue green" in seen
        assert not any("SECRET" in line or "PALESTRA" in line for line in seen)

    @pytest.mark.parametrize("env", [{"A=B": "x"}, {"": "x"}, {"A": "\0"}, {"-S": "x"}])
    def test_bad_variables_are_refused(self, any_box: Sandbox, env: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="environment variable"):
            any_box.exec("true", env=env)

    def test_cwd(self, any_box: Sandbox) -> None:
        any_box.write("deep/er/x", b"")
        assert any_box.exec("ls", cwd=f"{WORK}/deep/er").text == "x\n"
        assert any_box.exec("true", cwd=f"{WORK}/missing").exit_code == 125

    def test_stdin_arrives_and_ends(self, any_box: Sandbox) -> None:
        data = bytes(range(256)) * 100
        assert any_box.exec("cat", stdin=data).stdout == data
        assert any_box.exec("cat").stdout == b""
        assert any_box.exec("true", stdin=b"x" * MIB).ok

    def test_missing_command(self, any_box: Sandbox) -> None:
        assert any_box.exec(["no-such-command"]).exit_code == 127
        assert any_box.exec("kill -9 $$").exit_code == 137
        with pytest.raises(ValueError, match="command"):
            any_box.exec([])

    def test_timeout(self, any_box: Sandbox) -> None:
        token = _token()
        result = any_box.exec(f"echo early; sleep {token} & sleep {token}", timeout=0.5)
        assert (result.ended, result.exit_code, result.stdout) == ("timed_out", 137, b"early\n")
        assert _until(lambda: not _alive(token))
        assert any_box.exec("true").ok

    def test_cpu_time_of_all_processes_is_told(self, box: Sandbox) -> None:
        burn = "python3 -c 'import time\nwhile time.process_time() < 0.3: pass'"
        assert box.exec("sleep 0.4").cpu_seconds < 0.2
        assert 0.3 <= box.exec(burn).cpu_seconds < 1.0
        assert 0.9 <= box.exec(f"{burn}; (setsid {burn} &); {burn} & wait; sleep 1").cpu_seconds < 2.0
        assert box.exec("sleep 0.1").cpu_seconds < 0.2
        killed = box.exec(f"{burn}; while :; do :; done", timeout=1.0)
        assert (killed.ended, killed.cpu_seconds > 0.3) == ("timed_out", True)

    def test_output_limit(self, any_box: Sandbox) -> None:
        result = any_box.exec("yes")
        assert (result.ended, len(result.stdout)) == ("output_limit", LIMITS.output_bytes)
        loud = any_box.exec("yes >&2")
        assert (loud.ended, len(loud.stdout + loud.stderr)) == ("output_limit", LIMITS.output_bytes)
        assert any_box.exec(f"head -c {LIMITS.output_bytes} /dev/zero").ended == "exited"

    def test_files_round_trip(self, any_box: Sandbox) -> None:
        data = bytes(range(256)) * 1000
        any_box.write("a/b.bin", data)
        assert any_box.read(f"{WORK}/a/b.bin") == data
        any_box.write("a/b.bin", b"short")
        assert any_box.read("a//./b.bin") == b"short"
        assert any_box.exec("cat a/b.bin && echo more >> a/b.bin").text == "short"
        assert any_box.read("a/b.bin") == b"shortmore\n"
        any_box.write("/tmp/t", b"")
        assert any_box.read("/tmp/t") == b""

    def test_list(self, any_box: Sandbox) -> None:
        any_box.exec(["/bin/sh", "-c", "mkdir d; printf xyz > 'new\nline'; ln -s d l; mkfifo p; : > $(printf '\\377')"])
        kinds = {entry.name: entry.kind for entry in any_box.list()}
        assert kinds == {"d": "directory", "new\nline": "file", "l": "link", "p": "other", "\udcff": "file"}
        assert {entry.size for entry in any_box.list() if entry.name == "new\nline"} == {3}
        assert any_box.list("d") == ()

    @pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x", "/", "/work/../etc/passwd", "/workx"])
    def test_paths_outside_are_refused(self, any_box: Sandbox, path: str) -> None:
        for operation in (any_box.read, any_box.list, lambda name: any_box.write(name, b"")):
            with pytest.raises(PathEscape):
                operation(path)

    def test_links_are_not_followed(self, any_box: Sandbox) -> None:
        any_box.exec(f"ln -s /etc etc; ln -s /etc/passwd file; ln -s {WORK}/new dangling; ln -s . self")
        for path in ("etc/passwd", "file", "dangling", "self/file", "self/x"):
            with pytest.raises(PathEscape, match="link"):
                any_box.read(path)
            with pytest.raises(PathEscape, match="link"):
                any_box.write(path, b"x")
        with pytest.raises(PathEscape, match="link"):
            any_box.list("etc")

    def test_file_errors_are_the_kernels(self, any_box: Sandbox) -> None:
        any_box.exec("mkdir d; mkfifo p; : > f")
        with pytest.raises(FileNotFoundError):
            any_box.read("missing")
        with pytest.raises(IsADirectoryError):
            any_box.read("d")
        with pytest.raises(IsADirectoryError):
            any_box.write("d", b"")
        with pytest.raises(OSError, match=r"argument|regular|device"):
            any_box.read("p")
        with pytest.raises(NotADirectoryError):
            any_box.list("f")
        with pytest.raises(NotADirectoryError):
            any_box.write("f/x", b"")

    def test_huge_file_is_refused(self, any_box: Sandbox) -> None:
        any_box.exec("truncate -s 70M sparse || dd if=/dev/null of=sparse bs=1M seek=70")
        with pytest.raises((FileTooLarge, FileNotFoundError)):
            any_box.read("sparse")

    def test_closed_lease_refuses(self, any_backend: Sandboxes) -> None:
        box = any_backend.lease("python", LIMITS)
        box.close()
        box.close()
        with pytest.raises((SandboxFailed, FileNotFoundError)):
            box.exec("true")
        assert box.id not in {info.id for info in any_backend.list_leases()}

    def test_leases_are_fresh_and_concurrent(self, any_backend: Sandboxes) -> None:
        def work(number: int) -> str:
            with any_backend.lease("python", LIMITS) as box:
                before = [entry.name for entry in box.list("/work") + box.list("/tmp")]
                box.exec(f"echo {number} > n; echo {number} > /dev/null")
                return f"{before} {box.exec('cat n').text}"

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(8))) == [f"[] {number}\n" for number in range(8)]

    def test_deadline(self, any_backend: Sandboxes) -> None:
        box = any_backend.lease("python", Limits(lease_seconds=0.3), owner="late/lease")
        info = next(info for info in any_backend.list_leases() if info.id == box.id)
        assert (info.alive, info.note, info.image != "") == (True, "late/lease", True)
        assert _until(lambda: info.expired)
        with pytest.raises(SandboxFailed, match="deadline"):
            box.exec("true")
        any_backend.reap()
        assert _until(lambda: box.id not in {each.id for each in any_backend.list_leases()})
        box.close()

    def test_stream(self, any_box: Sandbox) -> None:
        events = list(any_box.stream("echo one; echo two >&2; read x; echo $x; exit 3", stdin=b"three\n"))
        chunks, last = events[:-1], events[-1]
        assert isinstance(last, ExecResult)
        assert (last.exit_code, last.ended, last.stdout) == (3, "exited", b"")
        assert _joined(chunks, "stdout") == b"one\nthree\n"
        assert _joined(chunks, "stderr") == b"two\n"

    def test_stream_has_no_output_limit_and_holds_the_command_back(self, any_box: Sandbox) -> None:
        events = any_box.stream("head -c 20M /dev/zero; echo written >&2")
        first = next(events)
        assert isinstance(first, Chunk)
        rest = list(events)
        assert len(first.data) + len(_joined(rest[:-1], "stdout")) == 20 * MIB
        assert _joined(rest[:-1], "stderr") == b"written\n"

    def test_leaving_a_stream_ends_its_command(self, any_box: Sandbox) -> None:
        token = _token()
        for event in any_box.stream(f"echo go; exec sleep {token}"):
            assert event == Chunk("stdout", b"go\n")
            break
        assert _until(lambda: not _alive(token))
        assert any_box.exec("echo fine").text == "fine\n"

    def test_a_stream_times_out(self, any_box: Sandbox) -> None:
        *_, last = any_box.stream("echo early; sleep 60", timeout=0.3)
        assert isinstance(last, ExecResult)
        assert (last.ended, last.exit_code) == ("timed_out", 137)

    def test_fork(self, any_box: Sandbox) -> None:
        any_box.exec(
            "mkdir d; echo old > d/changed; echo old > d/gone; echo same > same; echo t > /tmp/t; ln -s same l"
        )
        any_box.write("/grade/hidden", b"hidden")
        with any_box.fork() as twin:
            assert twin.id != any_box.id
            twin.exec("echo new > d/changed; rm d/gone; echo twin > twin")
            any_box.exec("echo mine > mine; echo old2 >> d/changed")
            assert twin.exec("cat d/changed same l /tmp/t; ls").text == "new\nsame\nsame\nt\nd\nl\nsame\ntwin\n"
            assert any_box.exec("cat d/changed d/gone; ls").text == "old\nold2\nold\nd\nl\nmine\nsame\n"
            assert twin.read("/grade/hidden") == b"hidden"
            with twin.fork() as third:
                twin.close()
                assert third.read("d/changed") == b"new\n"
                third.write("d/changed", b"third")
                assert third.read("d/changed") == b"third"
        assert any_box.read("d/changed") == b"old\nold2\n"

    def test_fork_many_times(self, any_box: Sandbox) -> None:
        for turn in range(12):
            any_box.write(f"f{turn}", str(turn).encode())
            with any_box.fork() as twin:
                twin.write("mark", b"x")
                assert len(twin.list()) == turn + 2
        assert len(any_box.list()) == 12

    def test_snapshot(self, any_backend: Sandboxes) -> None:
        with any_backend.lease("python", LIMITS) as box:
            box.write("f", b"then")
            snapshot = box.snapshot()
            box.write("f", b"now")
            with snapshot.lease() as first, snapshot.lease() as second:
                first.write("f", b"first")
                assert (second.read("f"), box.read("f")) == (b"then", b"now")
        with snapshot, snapshot.lease() as third:  # outlives the lease it was taken from
            assert third.read("f") == b"then"
        with pytest.raises(SandboxFailed):
            snapshot.lease()


class TestWalls:
    def test_identity_and_rights(self, box: Sandbox) -> None:
        status = box.exec("id -u; grep -E '^(CapEff|CapBnd|CapPrm|NoNewPrivs|Seccomp):' /proc/self/status").text
        uid, *lines = status.split("\n")
        assert int(uid) >= 1000
        rights = dict(line.split(":\t") for line in lines if line)
        assert int(rights["CapEff"], 16) == int(rights["CapPrm"], 16) == 0
        assert (rights["NoNewPrivs"], rights["Seccomp"]) == ("1", "2")

    @pytest.mark.parametrize(
        "command",
        ["touch /x", "touch /usr/x", "touch /etc/passwd", "mount -t tmpfs none /work", "unshare -Ur true",
         "unshare -n true", "chroot / true", "su -c true", "mknod n b 8 0", "date -s 2001-01-01", "hostname other",
         "echo 1 > /proc/sys/kernel/panic", "echo c > /proc/sysrq-trigger", "kill -9 1 && ! kill -0 1",
         "ls /grade", "cat /etc/shadow"],
    )  # fmt: skip
    def test_forbidden(self, box: Sandbox, command: str) -> None:
        assert not box.exec(command).ok

    def test_host_files_are_out_of_reach(self, box: Sandbox, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("host secret")
        secret.chmod(0o644)
        for parent in (tmp_path, *tmp_path.parents[:2]):
            assert "secret" not in box.exec(f"ls -R {parent}; cat {secret}").stdout.decode()
        assert not box.exec(["ls", str(Path.home() / ".cache")]).ok

    def test_other_processes_are_invisible(self, box: Sandbox) -> None:
        pids = box.exec("ls -d /proc/[0-9]*").text.split()
        assert 0 < len(pids) < 10

    def test_no_network(self, box: Sandbox) -> None:
        with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
            name = f"palestra-{uuid.uuid4().hex}"
            abstract.bind(f"\0{name}")
            abstract.listen()
            script = (
                "import socket\n"
                f"for family, address in ((socket.AF_INET, ('127.0.0.1', {tcp.getsockname()[1]})),\n"
                f"    (socket.AF_INET, ('1.1.1.1', 53)), (socket.AF_UNIX, '\\0{name}')):\n"
                "    s = socket.socket(family); s.settimeout(3)\n"
                "    print(s.connect_ex(address) == 0)\n"
                "for family in (socket.AF_PACKET, ):\n"
                "    try: print(bool(socket.socket(family, socket.SOCK_RAW)))\n"
                "    except PermissionError: print(False)\n"
            )
            result = box.exec(["python3", "-c", script])
            assert result.stdout.decode().split() == ["False"] * 4, result.text

    def test_setsid_daemon_dies_with_its_command(self, box: Sandbox) -> None:
        token = _token()
        daemon = f"setsid sh -c 'sleep {token} </dev/null >/dev/null 2>&1 &' </dev/null >/dev/null 2>&1"
        assert box.exec(daemon).ok
        assert not _alive(token)
        assert box.exec(f"{daemon} & sleep {token}", timeout=0.5).ended == "timed_out"
        assert not _alive(token)

    def test_killing_the_parent_saves_nobody(self, box: Sandbox) -> None:
        token = _token()
        box.exec(f"setsid sleep {token} & kill -9 $PPID; kill -9 -1")
        assert not _alive(token)
        assert box.exec("true").ok

    def test_memory_bomb(self, box: Sandbox) -> None:
        result = box.exec(["python3", "-c", "x = b'x' * (1 << 30); print(len(x))"])
        assert not result.ok
        if os.getuid() == 0:
            assert (result.ended, result.exit_code) == ("out_of_memory", 137)
        assert box.exec("echo fine").text == "fine\n"

    def test_fork_bomb(self, box: Sandbox) -> None:
        result = box.exec("b() { b | b & }; b; sleep 99999", timeout=1.5)
        assert result.ended in ("timed_out", "exited", "output_limit")
        assert box.exec("echo fine").text == "fine\n"
        count = "n=0; while [ $n -lt 200 ]; do sleep 60 & n=$((n+1)); done; echo $n"
        assert box.exec(count).stdout != b"200\n"

    def test_disk_fill(self, box: Sandbox) -> None:
        assert not box.exec("head -c 64M /dev/zero > fill").ok
        if os.getuid() == 0:
            with pytest.raises(OSError, match="No space left"):
                box.write("more", b"x" * (17 * MIB))
        box.exec("rm -f fill more")
        box.write("after", b"fits")
        assert box.read("after") == b"fits"

    def test_open_files(self, box: Sandbox) -> None:
        script = "import os\nfds = [os.open('/dev/null', 0) for _ in range(5000)]"
        assert b"Too many open files" in box.exec(["python3", "-c", script]).stderr

    def test_long_line(self, box: Sandbox) -> None:
        result = box.exec("head -c 100M /dev/zero | tr '\\0' x")
        assert (result.ended, result.stdout) == ("output_limit", b"x" * LIMITS.output_bytes)

    def test_grader_has_a_place_of_its_own(self, box: Sandbox) -> None:
        box.write("/grade/hidden.py", b"print('secret')")
        box.write("answer", b"42")
        for attempt in ("cat /grade/hidden.py", "touch /grade/x", "echo > /grade/hidden.py", "rm -rf /grade/*"):
            box.exec(attempt)
            assert b"secret" not in box.exec(attempt).stdout
        assert box.exec(["python3", "/grade/hidden.py"], user="grader").text == "secret\n"
        assert box.exec(f"cat {WORK}/answer", user="grader").text == "42"
        assert [entry.name for entry in box.list("/grade")] == ["hidden.py"]

    def test_state_lasts_within_a_lease_only(self, walled: Sandboxes) -> None:
        with walled.lease("python", LIMITS) as first:
            first.exec(f"echo x > {WORK}/x; echo x > /tmp/x; echo x > /dev/shm/x")
            assert first.exec(f"cat {WORK}/x /tmp/x").text == "x\nx\n"
        with walled.lease("python", LIMITS) as second:
            assert second.exec("ls -A /work /tmp /dev/shm").text == "/dev/shm:\n\n/tmp:\n\n/work:\n"

    def test_close_ends_a_running_command(self, walled: Sandboxes) -> None:
        box, token = walled.lease("python", LIMITS), _token()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(box.exec, ["sleep", token])
            assert _until(lambda: _alive(token))
            box.close()
            assert running.exception() is not None or not running.result().ok
        assert _until(lambda: not _alive(token))

    def test_nothing_is_left(self, walled: Sandboxes) -> None:
        token = _token()
        box = walled.lease("python", LIMITS)
        box.exec(f"setsid sleep {token} & chmod 0 /work; mkdir -p /tmp/a/b; chmod 0 /tmp/a")
        box.close()
        assert not _alive(token)
        _assert_gone(walled, box.id)

    def test_walls_leave_each_other_alone(self, walled: Sandboxes) -> None:
        """A new wall clears away what dead ones left, and only that, while leases of another come and go."""
        over = threading.Event()

        def others() -> int:
            count = 0
            while not over.is_set():
                with Sandboxes("bwrap") as more, more.lease("base") as box:
                    count += box.exec("true").ok
            return count

        with ThreadPoolExecutor(1) as pool:
            raised = pool.submit(others)
            try:
                for _ in range(150):
                    with walled.lease("python", LIMITS) as box:
                        assert box.exec("true").ok
            finally:
                over.set()
        assert raised.result() > 0

    def test_cancelled_twice(self, walled: Sandboxes) -> None:
        """The next command never gets the answer of the one before."""

        async def work() -> None:
            backend = await open_backend(walled.backend_name)
            try:
                lease = await backend.lease("base")
                running = asyncio.create_task(lease.exec("trap '' TERM; echo old; sleep 60"))
                await asyncio.sleep(0)
                while not running.cancelling():
                    running.cancel()
                    await asyncio.sleep(0)
                running.cancel()
                await asyncio.wait({running})
                with contextlib.suppress(SandboxFailed):  # or it is lost, which is said
                    assert (await lease.exec("echo new")).stdout == b"new\n"
            finally:
                await backend.close()

        asyncio.run(work())

    def test_nothing_waits_for_a_lease_that_has_ended(self, walled: Sandboxes) -> None:
        box = walled.lease("base", Limits(lease_seconds=0.2))
        assert _until(lambda: box.id not in {info.id for info in walled.list_leases()})
        for ask in (box.fork, box.snapshot, lambda: box.exec("true"), lambda: box.read("x"), lambda: box.list()):
            with pytest.raises(SandboxFailed):
                ask()
        box.close()

    def test_closing_while_others_lease(self, walled: Sandboxes) -> None:
        over = threading.Event()

        def work(sandboxes: Sandboxes) -> None:
            while not over.is_set():
                try:
                    sandboxes.lease("base").exec("true")
                except (SandboxError, CancelledError):
                    continue  # the next use opens again

        with Sandboxes(walled.backend_name) as sandboxes, ThreadPoolExecutor(3) as pool:
            running = [pool.submit(work, sandboxes) for _ in range(3)]
            for _ in range(3):
                assert _until(lambda: len(sandboxes.list_leases()) > 3)
                sandboxes.close()
            over.set()
            for one in running:
                one.result(timeout=30)

    def test_leaving_without_closing(self, walled: Sandboxes) -> None:
        script = (
            "from palestra.infra.sandbox.sync import Sandboxes\n"
            f"box = Sandboxes({walled.backend_name!r}).lease('python')\nprint(box.id, box.exec('echo hi').text)\n"
        )
        ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, "")
        lease, said = ran.stdout.split()
        assert said == "hi"
        _assert_gone(walled, lease)

    def test_reaper_removes_what_a_killed_owner_left(self, walled: Sandboxes) -> None:
        name, token = walled.backend_name, _token()
        script = (
            "import sys\nfrom palestra.infra.sandbox.sync import Sandboxes\n"
            f"box = Sandboxes({name!r}).lease('python')\nprint(box.id, flush=True)\nbox.exec(['sleep', {token!r}])\n"
        )
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lease = child.stdout.readline().strip()
            assert _until(lambda: _alive(f"sleep\0{token}"))
            assert lease not in walled.reap(), "its owner lives"
            child.send_signal(signal.SIGKILL)
        assert lease in walled.reap()
        assert _until(lambda: not _alive(token))
        _assert_gone(walled, lease)


def _assert_gone(sandboxes: Sandboxes, lease: str) -> None:
    assert lease not in {info.id for info in sandboxes.list_leases()}
    wall, _, number = lease.rpartition(".")
    assert wall not in Path("/proc/mounts").read_text()
    assert not [folder for folder in cgroup.folders() if (folder / wall / f"l{number}").exists()]


def _joined(events: Sequence[Chunk | ExecResult], stream: str) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Chunk) and event.stream == stream)


def test_filters_are_whole_programs() -> None:
    for machine in ("x86_64", "aarch64"):
        code = program(machine)
        assert len(code) % 8 == 0
        steps = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
        for index, (_, if_true, if_false, _) in enumerate(steps):
            assert index + 1 + max(if_true, if_false) < len(steps) or index == len(steps) - 1
        assert steps[-1][0] == 0x06, "ends with a return"
    with pytest.raises(ValueError, match="riscv64"):
        program("riscv64")


class TestChoosing:
    @pytest.mark.parametrize(
        "bad", [{"seconds": float("nan")}, {"processes": 1 << 40}, {"output_bytes": 1 << 70}, {"open_files": 3}]
    )
    def test_limits_that_nobody_can_keep(self, bad: dict[str, float]) -> None:
        with pytest.raises(ValueError, match=next(iter(bad))):
            Limits(**bad)  # type: ignore[arg-type]
        with (
            Sandboxes("process") as sandboxes,
            sandboxes.lease() as box,
            pytest.raises(ValueError, match="timeout is 0"),
        ):
            box.exec("true", timeout=0)

    def test_unknown_names(self) -> None:
        with pytest.raises(ValueError, match=r"'podman'.*auto, docker, bwrap, process"):
            asyncio.run(open_backend("podman"))
        with Sandboxes("process") as sandboxes, pytest.raises(ValueError, match="0"):
            sandboxes.lease("python", Limits(cpus=0))

    def test_no_engine_has_a_remedy(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(SandboxError, match=r"apt-get install -y docker\.io"):
            asyncio.run(open_backend("docker"))
        with pytest.raises(SandboxError, match="apt-get install -y bubblewrap"):
            asyncio.run(open_backend("auto"))

    def test_doctor_names_everything(self) -> None:
        findings = {finding.name: finding for finding in diagnose()}
        assert {"sandbox docker", "sandbox bwrap", "debootstrap", "image base", "image python"} <= findings.keys()
        assert all(finding.ok or finding.remedy for finding in findings.values())

    def test_sandboxes_pickle_by_name(self) -> None:
        with Sandboxes("process") as original, original.lease() as box:
            assert box.exec("true").ok
            with pickle.loads(pickle.dumps(original)) as copy, copy.lease() as other:
                assert other.exec("echo copy").text == "copy\n"

    def test_owner_marks(self) -> None:
        mine = owner.mark()
        host, boot, space, pid, _ = mine.split("/")
        assert owner.is_alive(mine)
        assert not owner.is_alive(f"{host}/{boot}/{space}/{pid}/1")
        assert not owner.is_alive(f"{host}/another-boot/{space}/{pid}/1")
        assert owner.is_alive(f"elsewhere/{boot}/{space}/1/1")
        assert not owner.is_alive("nonsense")

    def test_async_face(self) -> None:
        async def work() -> list[str]:
            backend = await open_backend("process")
            try:
                leases = [await backend.lease("python") for _ in range(3)]
                results = await asyncio.gather(*(lease.exec("echo hi") for lease in leases))
                return [result.text for result in results]
            finally:
                await backend.close()

        assert asyncio.run(work()) == ["hi\n"] * 3
