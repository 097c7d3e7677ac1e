"""The episode loop: exact tokens, kept thinking, and every failure in its right place."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palestra.envs.environment import Environment
from palestra.envs.errors import ToolError
from palestra.envs.mini.search import SearchMini
from palestra.envs.mini.travel import TravelMini
from palestra.envs.tools import tool
from palestra.envs.types import Answer, Task, ToolSchema, World
from palestra.infra.sandbox.types import SandboxFailed
from palestra.rollout.answers import DEEPEST, answer_text, read_answer
from palestra.rollout.codec import DeepseekCodec, assistant_message
from palestra.rollout.encoding import encode_messages
from palestra.rollout.episode import Budget, run_episode
from palestra.rollout.errors import EngineError
from palestra.rollout.players import ScriptedEngine, ScriptedPolicy, TokenPolicy
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Completion, Episode, Message, Move, Player, Sampling
from palestra.verifiers.checks import all_of, check
from palestra.verifiers.types import Verdict

CODEC = DeepseekCodec(train_tokenizer([], 300), show_tools=False)


class Box(Environment):
    """Say what is in the box; `breaks` names the method that raises, `error` what."""

    id = "box"
    version = "1"
    system = "Look first."
    breaks: ClassVar[str] = ""
    error: ClassVar[Any] = RuntimeError
    closed: ClassVar[int] = 0

    def propose(self, rng: random.Random, level: int) -> Task:
        return self.task(seed=1, level=level, prompt="What is in the box?", world={"inside": "a ring"})

    def solve(self, task: Task, tools: Any) -> Answer:
        return tools.look(box=1)

    def start(self, task: Task) -> None:
        self._maybe("start")
        super().start(task)

    def finish(self, answer: Answer) -> World:
        self._maybe("finish")
        return super().finish(answer)

    def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
        self._maybe("verify")
        return all_of([check("inside", answer == task.world["inside"])])

    def close(self) -> None:
        type(self).closed += 1
        self._maybe("close")

    def _maybe(self, method: str) -> None:
        if method == self.breaks:
            raise self.error()

    @tool
    def look(self, box: int) -> str:
        """Look into a box."""
        self._maybe("look")
        if box != 1:
            raise ToolError("there is one box")
        return str(self.world["inside"])

    @tool(submits=True)
    def submit(self, what: str) -> str:
        """Submit the answer."""
        return what


def box(**settings: Any) -> type[Box]:
    return type("SomeBox", (Box,), {"closed": 0, **settings})


TASK = Box().propose(random.Random(1), 1)
LOOK = assistant_message("I must look.", calls=[("look", {"box": 1})])
ANSWER = assistant_message("It is there.", "a ring")


def play(
    messages: Sequence[Message], cls: type[Environment] = Box, task: Task = TASK, budget: Budget | None = None
) -> Episode:
    policy = ScriptedPolicy("script", lambda task, sample: list(messages), CODEC)
    return asyncio.run(run_episode(cls(), task, policy, budget=budget))


def play_tokens(engine: Any, cls: type[Environment] = Box, **settings: Any) -> Episode:
    policy = TokenPolicy("tokens", engine, CODEC, Sampling(max_tokens=64), settings.pop("max_tokens", 1 << 20))
    return asyncio.run(run_episode(cls(), TASK, policy, budget=settings.pop("budget", None)))


def test_an_answer_is_judged_and_the_tokens_are_the_conversation() -> None:
    episode = play([LOOK, ANSWER])
    assert (episode.outcome, episode.answer, episode.verdict.reward, episode.error) == ("answered", "a ring", 1.0, "")
    messages = [
        {"role": "system", "content": "Look first."},
        {"role": "user", "content": TASK.prompt},
        LOOK,
        {"role": "tool", "content": "a ring"},
        ANSWER,
    ]
    text = encode_messages(messages, thinking_mode="thinking")
    path = episode.segments[0]
    assert CODEC.tokenizer.decode(path.tokens) == text
    assert path.tokens == tuple(CODEC.tokenizer.encode(text))
    assert "I must look.</think>" in text  # thinking stays after the tool result
    sampled = CODEC.tokenizer.decode([t for t, m in zip(path.tokens, path.mask, strict=True) if m])
    assert sampled == CODEC.tokenizer.decode(CODEC.assistant(LOOK) + CODEC.assistant(ANSWER))


def test_what_was_sampled_is_kept_however_odd_its_tokens_and_the_log_probabilities_stay_aligned() -> None:
    class Spelling(ScriptedEngine):
        contexts: ClassVar[list[tuple[int, ...]]] = []

        async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
            self.contexts.append(tuple(tokens))
            found = await super().generate(tokens, sampling)
            logprobs = tuple(-float(index) for index in range(len(found.tokens)))
            return Completion(found.tokens, logprobs, found.finish)

    codec = DeepseekCodec(train_tokenizer(["look look look a ring a ring"] * 9, 300), show_tools=False)
    bytewise = [
        codec.tokenizer.encode(c)[0] if ord(c) < 128 else None for c in "look"
    ]  # the word as letters, which the encoder would have merged
    merged = codec.tokenizer.encode("look")
    assert bytewise != merged
    first = codec.assistant(LOOK)
    at = next(i for i in range(len(first)) if first[i : i + len(merged)] == merged)
    odd = [*first[:at], *(i for i in bytewise if i is not None), *first[at + len(merged) :]]
    engine = Spelling([odd, codec.assistant(ANSWER)])
    episode = asyncio.run(run_episode(Box(), TASK, TokenPolicy("odd", engine, codec, Sampling())))
    path = episode.segments[0]
    assert episode.verdict.passed
    assert codec.tokenizer.encode(codec.tokenizer.decode(path.tokens)) != list(path.tokens)
    prompt = episode.turns[0].move.prompt_tokens
    assert path.tokens[: len(prompt) + len(odd)] == (*prompt, *odd)
    assert Spelling.contexts[1] == path.tokens[: -len(codec.assistant(ANSWER))]
    assert len(path.tokens) == len(path.mask) == len(path.logprobs)
    assert path.logprobs[len(prompt) : len(prompt) + 4] == (0.0, -1.0, -2.0, -3.0)
    assert all(logprob == 0.0 for logprob, m in zip(path.logprobs, path.mask, strict=True) if not m)


@pytest.mark.parametrize(
    ("breaks", "outcome", "validity"),
    [
        ("start", "env_failed", "invalid_env"),
        ("look", "env_failed", "invalid_env"),
        ("finish", "env_failed", "invalid_env"),
        ("close", "env_failed", "invalid_env"),
        ("verify", "verifier_failed", "invalid_verifier"),
    ],
)
@pytest.mark.parametrize("image", [None, "python"])
@pytest.mark.parametrize("error", [RuntimeError, StopIteration, RecursionError, SandboxFailed])
def test_what_breaks_is_blamed_and_never_worth_zero(
    breaks: str, outcome: str, validity: str, image: str | None, error: type[Exception]
) -> None:
    cls = box(breaks=breaks, image=image, error=lambda self: error("boom"))
    episode = play([LOOK, ANSWER], cls)
    if error is SandboxFailed:
        outcome, validity = "sandbox_failed", "invalid_infra"
    assert (episode.outcome, episode.verdict.validity, episode.verdict.reward) == (outcome, validity, None)
    assert f"{error.__name__}: boom" in episode.error
    assert "Traceback" in episode.error
    assert cls.closed == 1
    if breaks == "look":
        assert episode.turns[0].move.completion is not None  # what led to it is kept


def test_the_first_failure_is_the_outcome_where_closing_fails_too() -> None:
    class Twice(Box):
        def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
            raise KeyError("first")

        def close(self) -> None:
            raise SandboxFailed("second")

    episode = play([ANSWER], Twice)
    assert (episode.outcome, episode.verdict.validity) == ("verifier_failed", "invalid_verifier")
    assert episode.error.index("first") < episode.error.index("second")


def test_a_verifier_that_returns_no_verdict_is_broken() -> None:
    class Wordless(Box):
        def verify(self, task: Task, answer: Answer, world: World) -> Verdict:
            return None  # type: ignore[return-value]

    assert play([ANSWER], Wordless).outcome == "verifier_failed"


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


class Saying:
    """A policy that says these messages as they are, whatever grammar would allow."""

    id = "saying"

    def __init__(self, *messages: Message) -> None:
        self.left = list(messages)

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        return self

    async def act(self) -> Move:
        return Move(message=self.left.pop(0))

    def observe(self, results: list[str]) -> None:
        """Nothing to remember."""

    def hear(self, text: str) -> None:
        """Nothing to remember."""

    async def close(self) -> None:
        """Nothing to free."""


def raw_call(name: str, arguments: str) -> Message:
    return {"role": "assistant", "tool_calls": [{"function": {"name": name, "arguments": arguments}}]}


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("look", "{", "the arguments are not JSON"),
        ("look", "", "the arguments are not JSON"),
        ("look", "[1]", "must be an object"),
        ("look", "null", "must be an object"),
        ("look", '{"box": NaN}', "NaN is not JSON"),
        ("look", '{"box": 1e999}', "beyond what a number can hold"),
        ("look", '{"box": ' + "9" * 5000 + "}", "not JSON"),
        ("look", '{"box": ' + nested(100_000) + "}", "nested deeper"),
        ("look", '{"box": ' + nested(500) + "}", "nested deeper"),
        ("look", '{"box": "one"}', "box"),
        ("look", '{"box": "' + "x" * 1_000_000 + '"}', "box"),
        ("look", "{}", "box"),
        ("look", '{"box": 1, "lamp": 2}', "lamp"),
        ("look", '{"box": 2}', "there is one box"),
        ("peek", "{}", "no tool named 'peek'"),
        ("__class__", "{}", "no tool named"),
        ("verify", "{}", "no tool named"),
        ("submit", '{"what": "\\ud800"}', ""),
    ],
)
def test_a_wrong_call_comes_back_as_text(name: str, arguments: str, told: str) -> None:
    policy = Saying(raw_call(name, arguments), {"role": "assistant", "content": "a ring"})
    episode = asyncio.run(run_episode(Box(), TASK, policy))
    assert episode.verdict.validity == "valid"
    if name != "submit":
        assert (episode.outcome, episode.verdict.reward) == ("answered", 1.0)
        assert told in episode.turns[0].results[0]
        assert len(episode.turns[0].results[0]) < 1000


def test_calls_after_a_submit_are_told_so_and_change_nothing() -> None:
    calls: list[tuple[str, dict[str, object]]] = [
        ("look", {"box": 1}),
        ("submit", {"what": "a ring"}),
        ("submit", {"what": "a hat"}),
        ("look", {"box": 1}),
    ]
    episode = play([assistant_message("All at once.", calls=calls)])
    assert (episode.outcome, episode.answer, episode.verdict.reward) == ("submitted", "a ring", 1.0)
    late = "Error: the answer was already submitted"
    assert episode.turns[0].results == ("a ring", "a ring", late, late)


def test_a_policy_that_cannot_start_or_speak_is_the_engine_s_failure() -> None:
    def script(task: Task, sample: int) -> list[Message]:
        raise KeyError("no script")

    cls = box()
    policy = ScriptedPolicy("script", script, CODEC)
    episode = asyncio.run(run_episode(cls(), TASK, policy))
    assert (episode.outcome, episode.verdict.validity, cls.closed) == ("engine_failed", "invalid_infra", 1)

    class Down(ScriptedEngine):
        async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
            raise EngineError("connection refused")

    episode = play_tokens(Down([]), cls)
    assert (episode.outcome, episode.verdict.validity, cls.closed) == ("engine_failed", "invalid_infra", 2)
    assert "connection refused" in episode.verdict.note


@pytest.mark.parametrize(
    "completion",
    [
        Completion((400,), (0.0,), "stop"),
        Completion((-1,), (0.0,), "stop"),
        Completion((5, 6), (0.0,), "stop"),
        Completion((5,), (float("nan"),), "stop"),
        Completion((5,), (float("-inf"),), "stop"),
        Completion((5,), (0.0,), "cancelled"),
    ],
)
def test_an_engine_that_breaks_its_contract_is_broken(completion: Completion) -> None:
    class Wrong(ScriptedEngine):
        async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
            return completion

    episode = play_tokens(Wrong([]))
    assert (episode.outcome, episode.verdict.validity) == ("engine_failed", "invalid_infra")


@given(st.lists(st.lists(st.integers(0, CODEC.tokenizer.vocab_size - 1), max_size=12), max_size=3))
@settings(max_examples=100, deadline=None)
def test_garbage_completions_are_data(completions: list[list[int]]) -> None:
    episode = play_tokens(ScriptedEngine(completions))
    assert episode.outcome in ("format_error", "max_tokens", "answered")
    assert episode.verdict.reward == 0.0
    assert len(episode.segments[0].tokens) == len(episode.segments[0].logprobs)


@pytest.mark.parametrize("cls", [TravelMini, SearchMini])
@given(
    answer=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["city", "hotel", "evening_restaurant", "x"]), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
@settings(max_examples=100, deadline=None)
def test_shipped_verifiers_judge_any_answer(cls: type[Environment], answer: Any) -> None:
    task = cls().propose(random.Random(3), 1)
    episode = play([assistant_message("So.", json.dumps(answer))], cls, task)
    assert (episode.outcome, episode.verdict.validity) == ("answered", "valid")
    assert not episode.verdict.passed


def test_the_turn_budget_ends_an_episode_and_it_is_judged() -> None:
    episode = play([LOOK] * 9, budget=Budget(turns=3))
    assert (episode.outcome, len(episode.turns), episode.verdict.reward) == ("max_turns", 3, 0.0)


def test_the_token_budget_ends_an_episode_and_it_is_judged() -> None:
    prompt = len(play([ANSWER]).turns[0].move.prompt_tokens)
    call = CODEC.assistant(LOOK)
    engine = ScriptedEngine([call, call])
    episode = play_tokens(engine, max_tokens=prompt + len(call) + 5)
    assert (episode.outcome, episode.verdict.reward, len(episode.turns)) == ("max_tokens", 0.0, 2)
    assert episode.turns[1].move.completion is None
    assert episode.turns[1].move.prompt_tokens == tuple(CODEC.results(["a ring"]))

    class Cut(ScriptedEngine):
        async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
            return Completion((5, 6), (0.0, 0.0), "length")

    assert play_tokens(Cut([])).outcome == "max_tokens"


def test_the_seconds_end_an_episode_also_where_the_engine_never_answers() -> None:
    class Stalled(ScriptedEngine):
        async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
            await asyncio.Event().wait()
            raise AssertionError

    cls = box()
    episode = play_tokens(Stalled([]), cls, budget=Budget(seconds=0.05))
    assert (episode.outcome, episode.verdict.validity, cls.closed) == ("timeout", "invalid_infra", 1)
    assert "0.05 seconds" in episode.verdict.note
    episode = play([LOOK, ANSWER], cls, budget=Budget(seconds=0))
    assert (episode.outcome, episode.turns) == ("timeout", ())


def test_a_timeout_of_the_engine_s_own_is_the_engine_s_failure() -> None:
    class Impatient(ScriptedEngine):
        async def generate(self, tokens: Sequence[int], sampling: Sampling) -> Completion:
            raise TimeoutError("read timed out")

    assert play_tokens(Impatient([])).outcome == "engine_failed"


@pytest.mark.parametrize("where", ["start", "look", "verify"])
def test_an_interrupt_passes_through_and_closes_the_environment(where: str) -> None:
    cls = box(breaks=where, error=lambda self: KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        play([LOOK, ANSWER], cls)
    assert cls.closed == 1


def test_a_cancellation_waits_for_the_thread_that_starts_the_world_then_closes_it() -> None:
    began, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    class Slow(Box):
        image = "python"

        def start(self, task: Task) -> None:
            began.set()
            go_on.wait(10)
            order.append("started")

        def close(self) -> None:
            order.append("closed")

    async def cancelled() -> None:
        policy = ScriptedPolicy("script", lambda task, sample: [ANSWER], CODEC)
        running = asyncio.ensure_future(run_episode(Slow(), TASK, policy))
        await asyncio.to_thread(began.wait, 10)
        running.cancel()
        asyncio.get_running_loop().call_later(0.02, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled())
    assert order == ["started", "closed"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("  a ring\n", "a ring"),
        ('{"a": [1]}', {"a": [1]}),
        ("[1, 2]", [1, 2]),
        ("42", "42"),
        ("[NaN]", "[NaN]"),
        ("[1e999]", "[1e999]"),
        ("{oops", "{oops"),
        ("", ""),
        (nested(DEEPEST), json.loads(nested(DEEPEST))),
        (nested(DEEPEST + 2), nested(DEEPEST + 2)),
        (nested(100_000), nested(100_000)),
    ],
)
def test_a_final_message_is_read_as_an_answer(text: str, answer: Answer) -> None:
    assert read_answer(text) == answer


def test_answers_are_said_as_they_are_read() -> None:
    for answer in ("a ring", {"a": [1, None]}, [1.5, "x"]):
        assert read_answer(answer_text(answer)) == answer
    assert answer_text(42) == "42"
    assert answer_text(None) == "Done."
