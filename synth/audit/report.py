"""Ask all 33, and write the answers as OpenEnv's validation report (schema version 1)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ...infra.sandbox.types import SandboxError
from .ground import Ground
from .policy import LEVELS, MIN_FLOOR_MARGIN, SEVERITIES, VERSION, Answer, verdict_of
from .runtime import RUNTIME
from .semantic import ORACLE_TOLERANCE, SEMANTIC
from .static import STATIC, declared, source_digest

SIGNATURE = "openenv.yaml"
"""The schema knows three package formats and no Python plugin; a served environment is the nearest."""


def answers(ground: Ground) -> list[Answer]:
    """The answer to every check of the policy, in its order. SandboxError passes through."""
    found = {}
    for ask in (*STATIC, *RUNTIME, *SEMANTIC):
        began = time.perf_counter()
        try:
            answer = ask(ground)
        except SandboxError:
            raise
        except Exception as error:
            level = ask.__module__.rpartition(".")[2]
            told = f"{type(error).__name__}: {error}"[:500]
            answer = Answer(f"{level}.{ask.__name__}", "error", (told,), remedy="the environment broke while asked")
        found[answer.id] = replace(answer, seconds=time.perf_counter() - began)
    assert found.keys() == SEVERITIES.keys()
    return [found[id] for id in SEVERITIES]


def report(ground: Ground, given: Sequence[Answer]) -> dict[str, Any]:
    """The report as JSON, with the manifest that the class amounts to."""
    return {
        "report_schema_version": "1",
        "target": ground.cls.id,
        "source_digest": source_digest(ground),
        "signature": SIGNATURE,
        "manifest": _manifest(ground),
        "policy_version": VERSION,
        "lane": "local",
        "levels_run": sorted(LEVELS.values()),
        "results": [
            {
                "check_id": one.id,
                "status": one.status,
                "measured": one.measured,
                "evidence": [text for text in one.evidence if text],
                "remediation": one.remedy or None,
                "duration_s": one.seconds,
            }
            for one in given
        ],
        "verdict": verdict_of(given),
    }


def _manifest(ground: Ground) -> dict[str, Any]:
    limits = declared(ground)
    return {
        "manifest_schema_version": "1",
        "name": ground.cls.id,
        "version": ground.cls.version,
        "signature": SIGNATURE,
        "reward": {"range": [0.0, 1.0], "oracle_tolerance": ORACLE_TOLERANCE, "floor_margin": MIN_FLOOR_MARGIN},
        "resources": {
            "cpu": limits["cpu"],
            "memory_mb": int(limits["memory_mb"]),
            "disk_mb": int(limits["disk_mb"]),
            "episode_timeout_s": limits["episode_timeout_s"],
        },
        "network": {"mode": "no-network"},
        "capabilities": {
            "oracle": {"form": "script", "location": f"{ground.package.module.name}:{ground.cls.__name__}.solve"},
            "verifier": {"kind": "reward_channel"},
            "declared_tools": list(ground.cls.toolset),
        },
        "types": {"tags": [f"palestra:{ground.cls.id}"]},
        "task_distribution": {"dataset_version": ground.cls.version},
    }
