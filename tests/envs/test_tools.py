"""Tools: schemas from signatures, validated calls, refused input, and what only a broken environment may raise."""

import random
from typing import Any

import pytest

from palestra.envs.environment import Environment, SolverTools
from palestra.envs.errors import PluginError, ToolError
from palestra.envs.tools import tool
from palestra.envs.types import Answer, Task, ToolCall, World
from palestra.verifiers.checks import all_of, check
from palestra.verifiers.types import Verdict


class Counter(Environment):
    """Count to a number."""

    id = "counter"
    version = "1"

    def propose(self, rng: random.Random, level: int) -> Task:
        return self.task(seed=0, level=level, prompt="Count to 3.", world={"at": 0}, key=3)

    def solve(self, task: Task, tools: Any) -> Answer:
        tools.think("Up.")
        tools.add(amount=2)
        tools.add(amount=1)
        tools.think("There.")
        return None

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("count", world["at"] == task.key)])

    @tool
    def add(self, amount: int, note: str = "") -> dict[str, int]:
        """Add to the counter."""
        if amount < 0:
            raise ToolError("only up")
        self.world["at"] += amount
        return {"at": self.world["at"]}

    @tool
    def crash(self) -> str:
        """Break."""
        raise RuntimeError("broken")

    @tool(submits=True)
    def done(self, items: list[dict[str, str]]) -> list[dict[str, str]]:
        """End."""
        return items


@pytest.fixture
def env() -> Counter:
    counter = Counter()
    counter.start(counter.propose(random.Random(0), 1))
    return counter


def test_the_schema_comes_from_the_signature() -> None:
    add, crash, done = Counter.schemas()
    assert (add.name, add.description, add.submits) == ("add", "Add to the counter.", False)
    assert add.parameters["properties"]["amount"] == {"type": "integer"}
    assert add.parameters["required"] == ["amount"]
    assert crash.parameters["properties"] == {}
    assert done.submits
    assert add.openai()["function"]["name"] == "add"


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("add", {"amount": "two"}, "amount: Input should be a valid integer"),
        ("add", {"amount": True}, "amount: Input should be a valid integer"),
        ("add", {}, "amount: Field required"),
        ("add", {"amount": 1, "much": 2}, "much: Extra inputs"),
        ("add", {"amount": -1}, "only up"),
        ("sub", {"amount": 1}, "no tool named 'sub'; the tools are: add, crash, done"),
        ("done", {"items": [{"a": 1}]}, "items.0.a"),
        ("start", {"task": {}}, "no tool named 'start'"),
    ],
)
def test_wrong_calls_are_refused_in_words_and_change_nothing(
    env: Counter, name: str, arguments: dict[str, Any], expected: str
) -> None:
    result = env.call(ToolCall(name=name, arguments=arguments))
    assert not result.ok
    assert expected in result.text
    assert env.world == {"at": 0}
    assert not env.submitted


def test_a_right_call_changes_the_world_and_a_submission_is_the_answer(env: Counter) -> None:
    assert env.call(ToolCall(name="add", arguments={"amount": 2})).text == '{"at": 2}'
    result = env.call(ToolCall(name="done", arguments={"items": [{"a": "b"}]}))
    assert result.submitted
    assert (env.submitted, env.answer) == (True, [{"a": "b"}])


def test_a_broken_tool_is_not_the_agents_fault(env: Counter) -> None:
    with pytest.raises(RuntimeError, match="broken"):
        env.call(ToolCall(name="crash"))


def test_the_solver_is_written_down(env: Counter) -> None:
    tools = SolverTools(env)
    env.solve(Counter().propose(random.Random(0), 1), tools)
    steps = [(thought, call.arguments) for thought, call, _ in tools.steps]
    assert steps == [("Up.", {"amount": 2}), ("", {"amount": 1})]
    assert tools.take_thought() == "There."
    with pytest.raises(ToolError, match="only up"):
        tools.add(amount=-1)
    with pytest.raises(AttributeError, match="has no tool 'world'"):
        _ = tools.world


def test_the_world_is_the_episodes_own() -> None:
    task = Counter().propose(random.Random(0), 1)
    first, second = Counter(), Counter()
    first.start(task)
    second.start(task)
    first.call(ToolCall(name="add", arguments={"amount": 2}))
    assert (second.world, task.world) == ({"at": 0}, {"at": 0})


UNDESCRIBABLE = ["def t(self, x): 'Doc.'", "def t(self, x: int): pass", "def t(self, *x: int): 'Doc.'"]


@pytest.mark.parametrize("source", UNDESCRIBABLE)
def test_a_tool_that_cannot_be_described_is_named(source: str) -> None:
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    with pytest.raises(PluginError, match=r"Bad\.t"):
        type("Bad", (Counter,), {"t": tool(namespace["t"])})


def test_equal_tasks_have_equal_ids_and_others_do_not() -> None:
    task = Counter().propose(random.Random(0), 1)
    assert task.id == Task.model_validate_json(task.model_dump_json()).id
    assert task.id != task.model_copy(update={"seed": 1}).id
    assert task.id.startswith("counter-")
