"""Real bugs: patches that were made to a repository, and whose undoing makes tests fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ....infra.sandbox.sync import Sandboxes
from ..running import LIMITS, workshop
from ..speech.languages import SPEECHES
from ..types import Change, Project
from .assemble import bytes_of
from .patching import undone
from .types import Patch

MAX_TRIED, MAX_FOUND = 60, 20


def find_changes(
    project: Project, patches: Sequence[Patch], sandboxes: Sandboxes, told: Callable[[str], None] = lambda line: None
) -> tuple[Change, ...]:
    """The patches that can be undone in the sources of a recorded project so that at least one of its tests fails and
    at least one still passes; the newest first. Raises SandboxError."""
    suffixes = SPEECHES[project.language].suffixes
    sources = {path for path in project.files if path.endswith(suffixes)} - project.tests
    tree = bytes_of(project.files)
    known = {*project.suite.visible, *project.suite.hidden}
    found: list[Change] = []
    for patch in list(reversed(patches))[:MAX_TRIED]:
        with sandboxes.lease(project.recipe.image, LIMITS, owner=f"changes of {project.title}") as box:
            before = undone(box, tree, patch, sources)
        if before is None or len(found) == MAX_FOUND:
            continue
        texts = {
            path: None if data is None else data.decode("utf-8", "surrogateescape") for path, data in before.items()
        }
        passed = _passed(project, texts, sandboxes) & known
        told(f"{patch.name} undone: {len(known) - len(passed)} of {len(known)} tests fail")
        if 0 < len(passed) < len(known):
            found.append(Change(_title(patch), texts))
    return tuple(found)


def _passed(project: Project, texts: Mapping[str, str | None], sandboxes: Sandboxes) -> frozenset[str]:
    """The tests that pass with a patch undone; none where it then cannot be built."""
    files = {path: text for path, text in {**project.files, **texts}.items() if text is not None}
    try:
        return workshop(sandboxes).fresh(replace(project, files=files)).passed
    except ValueError:
        return frozenset()


def _title(patch: Patch) -> str:
    first = patch.description.strip().splitlines()
    return f"{patch.name}: {first[0]}"[:200] if first else patch.name
