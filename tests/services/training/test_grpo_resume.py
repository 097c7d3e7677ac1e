"""GRPO that was broken off: with deterministic engines it goes on with the losses an unbroken run has."""

from pathlib import Path

import pytest

from palestra.infra import store as db
from palestra.services.policies import COLDSTART
from palestra.services.training.recipes import Recipe, load_recipe

from .conftest import EXAMPLES, Interrupting, Telling, Train, metrics_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


DOMAIN = '{ env = "travel-mini", level = 1, reward = { length = 0.5, free_tokens = 10, most_tokens = 400 } }'


def grpo(out: Path) -> Recipe:
    """The mixed stage in miniature, from the cold start: a reference policy, two held-out sets, and a length penalty,
    so that groups differ in reward.
    """
    few = ["updates=2", "train_tasks=2", "held_out=2", "group=2", "tasks_per_update=2", "eval_every=1", "eval_sets=2"]
    small = ["workers=1", "threads=1", "turns=3", "max_refills=1", "deterministic=true", f"domains=[{DOMAIN}]"]
    named = ["checkpoint=coldstart", f"out={out}", "mode=chat", "save_every=1"]
    return load_recipe(EXAMPLES / "pipeline" / "6-mixed.toml", [*few, *small, *named])


def test_it_goes_on_exactly_and_is_complete_in_the_end(tmp_path: Path, store: db.Store, train: Train) -> None:
    unbroken, _ = train(grpo(tmp_path / "unbroken"))
    with pytest.raises(KeyboardInterrupt, match="from step 1"):
        train(grpo(tmp_path / "broken"), Interrupting("GRPO", 2))
    broken, curve = train(grpo(tmp_path / "broken"))
    policies = [tmp_path / name / "policy" / "model.safetensors" for name in ("unbroken", "broken")]
    assert policies[0].read_bytes() == policies[1].read_bytes() != (COLDSTART / "model.safetensors").read_bytes()
    both = [metrics_of(store, run) for run in (unbroken, broken)]
    assert both[0] == both[1]
    assert {step for step, name in both[0] if name == "train/loss"} == {1, 2}
    tasks = store.page(db.Task, limit=1000)[0]
    assert len(tasks) == len({task.id for task in tasks}) == 2 + 2  # made three times, stored once
    assert len(store.page(db.Certificate, limit=1000)[0]) == len(tasks)
    _is_complete(tmp_path, store, train, broken, curve)


def _is_complete(tmp_path: Path, store: db.Store, train: Train, run: str, curve: object) -> None:
    played = len(store.page(db.Rollout, limit=1000)[0])
    (tmp_path / "broken" / "learning.png").unlink()
    told = Telling()
    again, same = train(grpo(tmp_path / "broken"), told)
    assert again == run
    assert same == curve
    assert "all 2 steps are done already" in told.lines[0]
    assert (tmp_path / "broken" / "learning.png").exists()
    assert len(store.page(db.Rollout, limit=1000)[0]) == played
    policies = store.page(db.Policy, limit=1000)[0]
    assert [one.id.endswith("?mode=chat") for one in policies] == [True, True]  # the start, and what both runs learnt
