"""Episodes through a real vLLM: SmolLM2 in its own chat format, and the project's policy with a training step between.

Prints what was measured; with --json also writes it. Needs vLLM (`make vllm`); see README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from palestra.envs.registry import environment_class
from palestra.envs.types import Task
from palestra.policy.export import VLLM_CPU_LATENT, export_deepseek_v3
from palestra.policy.groups import samples_of
from palestra.policy.grpo import GrpoConfig
from palestra.policy.learner import Learner, OptimConfig
from palestra.policy.model import DeepseekV32ForCausalLM
from palestra.rollout.engines.vllm_server import CPU_OPTIONS, VllmServer, find_vllm_python
from palestra.rollout.episode import Budget, run_episode
from palestra.rollout.hf_codec import HFChatCodec, codec_of
from palestra.rollout.players import TokenPolicy
from palestra.rollout.types import Episode, Policy, Sampling
from palestra.services.policies import COLDSTART, parse_policy

Figures = dict[str, Any]
HERE = Path(__file__).resolve().parent
# Without truncation, so that a log-probability is the model's own and two implementations can be compared.
SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_tokens=96, seed=0)


def make_tasks(env: str, count: int, levels: Sequence[int] = (1,)) -> list[Task]:
    """Tasks of an environment that anyone can make again, of all `levels` in turn."""
    proposer = environment_class(env)()
    return [proposer.propose(random.Random(f"{env}/{n}"), levels[n % len(levels)]) for n in range(count)]


async def play(policy: Policy, tasks: Sequence[Task], samples: int, turns: int) -> list[Episode]:
    """All episodes at once."""
    budget = Budget(turns=turns)
    games = [
        run_episode(environment_class(task.env)(), task, policy, sample, budget)
        for task in tasks
        for sample in range(samples)
    ]
    return list(await asyncio.gather(*games))


async def measure(policy: Policy, tasks: Sequence[Task], samples: int, turns: int) -> tuple[list[Episode], Figures]:
    """Play, and count."""
    began = time.perf_counter()
    episodes = await play(policy, tasks, samples, turns)
    seconds = time.perf_counter() - began
    completions = [turn.move.completion for episode in episodes for turn in episode.turns if turn.move.completion]
    sampled = sum(len(completion.tokens) for completion in completions)
    rewards = [episode.verdict.reward for episode in episodes if episode.verdict.reward is not None]
    return episodes, {
        "episodes": len(episodes),
        "valid": sum(episode.verdict.validity == "valid" for episode in episodes),
        "outcomes": dict(Counter(episode.outcome for episode in episodes)),
        "errors": sorted({episode.error.strip().splitlines()[-1] for episode in episodes if episode.error})[:3],
        "reward": round(sum(rewards) / max(1, len(rewards)), 3),
        "sampled_tokens": sampled,
        "tokens_per_second": round(sampled / seconds, 1),
        "drifting_tokens": sum(turn.move.drift for episode in episodes for turn in episode.turns),
        "versions": sorted({completion.version for completion in completions}),
    }


@torch.no_grad()
def disagreement(model: DeepseekV32ForCausalLM, episodes: Sequence[Episode]) -> float:
    """The largest difference between a recorded log-probability and the model's own for the same trajectory."""
    worst = 0.0
    for path in (segment for episode in episodes for segment in episode.segments if any(segment.mask)):
        logprobs_TV = model(torch.tensor([path.tokens])).logits_BTV[0].log_softmax(dim=-1)
        chosen_T = logprobs_TV[:-1].gather(1, torch.tensor(path.tokens[1:])[:, None])[:, 0]
        sampled_T = torch.tensor(path.mask[1:], dtype=torch.bool)
        recorded_T = torch.tensor(path.logprobs[1:])
        worst = max(worst, float((chosen_T - recorded_T)[sampled_T].abs().max()))
    return worst


