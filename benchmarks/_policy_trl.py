"""TRL's GRPOTrainer as a peer: its own training loop on prepared completions, so that only the update is timed.

Run by `_policy_peers.Peer` with the Python of TRL's environment. The clock runs from the trainer's `on_step_begin` to
its `on_step_end`: all micro-batches forward and backward, clipping, AdamW. Generation and rewards are replaced by the
given tensors and cost nothing. Plain float32, and no recomputation of activations: both are faster here than TRL's
defaults. Its micro-batch of 4 was the fastest of 2, 4, 8 and 16.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
import trl.trainer.utils as trl_utils
from _policy_answering import cpu_seconds, serve
from datasets import Dataset
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

torch.set_num_threads(1)
OPTIONS = {
    "bf16": False,
    "gradient_checkpointing": False,
    "per_device_train_batch_size": 4,
    "loss_type": "grpo",
    "scale_rewards": "none",
    "beta": 0.0,
    "epsilon": 0.2,
    "off_policy_mask_threshold": 0.5,
    "temperature": 1.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.95,
    "weight_decay": 0.01,
    "lr_scheduler_type": "constant",
}


class Prepared(GRPOTrainer):
    """Trains on the completions it is given."""

    given: dict[str, torch.Tensor]

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, torch.Tensor]:
        return dict(self.given)


class Clock(TrainerCallback):
    """CPU seconds of the last step, and its gradients where asked for (whose writing is not counted)."""

    def __init__(self) -> None:
        self.began = self.spent = 0.0
        self.gradients: str | None = None
        self.names: list[str] = []

    def on_step_begin(self, *unused: Any, **also: Any) -> None:
        """The first micro-batch is next."""
        self.began = cpu_seconds()

    def on_pre_optimizer_step(self, *unused: Any, model: torch.nn.Module, **also: Any) -> None:
        """Gradients of the whole step, clipped already."""
        if self.gradients:
            before = cpu_seconds()
            kept = dict(model.named_parameters())
            save_file({name: kept[name].grad.contiguous() for name in self.names}, self.gradients)
            self.began += cpu_seconds() - before

    def on_step_end(self, *unused: Any, **also: Any) -> None:
        """The optimiser is done."""
        self.spent = cpu_seconds() - self.began


class Update:
    """A trainer that takes one step whenever asked."""

    def __init__(self, folder: str, output: str, group: int, response: int, lr: float, max_grad_norm: float) -> None:
        size = OPTIONS["per_device_train_batch_size"]
        self.clock = Clock()
        self.trainer = Prepared(
            model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
            reward_funcs=lambda completions, **unused: [0.0] * len(completions),
            args=GRPOConfig(
                output_dir=output,
                use_cpu=True,
                gradient_accumulation_steps=group // size,
                num_generations=group,
                max_completion_length=response,
                learning_rate=lr,
                max_grad_norm=max_grad_norm,
                max_steps=1,
                report_to=[],
                save_strategy="no",
                logging_strategy="no",
                disable_tqdm=True,
                **OPTIONS,
            ),
            train_dataset=Dataset.from_list([{"prompt": "x"}] * group),
            processing_class=_tokenizer(),
            callbacks=[self.clock],
        )
        config = self.trainer.model.config
        self.settings = OPTIONS | {
            "attention": config._attn_implementation,
            "experts": config._experts_implementation,
            "optim": str(self.trainer.args.optim),
        }
        self._compact = trl_utils._use_triton

    def give(self, prompt: list[int], responses: list[list[int]], advantages: list[float]) -> dict[str, Any]:
        """The group to train on."""
        count = len(responses)
        prompt_BP, response_BR = torch.tensor([prompt] * count), torch.tensor(responses)
        self.trainer.given = {
            "prompt_ids": prompt_BP,
            "prompt_mask": torch.ones_like(prompt_BP),
            "completion_ids": response_BR,
            "completion_mask": torch.ones_like(response_BR),
            "advantages": torch.tensor(advantages),
            "num_items_in_batch": torch.tensor(response_BR.numel()),
        }
        return {}

    def update(
        self, completions_only: bool, gradients: str | None = None, names: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """One step. TRL's output projection scores the prompt's positions too where there is no Triton;
        `completions_only` has it do as on a GPU. `gradients` is a file for those of `names`.
        """
        trl_utils._use_triton = (lambda device: True) if completions_only else self._compact
        self.clock.gradients, self.clock.names = gradients, list(names)
        self.trainer.train()
        return {"cpu": self.clock.spent, "loss": self.trainer.state.log_history[-1]["train_loss"]}


def _tokenizer() -> PreTrainedTokenizerFast:
    words = WordLevel({"<pad>": 0, "<eos>": 1, "x": 2}, unk_token="x")
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(words), pad_token="<pad>", eos_token="<eos>", unk_token="x"
    )


if __name__ == "__main__":
    update = Update(**json.loads(sys.argv[1]))
    serve({"give": update.give, "update": update.update}, ("trl", "transformers", "torch"), update.settings)
