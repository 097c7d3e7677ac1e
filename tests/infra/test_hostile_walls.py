"""What a hostile command can see and reach beyond its lease: nothing, on both isolating backends.

The `box` fixture shows afterwards that the attacked lease still answers and that the next one is exactly like the
first. The attacks use the shell and perl of the `base` image; system calls go by number.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import signal
import socket
import socketserver
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import pytest

from palestra.infra.sandbox.sync import Sandbox, Sandboxes
from palestra.infra.sandbox.types import WORK, User

X86 = platform.machine() == "x86_64"
BOTH_USERS = pytest.mark.parametrize("user", ["agent", "grader"])
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="user ids of its own need root")
Alive = Callable[[str], bool]
Until = Callable[[Callable[[], bool]], bool]


def _perl(script: str, *words: str) -> list[str]:
    return ["perl", "-e", script, *words]


class TestSight:
    @BOTH_USERS
    def test_rights(self, box: Sandbox, user: User) -> None:
        status = dict(line.split(":\t") for line in box.exec("cat /proc/self/status", user=user).text.splitlines())
        assert {status[f"Cap{which}"].strip("0") for which in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {""}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        uids, gids = set(status["Uid"].split()), set(status["Gid"].split())
        assert (len(uids), len(gids)) == (1, 1)
        assert min(map(int, uids | gids)) >= 1000
        assert set(status["Groups"].split()) <= gids | {"65534"}

    @needs_root
    def test_agent_and_grader_are_two(self, box: Sandbox, other: Sandbox) -> None:
        users: list[tuple[Sandbox, User]] = [(box, "agent"), (box, "grader"), (other, "agent"), (other, "grader")]
        assert len({lease.exec("id -u", user=user).text for lease, user in users}) == 4

    @BOTH_USERS
    def test_other_processes(self, box: Sandbox, user: User) -> None:
        assert 0 < len(box.exec("echo /proc/[0-9]*", user=user).text.split()) <= 5
        for name in ("environ", "mem", "maps", "syscall", "stack", "auxv"):
            assert not box.exec(f"head -c 1 /proc/1/{name}", user=user).stdout, name
        for name in ("root", "cwd", "fd", "map_files"):
            assert not box.exec(f"ls /proc/1/{name}/", user=user).stdout, name
        assert not box.exec("readlink /proc/1/exe /proc/1/root /proc/1/cwd /proc/1/ns/*", user=user).stdout
        assert not box.exec("for f in oom_score_adj comm; do echo 1 >/proc/1/$f && exit; done; false", user=user).ok

    def test_host_files(self, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        secret = f"secret-{uuid.uuid4().hex}"
        monkeypatch.setenv("PALESTRA_TEST_SECRET", secret)
        with tempfile.NamedTemporaryFile() as near, tempfile.TemporaryDirectory(dir="/var/tmp") as far:
            for path, mode in ((near.name, 0o666), (far, 0o777)):
                os.chmod(path, mode)
            for file in (Path(near.name), Path(far, "secret"), tmp_path / "secret"):
                file.write_text(secret)
                for path in (str(file), f"/proc/1/root{file}", f"/proc/self/cwd/../{file}"):
                    assert secret not in box.exec(f"cat {path}; echo broken >{path}").text
                assert file.read_text() == secret
            for place in (far, tmp_path, Path.home()):
                assert not box.exec(f"ls {place}/*", cwd="/").stdout
        assert secret not in box.exec("cat /proc/[0-9]*/environ; env").text

    def test_host_facts(self, box: Sandbox) -> None:
        assert box.exec("hostname").text.strip() != socket.gethostname()
        for file in ("/etc/shadow", "/proc/kcore", "/proc/kmsg", "/proc/kpagecount", "/dev/mem", "/dev/kmsg"):
            assert not box.exec(f"head -c 1 {file}").stdout, file
        assert not box.exec("dmesg").ok
        assert not box.exec("find / -name docker.sock 2>/dev/null").stdout
        assert set(box.exec("awk '$1 ~ /:/ { print $1 }' /proc/net/dev").text.split()) <= {"lo:", "tunl0:", "sit0:"}

    def test_devices(self, box: Sandbox) -> None:
        names = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts/ptmx", "console")
        found = box.exec("find /dev -type b -o -type c").text.split()
        assert set(found) <= {f"/dev/{name}" for name in names}
        assert not box.exec("mknod b b 8 0 || mknod c c 1 1 || mknod /tmp/c c 5 1").ok

    @BOTH_USERS
    def test_another_lease(self, box: Sandbox, other: Sandbox, user: User) -> None:
        name = f"mark-{uuid.uuid4().hex}"
        for place in ("/work", "/tmp", "/grade"):
            other.write(f"{place}/{name}", b"")
        other.exec(f": >/dev/shm/{name}")
        assert not box.exec(f"find / -name {name} 2>/dev/null", user=user).stdout

    @BOTH_USERS
    def test_writable_places(self, box: Sandbox, user: User) -> None:
        """No file, directory or socket outside the lease's own places may be written."""
        found = box.exec("find / -path '/proc/[0-9]*' -prune -o -writable ! -type l -print 2>/dev/null", user=user)
        roots = ("/work", "/tmp", "/dev/shm", "/dev/mqueue", "/dev/pts", *(["/grade"] if user == "grader" else []))
        # The kernel gives these mode 0666, and then asks for a capability or lets watch nothing but a load average.
        devices = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "console")
        harmless = {"/proc/sys/kernel/ns_last_pid", *(f"/proc/pressure/{it}" for it in ("cpu", "io", "memory", "irq"))}
        harmless |= {f"/dev/{name}" for name in devices}
        strange = {path for path in found.text.split("\n") if path and not path.startswith(roots)} - harmless
        assert strange == set()
        assert b"/tmp\n" in found.stdout
        planted = "for d in / /etc /usr /dev /sys /proc /lease /run /var /root; do : >$d/x && echo $d; done 2>/dev/null"
        assert box.exec(planted, user=user).stdout == b""
        files = "kernel/core_pattern kernel/hostname kernel/ns_last_pid vm/drop_caches net/ipv4/ip_forward"
        script = f"for f in {files} ../sysrq-trigger; do (echo 1 >/proc/sys/$f) && echo $f; done 2>/dev/null"
        assert box.exec(script, user=user).stdout == b""


