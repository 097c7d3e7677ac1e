"""Questions: uniqueness by a naive evaluation, pages that say what the graph holds, shallow strategies tried again,
determinism, answers in all their forms, and how alike prompts are."""

import json
import operator
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.envs.environment import SolverTools
from palestra.envs.search import corpus, loaders
from palestra.envs.search.corpus import CorpusError
from palestra.envs.search.environment import SIZE, Search
from palestra.envs.search.library import library
from palestra.envs.search.reading import Reader
from palestra.envs.search.schema import RELATIONS, lists_of, relations_of
from palestra.envs.search.values import read_date, read_number, same_answer, say_date, say_number
from palestra.envs.search.world import Thing, World, make_world
from palestra.envs.search.writing import pages
from palestra.envs.types import Task, ToolCall

LEVELS = list(Search.levels)


def make(level: int, seed: int) -> Task:
    return Search().propose(random.Random(f"test/{seed}"), level)


def started(task: Task) -> Search:
    env = Search()
    env.start(task)
    return env


def world_of(task: Task) -> World:
    return make_world(task.world["seed"], task.world["size"])


# --- a second evaluator: sets of things, every thing in the world asked ------------------------------------------


def extension(world: World, node: dict[str, Any]) -> list[Thing]:
    if "is" in node:
        return [thing for thing in world.things if node["is"] in (thing.title, *thing.aliases)]
    if "of" in node:
        values = {thing.facts[node["by"]] for thing in extension(world, node["of"])}
        return [thing for thing in world.things if thing.number in values]
    if "pick" in node:
        among = node["from"] if isinstance(node["from"], list) else [node["from"]]
        pool = sorted(
            (key(thing.facts[node["by"]]), thing.number) for each in among for thing in extension(world, each)
        )
        best = pool[-1 if node["pick"] == "most" else 0][0]
        return [world.things[number] for value, number in pool if value == best]
    tests = [condition(world, *each) for each in node["where"]]
    return [thing for thing in world.things if thing.kind == node["kind"] and all(test(thing) for test in tests)]


def key(value: int | str) -> str:
    """Dates as they are; numbers so that they sort as text."""
    return value if isinstance(value, str) else f"{value:012}"


def number_of(value: int | str) -> int:
    return int(str(value)[:4]) if isinstance(value, str) else value


def condition(world: World, relation: str, op: str, wanted: Any) -> Callable[[Thing], bool]:
    if isinstance(wanted, dict):
        numbers = {thing.number for thing in extension(world, wanted)}
        return lambda thing: thing.facts[relation] in numbers
    if isinstance(wanted, str):
        return lambda thing: thing.facts[relation] == wanted
    compare = {"=": operator.eq, "<": operator.lt, ">": operator.gt}[op]
    return lambda thing: bool(compare(number_of(thing.facts[relation]), wanted))


def naive_answers(world: World, form: dict[str, Any]) -> set[str]:
    """Every answer the question has, as text."""
    ask, by = form["ask"], form.get("by", "")
    if ask == "gap":
        first, second = ([number_of(thing.facts[by]) for thing in extension(world, node)] for node in form["of"])
        return {str(abs(a - b)) for a in first for b in second}
    found = extension(world, form["of"])
    if ask == "count":
        return {str(len(found))}
    if ask in ("sum", "mean"):
        total = sum(int(thing.facts[by]) for thing in found)
        return {say_number(total if ask == "sum" else total / len(found), commas=False)}
    if ask == "thing":
        return {thing.title for thing in found}
    values = {thing.facts[by] for thing in found}
    if RELATIONS[by].links:
        return {world.things[int(value)].title for value in values}
    return {say_date(str(value)) if RELATIONS[by].to == "date" else str(value) for value in values}


