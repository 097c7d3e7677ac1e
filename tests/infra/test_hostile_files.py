"""What hostile commands leave for the file interface: links, pipes, giants, odd names, and trees to fork."""

from __future__ import annotations

import contextlib
import os
import platform
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palestra.infra.sandbox.sync import Sandbox
from palestra.infra.sandbox.types import MAX_FILE_BYTES, WORK, FileTooLarge, PathEscape

NOT_REGULAR = r"argument|regular|device|directory"
_DEEP = "for (1 .. 1500) { mkdir 'deep'; chdir 'deep' or die $! } open F, '>', 'bottom'"
_SOCKET = "use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un('sock'))"


def _operations(box: Sandbox, data: bytes = b"x") -> list[Callable[[str], object]]:
    return [box.read, box.list, lambda path: box.write(path, data)]


def _names(box: Sandbox, path: str = WORK) -> list[str]:
    return [entry.name for entry in box.list(path)]


class TestLinks:
    @pytest.mark.parametrize(
        "target",
        ["/etc/passwd", "/etc", "/", "/grade", "/grade/hidden", "/proc/self/root", "/proc/1/root", "/proc/self/fd/0",
         "../..", "/dev/zero", f"{WORK}/real", f"{WORK}/missing", "self"],
    )  # fmt: skip
    def test_links_are_not_followed(self, box: Sandbox, target: str) -> None:
        box.write("/grade/hidden", b"secret")
        box.exec(["sh", "-c", 'mkdir real; : >real/passwd; ln -s "$1" self', "sh", target])
        for path in ("self", "self/", "self/passwd", "self/etc/passwd", "./self//hidden", "self/new"):
            for operation in _operations(box):
                with pytest.raises(PathEscape, match="link"):
                    operation(path)
        assert (_names(box, "/grade"), box.read("/grade/hidden")) == (["hidden"], b"secret")
        assert (_names(box, "real"), _names(box)) == (["passwd"], ["real", "self"])

    @pytest.mark.parametrize(
        "path",
        ["..", "../etc/passwd", "a/../../etc", "/etc/passwd", "/", "//", "/proc/self/root/work", f"{WORK}/../grade",
         f"{WORK}/./../etc", "/dev/shm/x", "/gradex", "/tmp/../etc/passwd", "/lease"],
    )  # fmt: skip
    def test_paths_outside(self, box: Sandbox, path: str) -> None:
        for operation in _operations(box):
            with pytest.raises(PathEscape):
                operation(path)

    @pytest.mark.parametrize("lure", ["/grade", "/etc", "/proc/1/root/grade"])
    def test_links_that_change_meanwhile(self, box: Sandbox, lure: str) -> None:
        box.write("d/passwd", b"mine")
        box.write("/grade/passwd", b"root:secret")
        swap = "while (1) { rename 'd', 'real'; symlink $ARGV[0], 'd'; unlink 'd'; rename 'real', 'd' }"
        seen: set[bytes] = set()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(box.exec, ["perl", "-e", swap, lure], timeout=0.7)
            while not running.done():
                with contextlib.suppress(PathEscape, FileNotFoundError, NotADirectoryError):
                    seen.add(box.read("d/passwd"))
                    seen.update(os.fsencode(name) for name in _names(box, "d"))
                    box.write("d/planted", b"x")
        assert seen <= {b"mine", b"passwd", b"planted"}
        assert (_names(box, "/grade"), box.read("/grade/passwd")) == (["passwd"], b"root:secret")

    def test_hard_links(self, box: Sandbox) -> None:
        box.write("/grade/hidden", b"secret")
        box.exec("echo graded >/tmp/g; chmod 644 /tmp/g", user="grader")
        sources = "/etc/passwd /etc/shadow /usr/bin/su /grade/hidden /proc/self/status"
        assert box.exec(f"for f in {sources}; do ln $f l && echo $f; done").stdout == b""
        box.exec("ln /tmp/g /tmp/h")
        with contextlib.suppress(OSError):
            box.write("/tmp/h", b"agent")  # a write that gave the file to the agent would open the grader's
        assert box.exec("echo agent >>/tmp/g; cat /tmp/g").stdout == b"graded\n"
        assert box.read("/tmp/g") == b"graded\n"

    def test_working_directory_by_links(self, box: Sandbox) -> None:
        """A `cwd` is entered with the command's own rights: not through the keeper's descriptors, root or directory."""
        plain = box.exec("ls -A /").stdout
        box.write("/grade/hidden", b"secret")
        links = [f"/proc/self/fd/{number}" for number in range(3, 10)] + [f"/proc/1/fd/{number}" for number in range(8)]
        links += ["/proc/1/root", "/proc/1/cwd", "/proc/self/root", "/proc/self/cwd", "/grade"]
        for link in links:
            box.exec(["ln", "-sfn", link, "here"])
            for cwd in (link, f"{WORK}/here"):
                result = box.exec("cat hidden; ls -A", cwd=cwd)
                assert result.exit_code in (125, 2) or result.stdout in (plain, b"here\n"), (link, result)
                assert b"secret" not in result.stdout, link


