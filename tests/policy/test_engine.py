"""The engine against a plain loop of full forwards, against transformers' generate, and against what goes wrong."""

import asyncio
import gc
import math
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from palestra.policy.cache import PagedCache
from palestra.policy.config import DeepseekV32Config
from palestra.policy.decode import Chunk
from palestra.policy.engine import PolicyEngine
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.rollout.errors import EngineError
from palestra.rollout.types import Completion, Sampling

TINY: dict[str, Any] = {
    "vocab_size": 37,
    "hidden_size": 32,
    "intermediate_size": 40,
    "moe_intermediate_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
    "index_n_heads": 2,
    "index_head_dim": 16,
    "index_topk": 8,
    "max_position_embeddings": 128,
}
GREEDY = Sampling(temperature=0.0, top_p=1.0, max_tokens=12)


def random_model(seed: int = 0, **changes: Any) -> DeepseekV32ForCausalLM:
    torch.manual_seed(seed)
    model = DeepseekV32ForCausalLM(DeepseekV32Config.from_dict(TINY | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.15)
    return model


def weights(seed: int) -> dict[str, Tensor]:
    return random_model(seed).state_dict()


def prompt(seed: int, length: int) -> list[int]:
    return torch.randint(0, 37, (length,), generator=torch.Generator().manual_seed(seed)).tolist()


@torch.no_grad()
def all_logprobs(model: DeepseekV32ForCausalLM, tokens: list[int]) -> Tensor:
    """Next-token log-probabilities after each token, [T, V], from one full forward."""
    output = model(torch.tensor([tokens]), ties="recent")
    logprobs: Tensor = output.logits_BTV[0].log_softmax(dim=-1)
    return logprobs


def naive_greedy(model: DeepseekV32ForCausalLM, tokens: list[int], count: int) -> tuple[int, ...]:
    tokens = list(tokens)
    for _ in range(count):
        tokens.append(int(all_logprobs(model, tokens)[-1].argmax()))
    return tuple(tokens[-count:])


async def generate_all(engine: PolicyEngine, prompts: list[list[int]], samplings: list[Sampling]) -> list[Completion]:
    calls = [engine.generate(tokens, sampling) for tokens, sampling in zip(prompts, samplings, strict=True)]
    return list(await asyncio.gather(*calls))


def count_computed(engine: PolicyEngine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that tells how many tokens each step of the engine computes from now on."""
    computed: list[int] = []
    run = engine._decoder.run

    def counted(cache: PagedCache, chunks: list[Chunk]) -> Tensor:
        computed.append(sum(len(chunk.tokens) for chunk in chunks))
        return run(cache, chunks)

    monkeypatch.setattr(engine._decoder, "run", counted)
    return computed


def run_quietly(main: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end; anything the loop would only have logged is a failure."""
    complaints: list[dict[str, Any]] = []
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda _, context: complaints.append(context))
        result = runner.run(main)
    gc.collect()
    assert complaints == []
    return result


def test_greedy_equals_a_loop_of_full_forwards() -> None:
    model = random_model()
    prompts = [prompt(n, length) for n, length in enumerate((1, 2, 40, 9, 17, 30, 5))]
    found = run_quietly(generate_all(PolicyEngine(model, slots=3, max_len=64), prompts, [GREEDY] * 7))
    for tokens, completion in zip(prompts, found, strict=True):
        assert completion.tokens == naive_greedy(model, tokens, 12)
        assert completion.finish == "length"
        assert completion.kept is None


def test_greedy_equals_transformers(tmp_path: Path) -> None:
    # With two index heads many scores are exactly zero, and the reference breaks such ties by chance.
    model = random_model(3, index_n_heads=8)
    model.save_pretrained(tmp_path)
    theirs: Any = transformers.DeepseekV32ForCausalLM.from_pretrained(
        tmp_path, dtype=torch.float32, experts_implementation="eager"
    )
    engine = PolicyEngine(model, slots=4, max_len=64)
    prompts = [prompt(50 + n, 14) for n in range(3)]
    found = run_quietly(generate_all(engine, prompts, [GREEDY] * 3))
    for tokens, completion in zip(prompts, found, strict=True):
        ids = torch.tensor([tokens])
        out = theirs.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=12,
            eos_token_id=None,
            pad_token_id=0,
        )
        assert completion.tokens == tuple(out[0, len(tokens) :].tolist())


