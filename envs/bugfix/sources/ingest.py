"""Any repository with tests becomes a Project: fetch it, make its patches, build it, find the tests that can be
trusted, hide some, and find the real bugs in its history.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ....infra.sandbox.sync import Sandboxes
from ..recipes import completed
from ..recording import record
from ..running import LIMITS, workshop
from ..types import Project, Recipe, Suite
from .assemble import assemble, with_hidden
from .catalogue import Entry
from .changes import find_changes
from .debian import fetch_debian
from .detect import detect_language
from .git import fetch_git
from .local import fetch_path
from .patching import patched
from .registries import fetch_npm, fetch_pypi
from .types import Fetched, NotIngested, Spec

Told = Callable[[str], None]
_REVERSED = "palestra_reversed"
_RANDOM_METHODS = "-Djunit.jupiter.testmethod.order.default=org.junit.jupiter.api.MethodOrderer$Random"
_PLUGIN = '''"""A pytest plugin: the last test first."""


def pytest_collection_modifyitems(items):
    items.reverse()
'''


def ingest(entry: Entry, sandboxes: Sandboxes, told: Told = lambda line: None) -> Project:
    """The Project of a repository; keep it with `projects.save`. `told` hears of each step. Raises SourceError with one
    line that says why not, SandboxError where the machine fails."""
    told("fetching")
    fetched = fetch(entry.spec)
    libraries: dict[str, bytes] = {}
    for library in entry.libraries:
        libraries |= _below(fetch(library.spec).tree, library.root, library.into)
    told("building")
    tree = dict(fetched.tree)
    if fetched.spec.kind == "debian" and fetched.patches:
        image = entry.recipe.get("image") or entry.language or detect_language(fetched.tree)
        with sandboxes.lease(image, LIMITS, owner=f"ingest {entry.name}") as box:
            tree = patched(box, tree, fetched.patches)
    project = assemble(tree, entry, fetched.version, source_of(fetched.spec), libraries)
    try:
        project = with_hidden(project, entry, sandboxes)
        told("repeating the tests")
        project = replace(project, suite=_steady(replace(project, suite=record(project, sandboxes)), sandboxes))
    except ValueError as error:
        raise NotIngested(str(error)) from error
    told(f"undoing {len(fetched.patches)} patches" if fetched.patches else "done")
    return replace(project, changes=find_changes(project, fetched.patches, sandboxes, told))


def fetch(spec: Spec) -> Fetched:
    """A repository as it is. Raises SourceError."""
    if spec.kind == "debian":
        return fetch_debian(spec, cache_root())
    fetchers = {"pypi": fetch_pypi, "npm": fetch_npm, "git": fetch_git, "path": fetch_path}
    return fetchers[spec.kind](spec)


def source_of(spec: Spec) -> str:
    """How a Project names where it came from; a pinned spec does before it is fetched."""
    return f"{spec}#sha256={spec.sha256}" if spec.sha256 and spec.kind != "git" else str(spec)


def cache_root() -> Path:
    """Where package lists are kept."""
    chosen = os.environ.get("PALESTRA_CACHE")
    return (Path(chosen) if chosen else Path.home() / ".cache" / "palestra") / "sources"


def in_another_order(recipe: Recipe) -> Recipe:
    """The recipe that takes the tests in another order; as it is where its runner has no way to say so."""
    recipe = completed(recipe)

    def more(name: str, option: str) -> dict[str, str]:
        return {name: f"{recipe.env.get(name, '')} {option}".strip()}

    env: Mapping[str, Mapping[str, str]] = {
        "python": {**more("PYTEST_ADDOPTS", f"-p {_REVERSED}"), "PYTHONPATH": "/tmp/palestra-order"},
        "go": more("GOFLAGS", "-shuffle=on"),
        "java": more("JAVA_TOOL_OPTIONS", _RANDOM_METHODS),
    }
    test = recipe.test.replace("phpunit --", "phpunit --order-by=random --")  # ctest's are processes of their own
    if recipe.image == "python":
        test = f"mkdir -p /tmp/palestra-order && cat > /tmp/palestra-order/{_REVERSED}.py <<'END'\n{_PLUGIN}END\n{test}"
        test = test.replace("python3 -P -m pytest", "python3 -m pytest")  # -P would hide the plugin
    return replace(recipe, test=test, env={**recipe.env, **env.get(recipe.image, {})})


def _steady(project: Project, sandboxes: Sandboxes) -> Suite:
    """The suite without the tests that do not pass in another order."""
    suite, recipe = project.suite, completed(project.recipe)
    other = in_another_order(recipe)
    if other == recipe:
        return suite
    passed = workshop(sandboxes).fresh(replace(project, recipe=other)).passed
    if not passed:
        return suite  # the option does not suit this project: nothing was learnt
    lost = {*suite.visible, *suite.hidden} - passed
    return Suite(
        visible=tuple(name for name in suite.visible if name not in lost),
        hidden=tuple(name for name in suite.hidden if name not in lost),
        flaky=tuple(sorted({*suite.flaky, *lost})),
    )


def _below(tree: Mapping[str, bytes], root: str, into: str) -> dict[str, bytes]:
    start, place = (f"{part.strip('/')}/" if part.strip("/") else "" for part in (root, into))
    return {place + path.removeprefix(start): data for path, data in tree.items() if path.startswith(start)}
