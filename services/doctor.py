"""What this machine has for Palestra, what is missing, and the command that mends it."""

from __future__ import annotations

import importlib.metadata
import os
import platform

from ..infra.sandbox.doctor import Finding, diagnose
from ..infra.store import Store, StoreError
from ..rollout.errors import RolloutError
from .errors import BadRequest


def examine(store_url: str, ray_address: str | None) -> list[Finding]:
    """Everything looked at; nothing is raised for what is missing."""
    return [
        Finding("python", True, f"{platform.python_version()}, {os.cpu_count()} CPUs", ""),
        _torch(),
        _ray(ray_address),
        _store(store_url),
        *diagnose(),
    ]


def fit(findings: list[Finding]) -> bool:
    """True when every command can run: the essentials, and at least one sandbox that isolates."""
    essential = [finding.ok for finding in findings if finding.name in ("python", "torch", "ray", "store")]
    sandboxes = [finding.ok for finding in findings if finding.name.startswith("sandbox ")]
    return all(essential) and any(sandboxes)


def _torch() -> Finding:
    try:
        import torch

        shape = tuple((torch.ones(2, 3) @ torch.ones(3, 2)).shape)
    except (ImportError, OSError, RuntimeError) as error:
        return Finding("torch", False, f"cannot be used: {error}", "pip install --force-reinstall torch")
    assert shape == (2, 2)
    place = "with CUDA" if torch.cuda.is_available() else "on the CPU"
    return Finding("torch", True, f"{torch.__version__} {place}", "")


def _ray(address: str | None) -> Finding:
    version = importlib.metadata.version("ray")
    try:
        from .machines import connect_ray

        cpus = connect_ray(address)
    except (RolloutError, BadRequest) as error:
        return Finding("ray", False, str(error), "ray start --head")
    return Finding("ray", True, f"{version}, {cpus:g} CPUs at {address or 'a local Ray'}", "")


def _store(url: str) -> Finding:
    try:
        with Store(url) as store:
            return Finding("store", True, store.shown_url, "")
    except StoreError as error:
        problem, _, remedy = str(error).rpartition(": ")
        return Finding("store", False, problem or str(error), remedy)
