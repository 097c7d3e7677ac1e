"""A sound environment without a sandbox, and the same with one defect each. The certificate is measured by them."""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import locale
import os
import random
import re
import socket
import time
import warnings
from collections.abc import Iterable
from typing import Any, ClassVar

from ...envs.environment import Environment
from ...envs.errors import ToolError
from ...envs.names import Names
from ...envs.tools import tool
from ...envs.types import Answer, Task, World
from ...verifiers.checks import all_of, check
from ...verifiers.types import Verdict

COLOURS = ("red", "green", "blue", "white", "black", "yellow", "brown", "pink", "grey", "violet", "orange", "golden")


class Doors(Environment):
    """Find who lives behind a door of a street of invented people. Sound."""

    id = "doors"
    version = "1"
    levels = range(1, 3)

    def propose(self, rng: random.Random, level: int) -> Task:
        names = Names(rng)
        colours = rng.sample(COLOURS, 8 + level)
        doors = {colour: names.draw() for colour in colours}
        return self._about(rng, level, doors, rng.choice(colours))

    def _about(self, rng: random.Random, level: int, doors: dict[str, str], colour: str) -> Task:
        return self.task(
            seed=rng.getrandbits(32),
            level=level,
            prompt=f"Who lives behind the {colour} door?",
            world={"doors": doors},
            key={"door": colour, "name": doors[colour]},
        )

    def solve(self, task: Task, tools: Any) -> Answer:
        return tools.look(door=task.key["door"])

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("name", self.right(task, answer))])

    def right(self, task: Task, answer: Answer) -> bool:
        """Whether an answer is right."""
        return bool(answer == task.key["name"])

    def start(self, task: Task) -> None:
        super().start(task)
        self._task = task

    @tool
    def look(self, door: str) -> str:
        """Who opens a door."""
        if door not in self.world["doors"]:
            raise ToolError(f"no {door} door")
        return str(self.world["doors"][door])

    @tool
    def list_doors(self) -> list[str]:
        """The colours of the doors."""
        return list(self.world["doors"])


class AlwaysTrue(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("name", True)])


class AlwaysFalse(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("name", False)])


