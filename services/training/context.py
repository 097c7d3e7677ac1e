"""What one training run has to work with, and how it goes on where an earlier one stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...infra import store as db
from ..errors import BadRequest
from ..jobs import close_run, open_run
from ..progress import Progress
from .recipes import Recipe
from .snapshots import Snapshot, Snapshots
from .trackers import Trackers, check_trackers, open_trackers


@dataclass(frozen=True)
class Context:
    """A run: its id, where its things go, and `begun`: the checkpoint it goes on from."""

    recipe: Recipe
    run_id: str
    store: db.Store
    out: Path
    progress: Progress
    trackers: Trackers
    snapshots: Snapshots
    begun: Snapshot | None

    @property
    def first_step(self) -> int:
        """How many steps are done already."""
        return self.begun.step if self.begun else 0

    @property
    def is_complete(self) -> bool:
        """Whether every step was done by an earlier call."""
        last = self.recipe.last_step
        return self.begun is not None and last is not None and self.begun.step >= last

    def state(self) -> dict[str, Any]:
        """What the run saved when it stopped; empty where it begins."""
        return self.begun.state() if self.begun else {}

    def is_due(self, step: int, last: int) -> bool:
        """Whether a checkpoint is to be written after this step."""
        every = self.recipe.save_every
        return bool(every) and (step % every == 0 or step == last)

    def header(self) -> dict[str, Any]:
        """What every checkpoint says of its run."""
        return {"recipe": self.recipe.model_dump(mode="json"), "run_id": self.run_id}


@contextmanager
def open_context(
    recipe: Recipe, store: db.Store, run_id: str, progress: Progress, fresh: bool = False, **shown: Any
) -> Iterator[Context]:
    """A run in the store, under the id it has there if it goes on; its status says how it ended, whatever happened.
    `shown` is shown of it too (`kind` in place of the recipe's).

    With `fresh` earlier checkpoints are removed. BadRequest where those in the folder are of another run.
    """
    check_trackers(recipe.trackers)
    out = Path(recipe.out)
    _make_folder(out)
    snapshots = Snapshots(out / "checkpoints", recipe.keep)
    if fresh:
        snapshots.clear()
    begun = snapshots.latest()
    run_id = _same_run(recipe, begun) if begun else run_id
    config = recipe.model_dump(mode="json") | {"out": str(out.resolve()), "plot": "learning.png"} | shown
    open_run(store, run_id, config["kind"], config)
    if begun:
        store.forget_metrics(run_id, after=begun.step)
    try:
        with open_trackers(recipe.trackers, store, run_id, out, config, begun.step if begun else 0) as trackers:
            context = Context(recipe, run_id, store, out, progress, trackers, snapshots, begun)
            _say_where(context)
            yield context
    except KeyboardInterrupt as stop:
        close_run(store, run_id, "failed", "interrupted")
        raise KeyboardInterrupt(_way_back(snapshots)) from stop
    except BaseException as error:
        close_run(store, run_id, "failed", f"{type(error).__name__}: {error}")
        raise
    close_run(store, run_id, "done")


def _say_where(context: Context) -> None:
    if context.is_complete:
        context.progress.say(f"all {context.recipe.last_step} steps are done already; --fresh does them again")
    elif context.begun:
        context.progress.say(f"going on from step {context.begun.step} in {context.begun.folder}")


def _way_back(snapshots: Snapshots) -> str:
    last = snapshots.latest()
    if last is None:
        return "interrupted before a checkpoint was written (save_every says how often): the same command begins anew"
    return f"interrupted: the same command goes on from step {last.step}"


def _same_run(recipe: Recipe, begun: Snapshot) -> str:
    """The id of the run that wrote a checkpoint; BadRequest where this recipe is not that run's."""
    state = begun.state()
    if other := recipe.differs(state["recipe"]):
        raise BadRequest(
            f"{begun.folder} is of a run with {other}: repeat it as it was, give another out=FOLDER, or add --fresh"
        )
    run_id = state["run_id"]
    assert isinstance(run_id, str)
    return run_id


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(
            f"cannot make the output folder {out} ({error.strerror}): name another with out=FOLDER"
        ) from error