@pytest.mark.parametrize("sampling", [Sampling(top_p=1.0), Sampling(top_p=0.8), Sampling(temperature=0.7, top_k=5)])
def test_logprobs_are_those_of_the_full_forward(sampling: Sampling) -> None:
    model = random_model(1)
    engine = PolicyEngine(model, slots=4, max_len=100)
    prompts = [prompt(n, 5 + 7 * n) for n in range(6)]
    samplings = [replace(sampling, max_tokens=20, seed=n) for n in range(6)]
    for tokens, completion in zip(prompts, run_quietly(generate_all(engine, prompts, samplings)), strict=True):
        logprobs_TV = all_logprobs(model, [*tokens, *completion.tokens])[len(tokens) - 1 : -1] / sampling.temperature
        if completion.kept is not None:
            for row, kept in enumerate(completion.kept):
                outside = [token for token in range(37) if kept is not None and token not in kept]
                logprobs_TV[row, outside] = -math.inf
        expected = logprobs_TV.log_softmax(dim=-1).gather(1, torch.tensor(completion.tokens)[:, None])[:, 0]
        assert (torch.tensor(completion.logprobs) - expected).abs().max() < 1e-4


def test_seeds_reproduce_whatever_else_runs() -> None:
    engine = PolicyEngine(random_model(), slots=5, max_len=64)
    wanted = Sampling(top_p=0.9, max_tokens=15, seed=11)
    alone = run_quietly(generate_all(engine, [prompt(1, 9)], [wanted]))[0]
    crowd = [prompt(n, 3 + 4 * n) for n in range(9)]
    rest = [Sampling(max_tokens=3 + n, seed=n) for n in range(9)]
    for place in (0, 4, 9):
        prompts, samplings = [*crowd], [*rest]
        prompts.insert(place, prompt(1, 9))
        samplings.insert(place, wanted)
        together = run_quietly(generate_all(engine, prompts, samplings))[place]
        assert together.tokens == alone.tokens
        assert together.logprobs == pytest.approx(alone.logprobs, abs=1e-4)
    other = run_quietly(generate_all(engine, [prompt(1, 9)], [replace(wanted, seed=12)]))[0]
    assert other.tokens != alone.tokens


def test_earlier_turns_are_reused_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(2)
    engine = PolicyEngine(model, slots=3, max_len=120)
    computed = count_computed(engine, monkeypatch)

    async def episode(seed: int) -> list[tuple[int, ...]]:
        tokens, said = prompt(seed, 12 + seed), []
        for turn in range(4):
            completion = await engine.generate(tokens, Sampling(top_p=0.95, max_tokens=7, seed=10 * seed + turn))
            said.append(completion.tokens)
            tokens += [*completion.tokens, *prompt(100 + seed + turn, 6)]
        return said

    async def episodes() -> list[list[tuple[int, ...]]]:
        return list(await asyncio.gather(episode(0), episode(1), episode(2)))

    found = run_quietly(episodes())
    # 12, 13, 14 prompt tokens, then per further turn 6 new and the last one said; each said token but the last once.
    assert sum(computed) == 12 + 13 + 14 + 3 * 3 * (6 + 1) + 3 * 4 * 6
    for seed in range(3):
        engine = PolicyEngine(model, slots=3, max_len=120)
        tokens = prompt(seed, 12 + seed)
        for turn in range(4):
            fresh = PolicyEngine(model, slots=1, max_len=120)
            call = generate_all(fresh, [tokens], [Sampling(top_p=0.95, max_tokens=7, seed=10 * seed + turn)])
            assert run_quietly(call)[0].tokens == found[seed][turn]
            tokens += [*found[seed][turn], *prompt(100 + seed + turn, 6)]


def test_stop_tokens_and_lengths() -> None:
    model = random_model()
    engine = PolicyEngine(model, slots=2, max_len=20)
    said = naive_greedy(model, prompt(0, 6), 14)
    stop = said[4]
    samplings = [
        replace(GREEDY, max_tokens=9, stop=(stop,)),
        replace(GREEDY, max_tokens=3),
        replace(GREEDY, max_tokens=100),
        replace(GREEDY, max_tokens=0),
    ]
    found = run_quietly(generate_all(engine, [prompt(0, 6)] * 4, samplings))
    assert (found[0].tokens, found[0].finish) == (said[: said.index(stop) + 1], "stop")
    assert (found[1].tokens, found[1].finish) == (said[:3], "length")
    assert (found[2].tokens, found[2].finish) == (said, "length")
    assert (found[3].tokens, found[3].finish) == ((), "length")


