"""The 33 answers: the policy's own list, evidence that moves them, and a report that OpenEnv's schema accepts."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from palestra.envs.bugfix.environment import BugFix
from palestra.envs.environment import Environment
from palestra.envs.mini.travel import TravelMini
from palestra.infra.sandbox.sync import Sandbox
from palestra.infra.sandbox.types import SandboxUnavailable
from palestra.synth.audit import policy
from palestra.synth.audit.ground import Ground, Package, WatchedSandboxes
from palestra.synth.audit.policy import SEVERITIES, Answer, verdict_of
from palestra.synth.audit.probes import probe
from palestra.synth.audit.report import answers, report
from palestra.synth.planted import doors
from palestra.synth.planted.workshop import LeftoverShows, Workshop
from palestra.synth.survey import survey
from palestra.synth.synthesize import attempt

PEER = Path(__file__).parents[2] / ".venv" / "peers" / "openenv"


def openenv_file(name: str) -> dict[str, Any]:
    """A data file of the installed OpenEnv, in this environment or in the one of the peers."""
    try:
        found = Path(str(files("openenv.validation").joinpath(name)))
    except ModuleNotFoundError:
        found = next(PEER.glob(f"lib/python3*/site-packages/openenv/validation/{name}"), Path("missing"))
    if not found.is_file():
        pytest.skip("OpenEnv 0.10 is not installed: pip install openenv")
    loaded: dict[str, Any] = json.loads(found.read_text())
    return loaded


def ground_of(cls: type[Environment], count: int = 2, sandboxes: WatchedSandboxes | None = None) -> Ground:
    def make() -> Environment:
        return cls(sandboxes)

    made = [attempt(make, 1, number, cls.levels.start, depth="full") for number in range(count)]
    return Ground(cls, make, made, survey(make, made), sandboxes)


def answered(cls: type[Environment], count: int = 2) -> dict[str, Answer]:
    return {answer.id: answer for answer in answers(ground_of(cls, count))}


def test_the_policy_is_openenvs() -> None:
    theirs = openenv_file("policies/severity-v1.json")
    local = {entry["check_id"]: entry for entry in theirs["entries"] if entry["lane"] == "local"}
    assert {id: entry["severity"] for id, entry in local.items()} == SEVERITIES
    assert all(policy.LEVELS[id.partition(".")[0]] == entry["level"] for id, entry in local.items())
    assert theirs["policy_version"] == policy.VERSION
    assert theirs["bounds"] == {
        "max_oracle_tolerance": policy.MAX_ORACLE_TOLERANCE,
        "min_floor_margin": policy.MIN_FLOOR_MARGIN,
        "max_variance_tolerance": policy.MAX_VARIANCE_TOLERANCE,
        "max_episode_timeout_s": policy.MAX_EPISODE_SECONDS,
    }


def test_there_are_33_answers_each_with_evidence() -> None:
    found = answered(TravelMini)
    assert list(found) == list(SEVERITIES)
    assert len(found) == 33
    bad = [one for one in found.values() if one.status != "pass"]
    assert not bad, bad
    assert all(one.evidence and one.evidence[0] for one in found.values())


@pytest.mark.parametrize("cls", [TravelMini, doors.AlwaysTrue, doors.Unsolvable])
def test_the_report_fits_openenvs_schema(cls: type[Environment]) -> None:
    ground = ground_of(cls)
    made = report(ground, answers(ground))
    Draft202012Validator(openenv_file("schemas/report.schema.json")).validate(json.loads(json.dumps(made)))
    assert made["verdict"] == ("pass" if cls is TravelMini else "fail")


@pytest.mark.parametrize(
    ("cls", "failing"),
    [
        (doors.AlwaysTrue, {"semantic.floor_gap", "semantic.canary_floor"}),
        (doors.AlwaysFalse, {"semantic.oracle_max", "semantic.replayability", "runtime.trajectory_record"}),
        (doors.KeyInTool, {"semantic.no_solution_leakage", "runtime.oracle_containment"}),
        (doors.SeedIgnored, {"runtime.seed_control", "static.task_distribution_pinning"}),
        (doors.AllTheSame, {"runtime.seed_control"}),
        (doors.LevelIgnored, {"runtime.task_declaration_accuracy"}),
        (doors.SharedWorld, {"runtime.episode_determinism"}),
        (doors.HashOrderVerifier, {"semantic.verifier_portability"}),
        (doors.ClockVerifier, {"semantic.verifier_determinism"}),
        (doors.NeedsNetwork, {"runtime.network_policy", "semantic.verifier_portability"}),
        (doors.InvalidOnDemand, {"runtime.reward_well_formed", "semantic.canary_floor"}),
        (doors.UnboundedOutput, {"runtime.resource_bounds", "semantic.resource_envelope"}),
        (doors.ToolCrashes, {"runtime.tool_declaration_accuracy"}),
        (doors.RemembersOthers, {"semantic.oracle_max"}),
        (doors.TiresOfJudging, {"runtime.episode_isolation"}),
    ],
)
def test_a_defect_moves_the_answers_that_ask_for_it(cls: type[Environment], failing: set[str]) -> None:
    found = {id for id, answer in answered(cls).items() if answer.status in ("fail", "error")}
    assert found >= failing, found


def test_the_verdict_is_the_policys() -> None:
    good = Answer("static.manifest", "pass")
    assert verdict_of([good]) == "pass"
    assert verdict_of([good, Answer("static.sbom", "skip")]) == "warn"
    assert verdict_of([good, Answer("static.layout", "fail")]) == "warn"
    assert Answer("static.layout", "fail").shown == "warn"
    assert verdict_of([good, Answer("static.sbom", "fail")]) == "fail"
    assert verdict_of([good, Answer("static.layout", "error")]) == "fail"


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_left")
def test_an_environment_with_a_sandbox_is_probed(sandboxes: WatchedSandboxes) -> None:
    ground = ground_of(Workshop, 1, sandboxes)
    found = {answer.id: answer for answer in answers(ground)}
    bad = [one for one in found.values() if one.status in ("fail", "error")]
    assert not bad, bad
    assert "20 s" not in found["static.timeout_ceiling"].evidence[0]
    assert found["static.resource_declaration"].measured["disk_mb"] == 16


class NeverLeased(WatchedSandboxes):
    """A backend that isolates nothing: hostile commands in it would hit this machine, so none may even be leased."""

    def lease(self, *args: Any, **kwargs: Any) -> Sandbox:
        raise AssertionError("a lease was asked for")


def test_nothing_hostile_runs_where_nothing_isolates() -> None:
    sandboxes = NeverLeased("process")
    assert "isolates nothing" in probe(sandboxes, "python").escaped[0]
    with pytest.raises(SandboxUnavailable, match="the red team destroys what it reaches"):
        attempt(lambda: Workshop(sandboxes), 1, 0, 1, depth="full")


def test_probes_find_nothing_behind_a_wall(sandboxes: WatchedSandboxes) -> None:
    found = probe(sandboxes, "python")
    assert [found.reached, found.escaped, found.unbounded, found.survived] == [[], [], [], []]


@pytest.mark.slow
def test_what_lies_in_the_sandbox_is_no_solution_leakage_only_if_the_key_does_not(sandboxes: WatchedSandboxes) -> None:
    found = {answer.id: answer.status for answer in answers(ground_of(LeftoverShows, 1, sandboxes))}
    assert found["semantic.no_solution_leakage"] == found["runtime.oracle_containment"] == "fail"


def test_python_files_that_are_data_import_nothing() -> None:
    package = Package(BugFix)
    names = {path.parent.name for path in package.files if path.suffix == ".py"}
    assert {"agenda", "matrices"} <= names
    assert "tree_sitter" in package.imports
    assert not {"agenda", "matrices", "pytest", "unittest"} & set(package.imports)
