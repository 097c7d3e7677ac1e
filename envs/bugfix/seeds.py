"""The seed repositories that ship with the project, and the mutations each offers."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path

from .languages.python import Python
from .types import Function, Language, Mutation, Repository

ROOT = Path(__file__).parent / "repos"
LANGUAGES: dict[str, Language] = {"python": Python()}


@lru_cache(maxsize=1)
def names() -> tuple[str, ...]:
    """The seed repositories, sorted."""
    return tuple(sorted(folder.name for folder in ROOT.iterdir() if (folder / "hidden").is_dir()))


@cache
def load(name: str) -> Repository:
    """A seed repository by name."""
    folder = ROOT / name
    texts = {
        file.relative_to(folder).as_posix(): file.read_text()
        for file in sorted(folder.rglob("*.py"))
        if "__pycache__" not in file.parts
    }
    hidden = {path: text for path, text in texts.items() if path.startswith("hidden/")}
    return Repository(name, {path: text for path, text in texts.items() if path not in hidden}, hidden)


@cache
def candidates(name: str, language: str) -> tuple[tuple[str, Mutation], ...]:
    """Every (path, mutation) a repository offers."""
    speak, repository = LANGUAGES[language], load(name)
    sources = [path for path in repository.files if speak.is_source(path, repository.files)]
    return tuple((path, mutation) for path in sources for mutation in speak.mutations(repository.files[path]))


@cache
def functions(name: str, language: str) -> tuple[Function, ...]:
    """Every function of a repository's sources."""
    speak, repository = LANGUAGES[language], load(name)
    sources = [path for path in repository.files if speak.is_source(path, repository.files)]
    return tuple(function for path in sources for function in speak.functions(path, repository.files[path]))
