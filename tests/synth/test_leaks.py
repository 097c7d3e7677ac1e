"""Leaks: what gives an answer away is found, and what has to be there is no leak."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from palestra.envs.tools import tool
from palestra.envs.types import Answer, Task
from palestra.synth.leaks import look_for_leaks, occurs
from palestra.synth.planted.doors import Doors, KeyInTool
from palestra.synth.stage import Stage


def look(cls: type[Doors], wrong: Iterable[Answer] = ()) -> str:
    stage = Stage(cls, cls().propose(random.Random(1), 1))
    return look_for_leaks(stage, stage.solve(), list(wrong), "full")


class Choice(Doors):
    """The prompt names everybody who may be right."""

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        return task.model_copy(
            update={"prompt": f"{task.prompt} One of {', '.join(sorted(task.world['doors'].values()))}."}
        )


class TalksOfTheWorld(Doors):
    """Says everything it may: the whole world, where the answer stands as it must."""

    @tool
    def everything(self) -> dict[str, Any]:
        """All doors."""
        return self.world


class Ticking(Doors):
    """Tools that never say the same are not compared, but canaries still show."""

    @tool
    def dice(self) -> str:
        """A number."""
        return str(random.random())


class TickingAndTelling(Ticking, KeyInTool):
    pass


def test_a_choice_among_named_answers_is_no_leak_but_one_that_stands_alone_is() -> None:
    names = list(Choice().propose(random.Random(1), 1).world["doors"].values())
    assert "not in the prompt" in look(Choice, names)
    with pytest.raises(AssertionError, match="stands in the prompt"):
        look(Choice)


def test_the_answer_may_stand_in_the_world() -> None:
    assert "canaries in the key" in look(TalksOfTheWorld)


def test_canaries_show_where_tools_never_say_the_same() -> None:
    look(Ticking)
    with pytest.raises(AssertionError, match="the tool hint shows the key"):
        look(TickingAndTelling)


@pytest.mark.parametrize(
    ("secret", "text", "found"),
    [
        ("Kelori", "ask KELORI.", True),
        ("Kelori", "the Keloris", False),
        ("New Kelori", "in New Kelori,", True),
        ('{"plan":["a","b"]}', 'x {"plan":["a","b"]} y', True),
        ("a(b", "a(b", True),
    ],
)
def test_short_secrets_are_whole_words(secret: str, text: str, found: bool) -> None:
    assert occurs(secret, text) is found


def test_looking_leaves_the_task_alone() -> None:
    task = Doors().propose(random.Random(1), 1)
    before = task.id
    stage = Stage(Doors, task)
    look_for_leaks(stage, stage.solve(), [], "full")
    assert stage.task.id == task.id == before
