"""Run a repository's tests in a sandbox that nobody has touched, with nothing of the agent's but its sources."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...infra.sandbox.sync import Sandbox, Sandboxes
from ...infra.sandbox.types import ExecResult, Limits, SandboxFailed
from .types import Files, Language

LIMITS = Limits(seconds=20.0, disk_bytes=64 << 20)
MAX_FILES, MAX_FILE_CHARACTERS = 100, 64_000
_UNPACK_FAILED = 97


@dataclass(frozen=True)
class Submission:
    """What of an answer counts (`changed`), what does not (`ignored`), and why it may not be run (`problem`)."""

    changed: Mapping[str, str]
    ignored: tuple[str, ...] = ()
    problem: str = ""


def read_answer(answer: Any, files: Files, language: Language) -> Submission:
    """Keep the sources of an answer `{"files": {path: text}}` that differ from the task's."""
    given = answer.get("files") if isinstance(answer, dict) else None
    texts = isinstance(given, dict) and all(isinstance(item, str) for pair in given.items() for item in pair)
    if not texts or given is None:
        return Submission({}, problem='the answer is not {"files": {path: text}}')
    if len(given) > MAX_FILES or any(len(text) > MAX_FILE_CHARACTERS for text in given.values()):
        return Submission(
            {}, problem=f"more than {MAX_FILES} files, or one of more than {MAX_FILE_CHARACTERS} characters"
        )
    counted = {path: text for path, text in sorted(given.items()) if language.is_source(path, files)}
    changed = {path: text for path, text in counted.items() if files.get(path) != text}
    ignored = tuple(path[:200] for path in sorted(given) if path not in counted)
    for path, text in changed.items():
        why = language.refusal(files.get(path, ""), text, files)
        if why:
            return Submission(changed, ignored, f"{path}: {why}")
    return Submission(changed, ignored)


def grade(
    sandboxes: Sandboxes, language: Language, files: Files, hidden: Files, submission: Submission
) -> dict[str, Any]:
    """Run all tests on the submission in a fresh sandbox: the evidence. Raises SandboxError where the machine fails."""
    evidence: dict[str, Any] = {
        "changed": sorted(submission.changed),
        "ignored": list(submission.ignored),
        "problem": submission.problem,
        "junit": "",
        "exit_code": None,
        "ended": "",
    }
    if submission.problem:
        return evidence
    tree = {**files, **submission.changed, **hidden}
    with sandboxes.lease(language.image, LIMITS, owner="bugfix grader") as box:
        result = lay_out(box, tree, *language.test_command([*files, *hidden]))
    evidence |= {
        "junit": result.stdout.decode("utf-8", "replace"),
        "exit_code": result.exit_code,
        "ended": result.ended,
    }
    return evidence


def lay_out(box: Sandbox, files: Files, *command: str) -> ExecResult:
    """Write files below /work and run a command there, in one step. Raises SandboxFailed when that cannot be done."""
    script = f'tar --extract --file=- || exit {_UNPACK_FAILED}; [ $# -eq 0 ] || exec "$@"'
    result = box.exec(["/bin/sh", "-c", script, "sh", *command], stdin=packed(files))
    if result.ended == "exited" and result.exit_code in (_UNPACK_FAILED, 125, 126, 127):
        raise SandboxFailed(f"the sandbox cannot lay out and test a repository: {result.text[-300:]}")
    return result


def packed(files: Files) -> bytes:
    """A tar of these texts, the same for the same files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, text in sorted(files.items()):
            data = text.encode("utf-8", "surrogatepass")
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def harvest(box: Sandbox, language: Language, files: Files) -> dict[str, str]:
    """The repository's sources as they are in an agent's sandbox; links and what cannot be read are left out."""
    result = box.exec(language.harvest_command(files))
    found: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(result.stdout)) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is not None:
                    found[member.name.removeprefix("./")] = content.read().decode("utf-8", "replace")
    except tarfile.TarError:
        return found  # cut off at the output limit: what is whole counts
    return found