async def smollm2(work: Path, episodes: int) -> Figures:
    """SmolLM2-135M-Instruct plays the search environment, by both ways to a vLLM: its own API and OpenAI's."""
    folder = work / "smollm2"
    if not (folder / "tokenizer.json").is_file():
        subprocess.run([str(find_vllm_python()), str(HERE / "smollm2.py"), str(folder)], check=True)
    options = ("--dtype", "bfloat16", "--max-model-len", "2048", "--max-num-seqs", "32", *CPU_OPTIONS)
    async with VllmServer(folder, options, log=work / "smollm2.log") as server:
        codec = HFChatCodec(folder)
        engine = server.engine(codec.tokenizer.vocab_size)
        tasks = make_tasks("search-mini", episodes)
        own = TokenPolicy("smollm2", engine, codec, SAMPLING)
        await measure(own, tasks[:1], 1, 1)  # the first requests of a vLLM compile its kernels
        _, figures = await measure(own, tasks, 1, 3)
        name = f"openai:{server.server.base_url}?model={server.server.model}&tokens={folder}"
        openai = parse_policy(name, SAMPLING)(None)
        _, again = await measure(openai, tasks[: max(1, episodes // 4)], 1, 3)
        await asyncio.gather(own.close(), openai.close())
        return {"start_seconds": round(server.start_seconds, 1), **figures, "through_openai_api": again}


def dense_coldstart(folder: Path) -> DeepseekV32ForCausalLM:
    """The shipped policy with index_topk as long as its context: sparse attention then selects everything."""
    shutil.copytree(COLDSTART, folder, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    config["index_topk"] = config["max_position_embeddings"]
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    return DeepseekV32ForCausalLM.from_pretrained(folder)


def export(model: DeepseekV32ForCausalLM, source: Path, target: Path) -> Path:
    """The model as a `deepseek_v3` checkpoint that vLLM's CPU build takes, with its tokenizer."""
    export_deepseek_v3(model, target, latent=VLLM_CPU_LATENT)
    for name in ("tokenizer.json", "tokenizer_config.json", "palestra.json"):
        shutil.copy(source / name, target / name)
    return target


async def deepseek(work: Path, episodes: int) -> Figures:
    """The project's policy in vLLM: episodes of search and travel, a GRPO step on them, new weights, and again."""
    source = work / "coldstart"
    model = dense_coldstart(source)
    context = json.loads((source / "palestra.json").read_text())["context"]
    options = ("--dtype", "float32", "--max-model-len", str(context), "--max-num-seqs", "64", *CPU_OPTIONS)
    async with VllmServer(export(model, source, work / "v3-0"), options, log=work / "deepseek.log") as server:
        codec = codec_of(source, show_tools=False)
        engine = server.engine(model.config.vocab_size)
        policy = TokenPolicy("coldstart", engine, codec, SAMPLING, context - 1)
        tasks = [
            task
            for env in ("search-mini", "travel-mini")
            for task in make_tasks(env, max(1, episodes // 16), levels=(2, 3))
        ]
        await measure(policy, tasks[:1], 1, 1)
        before, first = await measure(policy, tasks, 8, 12)
        first["max_logprob_difference"] = disagreement(model, before)
        samples, _ = samples_of(before)
        learner = Learner(model, OptimConfig(lr=2e-4))
        step = learner.grpo_step(samples, GrpoConfig())
        target = export(model, source, work / "v3-1")
        began = time.perf_counter()
        await engine.reload(target, 1)
        reload_seconds = time.perf_counter() - began
        after, second = await measure(policy, tasks, 8, 12)
        second["max_logprob_difference"] = disagreement(model, after)
        stale = disagreement(DeepseekV32ForCausalLM.from_pretrained(source), after)
        await policy.close()
    return {
        "start_seconds": round(server.start_seconds, 1),
        "before": first,
        "update": {"samples": len(samples), "loss": step["loss"], "reload_seconds": round(reload_seconds, 2)},
        "after": second,
        "difference_to_the_old_weights": stale,
    }


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["smollm2", "deepseek"], metavar="smollm2|deepseek")
    parser.add_argument("--episodes", type=int, default=32, help="about how many to play in each part")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--work", type=Path, help="keep checkpoints and logs in this folder")
    asked = parser.parse_args()
    if find_vllm_python() is None:
        sys.exit("no Python with vLLM: run `make vllm` first")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="palestra-vllm-") as temporary:
        work = (asked.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        parts = {"smollm2": smollm2, "deepseek": deepseek}
        figures = {name: asyncio.run(parts[name](work, asked.episodes)) for name in asked.parts}
    text = json.dumps(figures, indent=2)
    print(text)
    if asked.json:
        asked.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
