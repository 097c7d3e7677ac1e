"""The runtime answers: what episodes show, and what a hostile one could do."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from ...envs.types import ToolCall
from ...rollout.records import episode_rows
from ...verifiers.types import Verdict
from ..types import Evidence
from .ground import Ground
from .policy import Answer
from .static import failed, passed, skipped


def reward_well_formed(ground: Ground) -> Answer:
    """`runtime.reward_well_formed`: every reward is a finite number from 0 to 1, and only valid verdicts have one."""
    id = "runtime.reward_well_formed"
    bad = [f"{who}: {verdict}" for who, verdict in ground.verdicts if not _well_formed(verdict)]
    evaded = [text for one in ground.all_of("red_team") for text in one.measured["findings"] if "is not judged" in text]
    if bad or evaded or not ground.verdicts:
        remedy = (
            "give a valid verdict to whatever an agent can hand in; malformed answers are wrong, never an exception"
        )
        return failed(id, remedy, *bad, *evaded[:5])
    cheats = sum(one.measured["cheats"] for one in ground.all_of("red_team"))
    rewards = {who: verdict.reward for who, verdict in ground.verdicts}
    return passed(id, f"{len(rewards)} verdicts and those on {cheats} cheats", rewards=rewards)


def _well_formed(verdict: Verdict) -> bool:
    reward = verdict.reward
    return type(reward) is float and math.isfinite(reward) and 0.0 <= reward <= 1.0 and verdict.validity == "valid"


def rubric_introspectable(ground: Ground) -> Answer:
    """`runtime.rubric_introspectable`: verdicts have parts with names of their own."""
    id = "runtime.rubric_introspectable"
    for who, verdict in ground.verdicts:
        names = [part.name for part in verdict.parts]
        if not names or len(set(names)) < len(names) or not all(names):
            remedy = "build verdicts from named parts: all_of([check('name', ...)])"
            return failed(id, remedy, f"the verdict on {who} has the parts {names}")
    parts = {who: [part.name for part in verdict.parts] for who, verdict in ground.verdicts}
    return passed(id, f"{len(parts)} verdicts with named parts", parts=parts)


def observation_schema(ground: Ground) -> Answer:
    """`runtime.observation_schema`: tool schemas are JSON Schema, the oracle's arguments fit them, results are text."""
    id, recorded = "runtime.observation_schema", ground.recorded
    wrong = []
    for schema in ground.cls.schemas():
        Draft202012Validator.check_schema(schema.parameters)
    if recorded is None:
        return failed(id, "make the oracle pass first", "no episode could be recorded")
    calls = 0
    for turn in recorded.first.turns:
        for call in (turn.move.message or {}).get("tool_calls") or ():
            calls += 1
            name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
            validator = Draft202012Validator(ground.cls.toolset[name].schema.parameters)
            wrong += [f"{name}: {error.message}" for error in validator.iter_errors(arguments)]
        wrong += ["a tool result is no text" for result in turn.results if not isinstance(result, str)]
    if wrong:
        return failed(id, "annotate the tool's parameters", *wrong[:5])
    return passed(id, f"{len(ground.cls.toolset)} schemas, {calls} calls that fit them")


def state_contract(ground: Ground) -> Answer:
    """`runtime.state_contract`: an episode knows its task and counts its turns; worlds are JSON and begin alike."""
    id, recorded = "runtime.state_contract", ground.recorded
    if recorded is None:
        return failed(id, "make the oracle pass first", "no episode could be recorded")
    rollout, rows = episode_rows(recorded.first)
    turns = [row.index for row in rows if hasattr(row, "index")]
    wrong = []
    if rollout.task_id != ground.tasks[0].id or turns != list(range(len(recorded.first.turns))):
        wrong.append(f"the stored episode is of {rollout.task_id} with turns {turns}")
    if ground.leftovers:
        wrong.append(ground.leftovers)
    if wrong:
        return failed(id, "override `start` only to add to what it does", *wrong)
    return passed(id, f"rollout {rollout.id} of {rollout.task_id}, {len(turns)} turns in order")


