"""The optional judge: asked about unmatched names only, and only by those who configured it."""

from __future__ import annotations

from pathlib import Path

import pytest

from palestra.envs.search.environment import Search
from palestra.envs.types import Task
from palestra.verifiers.scripted_judge import Asked, Raw, ScriptedJudge


def task(type: str = "name") -> Task:
    key = {"kind": "chain", "form": {}, "type": type, "unit": "", "answers": ["Karl Gruber", "Old Karl"]}
    world = {"seed": 0, "size": 20}
    return Task(env="search", version="1", seed=1, level=1, prompt="Who was it?", world=world, key=key)


def nods(asked: Asked) -> bool:
    assert (asked.question, asked.reference) == ("Who was it?", "Karl Gruber, also known as Old Karl")
    return asked.answer == "Gruber, Karl (the elder)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALESTRA_JUDGE_CACHE", str(tmp_path))
    monkeypatch.setenv("PALESTRA_SEARCH_JUDGE", "1")


@pytest.mark.usefixtures("folder")
def test_a_name_that_does_not_match_is_shown_to_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedJudge(nods) as server:
        monkeypatch.setenv("PALESTRA_JUDGE_URL", server.url)
        assert Search().verify(task(), "Gruber, Karl (the elder)", {}).reward == 1
        assert Search().verify(task(), "Karl Huber", {}).reward == 0
        asked = len(server.asked)
        assert asked > 0
        assert Search().verify(task(), "old karl", {}).reward == 1  # matches: nobody is asked
        assert Search().verify(task("year"), "1871", {}).reward == 0
        assert Search().verify(task(), None, {}).reward == 0
        assert Search().verify(task(), "Gruber, Karl (the elder)", {}).reward == 1  # the votes are kept
        assert len(server.asked) == asked


@pytest.mark.usefixtures("folder")
def test_a_judge_that_fails_makes_the_verdict_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedJudge(lambda asked: Raw(content="I would say so", status=400)) as server:
        monkeypatch.setenv("PALESTRA_JUDGE_URL", server.url)
        verdict = Search().verify(task(), "Karl Huber", {})
    assert verdict.validity != "valid"


def test_nobody_is_asked_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedJudge(lambda asked: True) as server:
        monkeypatch.setenv("PALESTRA_JUDGE_URL", server.url)
        monkeypatch.delenv("PALESTRA_SEARCH_JUDGE", raising=False)
        assert Search().verify(task(), "Karl Huber", {}).reward == 0
        assert not server.asked
