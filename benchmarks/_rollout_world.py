"""The environments that `rollout.py` measures with, ordinary plugins, and the written agents that play them."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import _rollout_script as written
from encoding import official_tokenizer

from palestra.envs.environment import Environment
from palestra.envs.tools import tool
from palestra.envs.types import Answer, Task, ToolSchema, World
from palestra.infra.sandbox.sync import Sandboxes
from palestra.rollout.codec import DeepseekCodec, assistant_message
from palestra.rollout.episode import Budget, run_episode
from palestra.rollout.players import ScriptedEngine, SpokenPolicy, TokenPolicy
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Message, Player, Policy, Sampling
from palestra.verifiers.checks import all_of, check
from palestra.verifiers.types import Verdict


class Ledger(Environment):
    """Say what two accounts hold together: three turns."""

    id = "benchmark-ledger"
    version = "1"
    system = written.SYSTEM

    def propose(self, rng: random.Random, level: int) -> Task:
        return self.numbered(rng.randrange(1 << 20))

    def numbered(self, number: int) -> Task:
        """Task `number` of the script."""
        accounts = written.pair(number)
        world = {account: written.balance(account) for account in accounts}
        question = written.question(accounts)
        return self.task(seed=number, level=1, prompt=question, world=world, key=written.answer(accounts))

    def solve(self, task: Task, tools: Any) -> Answer:
        return str(sum(int(tools.balance(account=account)) for account in task.world))

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("sum", answer == task.key, f"said {answer!r}")])

    @tool
    def balance(self, account: str) -> str:
        """Tell how much is on an account."""
        return str(self.world[account])


class Echo(Environment):
    """Costs nothing: the tool says back what it is told, with a number that never comes again, so that no result is one
    that was tokenised before. The level is how often the agent shall call it.
    """

    id = "benchmark-echo"
    version = "1"
    levels = range(1, 1 << 20)
    heard = count()

    def propose(self, rng: random.Random, level: int) -> Task:
        return self.task(seed=rng.randrange(1 << 30), level=level, prompt="Say hello.")

    def solve(self, task: Task, tools: Any) -> Answer:
        for _ in range(task.level):
            tools.echo(message="hello")
        return "hello"

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        return all_of([check("heard", answer == "hello")])

    @tool
    def echo(self, message: str) -> str:
        """Say a message back."""
        return f"{message} {next(self.heard)}"


Ids = Sequence[Sequence[int]]


class Written(Policy):
    """Plays what was encoded beforehand, so that the policy costs nothing: `ids_of` a task are its completions."""

    id = "written"

    def __init__(self, ids_of: Callable[[Task], Ids]) -> None:
        self._ids_of = ids_of

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        engine = ScriptedEngine(self._ids_of(task))
        return TokenPolicy(self.id, engine, codec(), Sampling(max_tokens=1 << 20)).start(task, messages, tools, sample)

    async def close(self) -> None:
        """Nothing to free."""


@cache
def codec() -> DeepseekCodec:
    """V3.2's grammar in its own tokenizer where that is installed, else in a small one."""
    return DeepseekCodec(official_tokenizer() or train_tokenizer([], 300))


def ledger_policy(tasks: Iterable[Task]) -> Policy:
    """The written agent of these tasks of `Ledger`."""
    ids = {
        task.seed: [codec().assistant(said) for said in written.completions(written.pair(task.seed))] for task in tasks
    }
    return Written(lambda task: ids[task.seed])


def echo_policy(sandboxes: Sandboxes | None = None, said: str = "hello") -> Policy:
    """The written agent of `Echo`: as many calls as the level says, then the answer. A Ray worker calls it too."""
    call = codec().assistant(assistant_message("I say it.", calls=[("echo", {"message": said})]))
    last = codec().assistant(assistant_message("It came back.", "hello"))
    return Written(lambda task: [call] * task.level + [last])


def spoken_echo_policy(sandboxes: Sandboxes | None = None) -> Policy:
    """The same agent without tokens: its messages as they are, each call with a text of its own."""
    calls = [assistant_message("I say it.", calls=[("echo", {"message": f"hello {step}"})]) for step in range(64)]
    last = assistant_message("It came back.", "hello")
    return SpokenPolicy("spoken", lambda task, sample: [*calls[: task.level], last])


async def play_echo(policy: Policy, steps: int) -> None:
    """One episode of so many steps and a last message, in this process."""
    episode = await run_episode(Echo(), Echo().propose(random.Random(0), steps), policy, 0, Budget(turns=steps + 1))
    assert episode.verdict.passed, episode.error
    assert len(episode.turns) == steps + 1


@contextmanager
def installed() -> Iterator[None]:
    """Offer the environments as an installed package does: to this process and to those it starts."""
    with tempfile.TemporaryDirectory() as folder:
        about = Path(folder) / "palestra_benchmark-1.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: palestra-benchmark\nVersion: 1\n")
        points = "".join(f"{env.id} = {__name__}:{env.__name__}\n" for env in (Ledger, Echo))
        (about / "entry_points.txt").write_text(f"[palestra.environments]\n{points}")
        here = str(Path(__file__).resolve().parent)
        before = os.environ.get("PYTHONPATH", "")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, here, before]))
        sys.path.insert(0, folder)
        try:
            yield
        finally:
            sys.path.remove(folder)
            os.environ["PYTHONPATH"] = before
