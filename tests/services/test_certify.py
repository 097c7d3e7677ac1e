"""Certifying what is there already: evidence that is stored, exported with its task, read back and shown."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from palestra.envs.types import Task
from palestra.infra import store as db
from palestra.services.certify import read_dataset, store_certificate
from palestra.services.check import HINTS
from palestra.services.cli.main import run
from palestra.services.web import evidence
from palestra.synth.certify import certify
from palestra.synth.planted.doors import AnyNameOfTheWorld, Doors
from palestra.synth.synthesize import attempt
from palestra.synth.types import Certified

Cli = Callable[..., Any]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command line in an empty folder and gives what it printed as JSON, or on standard error."""
    monkeypatch.chdir(tmp_path)

    def go(*arguments: str, code: int = 0, plain: bool = False) -> Any:
        assert run([*arguments, *([] if plain else ["--json"])]) == code
        told = capsys.readouterr()
        return told.err if plain else json.loads(told.out)

    return go


def checks_of(line: str) -> dict[str, Any]:
    return {check["name"]: check for check in json.loads(line)["certificate"]["checks"]}


def test_stored_tasks_are_certified_in_full_exported_and_certified_again(
    cli: Cli, local_ray: None, tmp_path: Path
) -> None:
    made = cli("synth", "travel-mini", "--count", "2", "--seed", "3")
    told = cli("certify", "--env", "travel-mini", "--out", "d.jsonl")
    assert (told["accepted"], told["rejected"], told["depth"]) == (2, 0, "full")
    lines = Path("d.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == made["tasks"]
    for line in lines:
        found = checks_of(line)
        assert list(found)[-1] == "red_team"
        assert found["same_elsewhere"]["detail"].endswith("the task proposed alike")
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        assert store.count(db.Certificate) == store.count(db.Task) == 2
    assert cli("certify", "d.jsonl", "--depth", "quick", "--limit", "1")["accepted"] == 1
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        rows, _ = store.page(db.Certificate)
        assert all(evidence.depth(row.checks) == "full" for row in rows)


def test_a_task_that_is_not_what_its_stream_makes_is_rejected(cli: Cli, local_ray: None) -> None:
    cli("synth", "travel-mini", "--count", "1", "--seed", "4", "--out", "t.jsonl")
    cli("certify", "t.jsonl", "--depth", "quick", "--out", "d.jsonl")
    (known,) = read_dataset(Path("d.jsonl"))
    assert known.stream == "travel-mini/1/4/1/0"
    line = json.loads(Path("d.jsonl").read_text())
    line["task"]["seed"] += 1
    Path("forged.jsonl").write_text(json.dumps(line) + "\n")
    told = cli("certify", "forged.jsonl", "--depth", "quick", "--out", "no.jsonl", "--accepted", code=1)
    assert told["reasons"] == {"reproducible": 1}
    assert Path("no.jsonl").read_text() == ""


def test_where_the_stream_is_not_known_the_evidence_says_so(cli: Cli, local_ray: None) -> None:
    cli("synth", "travel-mini", "--count", "1", "--seed", "4", "--out", "t.jsonl")
    cli("certify", "t.jsonl", "--depth", "quick", "--out", "d.jsonl", "--store", "sqlite:///other.db")
    assert "its rng is not known" in checks_of(Path("d.jsonl").read_text())["reproducible"]["detail"]


def test_synth_in_full_keeps_only_what_holds_in_full(cli: Cli, local_ray: None, tmp_path: Path) -> None:
    cli("synth", "search-mini", "--count", "2", "--depth", "full")
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as store:
        rows, _ = store.page(db.Certificate)
        assert [evidence.depth(row.checks) for row in rows if row.accepted] == ["full", "full"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "say what to certify"),
        (("none.jsonl",), "cannot read tasks"),
        (("--env", "travel-mini"), "no such tasks"),
        (("--env", "travel-mini", "--out", "no/folder.jsonl"), "does not exist"),
        (("--env", "travel-mini", "--depth", "deep"), "deep"),
        (("old.jsonl",), "travel-mini 0"),
        (("list.jsonl",), "line 1 is not a task"),
    ],
)
def test_what_cannot_be_certified_is_refused_in_words(cli: Cli, arguments: tuple[str, ...], told: str) -> None:
    old = Task(env="travel-mini", version="0", seed=1, level=1, prompt="?")
    Path("old.jsonl").write_text(old.model_dump_json() + "\n")
    Path("list.jsonl").write_text("[1]\n")
    assert told in cli("certify", *arguments, code=2 if "deep" in arguments else 1, plain=True)


def test_newer_evidence_replaces_older_unless_it_is_shallower_and_finds_nothing(tmp_path: Path) -> None:
    full = attempt(Doors, 1, 0, 1, depth="full").certified
    assert full is not None
    quick = Certified(task=full.task, certificate=certify(Doors, full.task))
    bad = Certified(task=full.task, certificate=certify(AnyNameOfTheWorld, full.task))
    with db.Store(f"sqlite:///{tmp_path}/t.db") as store:
        assert [store_certificate(store, one) for one in (quick, full, quick)] == [True, True, False]
        assert [evidence.depth(row.checks) for row in store.page(db.Certificate)[0]] == ["full"]
        assert store_certificate(store, bad)
        (row,) = store.page(db.Certificate)[0]
        assert not row.accepted
        assert row.reasons == bad.certificate.reasons == ["mutants_fail"]
        assert store.count(db.Task) == 1


def test_every_check_has_a_meaning_and_a_hint() -> None:
    full = certify(Doors, Doors().propose(random.Random(1), 1), depth="full")
    for check in full.checks:
        assert evidence.meaning(check.name)
        assert HINTS[check.name]
    assert set(evidence.MEANINGS) <= {check.name for check in full.checks}


def test_evidence_is_read_from_a_certificate_as_it_is_stored() -> None:
    found = certify(AnyNameOfTheWorld, Doors().propose(random.Random(1), 1), depth="full")
    checks = [check.model_dump() for check in found.checks]
    assert [line.partition(":")[0] for line in evidence.failed(checks)] == found.reasons
    team = next(check for check in checks if check["name"] == "red_team")
    assert evidence.gameability(checks) == f"{team['measured']['earned']} of {team['measured']['cheats']}"
    assert evidence.findings(team) == team["measured"]["findings"]
    envelope = next(check for check in checks if check["name"] == "envelope")
    assert dict(evidence.measures(envelope))["calls"] == "1"
    assert {"prompt, characters", "world"} <= set(dict(evidence.measures(envelope)))


@pytest.mark.parametrize("odd", [None, 7, "x", [None, 3], [{"name": 5}], [{"measured": []}], {"checks": {}}])
def test_what_is_no_evidence_is_shown_as_none(odd: Any) -> None:
    assert evidence.gameability(odd) == "–"
    assert evidence.depth(odd) == "quick"
    assert evidence.measures(odd) == []
    assert evidence.findings(odd) == []
    assert evidence.meaning(odd) == ""
    assert all(isinstance(line, str) for line in evidence.failed(odd))
