"""Training end to end, in miniature: a cold start from nothing, then GRPO on Ray, with everything in the store."""

import itertools
from pathlib import Path

import pytest

from palestra.infra import store as db
from palestra.infra.store.models import new_id
from palestra.infra.store.packing import unpack_i32
from palestra.policy.errors import PolicyError
from palestra.services.errors import BadRequest
from palestra.services.progress import Silent
from palestra.services.training.recipes import Recipe, load_recipe
from palestra.services.training.run import run_recipe

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SMALL = [
    "steps=3",
    "dense_steps=1",
    "batch=2",
    "tokenizer_texts=20",
    "model.hidden_size=32",
    "model.num_hidden_layers=2",
]
FEW = [
    "updates=2",
    "train_tasks=2",
    "held_out=2",
    "group=2",
    "tasks_per_update=2",
    "workers=1",
    "threads=1",
    "eval_every=1",
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def coldstart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cold")
    with db.Store(f"sqlite:///{folder}/cold.db") as store:
        recipe = load_recipe(EXAMPLES / "coldstart.toml", [*SMALL, f"out={folder}/checkpoint"])
        run_recipe(recipe, store, new_id(), None, Silent())
    return folder / "checkpoint"


def grpo(coldstart: Path, folder: Path, *more: str) -> Recipe:
    return load_recipe(
        EXAMPLES / "quickstart.toml",
        [*FEW, f"checkpoint={coldstart}", f"out={folder}", "turn_tokens=24", "turns=2", *more],
    )


def test_a_cold_start_is_a_checkpoint_that_loads_and_is_the_same_twice(coldstart: Path, tmp_path: Path) -> None:
    with db.Store(f"sqlite:///{tmp_path}/cold.db") as store:
        recipe = load_recipe(EXAMPLES / "coldstart.toml", [*SMALL, f"out={tmp_path}/again"])
        run_id = new_id()
        run_recipe(recipe, store, run_id, None, Silent())
        metrics, _ = store.page(db.Metric, run_id=run_id)
    assert {metric.name for metric in metrics} >= {"sft/loss", "sft/indexer_kl"}
    first, again = (path / "model.safetensors" for path in (coldstart, tmp_path / "again"))
    assert first.read_bytes() == again.read_bytes()


def test_grpo_leaves_everything_in_the_store(coldstart: Path, tmp_path: Path) -> None:
    run_id = new_id()
    with db.Store(f"sqlite:///{tmp_path}/grpo.db") as store:
        _, curve = run_recipe(grpo(coldstart, tmp_path / "out"), store, run_id, None, Silent())
        run = store.get(db.Run, run_id)
        tasks, _ = store.page(db.Task, limit=1000)
        certificates, _ = store.page(db.Certificate, limit=1000)
        rollouts, _ = store.page(db.Rollout, limit=1000, run_id=run_id)
        policies, _ = store.page(db.Policy, run_id=run_id)
        turns, _ = store.page(db.Turn, limit=1000)
        verdicts, _ = store.page(db.Verdict, limit=1000)
    assert curve is not None
    assert set(curve.held_out) == {"travel-mini", "search-mini"}
    assert run is not None
    assert run.status == "done"
    splits = {split: {task.id for task in tasks if task.split == split} for split in ("train", "held-out")}
    assert len(splits["train"]) == len(splits["held-out"]) == 2 * 2
    assert {row.task_id for row in certificates} == {task.id for task in tasks}
    updates, judged = 2 * 2 * 2, 3 * 4
    assert len(rollouts) == len(verdicts) == updates + judged
    trained = {rollout.task_id for rollout in rollouts} - splits["held-out"]
    assert trained
    assert trained <= splits["train"]
    full = store_tokens(tmp_path, rollouts[0].id)
    assert full == list(
        itertools.chain.from_iterable(
            unpack_i32(turn.prompt_tokens or b"") + unpack_i32(turn.completion_tokens or b"")
            for turn in sorted(turns, key=lambda turn: turn.index)
            if turn.rollout_id == rollouts[0].id
        )
    )
    assert len(policies) == 2
    assert policies[1].parent_id == policies[0].id
    assert (tmp_path / "out" / "learning.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "policy" / "model.safetensors").exists()


def store_tokens(tmp_path: Path, rollout_id: str) -> list[int]:
    with db.Store(f"sqlite:///{tmp_path}/grpo.db") as store:
        row = store.get(db.Rollout, rollout_id)
    assert row is not None
    assert row.tokens is not None
    return list(unpack_i32(row.tokens))


def test_a_checkpoint_that_is_none_fails_in_one_line_and_the_run_says_so(coldstart: Path, tmp_path: Path) -> None:
    run_id = new_id()
    with db.Store(f"sqlite:///{tmp_path}/bad.db") as store:
        with pytest.raises((PolicyError, BadRequest), match="nowhere"):
            run_recipe(grpo(tmp_path / "nowhere", tmp_path / "out"), store, run_id, None, Silent())
        run = store.get(db.Run, run_id)
    assert run is not None
    assert run.status == "failed"
    assert "nowhere" in run.note
