"""Final states: differences are named, what does not matter is ignored, tampered trees are caught."""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.verifiers.files import digest, same_files
from palestra.verifiers.state import Leeway, same_state, tree_differences

LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(alphabet="ab/~*", max_size=3)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(alphabet="ab/~*", max_size=3), inner, max_size=3)
    ),
)


def leaves(value: Any) -> int:
    if isinstance(value, dict) and value:
        return sum(map(leaves, value.values()))
    return sum(map(leaves, value)) if isinstance(value, list) and value else 1


@given(TREES)
def test_a_tree_is_its_own_state(tree: Any) -> None:
    assert same_state("s", tree, copy.deepcopy(tree)).score == 1.0
    assert same_state("s", tree, json.loads(json.dumps(tree)), partial=True).score == 1.0


@given(TREES, TREES)
def test_trees_are_the_same_exactly_when_their_json_is(one: Any, other: Any) -> None:
    equal = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert same_state("s", one, other).passed == equal
    share = same_state("s", one, other, partial=True).score
    assert (share == 1.0) == equal
    assert 0.0 <= share <= 1.0


@given(TREES, TREES)
def test_the_named_places_are_where_they_differ(one: Any, other: Any) -> None:
    """Making the found tree as expected at each named place makes the trees equal."""
    root = {"root": copy.deepcopy(other)}
    for difference in reversed(list(tree_differences({"root": one}, {"root": other}, Leeway()))):
        *above, last = [step.replace("~1", "/").replace("~0", "~") for step in difference.place.split("/")[1:]]
        wanted: Any = {"root": one}
        target: Any = root
        for step in above:
            wanted, target = (side[int(step)] if isinstance(side, list) else side[step] for side in (wanted, target))
        key: Any = int(last) if isinstance(target, list) else last
        if difference.kind == "extra":
            del target[key]
        elif isinstance(target, list) and key >= len(target):
            target.extend(wanted[len(target) :])
        else:
            target[key] = wanted[key]
    assert json.dumps(root["root"], sort_keys=True) == json.dumps(one, sort_keys=True)


