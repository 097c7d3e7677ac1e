"""Where projects are kept: seeds that ship with Palestra, and those ingested on this machine.

A seed is a folder `repos/LANGUAGE/NAME/`: `project.toml` (name, version, description, and a `[recipe]` where the
image's own way to test does not fit), `suite.json` (see `record`), `hidden/`, which is laid over the tree when work is
judged, and the tree itself. An ingested project is one file `LANGUAGE/NAME-DIGEST.json.gz` below
`~/.cache/palestra/projects` (`PALESTRA_PROJECTS` overrides).
"""

from __future__ import annotations

import gzip
import json
import os
import re
import tempfile
import tomllib
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from .speech.languages import SPEECHES
from .types import Project, Recipe, Suite, from_json, to_json

SEEDS = Path(__file__).parent / "repos"
SUITE = "suite.json"
_DESCRIPTION, _HIDDEN = "project.toml", "hidden/"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{16}")
_KEYS = {"name", "version", "description", "recipe"}


class UnknownProject(ValueError):
    """No project of this name or digest is on this machine; the message says how to get it."""


def store() -> Path:
    """The folder of ingested projects; it need not exist."""
    chosen = os.environ.get("PALESTRA_PROJECTS")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "palestra" / "projects"


def names(language: str = "") -> tuple[str, ...]:
    """`LANGUAGE/NAME` of every project here, seeds and ingested, sorted; of one language or of all."""
    return tuple(sorted({title for title, _ in (*_seeds(), *_archives()) if not language or _in(title, language)}))


def load(which: str) -> Project:
    """A project by digest, `LANGUAGE/NAME`, or a NAME that only one language has; of several versions of one name the
    one saved last, a seed last of all. Raises UnknownProject, ValueError where what is stored cannot be read.
    """
    if _DIGEST.fullmatch(which):
        return _by_digest(which)
    found = [(title, place) for title, place in (*_archives(), *_seeds()) if which in (title, title.split("/")[1])]
    if not found:
        raise UnknownProject(f"there is no project {which!r} here: {_remedy()}")
    if len({title for title, _ in found}) > 1:
        raise UnknownProject(f"{which!r} is several projects: say which of {', '.join(sorted(t for t, _ in found))}")
    places = [place for _, place in found if place.is_file()]
    return _read(max(places, key=lambda place: (place.stat().st_mtime_ns, place.name)) if places else found[-1][1])


def save(project: Project) -> Path:
    """Keep an ingested project; the same one twice is one file, and half of one is never seen. Raises ValueError for a
    name that is no file name or a language that nobody speaks, OSError."""
    if project.language not in SPEECHES:
        raise ValueError(f"language {project.language!r} is none of {', '.join(SPEECHES)}")
    if not _NAME.fullmatch(project.name):
        raise ValueError(f"project name {project.name!r} must be letters, digits and . _ + - (at most 100)")
    place = store() / project.language / f"{project.name}-{project.digest}.json.gz"
    _write(place, gzip.compress(to_json(project).encode(), mtime=0))
    return place


def read_seed(folder: Path) -> Project:
    """The project in a folder such as `repos/python/heaps`, its language being the name of the folder above. Raises
    ValueError with the place."""
    try:
        about = tomllib.loads((folder / _DESCRIPTION).read_text())
        return _seed(folder, about)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{folder} is no project: {error}") from error


def _seed(folder: Path, about: dict[str, Any]) -> Project:
    if unknown := sorted(set(about) - _KEYS):
        raise ValueError(f"unknown key {unknown[0]!r} in {_DESCRIPTION}; known are {', '.join(sorted(_KEYS))}")
    speech = SPEECHES[folder.parent.name]
    texts = dict(_texts(folder))
    suite = {key: tuple(ids) for key, ids in json.loads(texts.pop(SUITE, "{}")).items()}
    files = {path: text for path, text in texts.items() if not path.startswith(_HIDDEN) and path != _DESCRIPTION}
    return Project(
        name=about["name"],
        language=speech.name,
        version=str(about["version"]),
        source="seed",
        files=files,
        tests=frozenset(path for path in files if speech.is_test(path)),
        hidden={path.removeprefix(_HIDDEN): text for path, text in texts.items() if path.startswith(_HIDDEN)},
        recipe=Recipe(**{"image": speech.image, **about.get("recipe", {})}),
        suite=Suite(**suite),
    )


def write_suite(folder: Path, suite: Suite) -> None:
    """Put the recorded suite of a seed beside it."""
    text = json.dumps({"visible": suite.visible, "hidden": suite.hidden, "flaky": suite.flaky}, indent=1)
    _write(folder / SUITE, f"{text}\n".encode())


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink() and "__pycache__" not in file.parts:
            yield file.relative_to(folder).as_posix(), file.read_bytes().decode("utf-8", "surrogateescape")


def _seeds() -> list[tuple[str, Path]]:
    return [(f"{place.parts[-3]}/{place.parts[-2]}", place.parent) for place in _glob(SEEDS, f"*/*/{_DESCRIPTION}")]


def _archives() -> list[tuple[str, Path]]:
    found = _glob(store(), "*/*.json.gz")
    return [(f"{file.parent.name}/{file.name.removesuffix('.json.gz')[:-17]}", file) for file in found]


def _glob(root: Path, pattern: str) -> list[Path]:
    return sorted(place for place in root.glob(pattern) if place.relative_to(root).parts[0] in SPEECHES)


def _in(title: str, language: str) -> bool:
    return title.split("/")[0] == language


def _by_digest(digest: str) -> Project:
    for _, place in _archives():
        if place.name.endswith(f"-{digest}.json.gz"):
            return _read(place)
    for _, folder in _seeds():
        if (project := _read(folder)).digest == digest:
            return project
    raise UnknownProject(f"there is no project with digest {digest} here: {_remedy()}")


def _remedy() -> str:
    return f"copy its archive into {store()}, ingest it again, or take the Palestra whose seed it is"


def _read(place: Path) -> Project:
    if place.is_dir():
        return _read_seed(place)
    return _read_archive(place, place.stat().st_mtime_ns)


@cache  # seeds do not change while a process runs
def _read_seed(folder: Path) -> Project:
    return read_seed(folder)


@lru_cache(maxsize=64)
def _read_archive(place: Path, _changed: int) -> Project:
    try:
        project = from_json(gzip.decompress(place.read_bytes()).decode())
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{place} is no project ({error}): delete it and ingest it again") from error
    if not place.name.endswith(f"-{project.digest}.json.gz"):
        raise ValueError(f"{place} holds {project.digest}, not what its name says: delete it and ingest it again")
    return project


def _write(place: Path, data: bytes) -> None:
    """All or nothing, also where two write at once."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=".", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, place)
        except BaseException:
            os.unlink(file.name)
            raise
