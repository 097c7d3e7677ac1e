"""Rescoring: the installed verifier judges what is stored, nothing is played, old verdicts stay."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, select, update

from palestra.envs.registry import environment_class
from palestra.envs.types import Task, ToolSchema
from palestra.infra import store as db
from palestra.rollout.codec import assistant_message
from palestra.rollout.episode import run_episode
from palestra.rollout.errors import EngineError
from palestra.rollout.records import episode_rows, task_row
from palestra.rollout.types import Message, Move, Player
from palestra.services.cli.main import run
from palestra.services.rescore import Plan, Rescored, Scope, plan, rescore
from palestra.services.serve import create_site
from palestra.verifiers.scripted_judge import Raw, ScriptedJudge

WELL = '''
from palestra.envs.environment import Environment
from palestra.envs.tools import tool
from palestra.verifiers.checks import check, weighted

{head}

class Well(Environment):
    """Draw water; the answer is how many buckets there were."""
    id = "well"
    version = "{version}"

    def propose(self, rng, level):
        return self.task(seed=level, level=level, prompt="Draw.", world={{"drawn": 0, "depth": 9}}, key={{"most": 3}})

    def solve(self, task, tools):
        tools.draw()
        return 1

    def start(self, task):
        {start}
        super().start(task)

    def verify(self, task, answer, world):
        {verify}

    @tool
    def draw(self) -> str:
        """Draw a bucket."""
        self.world["drawn"] += 1
        {draw}
        return "water"
'''
COUNTS = 'return weighted([check("counted", answer == str(world["drawn"]))])'
CARES = (
    'return weighted([check("counted", answer == str(world["drawn"])), '
    'check("spared", world["drawn"] <= task.key["most"])])'
)
BUCKETS = [0, 1, 2, 3, 4, 5]


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a version of the plugin in front of all others."""
    count = 0

    def now(version: str = "1", verify: str = COUNTS, start: str = "pass", draw: str = "pass", head: str = "") -> None:
        nonlocal count
        count += 1
        folder = tmp_path / f"plugin{count}"
        info = folder / "well-0.1.dist-info"
        info.mkdir(parents=True)
        source = WELL.format(version=version, verify=verify, start=start, draw=draw, head=head)
        (folder / f"palestra_well{count}.py").write_text(source)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: well\nVersion: 0.1\n")
        (info / "entry_points.txt").write_text(f"[palestra.environments]\nwell = palestra_well{count}:Well\n")
        monkeypatch.syspath_prepend(str(folder))

    yield now
    for number in range(count):
        sys.modules.pop(f"palestra_well{number + 1}", None)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[db.Store]:
    with db.Store(f"sqlite:///{tmp_path}/palestra.db") as opened:
        yield opened


class Says:
    """A policy of fixed messages; where it has none left its engine breaks."""

    id = "says"

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages

    def start(self, task: Task, messages: list[Message], tools: list[ToolSchema], sample: int) -> Player:
        return _Speaker(list(self.messages))

    async def close(self) -> None:
        pass


class _Speaker:
    def __init__(self, left: list[Message]) -> None:
        self._left = left

    async def act(self) -> Move:
        if not self._left:
            raise EngineError("no power")
        return Move(message=self._left.pop(0))

    def observe(self, results: list[str]) -> None:
        pass

    def hear(self, text: str) -> None:
        pass


def play(store: db.Store, buckets: int, run_id: str | None = None, answer: str | None = None) -> str:
    """An episode that draws so many buckets and says how many (or `answer`; "" breaks the engine); its rollout's id."""
    cls = environment_class("well")
    task = cls().task(seed=buckets, level=1, prompt="Draw.", world={"drawn": 0, "depth": 9}, key={"most": 3})
    said = [assistant_message("", calls=[("draw", {})]) for _ in range(buckets)]
    told = str(buckets) if answer is None else answer
    said += [assistant_message("", told)] if told else []
    episode = asyncio.run(run_episode(cls(), task, Says(said)))
    rollout, others = episode_rows(episode, run_id=run_id)
    id = rollout.id
    store.add_once(task_row(task))
    store.add_once(rollout, *others)
    return id


