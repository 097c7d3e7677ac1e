"""Corpora on disk: documents in passages under a BM25 index, in folders named by what they hold.

    ROOT/corpora/DIGEST/      an index (tantivy: memory-mapped, one segment) and corpus.json; never changed once there
    ROOT/names/NAME.json      which digest a name means, and what it was made from
    ROOT/building/            builds under way, each locked by its process; the next build clears away dead ones

ROOT is `~/.cache/palestra/corpora` or what PALESTRA_CORPORA says.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import EnvError
from ..types import canonical
from .index import BrokenIndex, Index, Writer

FORMAT = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


class CorpusError(EnvError):
    """A corpus is not there, is damaged, or cannot be built; the message says which and what to do."""


@dataclass(frozen=True)
class Document:
    """A page: a title that is not empty, and its text in order."""

    title: str
    passages: tuple[str, ...]


@dataclass(frozen=True)
class CorpusInfo:
    """A corpus as its name describes it. `recipe` is what it was made from."""

    name: str
    digest: str
    documents: int
    passages: int
    recipe: Mapping[str, Any] = field(default_factory=dict)


def root() -> Path:
    """Where corpora lie."""
    return Path(os.environ.get("PALESTRA_CORPORA") or Path.home() / ".cache" / "palestra" / "corpora")


def build(
    name: str,
    documents: Iterable[Document],
    recipe: Mapping[str, Any] | None = None,
    progress: Callable[[int], object] = lambda passages: None,
) -> CorpusInfo:
    """Make the corpus `name` of `documents`; a title that comes again gets a number. `progress` hears of passages done.

    It appears at once and whole: a build that fails or is killed leaves no corpus. CorpusError for a bad name or
    nothing to hold.
    """
    if not _NAME.fullmatch(name):
        raise CorpusError(f"{name!r} is no name for a corpus: use small letters, digits and - . _")
    with _building() as folder:
        digest = sha256(f"palestra-corpus-{FORMAT}\n".encode())
        with Writer(folder) as writer:
            pages = 0
            for document in _distinct(documents):
                writer.add(document.title, document.passages)
                digest.update(f"{canonical([document.title, document.passages])}\n".encode())
                pages += 1
                progress(writer.passages)
        if not writer.passages:
            raise CorpusError(f"nothing to put into corpus {name}: its sources hold no text")
        info = CorpusInfo(name, digest.hexdigest()[:32], pages, writer.passages, dict(recipe or {}))
        (folder / "corpus.json").write_text(json.dumps({"format": FORMAT, "passages": info.passages}))
        _publish(folder, root() / "corpora" / info.digest)
    _replace(root() / "names" / f"{name}.json", json.dumps(asdict(info), indent=1))
    return info


def describe(name: str) -> CorpusInfo:
    """What the corpus `name` is. CorpusError where there is none."""
    try:
        return CorpusInfo(**json.loads((root() / "names" / f"{name}.json").read_text()))
    except (FileNotFoundError, NotADirectoryError):
        known = ", ".join(info.name for info in listing()) or "none"
        raise CorpusError(
            f"no corpus called {name!r} in {root()} (there: {known}); make it with `palestra corpus build {name}`"
        ) from None
    except (ValueError, TypeError) as error:
        raise CorpusError(f"corpus {name!r} is damaged ({error}): build it again") from None


def listing() -> list[CorpusInfo]:
    """All corpora by name."""
    return [describe(path.stem) for path in sorted((root() / "names").glob("*.json"))]


def remove(name: str) -> None:
    """Forget a corpus, and delete its content unless another name means it too. CorpusError where there is none."""
    info = describe(name)
    (root() / "names" / f"{name}.json").unlink()
    if info.digest not in {other.digest for other in listing()}:
        shutil.rmtree(root() / "corpora" / info.digest, ignore_errors=True)


def open_corpus(digest: str) -> Index:
    """The corpus with this content; opened once per process. CorpusError where it is not on this machine."""
    return _open(root() / "corpora" / digest)


@lru_cache(maxsize=64)
def _open(folder: Path) -> Index:
    if not (folder / "corpus.json").exists():
        raise CorpusError(f"the corpus {folder.name} is not in {folder.parent}: build it with `palestra corpus build`")
    try:
        return Index(folder)
    except BrokenIndex as error:
        raise CorpusError(f"the corpus {folder} is damaged ({error}): remove it and build it again") from None


def _distinct(documents: Iterable[Document]) -> Iterator[Document]:
    """Titles made single-line and unique (without regard to case): the second `README` becomes `README (2)`."""
    seen: dict[str, int] = {}
    for document in documents:
        passages = tuple(passage for passage in document.passages if passage.strip())
        if not passages:
            continue
        title = " ".join(document.title.split())[:200] or "untitled"
        wanted = title
        while title.casefold() in seen:
            seen[wanted.casefold()] += 1
            title = f"{wanted} ({seen[wanted.casefold()]})"
        seen[title.casefold()] = 1
        yield Document(title, passages)


@contextmanager
def _building() -> Iterator[Path]:
    """An empty folder that is gone afterwards, unless it was renamed. It is locked as long as its process lives."""
    parent = root() / "building"
    parent.mkdir(parents=True, exist_ok=True)
    with _locked(parent):  # so that nobody takes a folder for dead that is only not locked yet
        _sweep(parent)
        folder = Path(tempfile.mkdtemp(dir=parent))
        lock = _lock(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = _lock(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path, wait: bool = True) -> int:
    """BlockingIOError where another process holds it and we do not wait."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(parent: Path) -> None:
    """Clear away what killed builds left: folders that nobody holds locked."""
    for folder in parent.iterdir():
        with suppress(BlockingIOError, FileNotFoundError):
            os.close(_lock(folder, wait=False))
            shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, place: Path) -> None:
    """Rename into place; where the same content is there already, leave that."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(place)
    except OSError:
        if not (place / "corpus.json").exists():
            raise


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(beside).replace(path)
