"""SearchMini: answers against a reader that follows the pages by itself, distractors, and BM25 against its formula."""

import itertools
import math
import random
import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palestra.envs.environment import SolverTools
from palestra.envs.mini.index import Index, words
from palestra.envs.mini.search import SearchMini
from palestra.envs.types import Task, ToolCall

LEVELS = list(SearchMini.levels)


def make(level: int, seed: int) -> Task:
    return SearchMini().propose(random.Random(seed), level)


def read_the_pages(task: Task) -> str:
    """Answer from the question's text and the pages alone."""
    question = re.fullmatch(r"Who or what is (.*) of (\w+)\?", task.prompt)
    assert question is not None
    relations = [part.removeprefix("the ") for part in question.group(1).split(" of ")]
    at = question.group(2)
    for relation in reversed(relations):
        (at,) = re.findall(rf"The {relation} of {at} is (\w+)\.", " ".join(task.world["pages"][at]))
    return at


@pytest.mark.parametrize("level", LEVELS)
def test_the_solver_agrees_with_an_independent_reader(level: int) -> None:
    for seed in range(40):
        task = make(level, seed)
        assert task.id == make(level, seed).id
        env = SearchMini()
        env.start(task)
        answer = env.solve(task, SolverTools(env))
        assert answer == read_the_pages(task) == task.key["path"][-1]
        assert env.verify(task, answer, env.finish(answer)).passed
        assert env.verify(task, f"  {answer.upper()}. ", env.world).passed


@pytest.mark.parametrize("level", LEVELS)
def test_other_entities_are_wrong(level: int) -> None:
    task = make(level, 7)
    for entity in task.world["pages"]:
        assert SearchMini().verify(task, entity, task.world).passed == (entity == task.key["path"][-1])
    rng = random.Random(0)
    for _ in range(50):
        assert not SearchMini().verify(task, SearchMini().mutate(rng, task, task.key["path"][-1]), task.world).passed


@pytest.mark.parametrize("level", [2, 3, 4])
def test_the_question_alone_does_not_find_the_answer(level: int) -> None:
    """One query with the question's own words must not return the passage that names the answer, in most tasks."""
    found = 0
    for seed in range(40):
        task = make(level, seed)
        env = SearchMini()
        env.start(task)
        found += task.key["path"][-1] in env.search(task.prompt)
    assert found <= 8


def test_answers_that_are_no_text_are_wrong_not_invalid() -> None:
    task = make(1, 0)
    answers: tuple[object, ...] = (None, [], {}, 3, True, "")
    for answer in answers:
        verdict = SearchMini().verify(task, answer, task.world)
        assert (verdict.reward, verdict.validity) == (0.0, "valid")


def test_tools_refuse_what_is_not_there() -> None:
    env = SearchMini()
    env.start(make(1, 0))
    assert "no page called Nobody" in env.call(ToolCall(name="open", arguments={"page": "Nobody"})).text
    assert "no passage" in env.call(ToolCall(name="search", arguments={"query": "?!"})).text
    entity = next(iter(env.world["pages"]))
    assert env.call(ToolCall(name="open", arguments={"page": entity})).text.startswith(f"{entity} is a ")


WORDS = st.sampled_from(["ant", "bee", "cat", "dog", "elk"])
PASSAGES = st.lists(st.lists(WORDS, min_size=1, max_size=6).map(" ".join), min_size=1, max_size=8)


@given(PASSAGES, st.lists(WORDS, min_size=1, max_size=4, unique=True))
def test_ranking_follows_the_bm25_formula(passages: list[str], query: list[str]) -> None:
    bags = [Counter(words(passage)) for passage in passages]
    mean = sum(bag.total() for bag in bags) / len(bags)

    def score(bag: Counter[str]) -> float:
        total = 0.0
        for word in query:
            containing = sum(word in other for other in bags)
            idf = math.log(1 + (len(bags) - containing + 0.5) / (containing + 0.5))
            total += idf * bag[word] * 2.2 / (bag[word] + 1.2 * (0.25 + 0.75 * bag.total() / mean))
        return total

    hits = Index(passages).search(" ".join(query), k=len(passages))
    assert set(hits) == {number for number, bag in enumerate(bags) if any(word in bag for word in query)}
    scores = [score(bags[number]) for number in hits]
    assert all(first >= second - 1e-9 for first, second in itertools.pairwise(scores))