def verdicts(store: db.Store, rollout: str) -> list[tuple[str, str, float | None]]:
    query = select(db.Verdict).where(db.Verdict.rollout_id == rollout).order_by(db.Verdict.seq)
    with store.reading() as session:
        return [(one.verifier_version, one.validity, one.reward) for one in session.scalars(query)]


def again(store: db.Store, dry_run: bool = False, **scope: str) -> list[Rescored]:
    return list(rescore(store, plan(store, Scope(**scope)), dry_run))


def test_a_newer_verifier_judges_the_final_worlds_and_both_verdicts_stay(store: db.Store, install: Install) -> None:
    install("1")
    rollouts = {buckets: play(store, buckets) for buckets in BUCKETS}
    install("2", CARES, start="raise AssertionError('played')", draw="raise AssertionError('played')")
    found = again(store)
    assert [one.rollout for one in found] == list(rollouts.values())
    for (buckets, id), one in zip(rollouts.items(), found, strict=True):
        expected = 1.0 if buckets <= 3 else 0.5
        assert verdicts(store, id) == [("well-1", "valid", 1.0), ("well-2", "valid", expected)]
        assert (one.status, one.flipped) == ("changed", buckets > 3)
        row = store.get(db.Rollout, id)
        assert row is not None
        assert (row.validity, row.reward, row.outcome) == ("valid", expected, "answered")


def test_the_same_version_has_nothing_to_do(store: db.Store, install: Install) -> None:
    install("1")
    play(store, 2)
    todo = plan(store, Scope())
    assert (todo.left, todo.done, list(rescore(store, todo))) == ({"well": 0}, {"well": 1}, [])


def test_a_verdict_names_the_version_that_judged_not_the_one_that_made_the_task(
    store: db.Store, install: Install
) -> None:
    install("1")
    task = environment_class("well")().task(seed=1, level=1, prompt="Draw.", world={"drawn": 0}, key={"most": 3})
    install("2")
    cls = environment_class("well")
    episode = asyncio.run(run_episode(cls(), task, Says([assistant_message("", "0")])))
    rollout, others = episode_rows(episode)
    id = rollout.id
    store.add_once(task_row(task))
    store.add_once(rollout, *others)
    assert verdicts(store, id) == [("well-2", "valid", 1.0)]
    assert again(store) == []


def test_a_dry_run_says_the_same_and_stores_nothing(store: db.Store, install: Install) -> None:
    install("1")
    ids = [play(store, buckets) for buckets in BUCKETS]
    install("2", CARES)
    before = [(verdicts(store, id), store.count(db.Verdict)) for id in ids]
    tried = again(store, dry_run=True)
    assert [(verdicts(store, id), store.count(db.Verdict)) for id in ids] == before
    assert again(store) == tried


def test_it_goes_on_where_it_was_stopped(store: db.Store, install: Install) -> None:
    install("1")
    ids = [play(store, buckets) for buckets in BUCKETS]
    install("2", CARES)
    judging = rescore(store, plan(store, Scope()))
    assert isinstance(judging, Generator)
    first = [next(judging), next(judging)]
    judging.close()
    rest = again(store)
    assert [one.rollout for one in (*first, *rest)] == ids
    assert all(len(verdicts(store, id)) == 2 for id in ids)
    assert again(store) == []


def test_two_at_once_judge_each_rollout_once(store: db.Store, install: Install, tmp_path: Path) -> None:
    install("1")
    ids = [play(store, buckets % 6) for buckets in range(24)]
    install("2", CARES)
    todo: Plan = plan(store, Scope())
    failed: list[BaseException] = []

    def judge() -> None:
        try:
            with db.Store(store.url) as own:
                list(rescore(own, todo))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=judge) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert {len(verdicts(store, id)) for id in ids} == {2}


