"""Make and undo patches with `patch`, inside a sandbox: a diff is as hostile as an archive."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from ....infra.sandbox.sync import Sandbox
from ....infra.sandbox.types import SandboxFailed
from ..running import packed
from .archives import unpack
from .types import HostileArchive, Patch, Tree

_OPTIONS = "--batch --silent --no-backup-if-mismatch --reject-file=- --strip=1"
_FILE = re.compile(rb"^--- (?P<old>[^\t\n]+)[^\n]*\n\+\+\+ (?P<new>[^\t\n]+)[^\n]*\n(?=@@)", re.MULTILINE)
_MISFIT = 3


def sections(diff: bytes) -> dict[str, bytes]:
    """The part of a unified diff about each file, by path without its first folder."""
    found: dict[str, bytes] = {}
    heads = list(_FILE.finditer(diff))
    for head, following in zip(heads, [*heads[1:], None], strict=True):
        named = head["old"] if head["new"].strip() == b"/dev/null" else head["new"]
        path = named.decode("utf-8", "replace").strip().strip('"').partition("/")[2]
        part = diff[head.start() : following.start() if following else len(diff)]
        found[path] = found.get(path, b"") + re.split(rb"^(?:diff |Index: )", part, maxsplit=1, flags=re.MULTILINE)[0]
    return found


def patched(box: Sandbox, tree: Tree, patches: Sequence[Patch]) -> dict[str, bytes]:
    """The tree with patches made to it, one after the other. Raises HostileArchive where one does not fit."""
    paths = {path for patch in patches for path in sections(patch.diff)}
    made = _applied(box, tree, [patch.diff for patch in patches], paths, "--forward --fuzz=2")
    return {**{path: data for path, data in tree.items() if path not in paths}, **made}


def undone(box: Sandbox, tree: Tree, patch: Patch, paths: Collection[str]) -> Mapping[str, bytes | None] | None:
    """What `paths` held before a patch that is made in `tree`, None for a file that it made; nothing where there it
    changes nothing, or cannot be undone exactly."""
    parts = {path: part for path, part in sections(patch.diff).items() if path in paths}
    try:
        before = _applied(box, tree, [b"".join(parts.values())], parts, "--reverse --fuzz=0") if parts else {}
    except HostileArchive:
        return None
    return {path: before.get(path) for path in sorted(parts) if before.get(path) != tree.get(path)} or None


def _applied(box: Sandbox, tree: Tree, diffs: Sequence[bytes], paths: Collection[str], how: str) -> dict[str, bytes]:
    """What `paths` hold afterwards, worked out in a folder of the sandbox that holds them alone."""
    files = {f"tree/{path}": tree[path] for path in paths if path in tree}
    files |= {f"{number}.diff": diff for number, diff in enumerate(diffs)}
    steps = "; ".join(
        f"patch {_OPTIONS} {how} --input=../{number}.diff || exit {_MISFIT}" for number in range(len(diffs))
    )
    script = f"d=$(mktemp -d) && cd $d && mkdir tree && tar -x || exit; cd tree; ({steps}) >&2 || exit; tar -c ."
    texts = {path: data.decode("utf-8", "surrogateescape") for path, data in files.items()}
    result = box.exec(script, stdin=packed(texts))
    if result.ended == "exited" and result.exit_code == _MISFIT:
        raise HostileArchive(f"a patch does not fit: {result.stderr.decode('utf-8', 'replace').strip()[-300:]}")
    if not result.ok:
        raise SandboxFailed(f"patches could not be made: {result.stderr.decode('utf-8', 'replace')[-300:]}")
    return unpack(result.stdout, "the patched tree")
