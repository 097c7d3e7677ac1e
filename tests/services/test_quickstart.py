"""The main job as a user starts it, cut down by overrides: three domains, a real sandbox, GRPO, the summary."""

import json
from pathlib import Path

import pytest

from palestra.infra import store as db
from palestra.services.cli.main import run

FEW = ["updates=1", "train_tasks=4", "held_out=4", "group=2", "tasks_per_update=4", "workers=2", "threads=1"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.docker,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_quickstart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path}/palestra.db"
    code = run(["quickstart", *FEW, "--out", str(tmp_path / "out"), "--store", url, "--json"])
    printed = capsys.readouterr()
    assert code == 0, printed.err
    found = json.loads(printed.out)
    assert found["played"] == {env: {"oracle": 1.0, "noop": 0.0} for env in ("travel", "search", "bugfix")}
    assert set(found["held_out"]) == {"travel-mini", "search-mini"}
    assert Path(found["plot"]).read_bytes().startswith(b"\x89PNG")
    with db.Store(url) as store:
        envs = {task.env for task in store.page(db.Task, limit=1000)[0]}
        rollouts, _ = store.page(db.Rollout, limit=1000, run_id=found["run"])
        run_row = store.get(db.Run, found["run"])
    assert envs == {"travel", "search", "travel-mini", "search-mini", "bugfix"}
    assert {rollout.validity for rollout in rollouts} == {"valid"}
    assert run_row is not None
    assert run_row.status == "done"
    assert run_row.config["sandbox"] in ("docker", "bwrap")


def test_without_a_sandbox_it_stops_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    url = f"sqlite:///{tmp_path}/palestra.db"
    code = run(["quickstart", "--out", str(tmp_path / "out"), "--store", url])
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert code != 0
    assert "install" in message
    assert "bubblewrap" in message