@pytest.mark.parametrize("level", LEVELS)
def test_the_answer_is_the_only_one_and_the_oracle_finds_it(level: int) -> None:
    for seed in range(12):
        task = make(level, seed)
        assert naive_answers(world_of(task), task.key["form"]) == {task.key["answers"][0]}
        env = started(task)
        tools = SolverTools(env)
        answer = env.solve(task, tools)
        assert env.verify(task, answer, env.finish(answer)).passed
        assert sum(bool(thought) for thought, _, _ in tools.steps) > len(tools.steps) / 3
        assert make(level, seed).id == task.id


@pytest.mark.parametrize("level", LEVELS)
def test_shallow_strategies_fail_through_the_tools(level: int) -> None:
    """The question as a query, its first hits opened; the first links followed; what is named opened; the mode."""
    for seed in range(12):
        task = make(level, seed)
        env, world, target = started(task), world_of(task), task.key
        question = re.sub(r" Answer with the [a-z ]+\.$", "", task.prompt)
        snippets = [hit["snippet"] for hit in env.search(question, 1)]
        named = [node["is"] for node in walk(target["form"]) if "is" in node]
        opened = [env.open(world.find(name).title)["text"] for name in named]
        for text in (*snippets, *opened):
            assert not shows(text, target), (task.prompt, target["answers"])
        kind = next(iter(walk(target["form"]))).get("kind")
        if target["type"] == "name" and kind:
            most = max(
                world.members[kind], key=lambda thing: (len(world.pointers.get(thing.number, [])), -thing.number)
            )
            assert target["form"]["ask"] != "thing" or most.title not in target["answers"]
        if target["form"]["ask"] == "value":
            by = target["form"]["by"]
            told = Counter(thing.facts[by] for thing in world.members[RELATIONS[by].of]).most_common(1)[0][0]
            mode = world.things[int(told)].title if RELATIONS[by].links else str(told)
            assert not env.verify(task, mode, {}).passed


def walk(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, list):
        return [node for each in value for node in walk(each)]
    if isinstance(value, dict):
        inner = [node for each in value.values() for node in walk(each)]
        return [value, *inner] if "ask" not in value else inner
    return []


def shows(text: str, target: dict[str, Any]) -> bool:
    if target["type"] == "number" or target["type"] == "year":
        return target["answers"][0] in [number.replace(",", "") for number in re.findall(r"\d[\d,]*", text)]
    if target["type"] == "date":
        return any(say_date(str(read_date(target["answers"][0])), form) in text for form in range(3))
    return any(re.search(rf"\b{re.escape(name)}\b", text) for name in target["answers"])


# --- the encyclopaedia -------------------------------------------------------------------------------------------


class Shelf:
    """What a Reader asks for, from the pages themselves."""

    def __init__(self, world: World) -> None:
        self.texts = {document.title: "\n\n".join(document.passages) for document in pages(world)}

    def open(self, page: str, offset: int = 0) -> dict[str, Any]:
        return {"title": page, "text": self.texts[page], "next_offset": None}

    def think(self, text: str) -> None:
        """Not kept."""


def test_every_page_in_force_says_what_the_graph_holds() -> None:
    world = make_world(5, 10)
    shelf = Shelf(world)
    reader = Reader(shelf)
    for thing in world.things:
        page = reader.page(thing.title)
        assert sorted(page.names) == sorted(thing.names)
        for relation in relations_of(thing.kind):
            told = reader.fact(page, relation)
            value = thing.facts[relation.name]
            if relation.links:
                assert world.find(told).number == value
            elif relation.to == "date":
                assert read_date(told) == value
            elif relation.to == "word":
                assert told in (f"a {value}", f"an {value}")
            else:
                assert read_number(told) == value
        for relation in lists_of(thing.kind):
            listed = {world.find(name).number for name in reader._listed(page, relation)}
            assert listed == set(world.inverse.get((relation.name, thing.number), []))