@pytest.mark.parametrize(
    ("tokens", "sampling", "message"),
    [
        ([], GREEDY, "a request of 0 tokens does not fit: it needs 1 to 19"),
        ([1] * 20, GREEDY, "a request of 20 tokens does not fit: it needs 1 to 19"),
        ([1, 37, 2], GREEDY, "token id 37 at position 1 is not in the vocabulary of 37"),
        ([1, 2, -4], GREEDY, "token id -4 at position 2"),
        ([1], Sampling(temperature=-1.0), "temperature -1.0"),
        ([1], Sampling(top_p=0.0), "top_p 0.0"),
        ([1], Sampling(min_p=1.5), "min_p 1.5"),
        ([1], Sampling(experts_from=-1), "experts_from -1"),
    ],
)
def test_what_does_not_fit_is_refused(tokens: list[int], sampling: Sampling, message: str) -> None:
    engine = PolicyEngine(random_model(), slots=2, max_len=20)
    with pytest.raises(EngineError) as caught:
        run_quietly(engine.generate(tokens, sampling))
    assert message in str(caught.value)


def test_a_cancelled_call_gives_its_slot_back() -> None:
    model = random_model()
    engine = PolicyEngine(model, slots=2, max_len=128)

    async def main() -> Completion:
        running = asyncio.create_task(engine.generate(prompt(0, 5), replace(GREEDY, max_tokens=120)))
        beside = asyncio.create_task(engine.generate(prompt(1, 5), replace(GREEDY, max_tokens=120)))
        waiting = asyncio.create_task(engine.generate(prompt(3, 5), replace(GREEDY, max_tokens=120)))
        wanted = asyncio.create_task(engine.generate(prompt(2, 5), replace(GREEDY, max_tokens=4)))
        for _ in range(10):
            await asyncio.sleep(0)
        running.cancel()
        beside.cancel()
        waiting.cancel()
        steps = 0
        while not wanted.done():
            await asyncio.sleep(0)
            steps += 1
        assert steps < 20
        assert running.cancelled()
        assert waiting.cancelled()
        # What was computed of the cancelled request is still good for reuse.
        again = await engine.generate([*prompt(1, 5), *naive_greedy(model, prompt(1, 5), 20)], GREEDY)
        assert again.tokens == naive_greedy(model, prompt(1, 5), 32)[20:]
        return wanted.result()

    assert run_quietly(main()).tokens == naive_greedy(model, prompt(2, 5), 4)


def test_damaged_weights_fail_all_and_good_ones_heal() -> None:
    model = random_model()
    engine = PolicyEngine(model, slots=2, max_len=64)
    good = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    bad = good | {"model.layers.0.self_attn.kv_a_layernorm.weight": torch.full((16,), math.nan)}
    prompts, shorter = [prompt(n, 9) for n in range(5)], [prompt(n, 2) for n in range(5)]

    async def main() -> list[Completion]:
        engine.load_weights(bad, 1)
        calls = [engine.generate(tokens, GREEDY) for tokens in prompts]
        for result in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(result, EngineError)
            assert "not finite" in str(result)
        engine.load_weights(good, 2)
        # Shorter ones: positions beyond them, still masked, are where the damage was.
        return await generate_all(engine, shorter, [GREEDY] * 5)

    for tokens, completion in zip(shorter, run_quietly(main()), strict=True):
        assert completion.tokens == naive_greedy(model, tokens, 12)
        assert completion.version == 2


def test_weights_may_change_while_requests_run() -> None:
    engine = PolicyEngine(random_model(0), slots=2, max_len=64)
    first, second = random_model(0), random_model(7)
    long = replace(GREEDY, max_tokens=12)

    async def main() -> tuple[Completion, Completion]:
        running = asyncio.create_task(engine.generate(prompt(0, 9), long))
        for _ in range(6):
            await asyncio.sleep(0)
        engine.load_weights(second.state_dict(), 5)
        later = await engine.generate(prompt(1, 9), long)
        return await running, later

    mixed, later = run_quietly(main())
    assert later.tokens == naive_greedy(second, prompt(1, 9), 12)
    assert (mixed.version, later.version) == (0, 5)
    changed = next(n for n in range(1, 13) if mixed.tokens[:n] != naive_greedy(first, prompt(0, 9), n)) - 1
    before = [*prompt(0, 9), *mixed.tokens[:changed]]
    assert mixed.tokens[changed:] == naive_greedy(second, before, 12 - changed)