def test_a_scope_leaves_the_rest_alone(store: db.Store, install: Install) -> None:
    install("1")
    store.add_once(db.Run(id="r1", kind="eval"))
    one, other, third = play(store, 4), play(store, 5, run_id="r1"), play(store, 4)
    install("2", CARES)
    assert [found.rollout for found in again(store, run="r1")] == [other]
    assert [found.rollout for found in again(store, rollout=third)] == [third]
    assert again(store, rollout=third) == []
    assert [found.rollout for found in again(store, env="well")] == [one]


def test_a_verifier_that_broke_at_play_is_mended_under_its_own_version(store: db.Store, install: Install) -> None:
    install("1", verify='raise KeyError("typo")')
    id = play(store, 2)
    assert verdicts(store, id) == [("well-1", "invalid_verifier", None)]
    install("1", COUNTS)
    found = again(store)
    assert [(one.old.validity, one.new and one.new.reward, one.flipped) for one in found] == [
        ("invalid_verifier", 1.0, True)
    ]
    assert verdicts(store, id) == [("well-1", "valid", 1.0)]


@pytest.mark.parametrize(
    ("verify", "head", "says"),
    [
        ('return {}["gone"]', "", "KeyError: 'gone'"),
        ("return 1.0", "", "returned a float, not a Verdict"),
        (
            'return weighted([check("n", next(NUMBERS) % 2 == 0)])',
            "import itertools\nNUMBERS = itertools.count()",
            "two different things",
        ),
        (
            'return Verdict.invalid("invalid_infra", "judge away")',
            "from palestra.verifiers.types import Verdict",
            "judge away",
        ),
    ],
)
def test_a_verifier_that_fails_changes_nothing(
    store: db.Store, install: Install, verify: str, head: str, says: str
) -> None:
    install("1")
    id = play(store, 2)
    install("2", verify, head=head)
    found = again(store)
    assert [one.status for one in found] == ["failed"]
    assert says in found[0].note
    assert verdicts(store, id) == [("well-1", "valid", 1.0)]
    install("2", COUNTS)
    assert [one.status for one in again(store)] == ["same"]


def test_a_verifier_that_writes_into_what_it_reads_is_judged_by_what_was_stored(
    store: db.Store, install: Install
) -> None:
    install("1")
    id = play(store, 2)
    install("2", 'world["drawn"] += 1; task.key["most"] -= 1; return weighted([check("n", world["drawn"] == 3)])')
    assert [one.status for one in again(store)] == ["changed"]
    assert verdicts(store, id)[-1] == ("well-2", "valid", 1.0)


def test_what_never_came_to_a_verifier_stays_as_it_is(store: db.Store, install: Install) -> None:
    install("1")
    id = play(store, 2, answer="")
    install("2")
    todo = plan(store, Scope())
    assert (todo.unjudged, todo.total, list(rescore(store, todo))) == (1, 0, [])
    assert verdicts(store, id) == [("well-1", "invalid_infra", None)]


def _without_evidence(store: db.Store) -> None:
    with store.session() as session:
        session.execute(delete(db.Evidence))


def _damaged(store: db.Store) -> None:
    with store.session() as session:
        session.execute(update(db.Evidence).values(data=b"x\x9cjunk"))


def _easier_task(store: db.Store) -> None:
    with store.session() as session:
        session.execute(update(db.Task).values(key={"most": 99}))


def _other_world(store: db.Store) -> None:
    with store.session() as session:
        session.execute(update(db.Task).values(world={"drawn": 5, "depth": 9}))


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (_without_evidence, "none was stored"),
        (_damaged, "damaged"),
        (_easier_task, "another content address"),
        (_other_world, "another content address"),
    ],
)
def test_without_sound_evidence_the_verdict_stays(
    store: db.Store, install: Install, tamper: Callable[[db.Store], None], says: str
) -> None:
    install("1")
    id = play(store, 5)
    tamper(store)
    install("2", CARES)
    found = again(store)
    assert [one.status for one in found] == ["no_evidence"]
    assert says in found[0].note
    assert verdicts(store, id) == [("well-1", "valid", 1.0)]