def test_old_editions_contradict_and_say_that_they_are_old() -> None:
    world = make_world(5, 10)
    shelf = Shelf(world)
    old = [thing for thing in world.things if thing.former]
    assert len(old) > 50
    for thing in old:
        title = f"{thing.title} (edition of {thing.edition})"
        assert shelf.texts[title].startswith(f"This page is from the edition of {thing.edition} and is out of date")
        assert Reader(shelf).page(title).title == thing.title
        for name, (value, year) in thing.former.items():
            assert (value, year) != (thing.facts[name], year)
            said = world.things[int(value)].names if RELATIONS[name].links else [say_number(int(value)), str(value)]
            assert any(text in shelf.texts[title] for text in said)


def test_a_world_has_namesakes_aliases_and_a_long_tail() -> None:
    world = make_world(0, SIZE)
    shared = Counter(thing.name for thing in world.things)
    assert sum(count > 1 for count in shared.values()) > 20
    titles = [thing.title for thing in world.things]
    assert len(set(titles)) == len(titles) == len({title.casefold() for title in titles})
    assert len(world.lookup) == sum(len(thing.names) for thing in world.things), "a name means one thing"
    linked = sorted((len(world.pointers.get(thing.number, [])) for thing in world.things), reverse=True)
    assert sum(linked[:200]) > 0.4 * sum(linked)
    assert sum(count <= 1 for count in linked) > 0.4 * len(linked)
    for thing in world.members["person"]:
        teacher = world.things[int(thing.facts["teacher"])]
        assert teacher.number != thing.number


def test_sentences_vary() -> None:
    texts = [text for document in pages(make_world(1, 10)) for text in document.passages]
    capitals = Counter(re.sub(r"[A-Z][\w']+|\d[\d,]*", "_", text) for text in texts)
    assert len(capitals) > 0.8 * len(texts)


# --- determinism -------------------------------------------------------------------------------------------------

PROBE = """
import random, sys
from palestra.envs.search.environment import Search
from palestra.envs.search.library import library
from palestra.envs.environment import SolverTools
for level in (1, 4, 7, 10):
    task = Search().propose(random.Random(f"probe/{level}"), level)
    env = Search(); env.start(task); tools = SolverTools(env)
    print(task.id, env.solve(task, tools), [result.text for _, _, result in tools.steps][:40])
"""