def test_weights_of_another_shape_are_refused_whole() -> None:
    engine = PolicyEngine(random_model(0), slots=1, max_len=32)
    other = weights(7)
    with pytest.raises(EngineError, match=r"lm_head\.weight is \(5, 5\) in them and \(37, 32\)"):
        engine.load_weights(other | {"lm_head.weight": torch.zeros(5, 5)}, 1)
    del other["model.norm.weight"]
    with pytest.raises(EngineError, match=r"model\.norm\.weight is None in them"):
        engine.load_weights(other, 1)
    assert engine.version == 0
    own = engine.model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in weights(0).items())


def test_closing_ends_what_waits_and_the_engine_can_start_again() -> None:
    model = random_model()
    engine = PolicyEngine(model, slots=1, max_len=64)

    async def main() -> Completion:
        calls = [asyncio.create_task(engine.generate(prompt(n, 5), GREEDY)) for n in range(3)]
        for _ in range(4):
            await asyncio.sleep(0)
        await engine.close()
        for result in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(result, EngineError)
        return await engine.generate(prompt(0, 5), GREEDY)

    assert run_quietly(main()).tokens == naive_greedy(model, prompt(0, 5), 12)
    run_quietly(engine.close())


def test_one_event_loop_after_another() -> None:
    model = random_model()
    engine = PolicyEngine(model, slots=2, max_len=128)
    expected = naive_greedy(model, prompt(0, 5), 12)

    async def abandon() -> None:
        asyncio.create_task(engine.generate(prompt(3, 5), replace(GREEDY, max_tokens=100)))  # noqa: RUF006
        for _ in range(5):
            await asyncio.sleep(0)

    for _ in range(3):
        assert run_quietly(engine.generate(prompt(0, 5), GREEDY)).tokens == expected
        run_quietly(abandon())
    with asyncio.Runner() as runner:
        for _ in range(2):
            assert runner.run(engine.generate(prompt(0, 5), GREEDY)).tokens == expected


def test_a_second_running_loop_is_refused() -> None:
    engine = PolicyEngine(random_model(), slots=2, max_len=128)

    async def main() -> None:
        first = asyncio.create_task(engine.generate(prompt(0, 5), replace(GREEDY, max_tokens=50)))
        await asyncio.sleep(0)
        with pytest.raises(EngineError, match="another running event loop"):
            await asyncio.to_thread(asyncio.run, engine.generate(prompt(1, 5), GREEDY))
        await first

    run_quietly(main())


def test_a_group_computes_its_prompt_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Members that arrive together wait for the first; so do those that share only a beginning."""
    model = random_model(1)
    engine = PolicyEngine(model, slots=20, max_len=64, page_size=4, prefill=16)
    computed = count_computed(engine, monkeypatch)
    same, longer = prompt(0, 33), [*prompt(0, 33)[:30], *prompt(1, 9)]
    prompts = [same] * 12 + [longer] * 3
    samplings = [replace(GREEDY, temperature=1.0, max_tokens=6, seed=n) for n in range(15)]
    found = run_quietly(generate_all(engine, prompts, samplings))
    # Each member computes its last prompt token and what it sampled but the last; beginnings come in pages.
    assert sum(computed) <= 33 + (39 - 28) + 15 * (3 + 6)
    for tokens, sampling, completion in zip(prompts, samplings, found, strict=True):
        alone = run_quietly(generate_all(PolicyEngine(model, slots=1, max_len=64), [tokens], [sampling]))[0]
        assert completion.tokens == alone.tokens
        assert completion.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_long_prompts_do_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = PolicyEngine(random_model(), slots=4, max_len=128, prefill=10)
    computed = count_computed(engine, monkeypatch)
    run_quietly(generate_all(engine, [prompt(0, 5), prompt(1, 90), prompt(2, 40)], [GREEDY] * 3))
    assert max(computed) <= 10 + 2
    assert sum(computed) == 5 + 90 + 40 + 3 * 11


@pytest.mark.parametrize("pages", [16, 20, 40])
def test_too_few_pages_lose_nothing(pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests wait, step back and are computed again; each ends as if alone."""
    model = random_model(2)
    engine = PolicyEngine(model, slots=6, max_len=64, pages=pages, page_size=4)
    computed = count_computed(engine, monkeypatch)
    prompts = [prompt(n, 5 + 4 * n) for n in range(9)]
    samplings = [replace(GREEDY, temperature=0.8, seed=n, max_tokens=25, experts_from=0) for n in range(9)]
    found = run_quietly(generate_all(engine, prompts, samplings))
    least = sum(len(tokens) + 24 for tokens in prompts)
    assert sum(computed) >= least
    assert pages == 40 or sum(computed) > least  # some were computed again
    for tokens, sampling, completion in zip(prompts, samplings, found, strict=True):
        alone = run_quietly(generate_all(PolicyEngine(model, slots=1, max_len=64), [tokens], [sampling]))[0]
        assert completion.tokens == alone.tokens
        assert completion.experts is not None
        assert alone.experts is not None
        assert (completion.experts == alone.experts).all()
    assert engine._cache.room == pages


