"""A run that was broken off goes on as if it had not been: the same weights to the bit, each step's numbers once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from palestra.infra import store as db
from palestra.services.errors import BadRequest
from palestra.services.training import sparse, supervised
from palestra.services.training.recipes import Recipe, load_recipe
from palestra.services.training.snapshots import Snapshots

from .conftest import EXAMPLES, TINY, Interrupting, Telling, Train, metrics_of

KILLED_WHILE_WRITING = """
import os, signal, sys, torch
from palestra.services.cli.main import run

whole = torch.save

def save(state, path):
    whole(state, path)
    if ".step-4." in str(path):
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

torch.save = save
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture(autouse=True)
def _log_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "LOG_EVERY", 1)
    monkeypatch.setattr(sparse, "LOG_EVERY", 1)


def sft(out: Path, *more: str) -> Recipe:
    return load_recipe(EXAMPLES / "coldstart.toml", [*TINY, "steps=6", "stop_after=6", f"out={out}", *more])


def dsa(kind: str, start: Path, out: Path) -> Recipe:
    """A stage of the pipeline on `start`, cut down; it is saved every other step."""
    source = {"dsa-warmup": "2-dsa-warmup.toml", "dsa-sparse": "3-dsa-sparse.toml"}[kind]
    few = ["steps=5", "batch=2", "save_every=2", f"checkpoint={start}", f"out={out}"]
    return load_recipe(EXAMPLES / "pipeline" / source, few)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_sft_goes_on_exactly(tmp_path: Path, store: db.Store, train: Train) -> None:
    unbroken, _ = train(sft(tmp_path / "unbroken"))
    with pytest.raises(KeyboardInterrupt, match="goes on from step 4"):
        train(sft(tmp_path / "broken", "save_every=2"), Interrupting("SFT", 6))
    row = store.page(db.Run, status="failed")[0][0]
    assert row.note == "interrupted"
    told = Telling()
    broken, _ = train(sft(tmp_path / "broken", "save_every=2"), told)
    assert broken == row.id
    assert "going on from step 4" in told.lines[0]
    assert weights(tmp_path / "unbroken") == weights(tmp_path / "broken")
    both = [metrics_of(store, run) for run in (unbroken, broken)]
    assert {step for step, _ in both[0]} == set(range(1, 7))
    loss = [{key: value for key, value in one.items() if key[1] == "sft/loss"} for one in both]
    assert loss[0] == loss[1]
    assert both[0].keys() == both[1].keys()


def test_a_process_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(
    tmp_path: Path, train: Train
) -> None:
    train(sft(tmp_path / "unbroken"))
    more = [*TINY, "steps=6", "stop_after=6", "save_every=2", f"out={tmp_path}/broken"]
    arguments = ["train", str(EXAMPLES / "coldstart.toml"), *more, "--store", f"sqlite:///{tmp_path}/runs.db"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_WRITING, *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    folder = tmp_path / "broken" / "checkpoints"
    assert {path.name for path in folder.iterdir()} == {"step-2", ".step-4.partial"}
    told = Telling()
    train(sft(tmp_path / "broken", "save_every=2"), told)
    assert "going on from step 2" in told.lines[0]
    assert weights(tmp_path / "unbroken") == weights(tmp_path / "broken")
    assert {path.name for path in folder.iterdir()} == {"step-4", "step-6"}


@pytest.mark.parametrize("kind", ["dsa-warmup", "dsa-sparse"])
def test_the_stages_of_sparse_attention_go_on_exactly(
    kind: str, tiny: Path, tmp_path: Path, store: db.Store, train: Train
) -> None:
    unbroken, _ = train(dsa(kind, tiny, tmp_path / "unbroken"))
    with pytest.raises(KeyboardInterrupt, match="from step 2"):
        train(dsa(kind, tiny, tmp_path / "broken"), Interrupting(kind, 4))
    broken, _ = train(dsa(kind, tiny, tmp_path / "broken"))
    assert weights(tmp_path / "unbroken") == weights(tmp_path / "broken") != weights(tiny)
    assert metrics_of(store, unbroken) == metrics_of(store, broken)


def test_a_run_that_is_complete_says_so(tiny: Path, tmp_path: Path, store: db.Store, train: Train) -> None:
    recipe = dsa("dsa-warmup", tiny, tmp_path / "out")
    first, _ = train(recipe)
    before, numbers = weights(tmp_path / "out"), metrics_of(store, first)
    (tmp_path / "out" / "model.safetensors").unlink()  # as where it was killed just before the end
    told = Telling()
    again, _ = train(recipe, told)
    assert again == first
    assert "all 5 steps are done already" in told.lines[0]
    assert weights(tmp_path / "out") == before
    assert metrics_of(store, first) == numbers
    run = store.get(db.Run, first)
    assert run is not None
    assert run.status == "done"


def test_another_recipe_in_the_same_folder_is_refused_unless_it_is_fresh(
    tiny: Path, tmp_path: Path, train: Train
) -> None:
    recipe = dsa("dsa-warmup", tiny, tmp_path / "out")
    first, _ = train(recipe)
    other = recipe.model_copy(update={"seed": 7})
    with pytest.raises(BadRequest, match=r"seed = 1, not 7.*--fresh") as caught:
        train(other)
    assert "\n" not in str(caught.value)
    renewed, _ = train(other, fresh=True)
    assert renewed != first
    assert [one.step for one in Snapshots(tmp_path / "out" / "checkpoints").all()] == [4, 5]


def test_interrupted_before_a_checkpoint_it_says_that_it_begins_anew(tmp_path: Path, train: Train) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"before a checkpoint was written .* begins anew"):
        train(sft(tmp_path / "out"), Interrupting("SFT", 2))