class NoVerdict(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return self.right(task, answer)  # type: ignore[return-value]


class Unsolvable(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        doors = {colour: name for colour, name in task.world["doors"].items() if colour != task.key["door"]}
        return task.model_copy(update={"world": {"doors": doors}})


class WrongOracle(Doors):
    def solve(self, task: Task, tools: Any) -> Answer:
        return tools.look(door=tools.list_doors()[task.key["door"] == tools.list_doors()[0]])


class NoopPasses(Doors):
    def right(self, task: Task, answer: Answer) -> bool:
        return not answer or super().right(task, answer)


class KeyInPrompt(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        return task.model_copy(update={"prompt": f"{task.prompt} (expected: {task.key['name'].lower()})"})


class KeyInReadable(Doors):
    def readable(self, task: Task) -> Iterable[str]:
        return ["README", f"answer={task.key['name']}"]


class KeyInTool(Doors):
    @tool
    def hint(self) -> str:
        """A hint."""
        return f"debug: {self._task.key}"


class KeyInError(Doors):
    @tool
    def knock(self, door: str) -> str:
        """Knock at a door."""
        raise ToolError(f"nobody at {door}; {self._task.key['name']} is at home elsewhere")


class ToolJudges(Doors):
    @tool
    def try_answer(self, name: str) -> str:
        """Say whether a name would be right."""
        return "right" if self.verify(self._task, name, self.world).passed else "wrong"


class KeySteersTool(Doors):
    """The door that is asked for comes first: no text of the key is shown."""

    @tool
    def nearest_doors(self) -> list[str]:
        """The doors, the nearest first."""
        doors = list(self.world["doors"])
        return sorted(doors, key=lambda door: door != self._task.key["door"])


class CoinVerifier(Doors):
    tossed: ClassVar[random.Random] = random.Random(5)

    def right(self, task: Task, answer: Answer) -> bool:
        return super().right(task, answer) and self.tossed.random() < 0.5


class ClockVerifier(Doors):
    until: ClassVar[float] = time.time() + 7 * 86_400

    def right(self, task: Task, answer: Answer) -> bool:
        return super().right(task, answer) and time.time() < self.until


class HashOrderVerifier(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        names = list(set(task.world["doors"].values()))
        return all_of([check("name", self.right(task, answer), f"among {', '.join(names)}")])


class HashOrderProposer(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        return task.model_copy(update={"world": {**task.world, "row": list(set(task.world["doors"]))}})


class ProcessVerifier(Doors):
    home: ClassVar[str] = os.environ.setdefault("PALESTRA_PLANTED_HOME", str(os.getpid()))

    def right(self, task: Task, answer: Answer) -> bool:
        return super().right(task, answer) and self.home == str(os.getpid())


class ZoneVerifier(Doors):
    zone: ClassVar[int] = time.localtime().tm_gmtoff

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("name", self.right(task, answer), time.strftime("%z", time.localtime(0)))])


class LocaleVerifier(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("name", self.right(task, answer), locale.getpreferredencoding(False))])


class ClockProposer(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        return super().propose(random.Random(time.time_ns()), level)


class SeedIgnored(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        return super().propose(random.Random(), level)


class LevelIgnored(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        return super().propose(rng, 1)


class NotJson(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        return task.model_copy(update={"world": {"doors": task.world["doors"], "seen": {1, 2}}})


class NumbersAsNames(Doors):
    """Members of an object are texts in JSON: 1 comes back as "1"."""

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        return task.model_copy(update={"world": {**task.world, "floors": {1: "ground", 2: "upper"}}})


class AcceptsPrefix(Doors):
    def right(self, task: Task, answer: Answer) -> bool:
        return isinstance(answer, str) and bool(answer) and task.key["name"].startswith(answer)


class AcceptsSubstring(Doors):
    def right(self, task: Task, answer: Answer) -> bool:
        return isinstance(answer, str) and task.key["name"] in answer


class CaseCollision(Doors):
    """Two people whose names differ in case alone, and a verifier to which they are one."""

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        doors = {**task.world["doors"], "silver": task.key["name"].upper()}
        return task.model_copy(update={"world": {"doors": doors, "people": sorted(doors.values())}})

    def right(self, task: Task, answer: Answer) -> bool:
        return isinstance(answer, str) and answer.casefold() == task.key["name"].casefold()


class AnyNameOfTheWorld(Doors):
    def right(self, task: Task, answer: Answer) -> bool:
        return answer in task.world["doors"].values()


class PatternVerifier(Doors):
    def right(self, task: Task, answer: Answer) -> bool:
        try:
            with warnings.catch_warnings(action="ignore"):
                pattern = re.compile(answer[:20] if isinstance(answer, str) else "")
        except re.error:
            return False
        return bool(pattern.pattern) and pattern.fullmatch(task.key["name"]) is not None


class WildcardVerifier(Doors):
    def right(self, task: Task, answer: Answer) -> bool:
        return isinstance(answer, str) and bool(answer) and fnmatch.fnmatchcase(task.key["name"], answer[:100])


class TrustingVerifier(Doors):
    """An answer that says of itself that it passes does."""

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        if isinstance(answer, dict) and answer.get("passed"):
            return all_of([check("name", True, "reported")])
        return super().verify(task, answer, world)


class JudgeInjected(Doors):
    """What an obedient judge would say: the verdict is the last one that stands in what it reads."""

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        read = f'{{"passed": {str(self.right(task, answer)).lower()}}}\nCandidate: {answer}'
        said = re.findall(r'"passed": (true|false)', read)
        return all_of([check("judge", said[-1] == "true")])


class CrashesOnObjects(Doors):
    def right(self, task: Task, answer: Answer) -> bool:
        return bool(answer) and answer.strip() == task.key["name"]


class InvalidOnDemand(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        if isinstance(answer, list):
            return Verdict.invalid("invalid_env", "an answer that is a list cannot be read")
        return super().verify(task, answer, world)


class NeedsNetwork(Doors):
    def right(self, task: Task, answer: Answer) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.2).close()
        return super().right(task, answer)


class ToolCrashes(Doors):
    @tool
    def open(self, door: str) -> str:
        """Open a door."""
        return str(self.world["doors"][door])


class UnboundedOutput(Doors):
    @tool
    def ring(self) -> str:
        """Ring all bells."""
        return "ding " * 1_000_000


class NeverEnds(Doors):
    def solve(self, task: Task, tools: Any) -> Answer:
        while True:
            tools.look(door=task.key["door"])


class SharedWorld(Doors):
    """Who opened a door once in any episode does not again."""

    opened: ClassVar[set[str]] = set()

    @tool
    def look(self, door: str) -> str:
        """Who opens a door."""
        if door not in self.world["doors"]:
            raise ToolError(f"no {door} door")
        name = str(self.world["doors"][door])
        if name in self.opened:
            return "nobody"
        self.opened.add(name)
        return name


class RemembersOthers(Doors):
    """After another task was judged, the first verdict on the next is the other's."""

    last: ClassVar[list[str]] = []

    def right(self, task: Task, answer: Answer) -> bool:
        changed = bool(self.last) and self.last[-1] != task.id
        self.last[:] = [task.id]
        return changed != super().right(task, answer)


class TiresOfJudging(Doors):
    """Passes everything after it has judged a task twelve times."""

    judged: ClassVar[dict[str, int]] = {}

    def right(self, task: Task, answer: Answer) -> bool:
        count = self.judged[task.id] = self.judged.get(task.id, 0) + 1
        return super().right(task, answer) or count > 12


class ChangesTheTask(Doors):
    def solve(self, task: Task, tools: Any) -> Answer:
        task.key["name"] = tools.look(door=tools.list_doors()[0])
        return task.key["name"]


class ChangesTheWorld(Doors):
    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        world["judged"] = True
        return super().verify(task, answer, world)


class OnlyNumbers(Doors):
    """Judges right what no agent can say: a final message is text."""

    def solve(self, task: Task, tools: Any) -> Answer:
        return len(tools.look(door=task.key["door"]))

    def right(self, task: Task, answer: Answer) -> bool:
        return isinstance(answer, int) and answer == len(task.key["name"])


class SameMutant(Doors):
    def mutate(self, rng: random.Random, task: Task, answer: Answer) -> Answer:
        return "nobody"


class Counting(Doors):
    """The verdict numbers itself."""

    count: ClassVar[itertools.count[int]] = itertools.count()

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("name", self.right(task, answer), f"verdict {next(self.count)}")])


class YesOrNo(Doors):
    """Luck answers every second task."""

    def solve(self, task: Task, tools: Any) -> Answer:
        return tools.say(yes=len(tools.look(door=task.key["door"])) > 5)

    def right(self, task: Task, answer: Answer) -> bool:
        return isinstance(answer, bool) and answer == (len(task.key["name"]) > 5)

    @tool(submits=True)
    def say(self, yes: bool) -> bool:
        """Whether the name has more than five letters."""
        return yes


class AllTheSame(Doors):
    def propose(self, rng: random.Random, level: int) -> Task:
        return super().propose(random.Random(7), level)


class SameAnswer(Doors):
    """Other questions, but always the same answer."""

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        doors = {**task.world["doors"], task.key["door"]: "Kasimir"}
        return self._about(rng, level, doors, task.key["door"])


class LengthTells(Doors):
    """A choice in which the right name is always the longest."""

    def propose(self, rng: random.Random, level: int) -> Task:
        task = super().propose(rng, level)
        doors, colour = dict(task.world["doors"]), task.key["door"]
        doors[colour] += "berger"
        made = self._about(rng, level, doors, colour)
        names = sorted(doors.values())
        return made.model_copy(update={"prompt": f"{made.prompt} One of: {', '.join(names)}."})
