"""Local documentation as documents: `KIND:PATH` names a folder or a file of one kind.

    text, markdown, html   files by their endings (.txt .text .rst; .md .markdown; .html .htm .xhtml)
    man                    manual pages (man and mdoc macros), e.g. man:/usr/share/man
    debian                 what packages install as documentation, e.g. debian:/usr/share/doc
    python                 Python documentation as Sphinx makes it (HTML, text or its sources), and the docstrings of
                           .py files, read without importing them, e.g. python:/usr/lib/python3.11
    encyclopaedia          SEED or SEED:SIZE instead of a path: the pages of a generated world

All but the last also read .gz. Files are taken in the order of their paths; what is not text, or empty, is left out.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .corpus import CorpusError, Document
from .markup import from_html, from_markdown, from_python, from_roff
from .text import passages_of
from .world import make_world
from .writing import pages

LARGEST = 8_000_000
"""Bytes of a file that are read."""
SIZE = 20
_TEXT, _MARKDOWN, _HTML = (".txt", ".text", ".rst"), (".md", ".markdown"), (".html", ".htm", ".xhtml")
_DEBIAN = (*_TEXT, *_MARKDOWN, *_HTML, ".debian", ".pod", "readme", "news", "changelog", "copyright", "faq", "todo")
ENDINGS = {
    "text": _TEXT,
    "markdown": _MARKDOWN,
    "html": _HTML,
    "man": tuple(f".{section}" for section in "123456789ln"),
    "debian": _DEBIAN,
    "python": (*_TEXT, *_HTML, ".py"),
}
KINDS = (*ENDINGS, "encyclopaedia")


@dataclass(frozen=True)
class Source:
    """A file to load, or a world to write: `load` gives its documents."""

    name: str
    load: Callable[[], Iterator[Document]]


def sources(specs: Sequence[str]) -> tuple[list[Source], dict[str, Any]]:
    """What the specs name, in order, and the recipe to keep with the corpus. CorpusError says which spec is wrong."""
    found: list[Source] = []
    recipe: dict[str, Any] = {"from": list(specs)}
    for spec in specs:
        kind, _, path = spec.partition(":")
        if kind == "encyclopaedia":
            if "encyclopaedia" in recipe:
                raise CorpusError("a corpus holds at most one encyclopaedia: names of several would clash")
            recipe["encyclopaedia"] = _world(spec, path)
            found.append(Source(spec, partial(_encyclopaedia, **recipe["encyclopaedia"])))
        elif kind not in ENDINGS or not path:
            raise CorpusError(f"{spec!r} is no source: write KIND:PATH, where KIND is one of {', '.join(KINDS)}")
        else:
            found += _files(kind, Path(path))
    return found, recipe


def _world(spec: str, path: str) -> dict[str, int]:
    seed, _, size = path.partition(":")
    if not (seed.isdigit() and (not size or (size.isdigit() and 2 <= int(size) <= 60))):
        raise CorpusError(f"{spec!r}: write encyclopaedia:SEED or encyclopaedia:SEED:SIZE, SIZE from 2 to 60")
    return {"seed": int(seed), "size": int(size or SIZE)}


def _encyclopaedia(seed: int, size: int) -> Iterator[Document]:
    return pages(make_world(seed, size))


def _files(kind: str, root: Path) -> list[Source]:
    if not root.exists():
        raise CorpusError(f"{root} is not there: {kind}:PATH names a folder or a file")
    if root.is_file():
        return [Source(str(root), partial(load_file, kind, root, root.name))]
    found = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            if _wanted(kind, name) and path.is_file() and not path.is_symlink():
                found.append(Source(str(path), partial(load_file, kind, path, str(path.relative_to(root)))))
    return found


def _wanted(kind: str, name: str) -> bool:
    return name.casefold().removesuffix(".gz").endswith(ENDINGS[kind])


def load_file(kind: str, path: Path, name: str) -> Iterator[Document]:
    """The documents of one file; none where it is not text or cannot be read. `name` is its path in the source."""
    text = _read(path)
    if text is None:
        return
    plain = name.removesuffix(".gz")
    ending = Path(plain).suffix.casefold()
    if kind == "man":
        title, body = from_roff(text, Path(plain).name)
        language = Path(plain).parts[0] if len(Path(plain).parts) > 2 else ""
        title = f"{title} [{language}]" if language else title
    elif ending in _HTML:
        title, body = from_html(text, plain)
    elif ending in _MARKDOWN:
        title, body = from_markdown(text, plain)
    elif ending == ".py":
        title, body = from_python(text, plain)
    else:
        title, body = plain, text
    if kind == "debian":
        package, _, rest = plain.partition("/")
        title = f"{package}: {rest or package}"
    passages = passages_of(body)
    if passages:
        yield Document(title, passages)


def _read(path: Path) -> str | None:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(LARGEST)
    except (OSError, EOFError, zlib.error):
        return None
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
