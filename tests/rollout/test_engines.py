"""Engines that speak token ids, against a server that fails in every way: a right completion or an EngineError."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from palestra.envs.mini.travel import TravelMini
from palestra.rollout.codec import DeepseekCodec
from palestra.rollout.engines.fake import (
    CONTEXT,
    VOCABULARY,
    Answer,
    FakeInference,
    Fault,
    Reply,
    drop,
    drop_half,
    edit,
    expected,
    fine,
    params_of,
    say,
    serving,
    stall,
    stall_half,
    status,
)
from palestra.rollout.engines.openai_tokens import OpenAITokensEngine
from palestra.rollout.engines.server import Server
from palestra.rollout.engines.vllm import VllmEngine
from palestra.rollout.episode import run_episode
from palestra.rollout.errors import EngineError
from palestra.rollout.players import TokenPolicy
from palestra.rollout.tokenizer import train_tokenizer
from palestra.rollout.types import Completion, Delta, Sampling

PROMPT = [3, 1, 4, 1, 5]
PLAIN = Sampling(top_p=1.0, max_tokens=6)
ENGINES = (OpenAITokensEngine, VllmEngine)
Make = Callable[[Server, int], OpenAITokensEngine]
both = pytest.mark.parametrize("make", ENGINES)


def run(
    main: Callable[[FakeInference, OpenAITokensEngine], Coroutine[Any, Any, Any]], make: Make, *faults: Fault
) -> Any:
    """`main` with a server that has these faults, and an engine on it."""

    async def go() -> Any:
        async with serving(*faults) as fake:
            engine = make(fake.server(), VOCABULARY)
            try:
                return await main(fake, engine)
            finally:
                await engine.close()

    return asyncio.run(go())


def generate(make: Make, *faults: Fault, sampling: Sampling = PLAIN, **server: Any) -> tuple[Completion, FakeInference]:
    async def main(fake: FakeInference, _: OpenAITokensEngine) -> tuple[Completion, FakeInference]:
        engine = make(fake.server(**server), VOCABULARY)
        try:
            return await engine.generate(PROMPT, sampling), fake
        finally:
            await engine.close()

    found: tuple[Completion, FakeInference] = run(main, make, *faults)
    return found


async def collect(engine: OpenAITokensEngine, sampling: Sampling) -> tuple[list[Delta], Completion]:
    """A stream to its end: what came, and the whole, which must be the same."""
    *deltas, last = [piece async for piece in engine.stream(PROMPT, sampling)]
    assert isinstance(last, Completion)
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert [token for delta in deltas for token in delta.tokens] == list(last.tokens)
    assert [logprob for delta in deltas for logprob in delta.logprobs] == list(last.logprobs)
    return deltas, last  # type: ignore[return-value]


@both
@pytest.mark.parametrize("max_tokens", [1, 6, 1000])
@pytest.mark.parametrize("stop", [(), (17,), tuple(range(10, 20))])
def test_whole_and_streamed(make: Make, max_tokens: int, stop: tuple[int, ...]) -> None:
    sampling = Sampling(top_p=1.0, max_tokens=max_tokens, stop=stop)

    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        wanted = expected(PROMPT, sampling)
        assert await engine.generate(PROMPT, sampling) == wanted
        deltas, last = await collect(engine, sampling)
        assert last == wanted
        assert len(deltas) == len(wanted.tokens)

    run(main, make)


@both
@pytest.mark.parametrize("max_tokens", [4, 6, 1000])
def test_what_follows_a_stop_sequence_is_left_out(make: Make, max_tokens: int) -> None:
    said = expected(PROMPT, PLAIN).tokens
    sampling = replace(PLAIN, max_tokens=max_tokens, stop_sequences=((said[0], 0), said[2:4], said[3:5]))

    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        wanted = Completion(said[:4], expected(PROMPT, PLAIN).logprobs[:4], "stop")
        assert await engine.generate(PROMPT, sampling) == wanted == expected(PROMPT, sampling)
        deltas, last = await collect(engine, sampling)
        assert (len(deltas), last) == (4, wanted)
        fake.faults = [drop_half, drop]
        assert await engine.generate(PROMPT, sampling) == wanted
        fake.faults = [_set(finish_reason="abort"), fine]
        assert await engine.generate(PROMPT, sampling) == wanted

    run(main, make)


@both
def test_everything_that_decides_the_distribution_is_said(make: Make) -> None:
    sampling = Sampling(temperature=0.7, top_p=0.9, top_k=5, min_p=0.1, max_tokens=3, seed=2**70 + 9, stop=(7, 8))
    _, fake = generate(make, sampling=sampling)
    params = params_of(fake.asked[0])
    assert {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 5,
        "min_p": 0.1,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "max_tokens": 3,
        "seed": 9,
        "stop_token_ids": [7, 8],
        "ignore_eos": True,
    }.items() <= params.items()
    _, fake = generate(make, sampling=Sampling(max_tokens=3))
    assert "seed" not in params_of(fake.asked[0])


MENDABLE = [drop, drop_half, *map(status, (408, 409, 425, 429, 500, 502, 503, 504))]
GIVEN_UP = edit(lambda answer: answer["choices"][0].update(finish_reason="abort"))


@both
@pytest.mark.parametrize("fault", [*MENDABLE, GIVEN_UP])
def test_another_try_mends_what_it_can(make: Make, fault: Fault) -> None:
    completion, fake = generate(make, fault, fault)
    assert completion == expected(PROMPT, PLAIN)
    assert len(fake.asked) == 3
    assert fake.asked[0] == fake.asked[2]


@both
@pytest.mark.parametrize("fault", [stall, stall_half])
def test_silence_is_not_waited_out(make: Make, fault: Fault) -> None:
    completion, fake = generate(make, fault, timeout=0.5)
    assert completion == expected(PROMPT, PLAIN)
    assert len(fake.asked) == 2


@both
@pytest.mark.parametrize("fault", [*MENDABLE, GIVEN_UP])
def test_tries_are_counted(make: Make, fault: Fault) -> None:
    async def main(fake: FakeInference, _: OpenAITokensEngine) -> None:
        engine = make(fake.server(tries=3), VOCABULARY)
        with pytest.raises(EngineError, match=r"tried 3 times") as caught:
            await engine.generate(PROMPT, PLAIN)
        assert "\n" not in str(caught.value)
        assert len(fake.asked) == 3
        await engine.close()

    run(main, make, *[fault] * 9)


@both
def test_no_server(make: Make) -> None:
    async def main(fake: FakeInference, _: OpenAITokensEngine) -> None:
        engine = make(Server("http://127.0.0.1:9/v1", "m", tries=2, backoff=0.0), VOCABULARY)
        with pytest.raises(EngineError, match=r"127\.0\.0\.1:9/v1/models did not answer: ConnectError"):
            await engine.generate(PROMPT, PLAIN)
        await engine.close()

    run(main, make)


def _set(**values: Any) -> Fault:
    """Change the choice."""
    return edit(lambda answer: answer["choices"][0].update(values))


def _logprobs(change: Callable[[list[Any]], Any]) -> Fault:
    """Change the list of log-probabilities, in whichever dialect."""

    def apply(answer: Answer) -> None:
        logprobs = answer["choices"][0]["logprobs"]
        if "content" not in logprobs:
            change(logprobs["token_logprobs"])
            return
        values = [entry["logprob"] for entry in logprobs["content"]]
        change(values)
        logprobs["content"] = [
            entry | {"logprob": value} for entry, value in zip(logprobs["content"], values, strict=False)
        ]

    return edit(apply)


def _tokens(change: Callable[[list[Any]], Any]) -> Fault:
    """Change the ids alike wherever they stand."""

    def apply(answer: Answer) -> None:
        choice = answer["choices"][0]
        change(choice["token_ids"])
        logprobs = choice["logprobs"]
        if "content" in logprobs:
            for entry, token in zip(logprobs["content"], choice["token_ids"], strict=False):
                entry["token_id"] = token
        else:
            logprobs["tokens"] = [f"token_id:{token}" for token in choice["token_ids"]]

    return edit(apply)


def _prompt(change: Callable[[list[int]], Any]) -> Fault:
    def apply(answer: Answer) -> None:
        for place in (answer, answer["choices"][0]):
            if place.get("prompt_token_ids"):
                change(place["prompt_token_ids"])

    return edit(apply)


def _put(place: int, value: Any) -> Callable[[list[Any]], None]:
    return lambda values: values.__setitem__(place, value)


WRONG = {
    "an id beyond the vocabulary": (_tokens(_put(0, VOCABULARY)), "outside the vocabulary of 50"),
    "a negative id": (_tokens(_put(0, -1)), "token id"),
    "an id as text": (_set(token_ids=["5"]), "valid integer"),
    "a truth value as an id": (_set(token_ids=[True]), "valid integer"),
    "other ids than those of the log-probabilities": (_set(token_ids=[1]), "log-probabilities"),
    "a log-probability too few": (_logprobs(lambda values: values.pop()), "log-probabilities"),
    "NaN": (_logprobs(_put(0, math.nan)), "finite number"),
    "minus infinity": (_logprobs(_put(0, -math.inf)), "finite number"),
    "what servers write for no probability": (_logprobs(_put(0, -9999.0)), "no log-probability"),
    "a positive log-probability": (_logprobs(_put(0, 0.5)), "no log-probability"),
    "a log-probability of nothing": (_logprobs(_put(0, None)), "valid number"),
    "another prompt": (_prompt(_put(2, 9)), "prompt came back as 5 other tokens"),
    "a longer prompt": (_prompt(lambda prompt: prompt.append(1)), "prompt came back as 6 other tokens"),
    "an end of its own": (_set(finish_reason="stop"), "no stop token of the request"),
    "an unknown end": (_set(finish_reason="repetition"), "ended by 'repetition'"),
    "two choices": (edit(lambda answer: answer["choices"].append(answer["choices"][0])), "2 choices instead of one"),
}
GARBAGE = (b"<html>busy</html>", b"[1]", b"", b'{"choices": 3}', b"\xff\xfe", b"[" * 5000)


@both
@pytest.mark.parametrize(("fault", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_answer_is_an_error_and_never_a_trajectory(make: Make, fault: Fault, says: str) -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        with pytest.raises(EngineError, match=says) as caught:
            await engine.generate(PROMPT, PLAIN)
        assert "\n" not in str(caught.value)
        assert len(fake.asked) == 1
        fake.faults = [fault]
        with pytest.raises(EngineError):
            await collect(engine, PLAIN)

    run(main, make, fault)


def _longer(answer: Answer) -> None:
    choice = answer["choices"][0]
    choice["token_ids"] += [1, 2]
    logprobs = choice["logprobs"]
    if "content" in logprobs:
        logprobs["content"] += [{"token_id": token, "logprob": -1.0} for token in (1, 2)]
    else:
        logprobs["tokens"] += ["token_id:1", "token_id:2"]
        logprobs["token_logprobs"] += [-1.0, -1.0]


@both
def test_more_or_fewer_ids_than_asked_for(make: Make) -> None:
    with pytest.raises(EngineError, match="more than the 6 tokens"):
        generate(make, edit(_longer))
    with pytest.raises(EngineError, match="token 1 follows the end"):
        generate(make, edit(_longer), sampling=replace(PLAIN, stop=(expected(PROMPT, PLAIN).tokens[2],)))
    with pytest.raises(EngineError, match="after 3 of 6 tokens"):
        generate(make, shortened)


async def shortened(reply: Reply) -> None:
    """A completion that ends by length before its length."""
    answer = json.loads(reply.body)
    choice = answer["choices"][0]
    del choice["token_ids"][3:]
    for values in choice["logprobs"].values():
        del values[3:]
    await reply.send(json.dumps(answer).encode())


@both
@pytest.mark.parametrize("body", GARBAGE)
def test_garbage_is_an_error(make: Make, body: bytes) -> None:
    with pytest.raises(EngineError) as caught:
        generate(make, say(body))
    assert "\n" not in str(caught.value)


@both
@pytest.mark.parametrize("code", [400, 401, 404, 422])
def test_a_refusal_is_not_asked_again(make: Make, code: int) -> None:
    with pytest.raises(EngineError, match=rf"HTTP {code}.*no way"):
        generate(make, status(code), status(code))


@both
def test_a_prompt_of_no_ids_is_refused_unasked(make: Make) -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        for prompt in ([], [1, VOCABULARY], [-1]):
            with pytest.raises(EngineError, match="ids from 0 to 49"):
                await engine.generate(prompt, PLAIN)
        assert not fake.asked

    run(main, make)


@both
def test_a_stream_cut_anywhere(make: Make) -> None:
    """After each byte: begun anew while nothing had come, an error afterwards, and what came is right."""
    wanted = expected(PROMPT, PLAIN)

    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        bodies: list[bytes] = []
        fake.faults = [lambda reply: _tap(bodies, reply)]
        await collect(engine, PLAIN)
        ends = set()
        for cut in range(0, len(bodies[0]), 3):
            fake.faults = [say(bodies[0][:cut])]
            tokens: list[int] = []
            try:
                async for piece in engine.stream(PROMPT, PLAIN):
                    if isinstance(piece, Delta):
                        tokens += piece.tokens
                    else:
                        assert piece == wanted
                        ends.add("completed")
            except EngineError as error:
                ends.add("failed" if f"after {len(tokens)} tokens" in str(error) else f"badly: {error}")
                assert 0 < len(tokens) < len(wanted.tokens)
            assert tuple(tokens) == wanted.tokens[: len(tokens)]
        assert ends == {"completed", "failed"}

    run(main, make)


async def _tap(bodies: list[bytes], reply: Reply) -> None:
    bodies.append(reply.body)
    await fine(reply)


@both
@pytest.mark.parametrize("fault", [*MENDABLE, GIVEN_UP, stall])
def test_a_stream_that_has_not_begun_is_begun_anew(make: Make, fault: Fault) -> None:
    async def main(fake: FakeInference, _: OpenAITokensEngine) -> None:
        engine = make(fake.server(timeout=0.5), VOCABULARY)
        if fault in (drop_half, GIVEN_UP):  # it has begun
            with pytest.raises(EngineError, match=r"after \d tokens"):
                await collect(engine, PLAIN)
        assert (await collect(engine, PLAIN))[1] == expected(PROMPT, PLAIN)
        await engine.close()

    run(main, make, fault)


@both
def test_errors_inside_a_stream(make: Make) -> None:
    body = b'data: {"error": {"message": "out of\\nmemory"}}\n\ndata: [DONE]\n\n'

    async def main(fake: FakeInference, _: OpenAITokensEngine) -> None:
        engine = make(fake.server(tries=2), VOCABULARY)
        assert (await collect(engine, PLAIN))[1] == expected(PROMPT, PLAIN)
        fake.faults = [say(body), say(body)]
        with pytest.raises(EngineError, match=r"failed: .*out of.*tried 2 times"):
            await collect(engine, PLAIN)
        await engine.close()

    run(main, make, say(body))


@both
@pytest.mark.parametrize("streamed", [False, True])
def test_cancelling_closes_the_connection(make: Make, streamed: bool) -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        closed = asyncio.Event()

        async def wait_for_the_end(reply: Reply) -> None:
            await reply.reader.read()
            closed.set()

        fake.faults = [wait_for_the_end]
        call = collect(engine, PLAIN) if streamed else engine.generate(PROMPT, PLAIN)
        task = asyncio.ensure_future(call)
        await fake.arrived.wait()
        task.cancel()
        await closed.wait()
        await asyncio.wait([task])
        assert task.cancelled()
        assert await engine.generate(PROMPT, PLAIN) == expected(PROMPT, PLAIN)

    run(main, make)


@both
def test_a_stream_that_is_left_closes_its_connection(make: Make) -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        closed = asyncio.Event()

        async def begin(reply: Reply) -> None:
            await reply.send(reply.body.split(b"\n\n")[0] + b"\n\n")
            await reply.reader.read()
            closed.set()

        fake.faults = [begin]
        async with aclosing(engine.stream(PROMPT, PLAIN)) as stream:  # type: ignore[type-var]
            async for piece in stream:
                assert piece.tokens == expected(PROMPT, PLAIN).tokens[:1]
                break
        await closed.wait()

    run(main, make)


@both
def test_many_at_once(make: Make) -> None:
    """More than an HTTP client's usual pool: each is at the server before the first is answered."""
    count = 150

    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        everyone = asyncio.Event()

        async def held(reply: Reply) -> None:
            if len(fake.asked) == count:
                everyone.set()
            await everyone.wait()
            await fine(reply)

        fake.faults = [held] * count
        prompts = [[n % VOCABULARY, n // VOCABULARY] for n in range(count)]
        found = await asyncio.gather(*(engine.generate(prompt, PLAIN) for prompt in prompts))
        assert found == [expected(prompt, PLAIN) for prompt in prompts]

    run(main, make)


@both
def test_the_context_ends_where_the_servers_does(make: Make) -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        almost = [1] * (CONTEXT - 2)
        assert len((await engine.generate(almost, PLAIN)).tokens) == 2
        for full in ([1] * CONTEXT, [1] * (CONTEXT + 9)):
            assert await engine.generate(full, PLAIN) == Completion((), (), "length")
            assert [piece async for piece in engine.stream(full, PLAIN)] == [Completion((), (), "length")]
        assert len(fake.asked) == 1

    run(main, make)


@both
def test_a_model_that_is_not_served(make: Make) -> None:
    async def main(fake: FakeInference, _: OpenAITokensEngine) -> None:
        engine = make(Server(fake.base_url, "z"), VOCABULARY)
        with pytest.raises(EngineError, match=r"does not serve model 'z' but m$"):
            await engine.generate(PROMPT, PLAIN)
        await engine.close()

    run(main, make)


@both
def test_log_probabilities_must_be_those_of_what_was_sampled(make: Make) -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        fake.processed = False
        assert await engine.generate(PROMPT, PLAIN) == expected(PROMPT, PLAIN)
        assert (await engine.generate(PROMPT, Sampling(temperature=0.0, max_tokens=2))).finish == "length"
        assert fake.probes == 0
        for sampling in (Sampling(), Sampling(temperature=0.5, top_p=1.0), Sampling(top_p=1.0, top_k=3)):
            with pytest.raises(EngineError, match="--logprobs-mode processed_logprobs"):
                await engine.generate(PROMPT, sampling)
        assert fake.probes == 1
        fake.processed = True
        other = make(fake.server(), VOCABULARY)
        sampling = Sampling(max_tokens=3)
        assert await asyncio.gather(*[other.generate(PROMPT, sampling)] * 4) == [expected(PROMPT, sampling)] * 4
        assert fake.probes == 2
        await other.close()

    run(main, make)


def test_the_length_of_the_prompt_is_checked_where_a_server_counts() -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        with pytest.raises(EngineError, match="prompt of 5 tokens came back as 7"):
            await engine.generate(PROMPT, PLAIN)

    run(main, OpenAITokensEngine, edit(lambda answer: answer["usage"].update(prompt_tokens=7)))


def test_a_server_that_takes_text_only() -> None:
    """Ids by their names but no prompt: the server may have tokenised anything."""
    fault = edit(lambda answer: [answer["choices"][0].pop(name) for name in ("token_ids", "prompt_token_ids")])
    with pytest.raises(EngineError, match="does not speak token ids"):
        generate(OpenAITokensEngine, fault)


def test_vllm_says_which_weights_sampled_and_what_was_kept() -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        assert (await engine.generate(PROMPT, PLAIN)).version == 0
        fake.version = "12"
        masks = [[token, 9] for token in expected(PROMPT, PLAIN).tokens]
        fake.faults = [_set(sampling_mask=masks), _set(sampling_mask=masks[:2])]
        completion = await engine.generate(PROMPT, PLAIN)
        assert (completion.version, completion.kept) == (12, tuple(map(tuple, masks)))
        fake.faults.insert(0, _set(sampling_mask=masks))
        cut = await engine.generate(PROMPT, replace(PLAIN, stop_sequences=(completion.tokens[:2],)))
        assert (cut.tokens, cut.version, cut.kept) == (completion.tokens[:2], 12, tuple(map(tuple, masks[:2])))
        with pytest.raises(EngineError, match="6 tokens with 2 sampling masks"):
            await engine.generate(PROMPT, PLAIN)

    run(main, VllmEngine)


def checkpoint(folder: Path) -> Path:
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")
    return folder


def test_new_weights_are_loaded_while_nothing_runs(tmp_path: Path) -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        assert isinstance(engine, VllmEngine)
        await engine.reload(checkpoint(tmp_path), 3)
        assert engine.version == 3
        assert [target for target, _ in fake.calls] == [
            "/pause?mode=wait&clear_cache=true",
            "/collective_rpc",
            "/update_weight_version",
            "/resume",
        ]
        assert fake.calls[1][1] == {"method": "load_checkpoint", "kwargs": {"folder": str(tmp_path)}}
        assert fake.calls[2][1] == {"new_version": "3"}

    run(main, VllmEngine)


def test_engines_that_share_a_server_load_its_weights_once(tmp_path: Path) -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        assert isinstance(engine, VllmEngine)
        other = VllmEngine(fake.server(), VOCABULARY)
        with pytest.raises(EngineError, match="from a checkpoint's folder"):
            await engine.load_weights({"lm_head.weight": 0}, 3)
        with pytest.raises(EngineError, match="holds no checkpoint"):
            await engine.load_weights(tmp_path, 3)
        assert not fake.calls
        for one in (engine, other):
            await one.load_weights(checkpoint(tmp_path), 3)
            assert (await one.generate(PROMPT, PLAIN)).version == one.version == 3
        assert [target for target, _ in fake.calls].count("/collective_rpc") == 1
        await other.load_weights(tmp_path, 4)
        assert (await engine.generate(PROMPT, PLAIN)).version == 4
        await other.close()

    run(main, VllmEngine)


def test_half_loaded_weights_never_serve(tmp_path: Path) -> None:
    async def main(fake: FakeInference, engine: OpenAITokensEngine) -> None:
        assert isinstance(engine, VllmEngine)
        with pytest.raises(EngineError, match="holds no checkpoint"):
            await engine.reload(tmp_path, 3)
        assert not fake.calls
        fake.broken = "collective_rpc"
        with pytest.raises(EngineError, match="could not be replaced"):
            await engine.reload(checkpoint(tmp_path), 3)
        assert engine.version == 0
        assert not any("resume" in target for target, _ in fake.calls)

    run(main, VllmEngine)


@both
def test_an_episode_with_a_server_that_fails_for_good(make: Make) -> None:
    async def main(fake: FakeInference, _: OpenAITokensEngine) -> None:
        codec = DeepseekCodec(train_tokenizer([], 300))
        fake.context = 100_000
        engine = make(fake.server(tries=2), codec.tokenizer.vocab_size)
        task = TravelMini().propose(random.Random(3), 1)
        episode = await run_episode(TravelMini(), task, TokenPolicy("p", engine, codec, PLAIN))
        assert (episode.outcome, episode.verdict.validity) == ("engine_failed", "invalid_infra")
        assert episode.verdict.reward is None
        await engine.close()

    run(main, make, drop, drop, drop)