def trajectory_record(ground: Ground) -> Answer:
    """`runtime.trajectory_record`: an episode becomes rows with tokens, masks, messages, results and verdict."""
    id, recorded = "runtime.trajectory_record", ground.recorded
    if recorded is None:
        return failed(id, "make the oracle pass first", "no episode could be recorded")
    rollout, rows = episode_rows(recorded.first)
    segment = recorded.first.segments[0]
    fits = len(segment.tokens) == len(segment.mask) == len(segment.logprobs) > 0
    if not fits or recorded.first.error:
        return failed(id, "see the error", recorded.first.error[-500:] or "tokens and masks differ in length")
    told = f"{len(segment.tokens)} tokens, {sum(segment.mask)} of them the policy's, {len(rows)} rows"
    return passed(id, told, outcome=rollout.outcome)


def reward_attribution(ground: Ground) -> Answer:
    """`runtime.reward_attribution`: parts explain rewards, and a verdict that is no pass names what failed."""
    id = "runtime.reward_attribution"
    for who, verdict in ground.verdicts:
        scores = [part.score for part in verdict.parts]
        if not verdict.passed and scores and all(part.passed for part in verdict.parts):
            return failed(id, "add the part that failed", f"the verdict on {who} fails and every part passes")
        if verdict.passed and not all(part.passed for part in verdict.parts if part.weight > 0):
            return failed(id, "weigh the parts", f"the verdict on {who} passes and a part does not")
    return passed(id, f"{len(ground.verdicts)} verdicts are explained by their parts")


def tool_declaration_accuracy(ground: Ground) -> Answer:
    """`runtime.tool_declaration_accuracy`: what is declared can be called, and nothing else can."""
    id = "runtime.tool_declaration_accuracy"
    if not ground.tasks:
        return failed(id, "mend `propose`", "there is no task to call tools in")
    env, wrong = ground.make(), []
    try:
        env.start(ground.tasks[0].model_copy(deep=True))
        for name in ("verify", "solve", "propose", "no_such_tool"):
            if name not in env.toolset and env.call(ToolCall(name=name)).ok:
                wrong.append(f"{name} can be called and is not declared")
        for name in env.toolset:
            if env.call(ToolCall(name=name, arguments={"no_such_argument": 1})).ok:
                wrong.append(f"{name} takes arguments that it does not declare")
    finally:
        env.close()
    crashes = [one.detail for one in ground.all_of("random_fails") if not one.ok and "raised" in one.detail]
    if wrong or crashes:
        return failed(id, "refuse with ToolError what a tool cannot do", *wrong, *crashes)
    walked = sum(one.measured.get("episodes", 0) for one in ground.all_of("random_fails"))
    return passed(id, f"{len(env.toolset)} tools, {walked} random episodes", tools=list(env.toolset))


def task_declaration_accuracy(ground: Ground) -> Answer:
    """`runtime.task_declaration_accuracy`: every declared level proposes tasks of this environment and level."""
    id, found = "runtime.task_declaration_accuracy", ground.seen("levels")
    if found is None:
        return skipped(id, "levels were not tried")
    remedy = "declare in `levels` what `propose` makes"
    return passed(id, found.detail) if found.ok else failed(id, remedy, found.detail)


def seed_control(ground: Ground) -> Answer:
    """`runtime.seed_control`: the same seed gives the same task, another one another."""
    id = "runtime.seed_control"
    bad = [one.detail for one in ground.all_of("reproducible") if not one.ok]
    varied = ground.seen("varied")
    if varied is not None and not varied.ok:
        bad.append(varied.detail)
    if bad or not ground.tasks:
        return failed(id, "draw everything in `propose` from `rng`", *(bad or ["no task could be proposed"]))
    return passed(
        id, f"{len(ground.tasks)} seeds, {len({task.id for task in ground.tasks})} tasks, each proposed twice"
    )


def episode_determinism(ground: Ground) -> Answer:
    """`runtime.episode_determinism`: the same calls get the same results and the same verdict."""
    id = "runtime.episode_determinism"
    bad, told = _broken(ground.all_of("same_twice")), ground.all_of("same_twice")
    results = sum(one.measured.get("results", 0) for one in told)
    alike = sum(one.measured.get("results_alike", 0) for one in told)
    if bad or not told:
        return failed(id, "no randomness, no time, no state outside `self`", *(bad or ["the oracle does not pass"]))
    if alike < results:
        return failed(id, "leave times and addresses out of results", f"{results - alike} of {results} results differ")
    return passed(id, f"{results} tool results alike in two runs, {len(told)} verdicts")


