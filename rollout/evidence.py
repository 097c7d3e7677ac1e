"""What a verifier read of an episode, packed: the answer and the world that the environment handed over.

Most of a world is its task's and stands there already, so only what the episode changed is kept. What comes back is
exactly what was read; a world that JSON cannot hold exactly (a tuple, a number as a key) is not kept, and why.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ..envs.types import Answer, Task, World
from ..infra.store.packing import pack_json, unpack_json


class Read(NamedTuple):
    """What `verify` gets beside the task."""

    answer: Answer
    world: World


class EvidenceLost(ValueError):
    """An episode's evidence could not be kept; the message says why."""


def pack_evidence(task: Task, answer: Answer, world: World) -> bytes:
    """The evidence of an episode of `task`, or why there is none."""
    try:
        text = _text(world)
        if json.loads(text) != world or json.loads(_text(answer)) != answer:
            return pack_json({"lost": "JSON does not hold the answer or the world exactly"})
        return pack_json({"answer": answer, **_changed(task.world, world, text)})
    except (TypeError, ValueError, RecursionError) as error:
        return pack_json({"lost": f"the answer or the world is not JSON: {error}"[:300]})


def unpack_evidence(task: Task, data: bytes) -> Read:
    """What `pack_evidence` was given, in copies of its own. Raises EvidenceLost."""
    try:
        content = unpack_json(data)
        if "lost" in content:
            raise EvidenceLost(content["lost"])
        world = content["world"] if "world" in content else _apply(json.loads(_text(task.world)), content["delta"])
        return Read(content["answer"], world)
    except (KeyError, TypeError, AttributeError) as error:
        raise EvidenceLost(f"the stored evidence is damaged: {type(error).__name__}: {error}") from error
    except ValueError as error:
        raise EvidenceLost(str(error)) from error


def _changed(old: World, new: World, text: str) -> dict[str, Any]:
    """How to make `new`, whose text is `text`, out of `old`; or all of it, where that would not give it exactly."""
    if text == _text(old):
        return {"delta": {}}
    delta = _delta(old, new)
    return {"delta": delta} if _text(_apply(old, delta)) == text else {"world": new}


def _delta(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """What makes `new` out of `old`: values `put`, objects changed `within`, keys that are `gone`."""
    delta: dict[str, Any] = {"put": {}, "within": {}, "gone": [key for key in old if key not in new]}
    for key, value in new.items():
        if key not in old:
            delta["put"][key] = value
        elif _text(old[key]) != _text(value):
            if isinstance(value, dict) and isinstance(old[key], dict):
                delta["within"][key] = _delta(old[key], value)
            else:
                delta["put"][key] = value
    return {name: part for name, part in delta.items() if part}


def _apply(old: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    within, gone = delta.get("within", {}), set(delta.get("gone", ()))
    new = {key: _apply(value, within[key]) if key in within else value for key, value in old.items() if key not in gone}
    new.update(delta.get("put", {}))
    return new


def _text(value: object) -> str:
    """One text for one value, key order included, for a verifier may see it."""
    return json.dumps(value)
