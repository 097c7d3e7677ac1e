"""Verifiers that say what they read: they are handed that and nothing else, so that nothing else can decide.

    @verifier("trip", "2", reads=("key.rules", "answer", "world.bookings"))
    def trip(key, answer, world):
        return all_of(...)

    trip(key=task.key, answer=answer, world=world)

The function gets copies that hold the declared parts only: `key["plan"]` is not there, and what it changes nobody sees.
`breaches` looks for what a copy cannot prevent: clocks, chance, files, sockets, processes, memory of earlier calls.
"""

from __future__ import annotations

import copy
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .types import Verdict

Json = Any
Judging = Callable[..., Verdict]
_REACHES = ("open", "os.", "socket.", "subprocess.", "shutil.", "ctypes.dlopen", "sqlite3.", "urllib.", "http.")


@dataclass(frozen=True)
class Verifier:
    """A judging function with its name, its version, and the paths it reads: "answer", "world.files", ... Each begins
    with the keyword under which the function takes it.
    """

    id: str
    version: str
    reads: tuple[str, ...]
    function: Judging

    def __post_init__(self) -> None:
        if not self.reads:
            raise ValueError(f"verifier {self.id!r} reads nothing: it would say the same of everything")
        if wrong := [path for path in self.reads if not all(path.split("."))]:
            raise ValueError(f"verifier {self.id!r} reads {wrong[0]!r}: write a path like world.files")

    def __call__(self, **inputs: Json) -> Verdict:
        """The verdict on the declared parts of `inputs`; what the function raises makes it invalid, never 0. ValueError
        where an input is not given at all.
        """
        roots = {path.split(".")[0] for path in self.reads}
        if missing := sorted(roots - inputs.keys()):
            raise ValueError(f"verifier {self.id!r} reads {missing[0]!r}, which was not given")
        try:
            verdict: object = self.function(**select(inputs, self.reads))
        except Exception as error:
            told = f"{self.id}-{self.version} failed: {type(error).__name__}: {error}"
            return Verdict.invalid("invalid_verifier", told[:500])
        if not isinstance(verdict, Verdict):
            told = f"{self.id}-{self.version} returned a {type(verdict).__name__}, not a Verdict"
            return Verdict.invalid("invalid_verifier", told)
        return verdict


def verifier(id: str, version: str, reads: tuple[str, ...]) -> Callable[[Judging], Verifier]:
    """Makes a judging function a Verifier."""
    return lambda function: Verifier(id, version, reads, function)


def select(inputs: Mapping[str, Json], reads: tuple[str, ...]) -> dict[str, Json]:
    """Copies of the parts of `inputs` at `reads`, in objects that hold nothing else; a part that is not there is left
    out, and an input of which only parts are read is at least an empty object.
    """
    chosen: dict[str, Json] = {}
    for path in reads:
        if any(path.startswith(f"{whole}.") for whole in reads):
            continue
        *above, last = path.split(".")
        source: Json = inputs
        target = chosen
        for step in above:
            source = source.get(step) if isinstance(source, Mapping) else None
            target = target.setdefault(step, {})
        if isinstance(source, Mapping) and last in source:
            target[last] = copy.deepcopy(source[last])
    return chosen


def breaches(judge: Verifier, rng: random.Random, **inputs: Json) -> list[str]:
    """In what way `judge` is not a pure function of its declared inputs, as far as running it shows; [] is good.

    It is run again as it is, watched for reaching out of its arguments; in another year with other chance; with keys in
    another order.
    """
    first = judge(**inputs)
    found = []
    with _watched() as reached:
        second = judge(**inputs)
    found += [f"it reaches out of its arguments: {event}" for event in dict.fromkeys(reached)]
    if second != first:
        found.append("asked again, it says something else")
    with _another_year(rng):
        if judge(**inputs) != second:
            found.append("it depends on the clock or on chance")
    if judge(**{name: _shuffled(value, rng) for name, value in inputs.items()}) != second:
        found.append("it depends on the order of keys")
    return found


def _shuffled(value: Json, rng: random.Random) -> Json:
    if isinstance(value, dict):
        keys = rng.sample(list(value), len(value))
        return {key: _shuffled(value[key], rng) for key in keys}
    return [_shuffled(item, rng) for item in value] if isinstance(value, list) else value


@contextmanager
def _another_year(rng: random.Random) -> Iterator[None]:
    import time_machine

    state = random.getstate()
    random.seed(rng.random())
    try:
        with time_machine.travel(datetime(rng.randrange(2040, 2100), 1, 1, tzinfo=UTC), tick=False):
            yield
    finally:
        random.setstate(state)


_watching = threading.local()
_hooked: list[bool] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    seen: list[str] | None = getattr(_watching, "seen", None)
    if seen is not None and event.startswith(_REACHES):
        seen.append(f"{event} {arguments[0]!r}"[:120] if arguments else event)


@contextmanager
def _watched() -> Iterator[list[str]]:
    """What this thread reaches for meanwhile, by Python's audit events."""
    if not _hooked:  # an audit hook stays for good, so there is one, which listens only when asked
        _hooked.append(True)
        sys.addaudithook(_hook)
    seen: list[str] = []
    _watching.seen = seen
    try:
        yield seen
    finally:
        _watching.seen = None