def test_a_request_that_can_never_fit_is_refused() -> None:
    engine = PolicyEngine(random_model(), slots=2, max_len=64, pages=4, page_size=4)
    message = "a request of 9 tokens and 12 new ones does not fit: it needs 5 pages of 4 tokens and the cache has 4"
    with pytest.raises(EngineError, match=message):
        run_quietly(engine.generate(prompt(0, 9), GREEDY))
    assert len(run_quietly(engine.generate(prompt(0, 5), GREEDY)).tokens) == 12


@pytest.mark.parametrize("start", [0, 7, 20])
def test_expert_choices_are_those_of_the_full_forward(start: int) -> None:
    model = random_model(6, n_routed_experts=8, num_hidden_layers=3)
    engine = PolicyEngine(model, slots=4, max_len=64, page_size=4)
    sampling = replace(GREEDY, experts_from=start)
    prompts = [prompt(0, 21), prompt(0, 21), [*prompt(0, 12), *prompt(3, 10)]]
    for tokens, completion in zip(prompts, run_quietly(generate_all(engine, prompts, [sampling] * 3)), strict=True):
        with torch.no_grad():
            routing = model(torch.tensor([[*tokens, *completion.tokens]]), ties="recent", return_routing=True).routing
        expected = torch.stack([choice[0] for choice in routing], dim=1)[start:-1].sort().values
        assert completion.experts is not None
        assert completion.experts.shape == (len(tokens) + 11 - start, 2, 2)
        assert torch.equal(torch.from_numpy(completion.experts).long().sort().values, expected)
    assert run_quietly(engine.generate(prompts[0], GREEDY)).experts is None


def test_versions_and_experts_of_both_weights() -> None:
    engine, second = PolicyEngine(random_model(0), slots=2, max_len=64), random_model(7)
    sampling = replace(GREEDY, experts_from=0)

    async def main() -> tuple[Completion, Completion]:
        running = asyncio.create_task(engine.generate(prompt(0, 9), sampling))
        for _ in range(6):
            await asyncio.sleep(0)
        engine.load_weights(second.state_dict(), 5)
        return await running, await engine.generate(prompt(1, 9), sampling)

    mixed, later = run_quietly(main())
    assert later.versions is None
    assert mixed.versions is not None
    before = mixed.versions.count(0)
    assert 0 < before < 12
    assert mixed.versions == (0,) * before + (5,) * (12 - before)
    tokens = torch.tensor([[*prompt(0, 9), *mixed.tokens]])
    known = 9 + before - 1  # what the first weights computed before they went
    assert mixed.experts is not None
    for weights_of, positions in ((random_model(0), slice(0, known)), (second, slice(known, 9 + 11))):
        with torch.no_grad():
            routing = weights_of(tokens, ties="recent", return_routing=True).routing
        expected = torch.stack([choice[0] for choice in routing], dim=1)[positions].sort().values
        assert torch.equal(torch.from_numpy(mixed.experts[positions]).long().sort().values, expected)


