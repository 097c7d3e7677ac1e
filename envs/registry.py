"""Find environments: the built-in ones and those that installed packages offer under `palestra.environments`.

A plugin that cannot be imported is reported by name and never takes the others down.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points

from .environment import Environment
from .errors import PluginError

GROUP = "palestra.environments"
BUILTIN = {
    "travel-mini": ".mini.travel:TravelMini",
    "travel": ".travel.environment:Travel",
    "bugfix": ".bugfix.environment:BugFix",
    "bugfix-c": ".bugfix.single:BugFixC",
    "bugfix-cpp": ".bugfix.single:BugFixCpp",
    "bugfix-go": ".bugfix.single:BugFixGo",
    "bugfix-java": ".bugfix.single:BugFixJava",
    "bugfix-javascript": ".bugfix.single:BugFixJavaScript",
    "bugfix-php": ".bugfix.single:BugFixPhp",
    "bugfix-python": ".bugfix.single:BugFixPython",
    "bugfix-typescript": ".bugfix.single:BugFixTypeScript",
    "search-mini": ".mini.search:SearchMini",
    "files": ".files.environment:Files",
    "interpreter": ".interpreter.environment:Interpreter",
    "search": ".search.environment:Search",
    "reasoning": ".reasoning.environment:Reasoning",
}


@dataclass(frozen=True)
class Listing:
    """One environment as found: its class, or the one line that says why it cannot be used."""

    id: str
    source: str
    cls: type[Environment] | None
    error: str = ""


def list_environments() -> list[Listing]:
    """Every environment, built-in first; broken plugins are in the list, with their error."""
    found = [_load(name, "built-in", partial(_builtin, target)) for name, target in BUILTIN.items()]
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        source = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        found.append(_load(point.name, source, partial(_plugin, point)))
    return found


def environment_class(name: str) -> type[Environment]:
    """The environment class called `name`. PluginError says which there are, or why this one cannot be used."""
    if name in BUILTIN:
        return _builtin(BUILTIN[name])
    return _installed(name, tuple(sys.path))


@cache  # every episode asks, and looking reads the metadata of all packages on the path
def _installed(name: str, _path: tuple[str, ...]) -> type[Environment]:
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _plugin(point)
    known = ", ".join([*BUILTIN, *sorted(point.name for point in entry_points(group=GROUP))])
    raise PluginError(f"unknown environment {name!r}; there are: {known} (see `palestra env list`)")


def _load(name: str, source: str, load: Callable[[], type[Environment]]) -> Listing:
    try:
        return Listing(name, source, load())
    except PluginError as error:
        return Listing(name, source, None, str(error))


def _builtin(target: str) -> type[Environment]:
    module, _, attribute = target.partition(":")
    cls: type[Environment] = getattr(importlib.import_module(module, __package__), attribute)
    return cls


def _plugin(point: EntryPoint) -> type[Environment]:
    try:
        cls = point.load()
    except BaseException as error:  # a plugin may raise anything, SystemExit included, while it is imported
        if isinstance(error, KeyboardInterrupt):
            raise
        raise PluginError(
            f"environment {point.name!r} ({point.value}) cannot be loaded: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, Environment)):
        raise PluginError(
            f"environment {point.name!r} ({point.value}) is not a subclass of palestra.envs.environment.Environment"
        )
    if getattr(cls, "id", None) != point.name:
        raise PluginError(
            f"environment {point.name!r} ({point.value}) says id = {getattr(cls, 'id', None)!r}: make them equal"
        )
    if not (cls.toolset or cls.toolless):
        raise PluginError(
            f"environment {point.name!r} has no tools: mark at least one method with @tool, or say toolless = True "
            "where thinking alone answers"
        )
    return cls
