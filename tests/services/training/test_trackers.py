"""Where a run's numbers go: read back from the store, from TensorBoard's event files and from the live metrics."""

import math
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from palestra.infra import store as db
from palestra.services.errors import BadRequest
from palestra.services.jobs import open_run
from palestra.services.metrics import LIVE
from palestra.services.training.recipes import load_recipe
from palestra.services.training.trackers import _OPTIONAL, check_trackers, open_trackers

from .conftest import EXAMPLES, TINY, Train, metrics_of

RUN = "run-1"


@pytest.fixture
def started(store: db.Store) -> db.Store:
    open_run(store, RUN, "sft", {})
    return store


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_holds_what_was_logged_and_each_step_once_after_a_resume(tmp_path: Path, started: db.Store) -> None:
    with open_trackers(["tensorboard"], started, RUN, tmp_path, {}) as trackers:
        for step in (1, 2, 3):
            trackers.log(step, {"loss": 1 / step}, "train")
    started.forget_metrics(RUN, after=1)
    with open_trackers(["tensorboard"], started, RUN, tmp_path, {}, first=1) as trackers:
        for step in (2, 3):
            trackers.log(step, {"loss": -step}, "train")
    assert scalars(tmp_path / "tensorboard" / RUN, "train/loss") == [(1, 1.0), (2, -2.0), (3, -3.0)]
    assert metrics_of(started, RUN) == {(1, "train/loss"): 1.0, (2, "train/loss"): -2.0, (3, "train/loss"): -3.0}


def test_a_number_that_is_not_finite_is_none_in_the_store_and_nowhere_else(tmp_path: Path, started: db.Store) -> None:
    with open_trackers(["tensorboard"], started, RUN, tmp_path, {}) as trackers:
        trackers.log(1, {"loss": math.nan, "norm": math.inf, "lr": 0.5})
        assert LIVE.registry.get_sample_value("palestra_training", {"run": RUN, "name": "lr"}) == 0.5
        assert LIVE.registry.get_sample_value("palestra_training_step", {"run": RUN}) == 1
        assert LIVE.registry.get_sample_value("palestra_training", {"run": RUN, "name": "loss"}) is None
    assert LIVE.registry.get_sample_value("palestra_training", {"run": RUN, "name": "lr"}) is None
    assert LIVE.registry.get_sample_value("palestra_training_step", {"run": RUN}) is None
    assert metrics_of(started, RUN) == {(1, "loss"): None, (1, "norm"): None, (1, "lr"): 0.5}
    events = EventAccumulator(str(tmp_path / "tensorboard" / RUN))
    events.Reload()
    assert events.Tags()["scalars"] == ["lr"]


def test_one_that_does_not_exist_or_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadRequest, match=r"'comet' is not one of tensorboard, wandb, mlflow"):
        check_trackers(["tensorboard", "comet"])
    absent = ("no_such_package_here", _OPTIONAL["wandb"][1])
    monkeypatch.setitem(_OPTIONAL, "wandb", absent)
    with pytest.raises(BadRequest, match="'wandb' is not installed: pip install no_such_package_here"):
        check_trackers(["wandb"])


def test_one_that_cannot_start_is_named(tmp_path: Path, started: db.Store) -> None:
    (tmp_path / "tensorboard").write_text("a file in the way")
    with (
        pytest.raises(BadRequest, match=r"tracker 'tensorboard' cannot start .*: mend that"),
        open_trackers(["tensorboard"], started, RUN, tmp_path, {}),
    ):
        pass


def test_a_recipe_names_them(tmp_path: Path, store: db.Store, train: Train) -> None:
    more = [*TINY, "steps=2", "stop_after=2", f"out={tmp_path}/out"]
    with pytest.raises(BadRequest, match="comet"):
        train(load_recipe(EXAMPLES / "coldstart.toml", [*more, 'trackers=["comet"]']))
    assert store.page(db.Run)[0] == []
    run_id, _ = train(load_recipe(EXAMPLES / "coldstart.toml", [*more, 'trackers=["tensorboard"]']))
    shown = scalars(tmp_path / "out" / "tensorboard" / run_id, "sft/loss")
    assert [step for step, _ in shown] == [2]
    assert shown[0][1] == pytest.approx(metrics_of(store, run_id)[2, "sft/loss"])
