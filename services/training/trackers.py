"""Where a training run's numbers go: always the store and the live metrics; TensorBoard, Weights & Biases or MLflow
where a recipe names them and they are installed.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from ...infra import store as db
from ..errors import BadRequest
from ..metrics import LIVE_TRAINING


class Tracker(Protocol):
    """Takes the numbers of a run, step by step."""

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        """Numbers by name, such as `train/loss`."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class StoreTracker:
    """Rows of the store's metrics, each committed before `log` returns."""

    def __init__(self, store: db.Store, run_id: str) -> None:
        self._store, self._run_id = store, run_id

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._store.log_metrics(self._run_id, step, numbers)

    def close(self) -> None:
        """Nothing is left."""


class LiveTracker:
    """The latest value of each number, for Prometheus."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        LIVE_TRAINING.observe(self._run_id, step, numbers)

    def close(self) -> None:
        LIVE_TRAINING.forget(self._run_id)


class TensorBoardTracker:
    """Event files under `folder`: `tensorboard --logdir FOLDER` shows them."""

    def __init__(self, run_id: str, folder: Path, config: Mapping[str, Any], first: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What an earlier call wrote beyond the step it goes on from is not shown.
        self._writer: Any = SummaryWriter(str(folder / "tensorboard" / run_id), purge_step=first + 1 if first else None)

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            self._writer.add_scalar(name, number, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandbTracker:
    """A run of Weights & Biases; WANDB_PROJECT, WANDB_MODE and so on are read as wandb reads them."""

    def __init__(self, run_id: str, folder: Path, config: Mapping[str, Any], first: int) -> None:
        import wandb

        self._run: Any = wandb.init(id=run_id, dir=str(folder), config=dict(config), resume="allow")

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        self._run.log(dict(numbers), step=step)

    def close(self) -> None:
        self._run.finish()


class MlflowTracker:
    """A run of MLflow at MLFLOW_TRACKING_URI, else in the run's folder; one that goes on is found again."""

    def __init__(self, run_id: str, folder: Path, config: Mapping[str, Any], first: int) -> None:
        import mlflow
        from mlflow.tracking import MlflowClient

        own = None if mlflow.is_tracking_uri_set() else folder.resolve()
        self._client: Any = MlflowClient(f"sqlite:///{own}/mlflow.db" if own else None)
        experiment = _experiment(self._client, own)
        known = self._client.search_runs([experiment], f"tags.`palestra.run` = '{run_id}'")
        self._run: Any = known[0] if known else self._client.create_run(experiment, run_name=run_id)
        if known:
            self._client.update_run(self._run.info.run_id, "RUNNING")
            return
        self._client.set_tag(self._run.info.run_id, "palestra.run", run_id)
        for name, value in config.items():
            self._client.log_param(self._run.info.run_id, name, str(value)[:500])

    def log(self, step: int, numbers: Mapping[str, float]) -> None:
        for name, number in numbers.items():
            self._client.log_metric(self._run.info.run_id, name.replace("@", "_at_"), number, step=step)

    def close(self) -> None:
        self._client.set_terminated(self._run.info.run_id)


def _experiment(client: Any, own: Path | None) -> str:
    """The id of the experiment `palestra`, made where there is none."""
    found = client.get_experiment_by_name("palestra")
    made: str = found.experiment_id if found else client.create_experiment("palestra", own and f"{own.as_uri()}/mlruns")
    return made


_OPTIONAL: dict[str, tuple[str, Callable[[str, Path, Mapping[str, Any], int], Tracker]]] = {
    "tensorboard": ("tensorboard", TensorBoardTracker),
    "wandb": ("wandb", WandbTracker),
    "mlflow": ("mlflow", MlflowTracker),
}


class Trackers:
    """Several as one. The store comes first: what it took is kept, whatever becomes of the others."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self._trackers = trackers

    def log(self, step: int, numbers: Mapping[str, float], prefix: str = "") -> None:
        """Log `prefix/name` for each name; what is not finite goes to the store alone."""
        named = {f"{prefix}/{name}" if prefix else name: float(number) for name, number in numbers.items()}
        finite = {name: number for name, number in named.items() if math.isfinite(number)}
        for tracker in self._trackers:
            tracker.log(step, named if isinstance(tracker, StoreTracker) else finite)


def check_trackers(names: Sequence[str]) -> None:
    """BadRequest for a tracker that does not exist or is not installed."""
    for name in names:
        if name not in _OPTIONAL:
            raise BadRequest(f"tracker {name!r} is not one of {', '.join(_OPTIONAL)}")
        if importlib.util.find_spec(_OPTIONAL[name][0]) is None:
            raise BadRequest(f"tracker {name!r} is not installed: pip install {_OPTIONAL[name][0]}, or leave it out")


@contextmanager
def open_trackers(
    names: Sequence[str], store: db.Store, run_id: str, folder: Path, config: Mapping[str, Any], first: int = 0
) -> Iterator[Trackers]:
    """The trackers of one run that goes on after step `first`, closed with the block. Raises BadRequest."""
    check_trackers(names)
    with ExitStack() as stack:
        trackers: list[Tracker] = [StoreTracker(store, run_id), LiveTracker(run_id)]
        trackers += [_start(name, run_id, folder, config, first) for name in names]
        for tracker in trackers:
            stack.callback(tracker.close)
        yield Trackers(trackers)


def _start(name: str, run_id: str, folder: Path, config: Mapping[str, Any], first: int) -> Tracker:
    try:
        return _OPTIONAL[name][1](run_id, folder, config, first)
    except Exception as error:  # each raises its own kinds: no server, no permission, no account
        raise BadRequest(f"tracker {name!r} cannot start ({error}): mend that, or leave it out of trackers") from error
