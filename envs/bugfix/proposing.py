"""From a random stream to a task: a language, a project, a bug, an issue and the key."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..errors import ProposeFailed
from .breaking import Bug, choose_bug, mutated
from .issue import write_issue
from .knowledge import Knowledge, known
from .projects import load, names
from .running import Workshop
from .solving import hunk, steps_between

_PROJECTS = 3


def propose(rng: random.Random, shop: Workshop, languages: Sequence[str], level: int) -> dict[str, Any]:
    """Prompt, world and key of a task. Raises ProposeFailed, SandboxError."""
    language = rng.choice(list(languages))
    titles = list(names(language))
    if not titles:
        raise ProposeFailed(f"there is no {language} project here: ingest one")
    failure = ProposeFailed("unreachable")
    for _ in range(_PROJECTS):
        about = known(load(rng.choice(titles)).digest)
        try:
            return _described(rng, about, choose_bug(rng, about, level, partial(shop.run, about.project)), level)
        except ProposeFailed as failed:
            failure = failed
    raise failure


def _described(rng: random.Random, about: Knowledge, bug: Bug, level: int) -> dict[str, Any]:
    project = about.project
    place = {"name": project.name, "digest": project.digest, "language": project.language}
    return {
        "prompt": write_issue(rng, about, bug, level),
        "world": {"project": place, "broken": dict(bug.broken)},
        "key": {
            "patch": {path: project.files.get(path) for path in bug.broken},
            "steps": _steps(about, bug),
            "f2p": list(bug.f2p),
        },
    }


def _steps(about: Knowledge, bug: Bug) -> list[dict[str, Any]]:
    """The replacements that repair one mistake after the other."""
    files = about.project.files
    if not bug.sites:
        return [
            step for path, text in sorted(bug.broken.items()) for step in steps_between(path, text, files.get(path))
        ]
    steps = []
    for number, (path, mutation) in enumerate(bug.sites):
        before, after = mutated(about, bug.sites[number:])[path], mutated(about, bug.sites[number + 1 :]).get(path)
        line, old, new = hunk(before or "", files[path] if after is None else after)
        place = {"path": path, "kind": mutation.kind, "function": mutation.function, "line": line}
        steps.append({**place, "old": old, "new": new})
    return steps
