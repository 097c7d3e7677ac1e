"""Which language a repository is written in, and how its tests are run where the image's own way does not fit."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..types import Recipe
from .composer import AUTOLOAD, autoload
from .types import NotIngested, Tree

_SUFFIXES = {
    ".py": "python",
    ".java": "java",
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".ts": "typescript",
    ".mts": "typescript",
    ".c": "c",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".cxx": "cpp",
    ".hpp": "cpp",
    ".go": "go",
    ".php": "php",
}
_MARKERS = {
    "pyproject.toml": "python",
    "setup.py": "python",
    "setup.cfg": "python",
    "pom.xml": "java",
    "build.gradle": "java",
    "package.json": "javascript",
    "go.mod": "go",
    "composer.json": "php",
}
_MARKED = 1000
_TEST_PLACES = ("test", "tests", "spec", "Tests")
_PHPUNIT_XML = f"""<?xml version="1.0"?>
<phpunit bootstrap="{AUTOLOAD}">
  <testsuites><testsuite name="tests"><directory>PLACE</directory></testsuite></testsuites>
</phpunit>
"""
_MOCHA = "mocha{hooks} --reporter xunit --reporter-option output={{report}} {words}"
_JEST, _JEST_HERE = ".palestra/jest.js", Path(__file__).parent / "jest.js"
_HOOKS = " --require ts-node/register/transpile-only --extension ts"
_PYTEST = "python3 -P -m pytest -o pythonpath='{roots}' -p no:cacheprovider -q --tb=short --junitxml={{report}}"


@dataclass(frozen=True)
class Detected:
    """A language, a recipe (empty where the image's own way fits), and files that the runner needs and the repository
    lacks."""

    language: str
    recipe: Recipe
    extra: Mapping[str, bytes] = field(default_factory=dict)


def detect(tree: Tree, language: str = "") -> Detected:
    """What a tree is; a `language` that is said is believed. Raises NotIngested where none is known, or it has no test
    runner of ours."""
    language = language or detect_language(tree)
    if language in ("c", "cpp") and "CMakeLists.txt" not in tree:
        raise NotIngested("no CMakeLists.txt: a catalogue entry can add one that names the tests with add_test()")
    if language == "python":
        test = _PYTEST.format(roots="src .") if any(path.startswith("src/") for path in tree) else ""
        return Detected(language, Recipe(language, test), _pytest_ini(tree))
    if language in ("javascript", "typescript"):
        return _node(language, tree)
    if language == "go" and "go.mod" not in tree:
        return Detected(language, Recipe(language), {"go.mod": _go_mod(tree)})
    if language == "php":
        return Detected(language, Recipe(language), {**autoload(tree), **_phpunit(tree)})
    if language not in _SUFFIXES.values():
        raise NotIngested(f"language {language!r} is none of {', '.join(sorted(set(_SUFFIXES.values())))}")
    return Detected(language, Recipe(language))


def detect_language(tree: Tree) -> str:
    """The language of most source files, where a file like package.json counts for many. Raises NotIngested."""
    files = Counter(_SUFFIXES.get(PurePosixPath(path).suffix, "") for path in tree if not path.endswith(".d.ts"))
    del files[""]
    score = Counter(files)
    for marker, language in _MARKERS.items():
        if marker in tree:
            score[language] += _MARKED
    if "package.json" in tree and files["typescript"] > files["javascript"]:
        score["typescript"] += score.pop("javascript", 0)
    if not score:
        raise NotIngested(f"no source file of a known language ({', '.join(_SUFFIXES)})")
    return max(sorted(score), key=lambda name: score[name])


def _pytest_ini(tree: Tree) -> dict[str, bytes]:
    """An ini file of our own where there is none, or where the repository's asks for plugins that the image lacks."""
    places = {
        "pytest.ini": b"[pytest]",
        "pyproject.toml": b"[tool.pytest",
        "tox.ini": b"[pytest]",
        "setup.cfg": b"[tool:pytest]",
    }
    said = next((tree[path] for path, mark in places.items() if mark in tree.get(path, b"")), None)
    lacking = said is None or re.search(
        rb"--(?:cov|doctest-plus|flake8|mypy|black|benchmark|timeout|numprocesses)|-n ?auto", said
    )
    return {"pytest.ini": b"[pytest]\n"} if lacking else {}


def _node(language: str, tree: Tree) -> Detected:
    """The package's own call of mocha with our reporter, or mocha for tests that were written for Jest or Jasmine."""
    hooks = _HOOKS if language == "typescript" else ""
    try:
        script = str(json.loads(tree.get("package.json", b"{}"))["scripts"]["test"])
    except (ValueError, LookupError, TypeError):
        script = ""
    if said := re.search(r"(?:^|[ /])_?mocha\b([^&|;]*)", script):
        plain = re.sub(
            r"(?:--reporter|-R|--reporter-options?|-O|--require|-r|--opts|--bail|-b)(?:[ =][^ -]\S*)?", "", said[1]
        )
        harmless = [word for word in plain.split() if re.fullmatch(r"[\w./*{},'\"=:-]+", word)]
        return Detected(language, Recipe(language, _MOCHA.format(hooks=hooks, words=" ".join(harmless)).rstrip()))
    if re.search(r"\b(?:jest|jasmine|karma|vitest)\b", script):
        files = " ".join(f"'{path}'" for path in sorted(tree) if re.search(r"[.-](?:test|spec)\.[cm]?[jt]s$", path))
        words = f"--file ./{_JEST} {files}"
        return Detected(
            language, Recipe(language, _MOCHA.format(hooks=hooks, words=words)), {_JEST: _JEST_HERE.read_bytes()}
        )
    place = next((place for place in _TEST_PLACES if _has(tree, place)), "")
    single = next((path for path in ("test.js", "tests.js", "test.ts") if path in tree), "")
    words = "" if place == "test" or not (place or single) else f"--recursive {place or single}"
    return Detected(language, Recipe(language, _MOCHA.format(hooks=hooks, words=words) if words else ""))


def _has(tree: Tree, folder: str) -> bool:
    return any(path.startswith(f"{folder}/") for path in tree)


def _go_mod(tree: Tree) -> bytes:
    """A module for a repository from before modules; Debian's control file tells its import path."""
    told = re.search(rb"^XS-Go-Import-Path:\s*([^\s,]+)", tree.get("debian/control", b""), re.MULTILINE)
    texts = (data for path, data in sorted(tree.items()) if path.endswith(".go"))
    named = (re.search(rb"^package \w+ // import \"([^\"]+)\"", text, re.MULTILINE) for text in texts)
    path = told[1] if told else next((match[1] for match in named if match), b"example.com/project")
    return b"module " + path + b"\n\ngo 1.19\n"


def _phpunit(tree: Tree) -> dict[str, bytes]:
    """A configuration that loads Composer's classes, as `vendor/bin/phpunit` does by itself."""
    said = next((tree[name] for name in ("phpunit.xml", "phpunit.xml.dist") if name in tree), None)
    if said is None:
        place = next((place for place in _TEST_PLACES if _has(tree, place)), "tests")
        return {"phpunit.xml": _PHPUNIT_XML.replace("PLACE", place).encode()}
    if re.search(rb"<phpunit\b[^>]*\bbootstrap=", said):
        return {}
    return {"phpunit.xml": re.sub(rb"<phpunit\b", f'<phpunit bootstrap="{AUTOLOAD}"'.encode(), said, count=1)}