def test_a_world_that_is_not_json_is_no_evidence(store: db.Store, install: Install) -> None:
    install("1", draw='self.world["at"] = (1, 2)')
    play(store, 2)
    install("2", CARES)
    assert [(one.status, "JSON" in one.note) for one in again(store)] == [("no_evidence", True)]


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def go(*arguments: str) -> tuple[int, str, str]:
        code = run(["rescore", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return go


def test_the_command_prints_what_flipped(store: db.Store, install: Install, cli: Cli) -> None:
    install("1")
    ids = [play(store, buckets) for buckets in BUCKETS]
    gone = play(store, 3)
    broken = play(store, 2, answer="")
    with store.session() as session:
        session.execute(delete(db.Evidence).where(db.Evidence.rollout_id == gone))
    install("2", CARES)
    code, out, _ = cli("--dry-run", "--json")
    told: dict[str, Any] = json.loads(out)
    assert (code, told["dry_run"], told["judged"], told["flipped"], told["unjudged"]) == (0, True, 6, 2, 1)
    code, out, _ = cli()
    assert code == 0
    rows = [line for line in out.splitlines() if "flipped: now fails" in line]
    assert len(rows) == 2
    assert [row.split()[0] for row in rows] == ids[4:]
    assert "1.000 (well-1)" in rows[0]
    assert "0.500 (well-2)" in rows[0]
    assert "6 judged: 0 the same, 6 changed, 2 of them flipped" in out
    assert f"1 have no evidence to judge by ({gone}: none was stored)" in out
    assert "1 never came to a verifier" in out
    assert broken not in out
    code, out, _ = cli("--rollout", ids[0])
    assert (code, out) == (0, "well: all 1 rollouts have a verdict of well-2 already\n")


def test_a_failing_verifier_is_a_line_and_an_exit_code(store: db.Store, install: Install, cli: Cli) -> None:
    install("1")
    id = play(store, 1)
    install("2", 'raise KeyError("typo")')
    code, out, _ = cli()
    assert code == 1
    assert f"1 could not be judged ({id}: invalid_verifier: KeyError: 'typo')" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--env", "nowhere"), "unknown environment 'nowhere'"),
        (("--run", "nowhere"), "no run 'nowhere'"),
        (("--rollout", "nowhere"), "no rollout 'nowhere'"),
    ],
)
def test_what_is_not_there_is_one_line(store: db.Store, cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    code, out, err = cli(*arguments)
    assert (code, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1


def test_an_environment_that_is_gone_is_said_and_the_others_are_judged(store: db.Store, cli: Cli) -> None:
    task = Task(env="gone", version="1", seed=0, level=1, prompt="?")
    store.add(task_row(task), db.Rollout(task_id=task.id, policy_id="p", outcome="answered", reward=1.0))
    code, out, _ = cli()
    assert code == 0
    assert out.startswith("gone is left out: unknown environment 'gone'")


def test_the_api_and_the_page_show_the_newest_and_the_history(store: db.Store, install: Install) -> None:
    install("1")
    id = play(store, 5)
    install("2", CARES)
    again(store)
    with TestClient(create_site(store.url)) as client:
        found = client.get(f"/api/v1/rollouts/{id}").json()
        assert (found["reward"], found["verdict"]["verifier_version"], found["verdict"]["reward"]) == (
            0.5,
            "well-2",
            0.5,
        )
        assert [one["verifier_version"] for one in found["verdicts"]] == ["well-1", "well-2"]
        page = client.get(f"/rollouts/{id}").text
    shown = page.index("verifier version well-2")
    assert shown < page.index("spared") < page.index("Earlier verdicts") < page.index("well-1 · valid · reward 1.00")
    assert page.count("spared") == 1


def test_a_killed_process_loses_nothing_and_the_same_command_goes_on(
    store: db.Store, install: Install, cli: Cli, tmp_path: Path
) -> None:
    install("1")
    ids = [play(store, buckets) for buckets in BUCKETS]
    install("2", f"FATAL.exists() and next(CALLS) == 6 and os.kill(os.getpid(), 9); {CARES}", head=KILLS)
    (tmp_path / "fatal").touch()
    command = [sys.executable, "-m", "palestra.services.cli.main", "rescore", "--store", store.url]
    path = os.pathsep.join([str(tmp_path / "plugin2"), *sys.path])
    died = subprocess.run(command, env=os.environ | {"PYTHONPATH": path, "FATAL": str(tmp_path / "fatal")}, check=False)
    assert died.returncode == -9
    judged = [id for id in ids if len(verdicts(store, id)) == 2]
    assert judged == ids[:3], "each is asked twice, and the seventh time was fatal"
    for id in judged:
        row = store.get(db.Rollout, id)
        assert row is not None
        assert row.reward == verdicts(store, id)[-1][2]
    (tmp_path / "fatal").unlink()
    code, out, _ = cli("--json")
    assert (code, json.loads(out)["judged"], json.loads(out)["already"]) == (0, 3, 3)


KILLS = """
import itertools, os, pathlib
FATAL = pathlib.Path(os.environ.get("FATAL", "/nonexistent"))
CALLS = itertools.count()
"""
ASKS = """
import os
from palestra.verifiers.judge import JudgeConfig
from palestra.verifiers.rubric import Criterion, Rubric
"""
RUBRIC = 'return Rubric([Criterion("even", "It is even.")], JudgeConfig.from_environ()).judge(answer)'


def test_a_judge_model_that_was_away_is_asked_again_and_then_never_more(
    store: db.Store, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALESTRA_JUDGE_CACHE", str(tmp_path / "votes"))
    install("1", RUBRIC, head=ASKS)
    with ScriptedJudge(lambda asked: Raw(data=b"no such key", status=401)) as away:
        monkeypatch.setenv("PALESTRA_JUDGE_URL", away.url)
        ids = [play(store, buckets) for buckets in (1, 2)]
    assert [verdicts(store, id)[-1][1:] for id in ids] == [("invalid_infra", None)] * 2
    with ScriptedJudge(lambda asked: asked.answer == "2") as judge:
        monkeypatch.setenv("PALESTRA_JUDGE_URL", judge.url)
        assert [(one.status, one.new and one.new.reward) for one in again(store)] == [
            ("changed", 0.0),
            ("changed", 1.0),
        ]
        votes = [asked for asked in judge.asked if asked.criterion == "It is even."]
        assert len(votes) == 2 * 3, "three each, though each is judged twice"
    install("2", RUBRIC, head=ASKS)
    assert [(one.status, one.flipped) for one in again(store)] == [("same", False)] * 2
    assert [verdicts(store, id)[-1] for id in ids] == [("well-2", "valid", 0.0), ("well-2", "valid", 1.0)]


@pytest.mark.postgres
def test_postgres_does_what_sqlite_does(postgres: str, install: Install) -> None:
    with db.Store(postgres + "postgres") as store:
        install("1")
        ids = [play(store, buckets) for buckets in BUCKETS]
        install("2", CARES)
        todo = plan(store, Scope())
        judging = [threading.Thread(target=lambda: list(rescore(store, todo))) for _ in range(2)]
        for thread in judging:
            thread.start()
        for thread in judging:
            thread.join()
        for buckets, id in zip(BUCKETS, ids, strict=True):
            expected = 1.0 if buckets <= 3 else 0.5
            assert verdicts(store, id) == [("well-1", "valid", 1.0), ("well-2", "valid", expected)]
            row = store.get(db.Rollout, id)
            assert row is not None
            assert row.reward == expected
        assert again(store) == []