class TestGrader:
    def test_agent_cannot_reach_its_files(self, box: Sandbox) -> None:
        box.write("/grade/hidden", b"secret")
        attempts = """
        cat /grade/hidden; ls -R /grade; echo x >/grade/hidden; echo x >/grade/new; rm -rf /grade/hidden
        chmod 777 /grade; mv /grade /work; cd; ln /grade/hidden hard; cp -a /grade copy; rmdir /grade
        for p in /proc/[0-9]*; do cat $p/root/grade/hidden $p/cwd/hidden; done; cd /grade && cat hidden
        ln -s /grade link; cat link/hidden
        """
        assert b"secret" not in box.exec(attempts).stdout
        assert b"secret" not in box.exec("cat hidden", cwd="/grade").stdout
        assert b"secret" not in box.exec("cat hidden", cwd=f"{WORK}/link").stdout
        assert box.exec("cat /grade/*; ls -A /grade", user="grader").text == "secrethidden\n"
        assert box.read("/grade/hidden") == b"secret"

    def test_grader_processes_are_gone_before_the_agent(self, box: Sandbox, token: str, alive: Alive) -> None:
        box.exec(f"setsid sleep {token} >/dev/null 2>&1 & echo secret >/tmp/g; chmod 600 /tmp/g", user="grader")
        assert not alive(token)
        assert b"secret" not in box.exec("cat /tmp/g /proc/[0-9]*/environ; ln /tmp/g /tmp/h; cat /tmp/h").stdout

    def test_setuid_files_give_nothing(self, box: Sandbox) -> None:
        ids = "/perl -e 'print qq($> $) $< $()'"
        roles: list[tuple[User, User, str]] = [("agent", "grader", WORK), ("grader", "agent", "/tmp")]
        for owner, victim, place in roles:
            box.exec(f"cp /usr/bin/perl {place}/perl; chmod 6755 {place}/perl", user=owner)
            assert box.exec(place + ids, user=victim).text == box.exec("/usr/bin" + ids, user=victim).text
            for command in ("timeout 0.2 su -c true", "mount -t tmpfs none /work", "newgrp root -c true"):
                assert not box.exec(command, user=owner).ok, command

    def test_agent_does_not_choose_what_the_grader_runs(self, walled: Sandboxes) -> None:
        """What starts by itself from a home directory (python's user site, a shell's profile) is the grader's own."""
        with walled.lease("python") as box:
            box.write("/grade/check.py", b"print('honest')")
            version = box.exec(["python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).text.strip()
            planted = f"{WORK}/.local/lib/python{version}/site-packages/usercustomize.py"
            box.write(planted, b"import os; os.write(1, b'forged'); os._exit(0)")
            box.write(".profile", b"echo forged")
            assert box.exec(["python3", "/grade/check.py"], user="grader").text == "honest\n"
            assert box.exec(["sh", "-lc", "echo honest"], user="grader").text == "honest\n"


# Number on x86_64, on aarch64, arguments in perl. Each would do its work for some unconfined user or root; here each is
# to fail with one of EPERM, EACCES and ENOSYS.
# fmt: off
SYSCALLS = {
    "unshare user": (272, 97, "0x10000000"),
    "unshare mount": (272, 97, "0x20000"),
    "unshare net": (272, 97, "0x40000000"),
    "clone user": (56, 220, "0x10000011, 0, 0, 0, 0"),
    "clone pid": (56, 220, "0x20000011, 0, 0, 0, 0"),
    "clone3 user": (435, 435, "c(pack('Q11', 0x10000000, 0, 0, 0, 17)), 88"),
    "mount": (165, 40, "p('none'), p('/work'), p('tmpfs'), 0, 0"),
    "remount": (165, 40, "0, p('/'), 0, 4096 | 32, 0"),
    "umount2": (166, 39, "p('/proc'), 2"),
    "pivot_root": (155, 41, "p('/work'), p('/work')"),
    "chroot": (161, 51, "p('/work')"),
    "open_tree": (428, 428, "-100, p('/'), 1"),
    "fsopen": (430, 430, "p('tmpfs'), 0"),
    "move_mount": (429, 429, "-100, p('/work'), -100, p('/tmp'), 0"),
    "mount_setattr": (442, 442, "-100, p('/'), 0, c(pack('Q4', 0, 1, 0, 0)), 32"),
    "mknodat": (259, 33, "-100, p('disk'), 0060666, 0x800"),
    "open_by_handle_at": (304, 265, "-100, c(pack('LLQ', 8, 1, 2)), 0"),
    "ptrace attach": (101, 117, "16, 1, 0, 0"),
    "ptrace seize": (101, 117, "0x4206, 1, 0, 0"),
    "process_vm_readv": (310, 270, "1, iov(), 1, iov(), 1, 0"),
    "process_vm_writev": (311, 271, "1, iov(), 1, iov(), 1, 0"),
    "pidfd_getfd": (438, 438, "syscall(434, 1, 0), 0, 0"),
    "kcmp": (312, 272, "$$, 1, 0, 0, 0"),
    "io_uring_setup": (425, 425, "1, buffer(120)"),
    "io_setup": (206, 0, "1, buffer(8)"),
    "bpf": (321, 280, "0, c(pack('L18', 2, 4, 4, 1)), 72"),
    "perf_event_open": (298, 241, "c(pack('LLQ13', 1, 112)), 0, -1, -1, 0"),
    "userfaultfd": (323, 282, "1"),
    "keyctl": (250, 219, "0, -3, 1"),
    "add_key": (248, 217, "p('user'), p('k'), p('v'), 1, -3"),
    "request_key": (249, 218, "p('user'), p('k'), 0, -3"),
    "fanotify_init": (300, 262, "0x200, 0"),
    "syslog": (103, 116, "3, buffer(64), 64"),
    "init_module": (175, 105, "0, 0, p('')"),
    "kexec_load": (246, 104, "0, 0, 0, 0"),
    "swapon": (167, 224, "p('/work'), 0"),
    "acct": (163, 89, "0"),
    "settimeofday": (164, 170, "c(pack('qq', 0, 0)), 0"),
    "clock_settime": (227, 112, "0, c(pack('qq', 0, 0))"),
    "clock_adjtime": (305, 266, "0, c(pack('L52', 2))"),
    "sethostname": (170, 161, "p('x'), 1"),
    "setdomainname": (171, 162, "p('x'), 1"),
    "setuid": (105, 146, "0"),
    "setgid": (106, 144, "0"),
    "setgroups": (116, 159, "1, c(pack('L', 0))"),
    "sched fifo": (144, 119, "0, 1, c(pack('l', 1))"),
    "nice": (141, 140, "0, 0, -20"),
}
# fmt: on
_CALL = """
sub c { "$_[0]" } sub p { "$_[0]\\0" } sub buffer { "\\0" x $_[0] } sub iov { pack 'PQ', $kept = buffer(8), 8 }
$before = $$; $r = syscall(%d, %s); exit 99 if $$ != $before; print $r < 0 ? $! + 0 : 0;
"""
# unshare(CLONE_NEWUSER) by the 32-bit entry of an x86_64 kernel, where other numbers rule.
_OLD_ENTRY = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex('53b836010000bb00000010cd805bc3'))
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print('entered' if call() == 0 else 'refused')
"""


KILLED = 128 + signal.SIGSYS


class TestKernel:
    @BOTH_USERS
    def test_system_calls(self, box: Sandbox, user: User) -> None:
        calls = {name: (on_x86 if X86 else on_arm, words) for name, (on_x86, on_arm, words) in SYSCALLS.items()}
        if X86:
            calls["x32 unshare"] = (0x40000000 + 272, "0x10000000")
        answers = {name: box.exec(_perl(_CALL % call), user=user) for name, call in calls.items()}
        refused = {str(number) for number in (errno.EPERM, errno.EACCES, errno.ENOSYS)}
        assert not {name for name, it in answers.items() if it.text not in refused and it.exit_code != KILLED}

    @pytest.mark.skipif(not X86, reason="only x86_64 has a second entry")
    def test_old_entry(self, walled: Sandboxes) -> None:
        with walled.lease("python") as box:
            result = box.exec(["python3", "-c", _OLD_ENTRY])
            assert result.stdout == b"refused\n" or result.exit_code > 128, result

    @BOTH_USERS
    def test_sockets(self, box: Sandbox, user: User) -> None:
        """Only local and internet sockets can be made (there is no network behind the latter), none of them raw."""
        script = """
        for my $family (0 .. 50) { for my $type (1 .. 6, 10) { for my $protocol (0, 1, 58, 255) {
            next if $family == 1 || $type != 3 && ($family == 2 || $family == 10);
            print "$family/$type/$protocol " if socket(my $s, $family, $type, $protocol);
        } } }"""
        assert box.exec(_perl(script), user=user).text == ""

    def test_host_services(self, box: Sandbox) -> None:
        name = f"palestra-{uuid.uuid4().hex}"
        with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind(f"\0{name}")
            abstract.listen()
            script = """
            use Socket; my ($port, $name) = @ARGV; $SIG{ALRM} = sub { die };
            for my $host ('127.0.0.1', '0.0.0.0', '169.254.169.254', '172.17.0.1') {
                socket(my $s, AF_INET, SOCK_STREAM, 0); alarm 1;
                print "$host " if eval { connect($s, pack_sockaddr_in($port, inet_aton $host)) };
            }
            socket(my $s, AF_UNIX, SOCK_STREAM, 0); alarm 0;
            print 'abstract' if connect($s, pack_sockaddr_un("\\0$name"));
            """
            result = box.exec(_perl(script, str(tcp.getsockname()[1]), name))
            assert (result.exit_code, result.text) == (0, "")

    def test_nothing_between_leases(self, box: Sandbox, other: Sandbox, token: str, alive: Alive, until: Until) -> None:
        numbers = (240, 68) if X86 else (180, 186)
        use = (
            f"use Socket; ($name, $key, $open, $get) = ('{token}', {uuid.uuid4().int & 0x7FFFFFFF}, %d, %d);" % numbers
        )
        make = """socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un("\\0$name")) && listen(S, 1) or die $!;
        defined shmget($key, 64, 01666) or die "shm $!"; syscall($get, $key, 01666) >= 0 or die "msg $!";
        $n = "$name\\0"; syscall($open, $n, 0102, 0666, 0); open F, '>', "/dev/shm/$name";
        $| = 1; print "made"; exec 'sleep', '0.' . $name"""
        find = """socket(S, AF_UNIX, SOCK_STREAM, 0); print 'socket ' if connect(S, pack_sockaddr_un("\\0$name"));
        print 'shm ' if defined shmget($key, 64, 0); print 'msg ' if syscall($get, $key, 0) >= 0;
        $n = "$name\\0"; print 'queue ' if syscall($open, $n, 0, 0, 0) >= 0; print 'file' if -e "/dev/shm/$name" """
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(other.exec, _perl(use + make))
            assert until(lambda: alive(f"sleep\0000.{token}") or running.done())
            assert box.exec(_perl(use + find)).text == ""
            assert running.result().text == "made"


class TestEgress:
    def test_nothing_but_the_list(self, walled: Sandboxes) -> None:
        """Two servers of this machine, one on the list: the other hears nothing, whatever the proxy is asked."""
        _HangUp.heard.clear()
        with _serving("127.0.0.1", 0) as port, _serving("127.0.0.2", port):
            there, here = f"127.0.0.2:{port}", f"127.0.0.1:{port}"
            with walled.lease("base", allow_hosts=("localhost",)) as box:
                for name in ("localhost", "127.0.0.1"):  # on the list or not: never an inner address
                    assert b" 403 " in _ask(box, f"CONNECT {name}:{port} HTTP/1.1")
            with walled.lease("base", allow_hosts=("127.0.0.1",)) as box:
                for target in (there, f"localhost:{port}", f"0.0.0.0:{port}", f"2130706434:{port}"):
                    assert b" 403 " in _ask(box, f"CONNECT {target} HTTP/1.1")
                    assert b" 403 " in _ask(box, f"GET http://{target}/ HTTP/1.1")
                for line in (
                    f"GET http://{here}@{there}/ HTTP/1.1", f"GET http://{here}#@{there}/ HTTP/1.1",
                    f"GET http://{there}\\@{here}/ HTTP/1.1", f"GET //{there}/ HTTP/1.1",
                    f"CONNECT [::ffff:127.0.0.2]:{port} HTTP/1.1", f"CONNECT {here}@{there} HTTP/1.1", "\0", "GET /",
                    f"CONNECT 127.0.0.1:{1 << 20} HTTP/1.1", "CONNECT", f"GET {'x' * 100_000}",
                ):  # fmt: skip
                    _ask(box, line)
                assert _ask(box, f"GET http://{here}/ HTTP/1.1\r\nHost: {there}") == b""
                assert _HangUp.heard == {"127.0.0.1"}
                direct = "use Socket; socket(S, AF_INET, SOCK_STREAM, 0); exit !connect(S, pack_sockaddr_in($ARGV[0], "
                for host in ("127.0.0.1", "127.0.0.2"):
                    assert not box.exec(_perl(f"{direct} inet_aton '{host}'))", str(port))).ok

    def test_a_flood_of_connections(self, walled: Sandboxes) -> None:
        script = (
            "use Socket; for (1 .. 200) { socket(my $s, AF_INET, SOCK_STREAM, 0) or last; push @s, $s; "
            "connect($s, pack_sockaddr_in(3128, inet_aton '127.0.0.1')); syswrite $s, 'GET' }"
        )
        with walled.lease("base", allow_hosts=("x.org",)) as box:
            assert box.exec(_perl(script)).ended == "exited"
            assert b" 403 " in _ask(box, "CONNECT y.org:80 HTTP/1.1")


def _ask(box: Sandbox, line: str) -> bytes:
    """What the proxy in the lease answers, at first."""
    script = """use Socket; $SIG{PIPE} = 'IGNORE'; alarm 5; socket(S, AF_INET, SOCK_STREAM, 0);
    connect(S, pack_sockaddr_in(3128, inet_aton '127.0.0.1')) or die $!; { local $/; $line = <STDIN> }
    syswrite S, "$line\\r\\n\\r\\n"; shutdown(S, 1); sysread S, $answer, 1000; print $answer"""
    return box.exec(_perl(script), stdin=line.encode("latin-1")).stdout


class _HangUp(socketserver.BaseRequestHandler):
    """Notes which of its addresses was called."""

    heard: ClassVar[set[str]] = set()

    def handle(self) -> None:
        self.heard.add(self.request.getsockname()[0])


@contextlib.contextmanager
def _serving(address: str, port: int) -> Iterator[int]:
    with socketserver.TCPServer((address, port), _HangUp) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(server.serve_forever, 0.01)
        yield server.server_address[1]
        server.shutdown()
