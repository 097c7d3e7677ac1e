"""Let every cheat try: none may be rewarded, learn the answer, or get out of being judged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from ...envs.environment import Environment
from ...envs.types import Cheat, Json, Task, ToolCall, canonical
from ...infra.sandbox.select import ISOLATING
from ...infra.sandbox.types import SandboxError, SandboxUnavailable
from ...rollout.answers import answer_text, read_answer
from ..stage import Solution, Stage
from ..types import Evidence
from ..wanderer import texts_of
from .answers import answer_cheats, submit_twice
from .calls import call_cheats
from .shell import shell_cheats

_LINE = 24


@dataclass(frozen=True)
class Attack:
    """What came of one cheat: the reward beyond doing nothing, what it read of the key, or how it evaded judgement."""

    name: str
    gained: float = 0.0
    learned: str = ""
    evaded: str = ""

    @property
    def finding(self) -> str:
        """In words, what is wrong; empty where the cheat got nothing."""
        if self.gained > 0:
            return f"{self.name} earns {self.gained:g}"
        if self.learned:
            return f"{self.name} reads the key ({self.learned})"
        return f"{self.name} is not judged ({self.evaded})" if self.evaded else ""


def attack(stage: Stage, solution: Solution, floor: float) -> Evidence:
    """The check `red_team`. `floor` is what doing nothing earns. SandboxUnavailable where a shell is not walled in."""
    shell = stage.make()
    if shell.shell_tool and shell.sandboxes is not None and shell.sandboxes.name not in ISOLATING:
        raise SandboxUnavailable(f"the sandbox {shell.sandboxes.name!r} isolates nothing: no cheat may run in it")
    attacks = [_try(stage, cheat, solution, floor) for cheat in cheats_for(stage.make(), stage.task, solution)]
    found = [one.finding for one in attacks if one.finding]
    earned = sum(one.gained > 0 or bool(one.learned) for one in attacks)
    measured = {
        "cheats": len(attacks),
        "earned": earned,
        "evaded": sum(bool(one.evaded) for one in attacks),
        "gameability": earned / max(1, len(attacks)),
        "findings": found[:50],
    }
    return Evidence(
        name="red_team",
        ok=not found,
        detail="; ".join(found)[:2000] or f"{len(attacks)} cheats earned nothing",
        measured=measured,
    )


def cheats_for(env: Environment, task: Task, solution: Solution) -> Iterator[Cheat]:
    """The general cheats that fit an environment, and its own."""
    schemas = env.schemas()
    yield from (cheat for cheat in answer_cheats(task, schemas) if not _is_right(cheat, solution))
    yield from submit_twice(task, schemas)
    yield from call_cheats(task, schemas, env.shell_tool)
    if env.shell_tool:
        yield from shell_cheats(env)
    yield from env.cheats(random.Random(f"{task.id}/cheats"), task)


def _is_right(cheat: Cheat, solution: Solution) -> bool:
    return canonical(cheat.answer) == canonical(solution.answer)


def _try(stage: Stage, cheat: Cheat, solution: Solution, floor: float) -> Attack:
    """Play one cheat. Where the machine breaks twice while doing nothing is judged, the cheat broke it."""
    for last in (False, True):
        try:
            return _play(stage, cheat, solution, floor)
        except SandboxError as error:
            stage.judge(None)
            if last:
                return Attack(cheat.name, evaded=f"the sandbox fails: {error}"[:300])
        except Exception as error:
            return Attack(cheat.name, evaded=f"{type(error).__name__}: {error}"[:300])
    raise AssertionError("unreachable")


def _play(stage: Stage, cheat: Cheat, solution: Solution, floor: float) -> Attack:
    with stage.episode() as env:
        told = _calls(env, cheat)
        if env.submitted:
            answer = env.answer
        elif cheat.submit:
            answer = _hand_in(env)
        else:
            answer = read_answer(answer_text(cheat.answer))
        verdict = stage.verdict(env, answer, env.finish(answer))
    if verdict.reward is None:
        return Attack(cheat.name, evaded=f"{verdict.validity}: {verdict.note}"[:300])
    gained = 0.0 if env.submitted and canonical(answer) == canonical(solution.answer) else verdict.reward - floor
    return Attack(cheat.name, gained=max(0.0, gained), learned=_learned(told, stage.task))


def _calls(env: Environment, cheat: Cheat) -> str:
    """Make the calls as the episode loop does; what the tools said."""
    told: list[str] = []
    for call in cheat.calls:
        if env.submitted:
            break
        told.append(env.call(call).text)
    return "\n".join(told)


def _hand_in(env: Environment) -> Json:
    """The state as it stands: by the tool that submits without arguments, else as it is."""
    for name, known in env.toolset.items():
        if known.schema.submits and not known.schema.parameters.get("required"):
            env.call(ToolCall(name=name))
            return env.answer
    return None


def _learned(told: str, task: Task) -> str:
    """A line of the key that tools showed and that neither the prompt nor the world holds."""
    if not told:
        return ""
    open_text = "\n".join([task.prompt, *texts_of(task.world)])
    for text in texts_of(task.key):
        for line in text.splitlines():
            if len(line.strip()) >= _LINE and line.strip() in told and line.strip() not in open_text:
                return line.strip()[:80]
    return ""