def test_differences_are_named() -> None:
    expected = {"users": [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Bo"}], "a/b": {"x": 1}}
    found = {"users": [{"id": 1, "name": "Eve", "root": True}], "a/b": {"x": True}}
    part = same_state("s", expected, found)
    assert part.detail.split("; ") == [
        "/users/0/name changed: expected 'Ada', found 'Eve'",
        "/users/0/root extra",
        "/users/1 missing",
        "/a~1b/x changed: expected 1, found True",
    ]
    assert same_state("s", expected, found, partial=True).score == 1 / 6


@pytest.mark.parametrize(
    ("ignore", "passes"),
    [
        (("/users/*/seen", "/log/**"), True),
        (("**/seen", "/log"), True),
        (("/users/0/seen", "/log/**"), False),
        (("/users/**",), False),
        (("/users", "/log"), True),
        (("**",), True),
        ((), False),
        (("users/*/seen", "log/**"), False),
    ],
)
def test_what_is_ignored(ignore: tuple[str, ...], passes: bool) -> None:
    expected = {"users": [{"id": 1, "seen": 1}, {"id": 2, "seen": 1}], "log": [1, 2]}
    found = {"users": [{"id": 1, "seen": 5}, {"id": 2}], "log": [{"deep": [3]}, 2, 4]}
    assert same_state("s", expected, found, Leeway(ignore=ignore)).passed is passes


def test_tolerances_are_for_numbers_only_and_exact() -> None:
    assert same_state("s", {"x": 0.3}, {"x": 0.4}, Leeway(absolute=0.1)).passed
    assert same_state("s", {"x": 100}, {"x": 101.0}, Leeway(relative="1/100")).passed
    assert not same_state("s", {"x": 100}, {"x": 101.01}, Leeway(relative="1/100")).passed
    assert same_state("s", [1], [1.0]).passed
    assert not same_state("s", [1], [True], Leeway(absolute=5)).passed
    assert not same_state("s", [1], ["1"], Leeway(absolute=5)).passed
    assert not same_state("s", [0], [None], Leeway(absolute=5)).passed


@given(st.lists(LEAVES, max_size=6), st.randoms(use_true_random=False))
def test_unordered_lists(items: list[Any], rng: Any) -> None:
    shuffled = rng.sample(items, len(items))
    rule = Leeway(unordered=("/a/*",))
    assert same_state("s", {"a": [items]}, {"a": [shuffled]}, rule).passed
    assert not same_state("s", {"a": [items]}, {"a": [[*shuffled, "more"]]}, rule).passed


def test_unordered_lists_pair_what_is_near_and_name_what_is_not() -> None:
    rule = Leeway(unordered=("",), ignore=("/*/at",), absolute=1)
    expected = [{"id": 10, "at": 1}, {"id": 20, "at": 2}, {"id": 30, "at": 3}]
    assert same_state("s", expected, [{"id": 31, "at": 0}, {"id": 9}, {"id": 20, "at": 9}], rule).passed
    part = same_state("s", expected, [{"id": 30, "at": 3}], rule)
    assert part.detail == "/0 missing; /1 missing"


def test_half_of_a_lost_subtree_is_not_one_leaf() -> None:
    tree = {"a": {str(n): n for n in range(9)}, "b": 1}
    assert same_state("s", tree, {"b": 1}, partial=True).score == 1 / 10
    assert same_state("s", tree, {"a": 0, "b": 1}, partial=True).score == 1 / 10
    assert same_state("s", tree, tree | {"c": [1] * 10}, partial=True).score == 10 / 20


def test_states_that_are_no_json() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert "nested deeper" in same_state("s", {}, deep).detail
    assert "not a JSON number" in same_state("s", {}, {"a": float("nan")}).detail
    with pytest.raises(ValueError, match="expected state cannot be used"):
        same_state("s", deep, {})
    with pytest.raises(ValueError, match="cannot be negative"):
        Leeway(absolute=-1)


FILES: dict[str, str | bytes] = {
    "a.txt": "one\ntwo\n",
    "src/b.py": "x = 1\n",
    "data.json": '{"n": 1.0, "m": [1, 2]}',
    "t.csv": "id,v\n1,2.50\n",
}


def test_a_file_tree_is_itself_however_it_is_told() -> None:
    assert same_files("f", FILES, dict(FILES)).passed
    assert same_files("f", {path: digest(text) for path, text in FILES.items()}, FILES).passed
    hashes = {path: digest(text) for path, text in FILES.items()}
    assert same_files("f", FILES, hashes, hashed=True).passed
    assert same_files("f", hashes, hashes, hashed=True).passed
    assert not same_files("f", FILES, FILES, hashed=True).passed
    assert same_files("f", FILES, {f"./{path}": text for path, text in FILES.items()}).passed
    assert same_files("f", FILES, FILES | {"a.txt": b"one\ntwo\n"}).passed
    assert digest("x") == f"sha256:{hashlib.sha256(b'x').hexdigest()}"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"a.txt": "one\ntwo"}, "a.txt changed"),
        ({"a.txt": None}, "a.txt missing"),
        ({"evil.py": ""}, "evil.py extra"),
        ({"a.txt": digest("other")}, "a.txt changed"),
        ({"a.txt": digest("one\ntwo\n")}, "a.txt changed"),
        ({"a.txt": b"\xff"}, "a.txt changed"),
        ({"../a.txt": ""}, "'../a.txt' is not a path below"),
        ({"/etc/passwd": ""}, "'/etc/passwd' is not a path below"),
        ({"src/../a.txt": "one\ntwo\n"}, "'src/../a.txt' is there twice"),
    ],
)
def test_tampering_is_named(change: dict[str, Any], detail: str) -> None:
    found: dict[str, str | bytes] = {path: text for path, text in {**FILES, **change}.items() if text is not None}
    part = same_files("f", FILES, found)
    assert part.score == 0.0
    assert detail in part.detail
    assert same_files("f", FILES, found, partial=True).score < 1.0


def test_ignored_files_and_shares() -> None:
    found = FILES | {"src/__pycache__/b.pyc": b"\0", "a.txt": "other", "build/x/y": ""}
    rule = Leeway(ignore=("**/__pycache__/**", "build/**"))
    assert same_files("f", FILES, found, rule).detail == "a.txt changed: expected 'one\\ntwo\\n', found 'other'"
    assert same_files("f", FILES, found, rule, partial=True).score == 3 / 4
    assert same_files("f", FILES, found, Leeway(ignore=("**/__pycache__/**", "build/**", "*.txt"))).passed


def test_loose_texts_and_structured_files() -> None:
    loose = FILES | {"a.txt": "one  \r\ntwo\r\n\r\n"}
    assert same_files("f", FILES, loose, loose=True).passed
    assert not same_files("f", FILES, loose).passed
    assert not same_files("f", FILES, FILES | {"a.txt": "two\none"}, loose=True).passed
    other = FILES | {"data.json": '{"m": [1, 2],\n"n": 1}', "t.csv": "id,v\r\n1,2.5\r\n"}
    assert same_files("f", FILES, other, structured=True).passed
    assert not same_files("f", FILES, other).passed
    near = FILES | {"t.csv": "id,v\n1,2.49\n"}
    assert not same_files("f", FILES, near, structured=True).passed
    assert same_files("f", FILES, near, Leeway(absolute="0.01"), structured=True).passed


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"n": NaN}', "\ud800", "1" * 10_000])
def test_broken_structured_files_are_different(text: str) -> None:
    assert not same_files("f", FILES, FILES | {"data.json": text}, structured=True).passed
    assert not same_files("f", FILES, FILES | {"t.csv": '"' + "x" * 200_000}, structured=True).passed


def test_expected_files_must_be_a_tree() -> None:
    with pytest.raises(ValueError, match="is there twice"):
        same_files("f", {"a": "", "./a": ""}, {})
