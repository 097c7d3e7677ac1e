"""What hostile commands can do in a fresh sandbox: each probe runs for real and says what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...infra.sandbox.select import ISOLATING
from ...infra.sandbox.sync import Sandbox, Sandboxes
from ...infra.sandbox.types import Limits

_MIB = 1 << 20
_LIMITS = Limits(
    memory_bytes=96 * _MIB, processes=40, disk_bytes=16 * _MIB, open_files=256, output_bytes=64 << 10, seconds=10
)
_HOSTS = ("1.1.1.1", "8.8.8.8", "169.254.169.254", "172.17.0.1", "10.0.0.1")
_CONNECT = """use Socket; $SIG{ALRM} = sub { exit 1 }; alarm 2;
socket(S, PF_INET, SOCK_STREAM, 0) or exit 1;
exit(connect(S, pack_sockaddr_in(PORT, inet_aton("HOST"))) ? 0 : 1);"""
_CONTAINED = {
    "runs as root": 'test "$(id -u)" = 0',
    "has capabilities": "grep -q 'CapEff:.*[1-9a-f]' /proc/self/status",
    "reads the grader's files": "cat /grade/secret",
    "lists the grader's files": "ls /grade/",
    "writes the grader's files": "echo x > /grade/forged",
    "writes the system": "echo x > /etc/forged || echo x > /usr/bin/forged",
    "reaches the engine": "test -w /var/run/docker.sock || test -w /run/docker.sock",
    "sees processes of the machine": 'test "$(ls -d /proc/[0-9]* | wc -l)" -gt 12',
    "reads another root": "ls /proc/1/root/root",
    "reads raw memory": "head -c 1 /dev/mem || head -c 1 /proc/kcore",
}
_FORKS = "i=0; while [ $i -lt 200 ]; do sleep 5 & i=$((i+1)); done; jobs | wc -l"


@dataclass
class Probe:
    """What succeeded that should not have, by kind; empty lists are good."""

    reached: list[str] = field(default_factory=list)
    escaped: list[str] = field(default_factory=list)
    unbounded: list[str] = field(default_factory=list)
    survived: list[str] = field(default_factory=list)
    unclean: list[str] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    tried: int = 0


def probe(sandboxes: Sandboxes, image: str) -> Probe:
    """Try everything in leases of an image with small limits. SandboxError passes through.

    Nothing is tried where the backend isolates nothing: it would hit the machine itself.
    """
    if sandboxes.name not in ISOLATING:
        return Probe(escaped=[f"runs on the machine itself: the sandbox {sandboxes.name!r} isolates nothing"])
    found = Probe()
    with sandboxes.lease(image, _LIMITS, owner="audit") as box:
        _network(box, found)
        _containment(box, found)
        _hygiene(box, found)
        box.exec("echo left > /work/left; echo left > /tmp/left; (setsid sleep 300 >/dev/null 2>&1 &)")
        with sandboxes.lease(image, _LIMITS, owner="audit") as other:
            _isolation(other, found)
        found.tried += 1
        if "sleep" in box.exec("cat /proc/[0-9]*/comm").text:
            found.survived.append("a process outlives the command that started it")
    for check in (_memory, _processes, _disk, _output, _time):
        with sandboxes.lease(image, _LIMITS, owner="audit") as box:
            check(box, found)
            found.tried += 1
    return found


def _network(box: Sandbox, found: Probe) -> None:
    for host in _HOSTS:
        for port in ("80", "53"):
            found.tried += 1
            text = _CONNECT.replace("HOST", host).replace("PORT", port)
            if box.exec(["perl", "-e", text], timeout=5).exit_code == 0:
                found.reached.append(f"{host}:{port}")
    interfaces = box.exec("tail -n +3 /proc/net/dev | cut -d : -f 1").text.split()
    found.reached += [f"interface {name}" for name in interfaces if name != "lo" and _has_route(box)]


def _has_route(box: Sandbox) -> bool:
    return len(box.exec("cat /proc/net/route").text.splitlines()) > 1


def _containment(box: Sandbox, found: Probe) -> None:
    box.exec("echo secret > /grade/secret; chmod 600 /grade/secret", user="grader")
    for what, command in _CONTAINED.items():
        found.tried += 1
        if box.exec(f"({command}) 2>/dev/null").exit_code == 0:
            found.escaped.append(what)


def _hygiene(box: Sandbox, found: Probe) -> None:
    """Left-overs of package managers, and archives, where the image should hold neither."""
    left = "find /var/cache/apt /var/lib/apt/lists /root/.cache /root/.npm /tmp /work -type f -size +0 2>/dev/null"
    found.unclean = box.exec(f"{left} | grep -v '^/tmp/\\|/lock$' | head -n 20").text.split()
    names = " -o ".join(f"-name '*.{end}'" for end in ("tar", "tar.gz", "tgz", "zip", "tar.xz", "7z", "deb"))
    places = "/work /opt /srv /home /root"
    found.archives = box.exec(f"find {places} -xdev -type f \\( {names} \\) 2>/dev/null | head -n 20").text.split()


def _isolation(other: Sandbox, found: Probe) -> None:
    found.tried += 2
    if other.exec("cat /work/left /tmp/left").text.count("left\n"):
        found.survived.append("files of one sandbox are seen in another")
    if "sleep" in other.exec("cat /proc/[0-9]*/comm").text:
        found.survived.append("processes of one sandbox are seen in another")


def _memory(box: Sandbox, found: Probe) -> None:
    if box.exec(["perl", "-e", f"$a = 'x' x {4 * _LIMITS.memory_bytes}; print length $a"]).ok:
        found.unbounded.append("memory")


def _processes(box: Sandbox, found: Probe) -> None:
    started = [int(word) for word in box.exec(_FORKS).text.split() if word.isdigit()]
    if started and started[-1] > _LIMITS.processes:
        found.unbounded.append("processes")


def _disk(box: Sandbox, found: Probe) -> None:
    if box.exec(f"head -c {4 * _LIMITS.disk_bytes} /dev/zero > /work/full").ok:
        found.unbounded.append("disk")


def _output(box: Sandbox, found: Probe) -> None:
    result = box.exec("head -c 4000000 /dev/zero | tr '\\0' x")
    if len(result.stdout) > _LIMITS.output_bytes:
        found.unbounded.append("output")


def _time(box: Sandbox, found: Probe) -> None:
    if box.exec("sleep 30", timeout=1).ended != "timed_out":
        found.unbounded.append("time")