def test_another_process_with_another_hash_seed_makes_the_same(tmp_path: Any) -> None:
    said = []
    for seed in ("1", "2"):
        place = {"PYTHONHASHSEED": seed, "PALESTRA_CORPORA": str(tmp_path / seed)}
        done = subprocess.run(
            [sys.executable, "-c", PROBE], env={**os.environ, **place}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert said[0] == said[1]
    assert said[0].count("search-") == 4


def test_a_task_is_small_and_its_world_only_referred_to() -> None:
    task = make(9, 1)
    assert set(task.world) == {"seed", "size"}
    assert len(task.model_dump_json()) < 6000


# --- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_mutants_are_many_and_wrong(level: int) -> None:
    for seed in range(10):
        task = make(level, seed)
        rng = random.Random(seed)
        found = {Search().mutate(rng, task, task.key["answers"][0]) for _ in range(60)}
        assert len(found) >= 5
        for answer in found:
            assert not Search().verify(task, answer, {}).passed, (task.prompt, answer)


def test_the_older_value_is_among_the_mutants_and_wrong() -> None:
    met = 0
    for seed in range(60):
        task = make(6, seed)
        form, world = task.key["form"], world_of(task)
        if form["ask"] != "value" or RELATIONS[form["by"]].links:
            continue
        former = extension(world, form["of"])[0].former.get(form["by"])
        if former is not None:
            met += 1
            assert not Search().verify(task, str(former[0]), {}).passed
            assert str(former[0]) in {Search().mutate(random.Random(n), task, "") for n in range(80)}
    assert met >= 2


JUNK: tuple[object, ...] = (
    *(None, [], {}, True, "", " ", "\0", "the", 3.5, 10**400, -1, float("nan"), float("inf"), ["x"], {"answer": 1}),
    *("x" * 10**6, "\ud800", [[[]]]),
)


@pytest.mark.parametrize("answer", JUNK, ids=range(len(JUNK)))
def test_any_other_json_is_wrong_not_invalid(answer: object) -> None:
    for level, seed in ((1, 0), (5, 1), (5, 2), (6, 3)):
        task = make(level, seed)
        verdict = Search().verify(task, answer, {})
        assert (verdict.reward, verdict.validity) == (0.0, "valid")


def test_cheats_earn_nothing_and_the_prompt_gives_nothing_away() -> None:
    for level in LEVELS:
        for seed in range(6):
            task = make(level, seed)
            for cheat in Search().cheats(random.Random(0), task):
                assert not Search().verify(task, cheat.answer, {}).passed
            for secret in Search().secrets(task, task.key["answers"][0]):
                assert secret.casefold() not in task.prompt.casefold()


@pytest.mark.parametrize(
    ("given", "accepted", "kind", "unit"),
    [
        ("4 March 1893", "4 March 1893", "date", ""), ("March 4, 1893", "4 March 1893", "date", ""),
        ("1893-03-04", "4 March 1893", "date", ""), ("On the 4th of March 1893.", "4 March 1893", "date", ""),
        ("4 Mar 1893", "4 March 1893", "date", ""), ("in 1893", "1893", "year", ""), (1893, "1893", "year", ""),
        ("1,893", "1893", "number", ""), ("12,431 inhabitants", "12431", "number", "inhabitants"),
        ("331.0", "331", "number", "pages"), ("seven", "7", "number", ""), (7.0, "7", "number", ""),
        ("19416.4", "19416.4", "number", ""), ("19,416.4", "19416.4", "number", ""),
        ("300 m", "300", "number", "metres"),
        ("the Ada Lind", "Ada Lind", "name", ""), (" ada  lind. ", "Ada Lind", "name", ""),
    ],
)  # fmt: skip
def test_ways_to_say_the_same(given: object, accepted: str, kind: str, unit: str) -> None:
    assert same_answer(given, [accepted], kind, unit)


@pytest.mark.parametrize(
    ("given", "accepted", "kind"),
    [
        ("4 May 1893", "4 March 1893", "date"), ("1893", "4 March 1893", "date"), 
        ("31 February 1893", "4 March 1893", "date"),
        ("1893 or 1894", "1893", "year"), ("1893-1894", "1893", "year"), ("18 93", "1893", "year"),
        ("-7", "7", "number"),
        ("7 or 8", "7", "number"), ("7.5", "7", "number"), ("Ada Lind or Bo Lind", "Ada Lind", "name"),
        ("Ada", "Ada Lind", "name"), ("not Ada Lind", "Ada Lind", "name"),
    ],
)  # fmt: skip
def test_ways_to_say_something_else(given: object, accepted: str, kind: str) -> None:
    assert not same_answer(given, [accepted], kind)


@given(st.dates(min_value=date(1000, 1, 1)), st.integers(0, 2))
def test_dates_are_read_as_they_are_said(day: Any, form: int) -> None:
    assert read_date(say_date(day.isoformat(), form)) == day.isoformat()


@given(st.integers(0, 10**9), st.booleans())
def test_numbers_are_read_as_they_are_said(number: int, commas: bool) -> None:
    assert read_number(say_number(number, commas)) == number


@given(st.text(max_size=60), st.sampled_from(["date", "year", "number", "name"]))
def test_no_text_breaks_the_comparison(text: str, kind: str) -> None:
    same_answer(text, ["4 March 1893" if kind == "date" else "1893"], kind, "metres")
    read_date(text)
    read_number(text)


# --- tools -------------------------------------------------------------------------------------------------------


def call(env: Search, name: str, **arguments: Any) -> str:
    return env.call(ToolCall(name=name, arguments=arguments)).text


def test_tools_refuse_what_is_not_there_and_stay_small() -> None:
    env = started(make(3, 0))
    assert "no page is titled 'Nobody'" in call(env, "open", page="Nobody")
    assert "top_k is 21" in call(env, "search", query="x", top_k=21)
    title = env.search("bridge", 1)[0]["title"]
    assert "offset is 99" in call(env, "open", page=title, offset=99)
    assert "text is empty" in call(env, "find_in_page", page=title, text=" ")
    assert call(env, "search", query="?!") == "[]"
    for hostile in ("\0", "a" * 10**5, "AND (", "😀", "*"):
        for name, argument in (("search", "query"), ("open", "page"), ("find_in_page", "page")):
            text = call(env, name, **{argument: hostile}, **({"text": hostile} if name == "find_in_page" else {}))
            assert len(text) < 10_000
    assert len(call(env, "search", query="the bridge of the town", top_k=20)) < 20_000


def test_long_pages_come_in_parts_and_places_are_found(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALESTRA_CORPORA", str(tmp_path / "root"))
    lines = [f"Line {number} speaks of heron{number}." for number in range(300)]
    (tmp_path / "long.txt").write_text(" ".join(lines))
    found, recipe = loaders.sources([f"text:{tmp_path / 'long.txt'}", "encyclopaedia:2:10"])
    info = corpus.build("mixed", (document for source in found for document in source.load()), recipe)
    pages = library(2, 10, info.digest)
    text, offset = "", 0
    while offset is not None:
        view = pages.open("LONG.txt", offset)
        text, offset = f"{text} {view['text']}", view["next_offset"]
    assert " ".join(text.split()) == " ".join(lines)
    (place,) = pages.find("long.txt", "HERON123.")
    assert "heron123." in place["passage"]
    assert "heron123." in pages.open("long.txt", place["offset"])["text"]
    assert len(pages.find("long.txt", "speaks")) <= 10


def test_questions_over_a_mixed_corpus(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALESTRA_CORPORA", str(tmp_path / "root"))
    (tmp_path / "notes.txt").write_text("A bridge was opened in 1871 by a botanist. " * 50)
    found, recipe = loaders.sources([f"text:{tmp_path}", "encyclopaedia:2:10"])
    info = corpus.build("mixed", (document for source in found for document in source.load()), recipe)
    corpus.build("plain", [corpus.Document("A", ("x",))])
    monkeypatch.setenv("PALESTRA_SEARCH_CORPUS", "mixed")
    task = make(4, 0)
    assert task.world == {"seed": 2, "size": 10, "corpus": info.digest}
    env = started(task)
    assert env.search("a bridge opened by a botanist", 1)[0]["title"] == "notes.txt"
    assert env.verify(task, env.solve(task, SolverTools(env)), {}).passed
    monkeypatch.setenv("PALESTRA_SEARCH_CORPUS", "plain")
    with pytest.raises(CorpusError, match="holds no encyclopaedia"):
        make(4, 0)
    monkeypatch.setenv("PALESTRA_SEARCH_CORPUS", "absent")
    with pytest.raises(CorpusError, match="no corpus called 'absent'"):
        make(4, 0)


# --- variety -----------------------------------------------------------------------------------------------------


def shingles(prompt: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"\w+", prompt.casefold())
    return frozenset(tuple(words[at : at + 3]) for at in range(len(words) - 2))


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS)
def test_few_of_500_prompts_are_alike(level: int) -> None:
    """At most 1 % have another with a Jaccard similarity of word triples of 0.8 or more."""
    tasks = [make(level, seed) for seed in range(500)]
    seen: dict[tuple[str, ...], list[int]] = {}
    bags = [shingles(task.prompt) for task in tasks]
    alike = 0
    for number, bag in enumerate(bags):
        common = Counter(other for triple in bag for other in seen.get(triple, ()))
        alike += any(count >= 0.8 * (len(bag) + len(bags[other]) - count) for other, count in common.items())
        for triple in bag:
            seen.setdefault(triple, []).append(number)
    print(f"level {level}: {alike} of 500 prompts are near another")
    assert alike <= 5
    kinds = Counter(task.key["kind"] for task in tasks)
    assert min(kinds.values()) > 500 / len(kinds) / 2
    assert json.loads(tasks[0].model_dump_json())["env"] == "search"
