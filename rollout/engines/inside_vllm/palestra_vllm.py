"""What of this project runs inside vLLM's own Python, which has vLLM and torch but not this project.

As a module to run it is vLLM's API server, ending with the process that started it; `WeightUpdates` is added to vLLM's
workers (`--worker-extension-cls`).
"""

from __future__ import annotations

import ctypes
import runpy
import signal
from typing import Any

_PR_SET_PDEATHSIG = 1


class WeightUpdates:
    """Mixed into vLLM's worker class."""

    def load_checkpoint(self: Any, folder: str) -> None:
        """Replace the model's weights by those of the checkpoint in `folder`.

        vLLM 0.32 forgets to pack the experts of its CPU kernels on a second load, which leaves them garbage.
        """
        self.reload_weights(weights_path=folder)
        for module in self.model_runner.get_model().modules():
            kernel = getattr(getattr(module, "quant_method", None), "moe_kernel", None)
            experts: Any = getattr(kernel, "fused_experts", None)
            if type(experts).__name__.endswith("CPUUnquantizedExperts"):
                experts.process_weights_after_loading(module)


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    runpy.run_module("vllm.entrypoints.openai.api_server", run_name="__main__")
