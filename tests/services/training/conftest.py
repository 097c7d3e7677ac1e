"""What tests of training runs share: a policy so small that its runs take seconds, and runs that are broken off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from palestra.infra import store as db
from palestra.infra.store.models import new_id
from palestra.services.progress import Silent, Update
from palestra.services.training.curve import Curve
from palestra.services.training.recipes import Recipe, load_recipe
from palestra.services.training.run import run_recipe

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
TINY = [
    "dense_steps=2",
    "batch=2",
    "tokenizer_texts=20",
    "model.hidden_size=32",
    "model.num_hidden_layers=2",
    'modes=["thinking","chat"]',
]


class Interrupting(Silent):
    """Breaks a run off, as Ctrl-C does, once step `at` of the stage `title` is done."""

    def __init__(self, title: str, at: int) -> None:
        self._title, self._at = title, at

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Update]:
        """Raises KeyboardInterrupt at that step."""

        def update(done: int, note: str) -> None:
            if title == self._title and done == self._at:
                raise KeyboardInterrupt

        yield update


class Telling(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """One line."""
        self.lines.append(text)


Train = Callable[..., "tuple[str, Curve | None]"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[db.Store]:
    with db.Store(f"sqlite:///{tmp_path}/runs.db") as store:
        yield store


@pytest.fixture
def train(store: db.Store) -> Train:
    """Run a recipe in this test's store."""

    def run(recipe: Recipe, progress: Silent | None = None, fresh: bool = False) -> tuple[str, Curve | None]:
        return run_recipe(recipe, store, new_id(), None, progress or Silent(), fresh)

    return run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a policy that has learnt next to nothing."""
    folder = tmp_path_factory.mktemp("tiny")
    recipe = load_recipe(EXAMPLES / "coldstart.toml", [*TINY, "steps=3", "stop_after=3", f"out={folder}/policy"])
    with db.Store(f"sqlite:///{folder}/tiny.db") as store:
        run_recipe(recipe, store, new_id(), None, Silent())
    return folder / "policy"


def metrics_of(store: db.Store, run_id: str) -> dict[tuple[int, str], float | None]:
    """The numbers of a run; each may be there once."""
    rows, after = store.page(db.Metric, limit=1000, run_id=run_id)
    assert after is None
    counted = Counter((row.step, row.name) for row in rows)
    assert set(counted.values()) <= {1}, counted
    return {(row.step, row.name): row.value for row in rows}
