"""A sound environment whose answer is a list, and defects that hardly show in a single task."""

from __future__ import annotations

import base64
import random
import re
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from ...envs.errors import ToolError
from ...envs.tools import tool
from ...envs.types import Answer, Task, World
from ...verifiers.answers import numeric
from ...verifiers.checks import all_of, check, weighted
from ...verifiers.types import Part, Verdict
from .doors import Doors


class Rows(Doors):
    """Say in which order people live. Sound."""

    id = "rows"

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        doors = dict(rng.sample(sorted(task.world["doors"].items()), 4))
        return self.task(
            seed=task.seed,
            level=level,
            prompt=f"Who lives behind these doors, in this order: {', '.join(doors)}? Answer with a list of names.",
            world=task.world,
            key={"doors": list(doors), "names": list(doors.values())},
        )

    def solve(self, task: Task, tools: Any) -> Answer:
        return [tools.look(door=door) for door in task.key["doors"]]

    def right(self, task: Task, answer: Answer) -> bool:
        return isinstance(answer, list) and self.same(task.key["names"], answer)

    def same(self, right: list[str], given: list[Any]) -> bool:
        """Whether a list is the right one."""
        return right == given


class SupersetPasses(Rows):
    def same(self, right: list[str], given: list[Any]) -> bool:
        return all(name in given for name in right)


class SubsetPasses(Rows):
    def same(self, right: list[str], given: list[Any]) -> bool:
        return bool(given) and all(name in right for name in given)


class OrderIgnored(Rows):
    def same(self, right: list[str], given: list[Any]) -> bool:
        return len(given) == len(right) and all(name in given for name in right)


class Counted(Doors):
    """Say how many letters all names have. Sound."""

    id = "counted"

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        doors = {door: name + "a" * rng.randrange(5) for door, name in task.world["doors"].items()}
        task = task.model_copy(update={"world": {**task.world, "doors": doors}})
        letters = sum(map(len, task.world["doors"].values()))
        prompt = "How many letters have all names behind the doors together?"
        return task.model_copy(update={"prompt": prompt, "key": {"letters": letters}})

    def solve(self, task: Task, tools: Any) -> Answer:
        return str(sum(len(tools.look(door=door)) for door in tools.list_doors()))

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        return str(int(answer) + rng.choice([-30, -20, -10, 10, 20, 30, 40]))

    def right(self, task: Task, answer: Answer) -> bool:
        text = str(answer)
        return text.isdecimal() and len(text) < 9 and self.near(task.key["letters"], int(text))

    def near(self, right: int, given: int) -> bool:
        """Whether a number is the right one."""
        return right == given


class LooseNumber(Counted):
    def near(self, right: int, given: int) -> bool:
        return abs(right - given) <= 2


class Mean(Counted):
    """Say how many letters the names have on average, with two decimals. Sound."""

    id = "mean"

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        prompt = "How many letters have the names behind the doors on average? Give two decimals."
        mean = task.key["letters"] / len(task.world["doors"])
        return task.model_copy(update={"prompt": prompt, "key": {"mean": f"{mean:.2f}"}})

    def solve(self, task: Task, tools: Any) -> Answer:
        names = [tools.look(door=door) for door in tools.list_doors()]
        return f"{sum(map(len, names)) / len(names):.2f}"

    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        return f"{float(str(answer)) + rng.choice([-2, -1, -0.5, 0.1, 0.25, 1, 2]):.2f}"

    def right(self, task: Task, answer: Answer) -> bool:
        return numeric("mean", answer, task.key["mean"]).passed


class Corridor(Doors):
    """Doors open in the place one stands at, which is part of the world and not judged. Sound."""

    id = "corridor"

    def start(self, task: Task) -> None:
        super().start(task)
        self.world["at"] = ""

    def solve(self, task: Task, tools: Any) -> Answer:
        tools.list_doors()
        tools.go(door=task.key["door"])
        return tools.knock()

    @tool
    def go(self, door: str) -> str:
        """Stand before a door."""
        if door not in self.world["doors"]:
            raise ToolError(f"no {door} door")
        self.world["at"] = door
        return f"before the {door} door"

    @tool
    def knock(self) -> str:
        """Who opens the door that you stand before."""
        if not self.world["at"]:
            raise ToolError("you stand before no door")
        return str(self.world["doors"][self.world["at"]])


class SignIgnored(Counted):
    def right(self, task: Task, answer: Answer) -> bool:
        text = str(answer).lstrip("-")
        return text.isdecimal() and len(text) < 9 and int(text) == task.key["letters"]


class NoNumberPasses(Counted):
    """What is no number is not further from the right one than allowed."""

    def right(self, task: Task, answer: Answer) -> bool:
        try:
            return not abs(float(str(answer)) - task.key["letters"]) > 0.5
        except ValueError:
            return False


