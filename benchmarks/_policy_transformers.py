"""transformers as a peer: batched `generate` with its cache, on its own implementation of DeepSeek-V3.2.

Run by `_policy_peers.Peer`. Prompts of several lengths are padded on the left, as its users do.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from _policy_answering import cpu_seconds, serve
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)


class Generation:
    """The model with its defaults: SDPA attention, grouped expert products, a dynamic cache of the latents."""

    def __init__(self, folder: str, dtype: str) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
        self.model.generation_config.eos_token_id = None  # every side samples all its tokens

    @property
    def settings(self) -> dict[str, Any]:
        """How it runs, as it says itself."""
        config = self.model.config
        return {
            "class": type(self.model).__name__,
            "attention": config._attn_implementation,
            "experts": config._experts_implementation,
            "dtype": str(self.model.dtype),
            "use_cache": True,
        }

    @torch.inference_mode()
    def generate(self, prompts: list[list[int]], new: int, greedy: bool) -> dict[str, Any]:
        """`new` tokens after each prompt, one batch."""
        longest = max(map(len, prompts))
        tokens_BT = torch.tensor([[0] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask_BT = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        sampling = {"do_sample": False} if greedy else {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "top_k": 0}
        began = cpu_seconds()
        out_BT = self.model.generate(
            tokens_BT, attention_mask=mask_BT, max_new_tokens=new, use_cache=True, pad_token_id=0, **sampling
        )
        spent = cpu_seconds() - began
        return {"tokens": out_BT[:, longest:].tolist(), "cpu": spent}

    @torch.inference_mode()
    def gap(self, tokens: list[int]) -> dict[str, Any]:
        """How far the two most likely tokens after `tokens` are apart, in logits."""
        best = self.model(torch.tensor([tokens]), logits_to_keep=1).logits[0, -1].float().topk(2)
        return {"gap": float(best.values[0] - best.values[1]), "tokens": best.indices.tolist()}


if __name__ == "__main__":
    generation = Generation(**json.loads(sys.argv[1]))
    serve({"generate": generation.generate, "gap": generation.gap}, ("transformers", "torch"), generation.settings)