def test_stop_sequences_end_with_the_new_tokens_only() -> None:
    model = random_model()
    said = naive_greedy(model, prompt(0, 6), 12)
    engine = PolicyEngine(model, slots=4, max_len=64)
    across = (prompt(0, 6)[-1], said[0])  # begins in the prompt: not a match
    samplings = [
        replace(GREEDY, stop_sequences=(said[3:6],)),
        replace(GREEDY, stop_sequences=((), across, said[5:7], said[:9])),
        replace(GREEDY, stop_sequences=(said[:1],)),
        replace(GREEDY, stop_sequences=((*said, 1),)),
    ]
    found = run_quietly(generate_all(engine, [prompt(0, 6)] * 4, samplings))
    for sampling, completion in zip(samplings, found, strict=True):
        ends = [
            end
            for end in range(1, 13)
            if any(one and said[max(0, end - len(one)) : end] == one for one in sampling.stop_sequences)
        ]
        assert completion.tokens == said[: min(ends, default=12)]
        assert completion.finish == ("stop" if ends else "length")


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_deterministic_results_are_the_same_to_the_last_bit(data: st.DataObject) -> None:
    """Whatever arrives when, however prompts are cut, whatever pages are left or cached, whoever leaves."""
    model = random_model(4)
    shared = prompt(99, 20)
    wanted = [[*shared[: 7 + 5 * n], *prompt(n, 4 + n)] for n in range(3)]
    sampling = [Sampling(top_p=0.9, max_tokens=9, seed=n) for n in range(3)]
    alone = [
        run_quietly(PolicyEngine(model, slots=1, max_len=48, deterministic=True).generate(tokens, how))
        for tokens, how in zip(wanted, sampling, strict=True)
    ]
    engine = PolicyEngine(
        model,
        slots=data.draw(st.integers(1, 6)),
        max_len=48,
        pages=data.draw(st.integers(13, 60)),
        page_size=data.draw(st.sampled_from([4, 7])),
        prefill=data.draw(st.integers(1, 40)),
        deterministic=True,
    )
    crowd = data.draw(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9), st.booleans()), max_size=6))

    async def stranger(number: int, length: int, delay: int, leaves: bool) -> None:
        for _ in range(delay):
            await asyncio.sleep(0)
        tokens = [*shared[:length], *prompt(50 + number, 3)]
        call = asyncio.create_task(engine.generate(tokens, Sampling(max_tokens=1 + delay, seed=number)))
        if leaves:
            for _ in range(delay // 2):
                await asyncio.sleep(0)
            call.cancel()
        await asyncio.wait([call])

    async def main() -> list[Completion]:
        strangers = [asyncio.create_task(stranger(number, *plan)) for number, plan in enumerate(crowd)]
        found = await asyncio.gather(*(engine.generate(*pair) for pair in zip(wanted, sampling, strict=True)))
        again = await asyncio.gather(*(engine.generate(*pair) for pair in zip(wanted, sampling, strict=True)))
        await asyncio.gather(*strangers)
        return [*found, *again]

    assert run_quietly(main()) == [*alone, *alone]


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.integers(1, 9), st.integers(0, 12), st.booleans()), min_size=1, max_size=9
    ),
    st.integers(1, 4),
    st.sampled_from([None, 12, 17]),
    st.integers(1, 40),
    st.one_of(st.none(), st.integers(0, 12)),
)
def test_any_schedule_gives_the_same_tokens(
    plans: list[tuple[int, int, int, bool]], slots: int, pages: int | None, prefill: int, swap: int | None
) -> None:
    """Requests of any length that come and are cancelled at any time do not disturb one another; neither do scarce
    pages, prompts cut anywhere, nor the same weights loaded again."""
    model = random_model(4)
    engine = PolicyEngine(model, slots=slots, max_len=48, pages=pages, page_size=4, prefill=prefill)

    async def one(number: int, length: int, count: int, delay: int, cancel: bool) -> Completion | None:
        for _ in range(delay):
            await asyncio.sleep(0)
        sampling = Sampling(temperature=0.0, top_p=0.9, max_tokens=count)
        call = asyncio.create_task(engine.generate(prompt(number, length), sampling))
        if not cancel:
            return await call
        for _ in range(delay // 2):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])
        return None

    async def load() -> None:
        for _ in range(swap or 0):
            await asyncio.sleep(0)
        if swap is not None:
            engine.load_weights({name: tensor.clone() for name, tensor in model.state_dict().items()}, 1)

    async def main() -> list[Completion | None]:
        calls = [one(number, *plan) for number, plan in enumerate(plans)]
        *found, _ = await asyncio.gather(*calls, load())
        return list(found)

    for number, (plan, completion) in enumerate(zip(plans, run_quietly(main()), strict=True)):
        if completion is not None:
            assert completion.tokens == naive_greedy(model, prompt(number, plan[0]), plan[1])