class TestKinds:
    def test_special_files(self, box: Sandbox) -> None:
        box.exec("mkfifo fifo; mkdir dir")
        box.exec(["perl", "-e", _SOCKET])
        kinds = {entry.name: entry.kind for entry in box.list()}
        assert kinds == {"fifo": "other", "sock": "other", "dir": "directory"}
        for name in kinds:
            with pytest.raises(OSError, match=NOT_REGULAR):
                box.read(name)
            with pytest.raises(OSError, match=NOT_REGULAR):
                box.write(name, b"x")
        for name in ("fifo", "sock"):
            with pytest.raises(NotADirectoryError):
                box.list(name)
            with pytest.raises(NotADirectoryError):
                box.write(f"{name}/x", b"x")

    def test_fifo_with_somebody_behind(
        self, box: Sandbox, token: str, alive: Callable[[str], bool], until: Callable[[Callable[[], bool]], bool]
    ) -> None:
        box.exec("mkfifo fifo")
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(box.exec, f"exec 3<>fifo; echo secret >&3; sleep {token}", timeout=1)
            assert until(lambda: alive(f"sleep\0{token}"))
            with pytest.raises(OSError, match=NOT_REGULAR):
                box.read("fifo")
            with pytest.raises(OSError, match=NOT_REGULAR):
                box.write("fifo", b"x")
            assert running.result().ended == "timed_out"

    def test_sparse_giant(self, box: Sandbox) -> None:
        if box.exec("truncate -s 1T giant").ok:
            assert {(entry.name, entry.size) for entry in box.list()} == {("giant", 1 << 40)}
            with pytest.raises(FileTooLarge):
                box.read("giant")
            box.write("giant", b"small")
            assert box.read("giant") == b"small"
        if box.exec(f"truncate -s {MAX_FILE_BYTES} edge").ok:
            assert box.read("edge") == bytes(MAX_FILE_BYTES)

    def test_taken_rights(self, box: Sandbox) -> None:
        """Whether the file interface still reaches what the agent closed is its own affair; that it answers is not."""
        box.write("d/f", b"x")
        box.exec("chmod 0 d/f; chmod 0 d; chmod 0 /work")
        for operation in _operations(box, b"y"):
            for path in ("d/f", "d", WORK):
                with contextlib.suppress(OSError):
                    operation(path)
        assert box.exec("chmod 755 /work; cd /work && chmod 755 d && chmod 644 d/f && cat d/f", cwd="/").stdout in (
            b"x",
            b"y",
        )

    def test_deep_tree(self, box: Sandbox) -> None:
        assert box.exec(["perl", "-e", _DEEP]).ok
        with contextlib.suppress(OSError, ValueError):  # longer than PATH_MAX
            assert box.read("/".join(["deep"] * 1500 + ["bottom"])) == b""
        assert _names(box, "deep/deep") == ["deep"]


class TestNames:
    def test_long_names(self, box: Sandbox) -> None:
        for path in ("x" * 256, "y/" + "x" * 300, "/" * 5000 + "work/" + "x" * 256):
            for operation in _operations(box):
                with pytest.raises(OSError, match=r"name too long|No such file"):
                    operation(path)
        for path in ("/".join(["x" * 250] * 20), "/".join("x" * 3000)):
            for operation in _operations(box):
                with contextlib.suppress(OSError, ValueError):
                    operation(path)
        box.write("y" * 255, b"fits")
        assert box.read("y" * 255) == b"fits"

    @pytest.mark.parametrize("name", ["new\nline", "\udcff\udcfe", " ", "-rf", "a\tb", "é", "\u202e", "$(id)", "'\"\\"])
    def test_odd_names(self, box: Sandbox, name: str) -> None:
        box.write(f"{name}/{name}", os.fsencode(name))
        assert box.read(f"{name}/{name}") == os.fsencode(name)
        assert _names(box) == _names(box, f"{WORK}/{name}") == [name]
        assert box.exec('for d in *; do cat -- "$d"/*; done').stdout == os.fsencode(name)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        name=st.binary(min_size=1, max_size=200).filter(
            lambda name: name not in (b".", b"..") and not {0, 47} & {*name}
        ),
        data=st.binary(max_size=5000),
    )
    def test_any_name_and_content(self, box: Sandbox, name: bytes, data: bytes) -> None:
        folder = uuid.uuid4().hex
        path = f"{folder}/{os.fsdecode(name)}"
        box.write(path, data)
        assert box.read(path) == data
        (entry,) = box.list(folder)
        assert (os.fsencode(entry.name), entry.kind, entry.size) == (name, "file", len(data))


