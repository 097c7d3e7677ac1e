"""New weights for engines that play while they are trained."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Weights = Mapping[str, Any] | Path
"""A model's tensors by name, for an engine in the worker's own process; or the folder of a checkpoint, for one that
runs elsewhere and reads it there (as vLLM does: `policy.export` writes what it reads)."""


@runtime_checkable
class TakesWeights(Protocol):
    """What an engine has beside `Engine` where its weights can be replaced; it says which kind it takes."""

    def load_weights(self, weights: Any, version: int) -> Awaitable[None] | None:
        """Sample by `weights` from now on, and say so by `version`. Asynchronous where that takes requests.

        Workers that share one server each call it: the second finds `version` there already. Raises EngineError.
        """
        ...
