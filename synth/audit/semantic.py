"""The semantic answers: what the reward means."""

from __future__ import annotations

from collections.abc import Callable

from ..types import Evidence
from .ground import Ground
from .policy import MAX_ORACLE_TOLERANCE, MIN_FLOOR_MARGIN, Answer
from .static import declared, failed, passed, skipped

ORACLE_TOLERANCE = 0.0
"""Ours: the oracle earns everything."""
_UNSOLVED = "the oracle does not pass"


def oracle_max(ground: Ground) -> Answer:
    """`semantic.oracle_max`: the oracle earns the maximum."""
    id, told = "semantic.oracle_max", ground.all_of("oracle_passes")
    bad = [one.detail for one in told if not one.ok]
    least = min((one.measured["reward"] for one in told if one.ok), default=0.0)
    assert ORACLE_TOLERANCE <= MAX_ORACLE_TOLERANCE
    if bad or least < 1.0 - ORACLE_TOLERANCE:
        return failed(id, "`solve` must give an answer that `verify` accepts", *(bad or ["there is no task"]))
    return passed(id, f"{len(told)} oracles earn 1.0", oracle_reward=least, declared_tolerance=ORACLE_TOLERANCE)


def floor_gap(ground: Ground) -> Answer:
    """`semantic.floor_gap`: doing nothing earns less by a margin."""
    id, told = "semantic.floor_gap", ground.all_of("noop_fails")
    bad = [one.detail for one in told if not one.ok]
    floor = max((one.measured["floor"] for one in told if one.ok), default=0.0)
    measured = {"measured_floor": floor, "declared_margin": MIN_FLOOR_MARGIN}
    if bad or not told or 1.0 - floor < MIN_FLOOR_MARGIN:
        return failed(id, "make `verify` look at the answer or at what changed", *(bad or [_UNSOLVED]), **measured)
    return passed(id, f"doing nothing earns at most {floor:g}", **measured)


def canary_floor(ground: Ground) -> Answer:
    """`semantic.canary_floor`: cheats stay at the floor."""
    id, told = "semantic.canary_floor", ground.all_of("red_team")
    findings = [text for one in told for text in one.measured.get("findings", []) or ([] if one.ok else [one.detail])]
    tried = sum(one.measured.get("cheats", 0) for one in told)
    earned = sum(one.measured.get("earned", 0) for one in told)
    measured = {"cheats": tried, "earned": earned, "gameability": earned / max(1, tried)}
    if not told:
        return skipped(id, "the red team did not play")
    if findings:
        return failed(id, "let nothing that an agent can write decide", *findings[:8], **measured)
    return passed(id, f"{tried} cheats over {len(told)} tasks earned nothing", **measured)


def no_solution_leakage(ground: Ground) -> Answer:
    """`semantic.no_solution_leakage`: the answer stands nowhere in what the agent is shown."""
    id, told = "semantic.no_solution_leakage", ground.all_of("no_leak")
    bad = _broken(told)
    if bad or not told:
        return failed(id, "keep it in the key, and let no tool read that", *(bad[:5] or [_UNSOLVED]))
    return passed(id, told[0].detail)


def verifier_determinism(ground: Ground) -> Answer:
    """`semantic.verifier_determinism`: the same evidence gets the same verdict, again and again."""
    id, told = "semantic.verifier_determinism", [*ground.all_of("same_twice"), *ground.all_of("time_independent")]
    bad = _broken(told)
    if bad or not told:
        return failed(id, "`verify` must read nothing but its arguments", *(bad[:5] or [_UNSOLVED]))
    judged = sum(one.measured.get("judged", 0) for one in told)
    return passed(
        id, f"{judged} verdicts on {len(ground.all_of('same_twice'))} answers, all alike", reward_variance=0.0
    )


def verifier_portability(ground: Ground) -> Answer:
    """`semantic.verifier_portability`: another process, locale, time zone and hash seed, without network, say the
    same."""
    id, told = "semantic.verifier_portability", [*ground.all_of("same_elsewhere"), *ground.all_of("hermetic")]
    bad = _broken(told)
    if bad or not told:
        return failed(id, "no network, no hash order, no locale, no files of this machine", *(bad[:5] or [_UNSOLVED]))
    return passed(id, ground.all_of("same_elsewhere")[0].detail)


def resource_envelope(ground: Ground) -> Answer:
    """`semantic.resource_envelope`: the oracle stays within what is declared."""
    id, told = "semantic.resource_envelope", ground.all_of("envelope")
    bad = _broken(told)
    if bad or not told:
        return failed(id, "make tasks smaller", *(bad[:5] or [_UNSOLVED]))
    most = {name: max(one.measured.get(name, 0) for one in told) for name in told[0].measured}
    limits = declared(ground)
    memory = most.get("sandbox_memory_bytes", 0) >> 20
    if most["seconds"] > limits["episode_timeout_s"] or memory > limits["memory_mb"]:
        return failed(id, "raise the limits or make tasks smaller", f"{most} is beyond {limits}", **most)
    return passed(id, ", ".join(f"{name} {value}" for name, value in most.items()), **most)


def replayability(ground: Ground) -> Answer:
    """`semantic.replayability`: a recorded episode, played again from its messages, ends in the same verdict."""
    id, recorded = "semantic.replayability", ground.recorded
    if recorded is None:
        return failed(id, "make the oracle pass first", "no episode could be recorded")
    first, again = recorded.first, recorded.replayed
    if first.verdict != again.verdict or not first.verdict.passed:
        told = f"{first.outcome} {first.verdict.reward} and then {again.outcome} {again.verdict.reward}"
        return failed(id, "tools must do the same at the same calls", told, first.error[-300:], again.error[-300:])
    return passed(id, f"{len(first.turns)} turns, reward {first.verdict.reward} twice")


def _broken(evidence: list[Evidence]) -> list[str]:
    return list(dict.fromkeys(one.detail for one in evidence if not one.ok))


SEMANTIC: tuple[Callable[[Ground], Answer], ...] = (
    oracle_max,
    floor_gap,
    canary_floor,
    no_solution_leakage,
    verifier_determinism,
    verifier_portability,
    resource_envelope,
    replayability,
)
