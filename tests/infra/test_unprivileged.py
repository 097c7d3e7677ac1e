"""bubblewrap for somebody who is not root: one user id for all, and still walls between agent and grader."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="gives up root itself")

# Everything is imported and compiled first: afterwards this user may not even read the interpreter's files.
_SETUP = """
import asyncio, concurrent.futures.thread, os, sys
from palestra.infra.sandbox.bwrap import BwrapBackend
from palestra.infra.sandbox.types import Limits
from palestra.infra.sandbox.warden.build import ensure_warden
ensure_warden()
os.chdir("/")
os.setgroups([]); os.setgid(65534); os.setuid(65534)

async def main():
    backend = BwrapBackend()
    assert await backend.check() is None, await backend.check()
    lease = await backend.lease("base", Limits(processes=20, memory_bytes=128 << 20, disk_bytes=8 << 20, seconds=10))
    async def text(command, **more):
        return (await lease.exec(command, **more)).text.strip()
"""
_CHECKS = """
    assert await text("id -u") == "1000" and await text("id -u", user="grader") == "1001"
    await lease.write("/grade/secret", b"s3cret")
    for attempt in ("cat /grade/secret", "chmod 777 /grade", "umount /grade", "ls /lease/0", "cat /proc/1/environ",
                    "ls /proc/1/fd", "mount -t tmpfs x /tmp", "unshare -U true", "touch /x", "touch /usr/x"):
        result = await lease.exec(attempt)
        assert not result.ok and b"s3cret" not in result.stdout, attempt
    assert await text("cat /grade/secret", user="grader") == "s3cret"
    rights = await text("grep -E '^(CapEff|CapPrm|CapInh|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status")
    assert {line.split()[1] for line in rights.splitlines()} == {"0" * 16, "1", "2"}, rights
    assert (await lease.exec("kill -9 1; kill -9 -1; sleep 60", timeout=0.3)).ended in ("timed_out", "exited")
    bomb = await text("n=0; while [ $n -lt 100 ]; do sleep 60 & n=$((n+1)); done; echo made $n")
    assert "made 100" not in bomb
    assert not (await lease.exec("head -c 16M /dev/zero > fill")).ok
    assert not (await lease.exec(["perl", "-e", "$x = 'x' x (1 << 30)"])).ok
    await lease.exec("rm -f fill; echo kept > kept")
    fork = await lease.fork()
    assert await fork.read("kept") == b"kept\\n" and await fork.read("/grade/secret") == b"s3cret"
    await lease.close()
    assert (await fork.exec("cat kept")).stdout == b"kept\\n"
    fresh = await backend.lease("base")
    assert await fresh.list() == () and await fresh.list("/tmp") == () and await fresh.list("/grade") == ()
    await backend.close()
    await backend.reap()
    assert await backend.list_leases() == ()

asyncio.run(main())
print("all checked")
"""


def test_bwrap_without_root() -> None:
    with tempfile.TemporaryDirectory() as cache:  # pytest's own directories are for root alone
        Path(cache).chmod(0o755)
        environment = {**os.environ, "PALESTRA_CACHE": cache}
        run = subprocess.run([sys.executable, "-c", _SETUP + _CHECKS], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "all checked\n"
