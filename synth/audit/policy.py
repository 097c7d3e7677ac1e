"""The local lane of OpenEnv's severity policy v1 (RFC 008, environment auto-validation): what is asked, and what it
costs to fail. https://github.com/huggingface/OpenEnv/blob/main/rfcs/008-environment-auto-validation.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["pass", "fail", "skip", "error"]
Severity = Literal["fail", "warn"]
VERSION = "v1"
MAX_ORACLE_TOLERANCE, MIN_FLOOR_MARGIN = 0.1, 0.1
MAX_VARIANCE_TOLERANCE, MAX_EPISODE_SECONDS = 0.2, 3600.0
LEVELS = {"static": 1, "runtime": 2, "semantic": 3}

_COUNTS: dict[str, tuple[str, str]] = {
    "static": (
        "manifest reproducible_build sbom oci_labels resource_declaration timeout_ceiling dependency_pinning "
        "task_distribution_pinning",
        "image_hygiene layout",
    ),
    "runtime": (
        "reward_well_formed observation_schema state_contract tool_declaration_accuracy task_declaration_accuracy "
        "seed_control episode_determinism network_policy host_containment resource_bounds episode_isolation "
        "oracle_containment",
        "rubric_introspectable trajectory_record reward_attribution",
    ),
    "semantic": (
        "oracle_max floor_gap canary_floor no_solution_leakage verifier_determinism verifier_portability "
        "resource_envelope replayability",
        "",
    ),
}
SEVERITIES: dict[str, Severity] = {}
for _level, (_fails, _warns) in _COUNTS.items():
    SEVERITIES |= {f"{_level}.{name}": "fail" for name in _fails.split()}
    SEVERITIES |= {f"{_level}.{name}": "warn" for name in _warns.split()}
"""The 33 checks of the local lane, and whether failing one fails the whole or only warns."""


@dataclass(frozen=True)
class Answer:
    """What one check found: its status, the evidence in words and in numbers, and how to mend it where it failed."""

    id: str
    status: Status
    evidence: tuple[str, ...] = ()
    measured: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""
    seconds: float = 0.0

    @property
    def severity(self) -> Severity:
        """What the policy makes of a failure."""
        return SEVERITIES[self.id]

    @property
    def shown(self) -> str:
        """The status as people read it: a failure that only warns is a `warn`."""
        return "warn" if self.status == "fail" and self.severity == "warn" else self.status


def verdict_of(answers: Sequence[Answer]) -> Literal["pass", "warn", "fail"]:
    """The policy's verdict: `fail` for an error or a failure that counts, `warn` for a skip or any other failure."""
    if any(one.status == "error" or (one.status == "fail" and one.severity == "fail") for one in answers):
        return "fail"
    return "warn" if any(one.status in ("skip", "fail") for one in answers) else "pass"
