"""What of an agent's work counts: its sources, as texts, and nothing else."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...infra.sandbox.sync import Sandbox
from ...infra.sandbox.types import SandboxFailed
from .knowledge import Knowledge
from .running import Changes, against

MAX_FILES, MAX_FILE_CHARACTERS, MAX_PATH = 100, 256_000, 200
_ODD = re.compile(r"(^|/)(\.[^/]*|node_modules|vendor|third_party|build|target|dist)?(/|$)")
_PLAIN = re.compile(r"[\w@+,=./ -]+")
_EQUALITY = {
    "python": re.compile(r"\b__(?:eq|ne|lt|le|gt|ge|bool|hash|instancecheck|subclasscheck|contains|r?sub)__\b"),
    "cpp": re.compile(r"\boperator\s*(?:==|!=|<=>|bool\b)"),
}
_SLACK_SECONDS = 0.05
_STANDARD = frozenset({"pytest", "unittest", "sys", "os", "json", "re", "types", "typing", "conftest", "sitecustomize"})


@dataclass(frozen=True)
class Submission:
    """What of an answer counts (`changes`, from the correct tree), which of its files do not (`ignored`), and why it
    may not be run (`problem`)."""

    changes: Changes
    ignored: tuple[str, ...] = ()
    problem: str = ""


def read_answer(answer: Any, known: Knowledge, broken: Changes) -> Submission:
    """The changes that an answer `{"files": {path: text or null}}`, made in the broken tree, amounts to."""
    given = answer.get("files") if isinstance(answer, dict) else None
    if not isinstance(given, dict) or not all(isinstance(item, str | None) for item in given.values()):
        return Submission({}, problem='the answer is not {"files": {path: text}}')
    if len(given) > MAX_FILES or any(len(text or "") > _limit(known, path) for path, text in given.items()):
        return Submission(
            {}, problem=f"more than {MAX_FILES} files, or one of more than {MAX_FILE_CHARACTERS} characters"
        )
    counted = {path: text for path, text in sorted(given.items()) if counts(known, path) and _sound(text)}
    ignored = tuple(path[:MAX_PATH] for path in sorted(given) if path not in counted)
    changes = against(known.project, broken, counted)
    for path, text in counted.items():
        if why := _refusal(known, broken, path, text):
            return Submission(changes, ignored, f"{path}: {why}")
    return Submission(changes, ignored)


def counts(known: Knowledge, path: str) -> bool:
    """Whether an agent's version of this file counts: a source, or a new one beside a source."""
    project = known.project
    if path in project.files:
        return path.endswith(known.speech.suffixes) and path not in project.tests
    folder, _, name = path.rpartition("/")
    new = len(path) <= MAX_PATH and bool(_PLAIN.fullmatch(path)) and not _ODD.search(path)
    homes = {source.rpartition("/")[0] for source in known.sources}
    return (
        new
        and path.endswith(known.speech.suffixes)
        and folder in homes
        and not known.speech.is_test(path)
        and path not in project.hidden
        and (bool(folder) or name.partition(".")[0] not in _STANDARD)
        and path not in {part for one in (*project.files, *project.hidden) for part in _above(one)}
    )


def harvest(box: Sandbox, known: Knowledge, broken: Changes, since: str) -> dict[str, str | None]:
    """Sources of the tree in an agent's sandbox that are not as they were: its answer. Links, special files, what is
    too large and what is not text are left out. `since` is what `clock` said."""
    listed = box.exec(["find", ".", "-type", "f", "-printf", "%P\\0", "-newerct", since, "-printf", "+%P\\0"])
    if listed.ended != "exited" or listed.exit_code not in (0, 1):
        raise SandboxFailed(f"the agent's tree cannot be listed: {listed.text[-300:]}")
    there = [name.decode("utf-8", "replace") for name in listed.stdout.split(b"\0") if name]
    before = {path: text for path, text in {**known.project.files, **broken}.items() if text is not None}
    gone = {path: None for path in set(before) - set(there) if counts(known, path)}
    wanted = sorted(name[1:] for name in there if name.startswith("+") and counts(known, name[1:]))
    texts = _taken(box, known, wanted[: 4 * MAX_FILES])
    return {**{path: text for path, text in texts.items() if before.get(path) != text}, **gone}


def clock(box: Sandbox) -> str:
    """The kernel's file time in a sandbox, now or a moment ago, as `find -newerct` takes it."""
    result = box.exec("touch /tmp/.now && stat -c %.6Z /tmp/.now && rm /tmp/.now")
    if not result.ok:
        raise SandboxFailed(f"a fresh sandbox cannot tell the time: {result.text[-300:]}")
    return f"@{float(result.stdout) - _SLACK_SECONDS:.6f}"


def _taken(box: Sandbox, known: Knowledge, paths: list[str]) -> dict[str, str]:
    names = "".join(f"./{path}\0" for path in paths).encode("utf-8", "surrogateescape")
    found: dict[str, str] = {}
    if not paths:
        return found
    result = box.exec(["tar", "--create", "--null", "--verbatim-files-from", "--files-from=-", "--file=-"], stdin=names)
    try:
        with tarfile.open(fileobj=io.BytesIO(result.stdout), mode="r:") as archive:
            for member in archive:
                file = (
                    archive.extractfile(member) if member.isreg() and member.size <= 4 * MAX_FILE_CHARACTERS else None
                )
                path = member.name.removeprefix("./")
                if file is not None and path in paths:
                    found[path] = file.read().decode("utf-8")
    except (tarfile.TarError, UnicodeDecodeError, OSError):
        return found
    return found


def _limit(known: Knowledge, path: str) -> int:
    return max(MAX_FILE_CHARACTERS, 2 * len(known.project.files.get(path, "")))


def _sound(text: str | None) -> bool:
    try:
        return text is None or len(text.encode()) >= 0
    except UnicodeEncodeError:
        return False


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _refusal(known: Knowledge, broken: Mapping[str, str | None], path: str, text: str | None) -> str:
    """Why a changed source may not run beside the tests: it reaches for what neither the broken nor the correct file
    does, or says anew what is equal to its objects."""
    correct = known.project.files.get(path, "")
    if text is None or text == correct:
        return ""
    given = broken.get(path, correct) or ""
    equality = _EQUALITY.get(known.project.language)
    if equality and len(equality.findall(text)) > max(len(equality.findall(one)) for one in (given, correct)):
        return "newly defines what is equal to its objects"
    why = known.speech.refusal(given, text)
    return why if why and known.speech.refusal(correct, text) else ""
