"""The evidence of a certificate, as people read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .text import duration, number

MEANINGS = {
    "reproducible": "stored and proposed again, it is the same task bit for bit",
    "oracle_passes": "it can be solved through its own tools",
    "noop_fails": "doing nothing earns nothing",
    "same_twice": "played and judged again, the verdict is the same, part by part",
    "mutants_fail": "plausible wrong answers fail",
    "no_leak": "the answer stands nowhere in what the agent can see",
    "oracle_by_tools": "the oracle's answer comes from the tools, not from the key",
    "slips_fail": "an action left out, or a wrong answer in a right world, fails",
    "near_misses_fail": "a part of the answer, more than it, or its neighbour fails",
    "random_fails": "calling tools at random earns nothing",
    "order_independent": "no verdict depends on what was judged before",
    "rescored": "what is stored is judged alike by an environment that was not there",
    "same_elsewhere": "another process, hash seed, locale and time zone agree",
    "time_independent": "another day agrees, and an episode that takes long",
    "history_independent": "other tasks in between change nothing",
    "hermetic": "neither proposing nor judging reaches for a network or a temporary file",
    "envelope": "it fits into the budget of an episode",
    "red_team": "no cheat earns anything, learns the key, or escapes judgement",
}
_UNITS = ("bytes", "chars", "seconds")
_LONGEST = 12


def meaning(name: object) -> str:
    """What a check says where it holds; empty for one that is not ours."""
    return MEANINGS.get(name, "") if isinstance(name, str) else ""


def measures(check: object) -> list[tuple[str, str]]:
    """The numbers of a check as (what, how much), in its own order; lists are counted."""
    found = check.get("measured") if isinstance(check, Mapping) else None
    if not isinstance(found, Mapping):
        return []
    return [(_words(str(name)), _shown(str(name), value)) for name, value in list(found.items())[:_LONGEST]]


def findings(check: object) -> list[str]:
    """The single findings of a check, where it lists them."""
    found = check.get("measured") if isinstance(check, Mapping) else None
    listed = found.get("findings") if isinstance(found, Mapping) else None
    return [str(one) for one in listed] if isinstance(listed, list) else []


def failed(checks: object) -> list[str]:
    """Each check that did not hold, with what was seen."""
    listed = [check for check in checks if isinstance(check, Mapping)] if isinstance(checks, list) else []
    return [f"{check.get('name')}: {check.get('detail', '')}" for check in listed if not check.get("ok")]


def depth(checks: object) -> str:
    """How deep a certificate goes: `full` with the red team, else `quick`."""
    names = [check.get("name") for check in checks if isinstance(check, Mapping)] if isinstance(checks, list) else []
    return "full" if "red_team" in names else "quick"


def gameability(checks: object) -> str:
    """The share of cheats that earned something, or a dash where none were tried."""
    for check in checks if isinstance(checks, list) else []:
        if isinstance(check, Mapping) and check.get("name") == "red_team":
            measured = check.get("measured")
            if isinstance(measured, Mapping) and isinstance(measured.get("cheats"), int):
                return f"{measured.get('earned', 0)} of {measured['cheats']}"
    return "–"


def _words(name: str) -> str:
    head, _, unit = name.rpartition("_")
    if head and unit in _UNITS:
        return f"{head.replace('_', ' ')}{'' if unit != 'chars' else ', characters'}"
    return name.replace("_", " ")


def _shown(name: str, value: Any) -> str:
    if isinstance(value, list):
        return str(len(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)[:80]
    if name.endswith("bytes"):
        if value < 1024:
            return f"{value:g} B"
        return f"{value / (1 << 20):.1f} MiB" if value >= 1 << 20 else f"{value / 1024:.1f} KiB"
    return duration(value) if name.endswith("seconds") else number(value)
