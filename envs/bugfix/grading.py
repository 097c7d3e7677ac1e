"""Judge a submission: run all tests on it in a sandbox that nobody has touched, and say what was seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from ...verifiers.checks import all_of, check
from ...verifiers.types import Part, Verdict
from ..types import Task, World, canonical
from .canaries import Canary, canary
from .running import Ran, Workshop
from .submissions import Submission
from .types import Project

_TOLD = 8


def sign(task: Task, project: Project, submission: Submission) -> Canary:
    """The canary of one grading: the same for the same work on the same task, and unknown without the task's key."""
    secret = hashlib.sha256(canonical(task.key).encode("utf-8", "surrogatepass")).hexdigest()
    return canary(project, secret, task.id + canonical(dict(submission.changes)))


def grade(shop: Workshop, task: Task, project: Project, submission: Submission) -> dict[str, Any]:
    """The evidence. Raises SandboxError where the machine fails."""
    evidence: dict[str, Any] = {"changed": sorted(submission.changes), "ignored": list(submission.ignored)}
    if submission.problem:
        return {**evidence, "problem": submission.problem}
    mark = sign(task, project, submission)
    return {**evidence, "problem": "", **observed(project, mark, shop.opinion(project, submission.changes, mark))}


def observed(project: Project, mark: Canary, ran: Ran) -> dict[str, Any]:
    """What a run shows: how it ended, whether its report can be believed, which tests of the suite did not pass."""
    outcomes = ran.report.outcomes()

    def group(tests: Sequence[str]) -> dict[str, Any]:
        bad = {test: outcomes.get(test, "not run") for test in tests if outcomes.get(test) != "passed"}
        return {"expected": len(tests), "bad": bad}

    return {
        "ended": ran.ended,
        "exit_code": ran.exit_code,
        "report": ran.report.problem,
        "forged": mark.problem(ran.report) or ("the run with it ended well" if ran.exit_code == 0 else ""),
        "visible": group(project.suite.visible),
        "hidden": group(project.suite.hidden),
    }


def verdict(task: Task, world: World) -> Verdict:
    """Whether every test of the suite was run and passed, in a run whose report can be believed."""
    if world.get("problem", "no evidence"):
        return all_of([check("answer", False, str(world.get("problem", "there is no evidence")))])
    ended = "" if world["ended"] == "exited" else f"the run was stopped: {world['ended'].replace('_', ' ')}"
    changed = ", ".join(world["changed"]) or "nothing"
    parts = [
        check("answer", True, f"different from the correct tree: {changed}"),
        check("tests ran", not ended and not world["report"], ended or world["report"] or "to the end"),
        check("report", not world["forged"], world["forged"] or "the planted failures are in it"),
        _group("visible tests", world["visible"]),
        _group("hidden tests", world["hidden"]),
    ]
    if world["visible"]["expected"] + world["hidden"]["expected"] == 0:
        parts.append(check("suite", False, "no test is known"))
    failed = {**world["visible"]["bad"], **world["hidden"]["bad"]}
    left = [test for test in task.key["f2p"] if test in failed]
    parts.append(check("mistake repaired", not left, f"{len(task.key['f2p']) - len(left)} of {len(task.key['f2p'])}"))
    return all_of(parts)


def solved(project: Project, mark: Canary, ran: Ran) -> bool:
    """Whether a run would earn the reward."""
    seen = observed(project, mark, ran)
    bad = seen["visible"]["bad"] or seen["hidden"]["bad"] or seen["forged"] or seen["report"]
    return not bad and seen["ended"] == "exited"


def _group(name: str, group: Mapping[str, Any]) -> Part:
    bad = [f"{test} ({outcome})" for test, outcome in sorted(group["bad"].items())]
    told = f"{len(bad)} of {group['expected']} did not pass: {', '.join(bad[:_TOLD])}"
    return check(name, not bad, told if bad else f"all {group['expected']} passed")
