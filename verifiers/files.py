"""Final states as file trees: paths with their contents or hashes, compared with named differences."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from .state import Difference, Leeway, part_of, shown, tree_differences
from .trees import problem
from .types import Part

Files = Mapping[str, str | bytes]
MAX_NODES = 200_000


def same_files(
    name: str,
    expected: Files,
    found: Files,
    leeway: Leeway | None = None,
    *,
    partial: bool = False,
    structured: bool = False,
    loose: bool = False,
    hashed: bool = False,
) -> Part:
    """Satisfied when the trees have the same paths with the same contents but for `leeway`'s ignored paths.

    A content is text or bytes. An expected one may be a `digest`, which stands for all contents of that hash; with
    `hashed` all found ones are digests (otherwise a file that holds one is just a file that holds one). With `loose`
    texts may differ in line ends, trailing blanks and final empty lines; with `structured` `.json`, `.jsonl` and `.csv`
    files compare by what they hold, with `leeway`'s tolerances. With `partial` the score is the share of files that are
    right, extra ones counting as wrong. ValueError where two expected paths are the same place.
    """
    rule = leeway or Leeway()
    wanted, given = _placed(expected), _placed(found)
    if isinstance(wanted, str):
        raise ValueError(f"the expected files cannot be used: {wanted}")
    if isinstance(given, str):
        return Part(name=name, score=0.0, detail=f"the found files cannot be compared: {given}")
    places = sorted(place for place in wanted.keys() | given.keys() if not rule.ignores(place))
    differences = []
    for place in places:
        if place not in given:
            differences.append(Difference(place, "missing"))
            continue
        if place not in wanted:
            differences.append(Difference(place, "extra"))
            continue
        one, other = wanted[place], given[place]
        if hashed or _is_digest(one):
            same = (one if _is_digest(one) else digest(one)) == (other if hashed else digest(other))
        else:
            same = _same_content(place, one, other, rule, structured, loose)
        if not same:
            differences.append(Difference(place, "changed", shown(one), shown(other)))
    return part_of(name, differences, sum(place in wanted for place in places), partial)


def digest(content: str | bytes) -> str:
    """The hash that stands for a content: "sha256:" and 64 hexadecimal digits. Text is taken as UTF-8."""
    return f"sha256:{hashlib.sha256(_bytes(content)).hexdigest()}"


def _placed(files: Files) -> dict[str, str | bytes] | str:
    """Contents by normalised relative path, or what is wrong with the paths."""
    placed: dict[str, str | bytes] = {}
    for path, content in files.items():
        place = posixpath.normpath(path)
        if place.startswith(("/", "../")) or place in (".", "..") or "\0" in place:
            return f"{path[:100]!r} is not a path below the tree's root"
        if place in placed:
            return f"{path[:100]!r} is there twice"
        placed[place] = content
    return placed


def _same_content(
    place: str, wanted: str | bytes, given: str | bytes, leeway: Leeway, structured: bool, loose: bool
) -> bool:
    if _bytes(wanted) == _bytes(given):
        return True
    if structured and (parse := _PARSERS.get(posixpath.splitext(place)[1].lower())):
        try:
            one, other = (parse(_bytes(content).decode("utf-8-sig")) for content in (wanted, given))
        except (ValueError, RecursionError, csv.Error):
            return False
        inner = Leeway(absolute=leeway.absolute, relative=leeway.relative)
        bounded = not any(problem(tree, nodes=MAX_NODES) for tree in (one, other))
        return bounded and not any(tree_differences(one, other, inner))
    return loose and _loose(wanted) == _loose(given)


def _lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _table(text: str) -> list[Any]:
    return [[_cell(cell) for cell in row] for row in csv.reader(io.StringIO(text, newline=""), strict=True)]


def _cell(text: str) -> float | str:
    """A number where the cell spells one plainly, so that tolerances apply to it; "007" and "1e5" stay texts."""
    return float(text) if re.fullmatch(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?", text) else text


_PARSERS: dict[str, Callable[[str], Any]] = {".json": json.loads, ".jsonl": _lines, ".csv": _table}
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


def _is_digest(content: str | bytes) -> bool:
    return isinstance(content, str) and _HASH.fullmatch(content) is not None


def _bytes(content: str | bytes) -> bytes:
    return content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content


def _loose(content: str | bytes) -> list[bytes]:
    lines = [line.rstrip() for line in _bytes(content).replace(b"\r\n", b"\n").split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines
