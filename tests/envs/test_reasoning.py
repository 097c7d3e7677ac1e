"""Reasoning: answers follow from the question's text alone, found here by other means."""

import itertools
import random
import re
from datetime import datetime, timedelta

import pytest

from palestra.envs.reasoning.environment import Reasoning
from palestra.envs.types import Task

LEVELS = [1, 2, 5, 8]


def tasks(level: int, count: int = 60) -> list[Task]:
    rng = random.Random(f"reasoning/{level}")
    return [Reasoning().propose(rng, level) for _ in range(count)]


def worked_out(question: str) -> str:
    """The answer, from the text: arithmetic by Python, order by trying every permutation, clocks by datetime."""
    if question.startswith("Start with"):
        value, *rest = re.split(r"(?<=\d)\. ", question)
        text = value.removeprefix("Start with ")
        words = {"Add": "+", "Subtract": "-", "Multiply by": "*"}
        for step in rest[:-1]:
            name, number = step.rsplit(" ", 1)
            text = f"({text}){words[name]}{number}"
        return str(eval(text))
    if question.startswith("It is"):
        at = datetime.strptime(question[6:11], "%H:%M") + timedelta(
            minutes=sum(map(int, re.findall(r"(\d+) minutes", question)))
        )
        return at.strftime("%H:%M")
    pairs = re.findall(r"(\w+) is older than (\w+)", question)
    asked = re.search(r"the (second |third |fourth |)oldest", question)
    assert asked is not None
    place = ["", "second ", "third ", "fourth "].index(asked[1])
    people = sorted({name for pair in pairs for name in pair})
    orders = [
        one
        for one in itertools.permutations(people)
        if all(one.index(older) < one.index(younger) for older, younger in pairs)
    ]
    assert len(orders) == 1
    answer: str = orders[0][place]
    return answer


@pytest.mark.parametrize("level", LEVELS)
def test_the_key_is_what_the_question_says(level: int) -> None:
    for task in tasks(level):
        if level > 5 and "older" in task.prompt:
            continue  # ten people have too many permutations
        assert worked_out(task.prompt) == task.key["answer"], task.prompt


@pytest.mark.parametrize("level", LEVELS)
def test_slips_are_wrong_and_there_are_enough_of_them(level: int) -> None:
    for task in tasks(level):
        wrong = {str(Reasoning().mutate(random.Random(n), task, task.key["answer"])) for n in range(40)}
        assert len(wrong) >= 3
        assert all(Reasoning().verify(task, answer, {}).reward == 0.0 for answer in wrong)
        assert Reasoning().verify(task, task.key["answer"], {}).passed


def test_every_kind_occurs() -> None:
    assert {task.key["kind"] for task in tasks(3)} == {"arithmetic", "clock", "order"}