def network_policy(ground: Ground) -> Answer:
    """`runtime.network_policy`: no network is declared, and none can be reached: from a sandbox, or by the
    environment's own code while it proposes, plays and judges."""
    id = "runtime.network_policy"
    asked = [hosts for _, _, hosts in ground.sandboxes.asked if hosts] if ground.sandboxes is not None else []
    reached = [*(ground.probe.reached if ground.probe else []), *_broken(ground.all_of("hermetic"))]
    if reached:
        return failed(id, "put what is needed into the world or the image", *reached)
    if asked:
        return failed(id, "lease without allow_hosts", f"it asks for {sorted({h for hosts in asked for h in hosts})}")
    tried = f"{ground.probe.tried} probes" if ground.probe else f"{len(ground.all_of('hermetic'))} tasks judged offline"
    return passed(id, f"no-network holds: {tried}", mode="no-network")


def host_containment(ground: Ground) -> Answer:
    """`runtime.host_containment`: commands cannot leave the sandbox; without one, tools cannot be led to files."""
    id = "runtime.host_containment"
    if ground.probe is not None:
        if ground.probe.escaped:
            return failed(id, "use docker or bwrap", *(f"a command {what}" for what in ground.probe.escaped))
        return passed(id, f"{ground.probe.tried} probes stayed inside {ground.image_name}")
    if ground.cls.image is not None:
        return failed(id, "lease from self.sandboxes", "no sandbox was leased")
    told = [one for evidence in ground.all_of("red_team") for one in evidence.measured["findings"] if "hidden" in one]
    if told:
        return failed(id, "check what tools are given", *told[:5])
    return passed(id, "no commands are run; hostile arguments in every tool led nowhere")


def resource_bounds(ground: Ground) -> Answer:
    """`runtime.resource_bounds`: memory, processes, disk, output and time of a command are bounded."""
    id = "runtime.resource_bounds"
    if ground.probe is not None:
        if ground.probe.unbounded:
            return failed(id, "use docker or bwrap", *(f"{what} is not bounded" for what in ground.probe.unbounded))
        return passed(id, "memory, processes, disk, output and time end where the limits say")
    bad = _broken(ground.all_of("envelope"))
    if bad:
        return failed(id, "shorten what tools say", *bad)
    return passed(id, f"{len(ground.all_of('envelope'))} tasks within an episode's budget")


def episode_isolation(ground: Ground) -> Answer:
    """`runtime.episode_isolation`: nothing of one episode is seen in another."""
    id = "runtime.episode_isolation"
    seen = [*_broken(ground.all_of("order_independent")), *_broken(ground.all_of("history_independent"))]
    if ground.probe is not None:
        seen += ground.probe.survived
    if ground.tasks and ground.leftovers:
        seen.append(ground.leftovers)
    if seen or not ground.tasks:
        return failed(id, "keep state in `self` and `self.world`", *(seen or ["no task could be proposed"]))
    return passed(id, f"{len(ground.all_of('order_independent'))} tasks judged in other orders and beside one another")


def oracle_containment(ground: Ground) -> Answer:
    """`runtime.oracle_containment`: the key cannot be read: not by tools, not in the sandbox."""
    id = "runtime.oracle_containment"
    findings = [
        text for one in ground.all_of("red_team") for text in one.measured["findings"] if "reads the key" in text
    ]
    bad = [*_broken(ground.all_of("no_leak")), *findings]
    if bad or not ground.all_of("no_leak"):
        return failed(id, "keep the key out of what tools reach", *(bad[:5] or ["the oracle does not pass"]))
    return passed(id, ground.all_of("no_leak")[0].detail)


def _broken(evidence: list[Evidence]) -> list[str]:
    return list(dict.fromkeys(one.detail for one in evidence if not one.ok))


RUNTIME: tuple[Callable[[Ground], Answer], ...] = (
    reward_well_formed,
    rubric_introspectable,
    observation_schema,
    state_contract,
    trajectory_record,
    reward_attribution,
    tool_declaration_accuracy,
    task_declaration_accuracy,
    seed_control,
    episode_determinism,
    network_policy,
    host_containment,
    resource_bounds,
    episode_isolation,
    oracle_containment,
)
