"""Git repositories: one commit's tree, read object by object, and what its ancestors changed.

Objects are fetched into a bare repository of ours; there is no checkout, so no hook or filter of theirs runs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .archives import MAX_ARCHIVE_BYTES, MAX_ENTRIES, MAX_UNPACKED_BYTES, resolved, safe_path
from .types import Fetched, HostileArchive, Patch, SourceError, Spec

MAX_COMMITS = 200
_SECONDS = 600
_HARD = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.allow=never",
    "protocol.https.allow=always",
    "protocol.http.allow=always",
    "protocol.ssh.allow=always",
    "protocol.git.allow=always",
    "protocol.file.allow=always",
    "safe.directory=*",
    "fetch.fsckObjects=true",
)
_BLOB = re.compile(rb"(?P<mode>\d{6}) (?P<kind>\w+) (?P<id>[0-9a-f]+) +(?P<size>\d+|-)\t(?P<path>.*)", re.DOTALL)


def fetch_git(spec: Spec) -> Fetched:
    """The tree of a commit (REF is a branch, a tag or a commit; the default branch without one) and, as patches, its
    newest ancestors' changes, the oldest first. A pin is the commit's id. Raises SourceError."""
    if shutil.which("git") is None:
        raise SourceError(f"{spec}: git is not installed")
    with tempfile.TemporaryDirectory(prefix="palestra-git-") as folder:
        here = Path(folder)
        _git(here, "init", "--bare", "--quiet", ".")
        source = str(Path(spec.name).resolve()) if Path(spec.name).exists() else spec.name
        _git(here, "fetch", "--quiet", "--no-recurse-submodules", "--", source, "+refs/*:refs/*", "+HEAD:refs/theirs")
        commit = _commit(here, spec)
        if spec.sha256 and spec.sha256 != commit:
            raise HostileArchive(f"{spec} is commit {commit}, not {spec.sha256}")
        return Fetched(Spec("git", spec.name, commit), commit[:12], _tree(here, commit, str(spec)), _log(here, commit))


def _commit(here: Path, spec: Spec) -> str:
    for name in filter(None, (spec.version, f"refs/heads/{spec.version}", "refs/theirs" if not spec.version else "")):
        try:
            return (
                _git(here, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
                .decode()
                .strip()
            )
        except SourceError:
            continue
    raise SourceError(f"{spec}: the repository has no commit {spec.version or 'at all'}")


def _tree(here: Path, commit: str, name: str) -> dict[str, bytes]:
    blobs: list[tuple[str, str, str]] = []
    total = 0
    for line in _git(here, "ls-tree", "-r", "-z", "--long", commit).split(b"\0"):
        match = _BLOB.fullmatch(line)
        if match is None or match["kind"] != b"blob":
            continue
        total += int(match["size"])
        blobs.append((safe_path(os.fsdecode(match["path"]), name), match["id"].decode(), match["mode"].decode()))
    if len(blobs) > MAX_ENTRIES or total > MAX_UNPACKED_BYTES:
        raise HostileArchive(f"{name}: {len(blobs)} files of {total} bytes in all are too many")
    contents = _contents(here, [blob for _, blob, _ in blobs])
    files = {path: data for (path, _, mode), data in zip(blobs, contents, strict=True) if mode != "120000"}
    links = {path: os.fsdecode(data) for (path, _, mode), data in zip(blobs, contents, strict=True) if mode == "120000"}
    return {**files, **resolved(files, links)}


def _contents(here: Path, blobs: list[str]) -> list[bytes]:
    """The objects' bytes, by one `git cat-file --batch`."""
    out = _git(here, "cat-file", "--batch", stdin="\n".join(blobs).encode() + b"\n" if blobs else b"")
    found, at = [], 0
    for _ in blobs:
        head, _, _ = out[at : at + 200].partition(b"\n")
        size = int(head.split()[2])
        at += len(head) + 1
        found.append(out[at : at + size])
        at += size + 1
    return found


def _log(here: Path, commit: str) -> tuple[Patch, ...]:
    """What the newest commits with one parent changed, the oldest first."""
    ids = (
        _git(here, "rev-list", "--no-merges", "--min-parents=1", f"--max-count={MAX_COMMITS}", commit).decode().split()
    )
    found = []
    for one in reversed(ids):
        diff = _git(
            here, "diff-tree", "-p", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", f"{one}^", one
        )
        if len(diff) <= 1 << 20:
            message = _git(here, "show", "--no-patch", "--format=%B", one).decode("utf-8", "replace").strip()
            found.append(Patch(one[:12], message[:1000], diff))
    return tuple(found)


def _git(here: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    settings = [part for setting in _HARD for part in ("-c", setting)]
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith("GIT_SSL")}
    env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}
    try:
        argv = ["git", *settings, *arguments]
        done = subprocess.run(argv, cwd=here, env=env, input=stdin, capture_output=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"git {arguments[0]} took more than {_SECONDS} s") from error
    if done.returncode != 0:
        raise SourceError(f"git {arguments[0]} failed: {done.stderr.decode('utf-8', 'replace').strip()[-300:]}")
    if (
        arguments[0] == "fetch"
        and sum(f.stat().st_size for f in here.rglob("*") if f.is_file()) > 16 * MAX_ARCHIVE_BYTES
    ):
        raise HostileArchive(f"the repository is larger than {16 * MAX_ARCHIVE_BYTES} bytes")
    return done.stdout