_TREE = r"""
mkdir -p d/e 'new
line' closed; echo a >d/e/f; ln d/e/f d/hard; ln -s /etc/passwd l; ln -s missing dangling; mkfifo fifo
: >"$(printf '\377\376')"; truncate -s 1T giant; printf mid | dd of=giant bs=1 seek=1000000 conv=notrunc
chmod 4755 d/e/f; chmod 0 closed; perl -e 'use Socket; socket(S, AF_UNIX, 1, 0); bind(S, pack_sockaddr_un("sock"))'
"""
_SHOW = """
chmod 700 closed; find . /tmp -type d -printf '%m %u %P\\n' | sort; find . -name '*[!a-z]*' | od -c
find . /tmp ! -type d -printf '%y %m %u %s %P %l\\n' | sort; chmod 0 closed
"""
# What overlayfs would take for marks of its own: a whiteout, and (as root of a user namespace may set them) attributes.
_MARKS = """
my ($mknodat, $setxattr) = @ARGV; sub c { "$_[0]" } sub p { "$_[0]\\0" }
open F, '>', $_ or die $! for 'shown', 'opaque/shown'; mkdir 'opaque'; open F, '>', 'opaque/shown';
syscall($mknodat, -100, p('white'), 0020666, 0);
for my $mark (['opaque', 'opaque', 'y'], ['shown', 'whiteout', 'y'], ['.', 'opaque', 'x'], ['opaque', 'whiteouts', 'y'],
              ['shown', 'redirect', '/grade/hidden'], ['shown', 'metacopy', ''], ['opaque', 'redirect', '/../../etc']) {
    my ($file, $name, $value) = @$mark;
    syscall($setxattr, p($file), p("user.overlay.$name"), c($value), length $value, 0);
}
"""


class TestForks:
    def test_odd_trees(self, box: Sandbox) -> None:
        box.exec(_TREE)
        box.write("/grade/hidden", b"secret")
        box.exec("umask 077; echo graded >/tmp/g", user="grader")
        before = box.exec(_SHOW).stdout
        assert b"giant" in before
        with box.fork() as twin, box.snapshot() as kept, kept.lease() as third:
            for lease in (twin, third):
                assert lease.exec(_SHOW).stdout == before
                assert lease.exec("dd if=giant bs=1 skip=1000000 count=3 2>/dev/null").stdout == b"mid"
                assert b"ed" not in lease.exec("cat /tmp/g; ls /grade; cat /grade/hidden").stdout
                assert lease.exec("cat /tmp/g /grade/hidden", user="grader").text == "graded\nsecret"
                for name in ("fifo", "l", "dangling", "giant"):
                    with pytest.raises((OSError, ValueError)):
                        lease.read(name)
                lease.write("giant", b"small")
                lease.write("l2/x", b"mine")
            assert box.exec(_SHOW).stdout == before

    def test_marks_of_the_file_system_itself(self, box: Sandbox) -> None:
        box.write("/grade/hidden", b"secret")
        numbers = ("259", "188") if platform.machine() == "x86_64" else ("33", "5")
        box.exec("mkdir opaque")
        box.exec(["perl", "-e", _MARKS, *numbers])
        shown = "find . -type f -printf '%P %s\\n' | sort; cat shown opaque/shown"
        before = box.exec(shown).text
        assert "opaque/shown" in before
        with box.fork() as twin, twin.fork() as third:
            for lease in (box, twin, third):
                assert lease.exec(shown).text == before
                assert _names(lease, "/grade") == ["hidden"]

    def test_deep_and_wide_trees(self, box: Sandbox) -> None:
        assert box.exec(["perl", "-e", _DEEP]).ok
        assert box.exec("for i in $(seq 500); do : >wide$i; done").ok
        with box.fork() as twin:
            assert len(twin.list()) == 501
            assert twin.exec(["perl", "-e", "chdir 'deep' or die $! for 1 .. 1500; exit !-e 'bottom'"]).ok
            assert twin.exec(f"rm -rf {WORK}/*").ok
        assert len(box.list()) == 501

    def test_full_disk(self, box: Sandbox) -> None:
        box.exec("head -c 64M /dev/zero >fill; head -c 64M /dev/zero >/tmp/fill")
        with box.fork() as twin:
            assert twin.exec("stat -c %s fill").text == box.exec("stat -c %s fill").text
            assert twin.exec("rm fill /tmp/fill; echo room >f; cat f").text == "room\n"

    def test_neither_sees_the_other(self, box: Sandbox, token: str, alive: Callable[[str], bool]) -> None:
        with box.fork() as twin:
            box.exec(f"echo x >/dev/shm/{token}; echo x >/tmp/{token}; echo x >{WORK}/{token}")
            box.write(f"/grade/{token}", b"x")
            assert not twin.exec(f"find / -name '{token}*' 2>/dev/null; cat /proc/sysvipc/* | grep -v key").stdout
            assert not twin.exec(f"find / -name '{token}*' 2>/dev/null", user="grader").stdout
            twin.exec(f"setsid sleep {token} & kill -9 -1")
            assert not alive(token)
            assert box.exec("echo fine").text == "fine\n"

    def test_a_fork_that_runs_wild(self, box: Sandbox) -> None:
        with box.fork() as twin:
            twin.exec("b() { b | b & }; b; sleep 9", timeout=0.3)
            twin.exec(["perl", "-e", "$x = 'x' x (1 << 30)"])
            assert not twin.exec("head -c 64M /dev/zero >fill").ok
            assert box.exec("head -c 1M /dev/zero >f && wc -c <f").text == "1048576\n"