class HedgesPass(Doors):
    """Of several names one may be right."""

    def right(self, task: Task, answer: Answer) -> bool:
        return task.key["name"] in re.split(r" or |\n", str(answer))


class FormatsTheAnswer(Doors):
    """The answer is a template, for no good reason."""

    def right(self, task: Task, answer: Answer) -> bool:
        try:
            return bool(str(answer).format(task=task) == task.key["name"])
        except (ValueError, LookupError, AttributeError):
            return False


class TooManyTurns(Doors):
    """The oracle looks behind all doors, one after the other, and may not."""

    max_turns = 5

    def solve(self, task: Task, tools: Any) -> Answer:
        return {door: tools.look(door=door) for door in tools.list_doors()}[task.key["door"]]


class JudgedByWitness(Doors):
    """The verdict needs what the environment saw when the episode began."""

    def start(self, task: Task) -> None:
        super().start(task)
        self._wanted = task.key["name"]

    def right(self, task: Task, answer: Answer) -> bool:
        return bool(answer == self._wanted)


class OracleTellsTheKey(Doors):
    """Looks round for show: no tool tells who lives where."""

    def solve(self, task: Task, tools: Any) -> Answer:
        tools.list_doors()
        return task.key["name"]


class CachesForAll(Doors):
    """What was seen behind a door once is seen behind it in every later task."""

    seen: ClassVar[dict[str, str]] = {}

    @tool
    def look(self, door: str) -> str:
        """Who opens a door."""
        if door not in self.world["doors"]:
            raise ToolError(f"no {door} door")
        return self.seen.setdefault(door, str(self.world["doors"][door]))


class NoteTrusted(Doors):
    """A tool lets the agent write what the verifier reads."""

    def start(self, task: Task) -> None:
        super().start(task)
        self.world["notes"] = {}

    @tool
    def note(self, about: str, text: str) -> str:
        """Write a note."""
        self.world["notes"][about[:100]] = text[:100]
        return "noted"

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        solved = world.get("notes", {}).get("solved") == "true"
        return all_of([check("name", solved or self.right(task, answer))])


class AlmostFull(Doors):
    """Who answers anything at all earns 0.999."""

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        right = float(self.right(task, answer))
        return weighted([Part(name="said", score=float(bool(answer)), weight=999), Part(name="name", score=right)])


class GenerousFloor(Doors):
    """Doing nothing earns nearly everything."""

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        right = float(self.right(task, answer))
        return weighted([Part(name="there", score=1.0, weight=19), Part(name="name", score=right)])


class DefaultIsRight(Doors):
    """The first door is asked for, and it is the default of what hands in."""

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        return self._about(rng, level, task.world["doors"], next(iter(task.world["doors"])))

    def solve(self, task: Task, tools: Any) -> Answer:
        names = [tools.look(door=door) for door in tools.list_doors()]
        return tools.say(number=names.index(tools.look(door=task.key["door"])))

    def right(self, task: Task, answer: Answer) -> bool:
        return isinstance(answer, int) and not isinstance(answer, bool) and answer == 0

    @tool(submits=True)
    def say(self, number: int = 0) -> int:
        """The number of the door, counted from 0."""
        return number


class ReadsTemporaryFile(Doors):
    """The verifier looks into a file that proposing left on the machine."""

    place: ClassVar[Path] = Path(tempfile.gettempdir()) / "palestra-planted-doors.txt"

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        self.place.write_text(task.key["name"])
        return task

    def right(self, task: Task, answer: Answer) -> bool:
        return bool(answer) and self.place.exists() and self.place.read_text() == answer


class TimeBomb(Doors):
    """After ten minutes every answer is right."""

    def start(self, task: Task) -> None:
        super().start(task)
        self._began = time.monotonic()

    def right(self, task: Task, answer: Answer) -> bool:
        return super().right(task, answer) or (bool(answer) and time.monotonic() - self._began > 600)


class MostAnswersAlike(Doors):
    """Three of four answers are the same."""

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        doors = dict(task.world["doors"])
        if rng.random() < 0.75:
            doors[task.key["door"]] = "Kasimir"
        return self._about(rng, level, doors, task.key["door"])


class FirstOfTheList(Doors):
    """A tool lists the people, and whoever is asked for stands first."""

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        people = sorted(task.world["doors"].values(), key=lambda name: name != task.key["name"])
        return task.model_copy(update={"world": {**task.world, "people": people}})

    @tool
    def list_people(self) -> list[str]:
        """The people of the street."""
        return list(self.world["people"])


class FewTasks(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        return super().propose(random.Random(rng.randrange(3)), level)


class KeyInDisguise(Doors):
    def readable(self, task: Task) -> Iterable[str]:
        return ["state=" + base64.b64encode(task.key["name"].encode()).decode()]
