"""Look for what gives the answer away: in what the agent is told, in what lies open to it, and in what its tools say.

Tools may read the world but never the key. So the key's values are replaced by canaries: a tool that then says
anything else than before, or a canary, has read the key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
from collections.abc import Iterator, Sequence

from ..envs.environment import Environment
from ..envs.types import Answer, Json, Task, ToolCall, ToolResult, canonical
from ..infra.sandbox.types import SandboxError
from .stage import Solution, Stage
from .types import Depth
from .wanderer import walk

_LONG, _HIDDEN = 40, 6
_WHOLE = re.compile(r"[\w ]+")


def look_for_leaks(stage: Stage, solution: Solution, wrong: Sequence[Answer], depth: Depth) -> str:
    """The check `no_leak`."""
    env = stage.make()
    secrets = list(dict.fromkeys(env.secrets(stage.task, solution.answer)))
    others = [text for answer in wrong for text in env.secrets(stage.task, answer)]
    seen = ["the prompt", "the system text", "the tools' descriptions"]
    told = (stage.task.prompt, env.system, _schemas(env))
    for where, text in zip(seen, told, strict=True):
        _must_not_tell(where, text, secrets, others)
    if depth == "full":
        for text in env.readable(stage.task):
            _must_not_tell("what lies open to the agent", text, secrets, others)
        seen += ["what lies open", *_canaries(stage, solution)]
    if not secrets:
        return "nothing to look for: no text gives the answer away, or it is too short to stand out (see `secrets`)"
    return f"{len(secrets)} secrets: not in {', '.join(seen)}"


def _schemas(env: Environment) -> str:
    return json.dumps([schema.openai() for schema in env.schemas()], ensure_ascii=False) if env.toolset else ""


def _must_not_tell(where: str, text: str, secrets: Sequence[str], others: Sequence[str]) -> None:
    """A choice among answers that are all named gives nothing away; one that stands alone does."""
    for secret in secrets:
        if form := next((form for form, other in _disguises(secret) if other in text), ""):
            raise AssertionError(f"the answer stands {form} in {where}: {secret[:100]!r}")
        if occurs(secret, text) and sum(occurs(other, text) for other in set(others) - {secret}) < 2:
            raise AssertionError(f"the answer stands in {where}: {secret[:100]!r}")


def _disguises(secret: str) -> Iterator[tuple[str, str]]:
    """A secret as whoever hides it carelessly writes it."""
    if len(secret) < _HIDDEN:
        return
    data = secret.encode("utf-8", "surrogatepass")
    yield "in base64", base64.b64encode(data).decode().rstrip("=")[:-1]
    yield "in hexadecimal", data.hex()
    if secret != secret[::-1]:
        yield "backwards", secret[::-1]


def occurs(secret: str, text: str) -> bool:
    """Whether a text holds a secret: a short one as whole words, in any case."""
    if len(secret) < _LONG and _WHOLE.fullmatch(secret):
        if secret.casefold() not in text.casefold():
            return False
        return re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", text, re.IGNORECASE) is not None
    return secret in text


def _canaries(stage: Stage, solution: Solution) -> list[str]:
    """Play the oracle's and random calls with the key as it is and with canaries in its place."""
    mark = "canary" + hashlib.sha256(stage.task.id.encode()).hexdigest()[:10]
    swapped = stage.task.model_copy(update={"key": _swap(stage.task.key, mark)})
    if canonical(swapped.key) == canonical(stage.task.key):
        return []
    first = _transcript(stage, stage.task, solution, mark)
    other = _transcript(stage, swapped, solution, mark)
    if first is None or other is None:
        return ["(tools were not tried: they do not start with another key)"]
    if not _agrees(first, _transcript(stage, stage.task, solution, mark)):
        first = None  # what tools say differs anyway; a canary still shows
    for index, (call, result) in enumerate(other):
        if mark in result.text:
            raise AssertionError(f"the tool {call.name} shows the key: {_around(mark, result.text)}")
        if first is not None and index < len(first) and first[index][1].text != result.text:
            raise AssertionError(
                f"the tool {call.name} reads the key: with another key it says {result.text[:100]!r} "
                f"and not {first[index][1].text[:100]!r}"
            )
    return [f"{len(other)} tool results with canaries in the key"]


def _transcript(stage: Stage, task: Task, solution: Solution, mark: str) -> list[tuple[ToolCall, ToolResult]] | None:
    """What the tools say to the oracle's calls, to calls with the right answer, and to random ones; None where the
    environment does not work with this task. Calls that submit are left out."""
    env = stage.make()
    told: list[tuple[ToolCall, ToolResult]] = []
    try:
        env.start(task)
        for call in [*solution.calls, *_guesses(env, solution.answer)]:
            if env.toolset[call.name].schema.submits:
                continue
            told.append((call, env.call(call)))
        walked = walk(env, random.Random(stage.task.seed), stage.task.prompt, submit=False)
        told += zip(walked.calls, walked.results, strict=True)
        if env.shell_tool:
            search = ToolCall(name=env.shell_tool, arguments={_argument(env, env.shell_tool): _search(mark)})
            told.append((search, ToolResult(text=_hits(env.call(search).text))))
    except SandboxError:
        raise
    except Exception:
        if task is stage.task:
            raise
        return told or None  # a key that makes no sense may break anything
    finally:
        env.close()
    return told


def _guesses(env: Environment, answer: Answer) -> Iterator[ToolCall]:
    """The right answer as the argument of every tool that takes one text: does one say that it is right?"""
    if not isinstance(answer, str):
        return
    for name, known in env.toolset.items():
        required = known.schema.parameters.get("required", [])
        if name == env.shell_tool or known.schema.submits or len(required) != 1:
            continue
        if known.schema.parameters["properties"][required[0]].get("type") == "string":
            yield ToolCall(name=name, arguments={required[0]: answer})


def _argument(env: Environment, tool: str) -> str:
    schema = env.toolset[tool].schema.parameters
    return str((schema.get("required") or list(schema["properties"]))[0])


def _search(mark: str) -> str:
    """A command that finds a canary anywhere in the sandbox; it does not contain it whole."""
    pattern = f"[{mark[0]}]{mark[1:]}"
    places = "/work /tmp /grade /home /root /var /opt /srv /mnt /run"
    return (
        f"grep -rlsI -e '{pattern}' {places}; grep -ls -e '{pattern}' /proc/[0-9]*/environ /proc/[0-9]*/cmdline; true"
    )


def _hits(text: str) -> str:
    found = [line for line in text.splitlines() if line.startswith("/")]
    return f"canaries in {', '.join(found)}" if found else ""


def _swap(key: Json, mark: str) -> Json:
    """The key with every text and number replaced; its shape and its members' names stay."""
    if isinstance(key, dict):
        return {name: _swap(value, mark) for name, value in key.items()}
    if isinstance(key, list):
        return [_swap(value, mark) for value in key]
    if isinstance(key, str):
        return f"{mark}{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"
    if isinstance(key, int | float) and not isinstance(key, bool):
        return 731_000_000 + int(hashlib.sha256(repr(key).encode()).hexdigest()[:4], 16)
    return key


def _agrees(one: list[tuple[ToolCall, ToolResult]], other: list[tuple[ToolCall, ToolResult]] | None) -> bool:
    return other is not None and [result.text for _, result in one] == [result.text for _, result in other]


def _around(mark: str, text: str) -> str:
    at = text.index(mark)
    return repr(text[max(0, at - 40) : at + len(mark) + 40])
