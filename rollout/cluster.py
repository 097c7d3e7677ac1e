"""Connect to Ray: a cluster by address, or a local one that ends with this process."""

from __future__ import annotations

import logging
import os

import ray

from .errors import RolloutError

# Ray's own default, stated so that Ray does not warn about a coming change of it.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")


class ClusterUnavailable(RolloutError):
    """No Ray cluster answers at the given address; the message names it and the remedy."""


def connect(address: str | None = None, cpus: int | None = None) -> None:
    """Connect once per process; later calls keep the first connection. Raises ClusterUnavailable."""
    if ray.is_initialized():
        return
    try:
        if address:
            ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
        else:
            ray.init(num_cpus=cpus, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        if not address:
            why = " ".join(str(error).split())[:300]
            raise ClusterUnavailable(f"Ray cannot start on this machine: {type(error).__name__}: {why}") from error
        raise ClusterUnavailable(
            f"no Ray cluster answers at {address!r} ({type(error).__name__}): "
            "start one with `ray start --head`, or leave out --ray"
        ) from error
