"""Declared inputs: what is not declared is not there, and impure verifiers are caught."""

from __future__ import annotations

import copy
import os
import random
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palestra.verifiers.checks import all_of, check
from palestra.verifiers.types import Verdict
from palestra.verifiers.verifier import Verifier, breaches, select, verifier

NAMES = st.sampled_from(["a", "b", "c"])
JSON = st.recursive(st.integers(0, 3) | st.text(max_size=2), lambda inner: st.dictionaries(NAMES, inner, max_size=3))
PATHS = st.lists(st.lists(NAMES, min_size=1, max_size=3).map(".".join), min_size=1, max_size=4).map(tuple)


def at(value: Any, path: str) -> Any:
    for step in path.split("."):
        if not isinstance(value, dict) or step not in value:
            return None
        value = value[step]
    return value


def leaves(value: Any, path: str = "") -> list[str]:
    if isinstance(value, dict) and value:
        return [place for key, item in value.items() for place in leaves(item, f"{path}.{key}" if path else key)]
    return [path]


@example({"a": {}}, ("a", "a.a.a"))
@example({"a": 1}, ("a.b", "a.b.c"))
@given(st.dictionaries(NAMES, JSON, min_size=1), PATHS)
def test_exactly_what_is_declared_is_there(inputs: dict[str, Any], reads: tuple[str, ...]) -> None:
    chosen = select(inputs, reads)
    for path in reads:
        if (wanted := at(inputs, path)) is not None:
            assert at(chosen, path) == wanted
    for place in leaves(chosen):
        value = at(chosen, place)
        if value is not None and value != {}:
            assert any(place == path or place.startswith(f"{path}.") for path in reads), place
            assert value == at(inputs, place)


@given(st.dictionaries(NAMES, JSON, min_size=1), st.dictionaries(NAMES, JSON), PATHS)
def test_what_is_not_declared_cannot_decide(
    inputs: dict[str, Any], other: dict[str, Any], reads: tuple[str, ...]
) -> None:
    """The verdict of a verifier that looks at all it gets is the same whatever the rest of its inputs is."""
    judge = Verifier("v", "1", reads, lambda **given: Verdict(reward=1.0, note=repr(given)))
    roots = {path.split(".")[0] for path in reads}
    full = {name: inputs.get(name, {}) for name in {"a", "b", "c"}}
    changed = copy.deepcopy(full)
    for name in full:
        if name not in roots:
            changed[name] = other.get(name, 7)
        elif isinstance(full[name], dict) and not any(path == name for path in reads):
            changed[name] = {"z": other} | changed[name]
    assert judge(**changed) == judge(**full)


@given(st.dictionaries(NAMES, JSON, min_size=1))
def test_what_it_changes_nobody_sees(inputs: dict[str, Any]) -> None:
    def vandal(**given: Any) -> Verdict:
        for value in given.values():
            if isinstance(value, dict):
                value.clear()
        return Verdict(reward=0.0)

    before = copy.deepcopy(inputs)
    Verifier("v", "1", tuple(inputs), vandal)(**inputs)
    assert inputs == before


@verifier("trip", "2", reads=("key.most", "answer", "world.spent"))
def trip(key: Any, answer: Any, world: Any) -> Verdict:
    return all_of([check("budget", world["spent"] <= key["most"]), check("said", answer == "done")])


DATA = {"key": {"most": 9, "plan": "secret"}, "answer": "done", "world": {"spent": 5, "log": [1]}}


def test_a_pure_verifier_has_no_breach() -> None:
    assert (trip.id, trip.version, trip(**DATA).reward) == ("trip", "2", 1.0)
    assert breaches(trip, random.Random(0), **DATA) == []


def test_an_undeclared_part_is_a_broken_verifier_not_a_zero() -> None:
    peeking = Verifier("peek", "1", ("key.most", "answer"), lambda key, answer: Verdict(reward=float(key["plan"])))
    verdict = peeking(**DATA)
    assert (verdict.validity, verdict.reward) == ("invalid_verifier", None)
    assert verdict.note == "peek-1 failed: KeyError: 'plan'"


def test_what_is_no_verdict_is_invalid() -> None:
    odd = Verifier("odd", "1", ("answer",), lambda answer: 1.0)  # type: ignore[arg-type, return-value]
    assert odd(answer=1).note == "odd-1 returned a float, not a Verdict"
    with pytest.raises(ValueError, match="reads 'world', which was not given"):
        trip(key={}, answer="done")


@pytest.mark.parametrize(("reads", "says"), [((), "reads nothing"), (("world..a",), "write a path"), (("",), "write")])
def test_declarations_that_cannot_be_meant(reads: tuple[str, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Verifier("v", "1", reads, lambda **_: Verdict(reward=1.0))


_calls: list[int] = []


def _remembers(path: Path) -> float:
    _calls.append(1)
    return float(len(_calls) % 2)


def _connects(path: Path) -> float:
    with socket.socket() as one:
        return float(one.connect_ex(("127.0.0.1", 9)) == 0)


IMPURE: dict[str, tuple[Any, str]] = {
    "reads a file": (lambda path: float(path.read_text() == "1"), "reaches out of its arguments: open"),
    "writes a file": (lambda path: float(path.write_text("1") > 0), "reaches out of its arguments: open"),
    "lists a folder": (
        lambda path: float(len(os.listdir(path.parent)) > 0),
        "reaches out of its arguments: os.listdir",
    ),
    "runs a program": (lambda path: float(subprocess.call(["true"]) == 0), "subprocess.Popen"),
    "opens a socket": (_connects, "socket.connect"),
    "looks at the clock": (lambda path: float(time.time() < 2e9), "clock or on chance"),
    "throws dice": (lambda path: random.random(), "says something else"),
    "remembers": (_remembers, "says something else"),
}


@pytest.mark.parametrize("kind", IMPURE)
def test_impure_verifiers_are_caught(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "reward"
    path.write_text("1")
    function, says = IMPURE[kind]
    judge = Verifier("v", "1", ("answer",), lambda answer: Verdict(reward=function(path)))
    found = breaches(judge, random.Random(1), answer=1)
    assert any(says in one for one in found), found


def test_the_order_of_keys_must_not_decide() -> None:
    first = Verifier("v", "1", ("world",), lambda world: Verdict(reward=float(next(iter(world)) == "k0")))
    world = {f"k{number}": number for number in range(20)}
    assert breaches(first, random.Random(1), world=world) == ["it depends on the order of keys"]


def test_watching_ends() -> None:
    breaches(trip, random.Random(0), **DATA)
    assert Path(__file__).read_text()
    assert breaches(trip, random.Random(0), **DATA) == []
