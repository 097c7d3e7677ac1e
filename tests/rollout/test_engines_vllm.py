"""Against a real vLLM (`make vllm`): exact tokens both ways, cancellation, new weights, and the example's episodes."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
import torch

from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.rollout.engines.openai_tokens import OpenAITokensEngine
from palestra.rollout.engines.vllm import VllmEngine
from palestra.rollout.engines.vllm_server import CPU_OPTIONS, VllmServer, find_vllm_python
from palestra.rollout.types import Completion, Sampling

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.skipif(find_vllm_python() is None, reason="no Python with vLLM: run `make vllm`"),
]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "vllm" / "run.py"
PLAIN = Sampling(top_p=1.0, max_tokens=40, seed=5)
SAMPLINGS = [
    PLAIN,
    replace(PLAIN, top_p=0.9),
    replace(PLAIN, temperature=0.6, top_k=7),
    replace(PLAIN, temperature=0.0),
    replace(PLAIN, min_p=0.2),
    replace(PLAIN, stop=tuple(range(300, 500))),
    replace(PLAIN, stop_sequences=tuple((token,) for token in range(300, 500))),
    replace(PLAIN, max_tokens=2000),
]
CONTEXT = 1000


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vllm_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def prompt(number: int, length: int = 20) -> list[int]:
    return [0, *torch.randint(10, 700, (length,), generator=torch.Generator().manual_seed(number)).tolist()]


@torch.no_grad()
def recomputed(model: DeepseekV32ForCausalLM, tokens: list[int], said: Completion, sampling: Sampling) -> torch.Tensor:
    """The log-probabilities of a completion by our model: temperature, min-p, top-k, top-p, as vLLM does."""
    logits_TV = model(torch.tensor([[*tokens, *said.tokens]])).logits_BTV[0, len(tokens) - 1 : -1]
    logits_TV = logits_TV / (sampling.temperature or 1.0)
    sorted_TV, order_TV = logits_TV.sort(dim=-1, descending=True)
    if sampling.temperature:
        sorted_TV[sorted_TV.softmax(dim=-1) < sampling.min_p * sorted_TV.softmax(dim=-1)[:, :1]] = -torch.inf
        sorted_TV[:, sampling.top_k or sorted_TV.shape[1] :] = -torch.inf
        probs_TV = sorted_TV.softmax(dim=-1)
        sorted_TV[probs_TV.cumsum(dim=-1) - probs_TV >= sampling.top_p] = -torch.inf
    logprobs_TV = torch.empty_like(logits_TV).scatter_(1, order_TV, sorted_TV.log_softmax(dim=-1))
    return logprobs_TV.gather(1, torch.tensor(said.tokens)[:, None])[:, 0]


def differ(model: DeepseekV32ForCausalLM, tokens: list[int], said: Completion, sampling: Sampling) -> float:
    return float((recomputed(model, tokens, said, sampling) - torch.tensor(said.logprobs)).abs().max())


def count(server: VllmServer, name: str) -> float:
    lines = httpx.get(server.server.url("//metrics")).text
    return sum(float(value) for value in re.findall(rf"^vllm:{name}{{.*}} (\S+)$", lines, re.MULTILINE))


async def check_samplings(model: DeepseekV32ForCausalLM, engines: list[OpenAITokensEngine]) -> None:
    for number, sampling in enumerate(SAMPLINGS):
        tokens = prompt(number)
        whole = await engines[0].generate(tokens, sampling)
        assert differ(model, tokens, whole, sampling) < 1e-3
        assert whole.finish == ("stop" if sampling.stop or sampling.stop_sequences else "length")
        assert len(whole.tokens) <= CONTEXT - len(tokens)
        for engine in engines:
            assert await engine.generate(tokens, sampling) == whole
            *deltas, last = [piece async for piece in engine.stream(tokens, sampling)]
            assert last == whole
            assert [token for delta in deltas for token in delta.tokens] == list(whole.tokens)
    assert await engines[0].generate([1] * CONTEXT, PLAIN) == Completion((), (), "length")


async def check_cancellation(server: VllmServer, engine: OpenAITokensEngine) -> None:
    """Cancelled in the midst of it, vLLM stops at once: it never samples most of what was asked for."""
    began = count(server, "generation_tokens_total")
    long = replace(PLAIN, max_tokens=2000)
    started = [asyncio.Event() for _ in range(8)]

    async def read(number: int) -> None:
        async for _ in engine.stream(prompt(number), long):
            started[number].set()

    tasks = [asyncio.ensure_future(engine.generate(prompt(100 + n), long)) for n in range(8)]
    readers = [asyncio.create_task(read(n)) for n in range(8)]
    for event in started:
        await event.wait()
    for task in (*tasks, *readers):
        task.cancel()
    await asyncio.wait([*tasks, *readers])
    assert all(task.cancelled() for task in (*tasks, *readers))
    while await asyncio.to_thread(count, server, "num_requests_running"):
        pass
    assert count(server, "generation_tokens_total") - began < 16 * (CONTEXT - 21) / 2


async def check_new_weights(example: Any, model: DeepseekV32ForCausalLM, engine: VllmEngine, work: Path) -> None:
    old = prompt(7)
    running = asyncio.create_task(engine.generate(old, replace(PLAIN, max_tokens=200)))
    await asyncio.sleep(0)
    with torch.no_grad():
        changed = DeepseekV32ForCausalLM.from_pretrained(work / "source")
        for parameter in changed.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.02)
    folder = Path(example.export(changed, work / "source", work / "changed"))
    await engine.load_weights(folder, 3)
    await engine.load_weights(work, 3)  # it is there already, so that nothing is read
    before = await running
    mine = model if before.version == 0 else changed
    assert differ(mine, old, before, PLAIN) < 1e-3
    after = await engine.generate(prompt(8), PLAIN)
    assert after.version == 3
    assert differ(changed, prompt(8), after, PLAIN) < 1e-3
    assert differ(model, prompt(8), after, PLAIN) > 0.1


def test_a_real_vllm(tmp_path: Path) -> None:
    made = example()
    model = made.dense_coldstart(tmp_path / "source").eval()
    folder = made.export(model, tmp_path / "source", tmp_path / "exported")

    async def main() -> None:
        options = ("--dtype", "float32", "--max-model-len", str(CONTEXT), *CPU_OPTIONS)
        async with VllmServer(folder, options, log=tmp_path / "log") as server:
            own = server.engine(model.config.vocab_size)
            openai = OpenAITokensEngine(server.server, model.config.vocab_size)
            await check_samplings(model, [own, openai])
            for engine in (own, openai):
                await check_cancellation(server, engine)
            await check_new_weights(made, model, own, tmp_path)
            await own.close()
            await openai.close()

    asyncio.run(main())


def test_the_example_plays_real_episodes(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE), "--json", str(tmp_path / "figures.json")]
    subprocess.run(command, check=True, capture_output=True)
    figures = json.loads((tmp_path / "figures.json").read_text())
    smollm2, deepseek = figures["smollm2"], figures["deepseek"]
    for played in (smollm2, smollm2["through_openai_api"], deepseek["before"], deepseek["after"]):
        assert played["valid"] == played["episodes"] > 0
        assert played["sampled_tokens"] >= played["episodes"]
    for played, version in ((deepseek["before"], 0), (deepseek["after"], 1)):
        assert played["versions"] == [version]
        assert played["max_logprob_difference"] < 1e-3
    assert deepseek["update"]["samples"] > 0
    assert deepseek["difference_to_the_old_weights"] > 1e-2
