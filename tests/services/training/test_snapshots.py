"""Checkpoints of a run: whole or not there, the newest kept, and what is wrong with one is said with the remedy."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from palestra.policy.learner import Learner, OptimConfig
from palestra.services.checkpoints import open_publisher
from palestra.services.errors import BadRequest
from palestra.services.training.snapshots import Snapshots, learner_state, restore_learner

SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
from palestra.services.checkpoints import open_publisher
from palestra.services.errors import BadRequest
from palestra.services.training.snapshots import Snapshots

publish, snapshots = open_publisher(Path(sys.argv[1])), Snapshots(Path(sys.argv[2]))
snapshots.save(1, publish, {"step": 1})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in map(int, sys.argv[3:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        snapshots.save(2, publish, {"step": 2, "much": [0.5] * 200_000})
    except BadRequest as error:
        print(error)
"""


def write(folder: Path) -> None:
    (folder / "weights").write_bytes(b"w")


def test_of_many_the_newest_are_kept(tmp_path: Path) -> None:
    for keep, expected in ((2, [9, 10]), (0, [1, 2, 9, 10])):
        snapshots = Snapshots(tmp_path / str(keep), keep)
        for step in (1, 2, 9, 10):
            assert snapshots.save(step, write, {"step": step}).state() == {"step": step}
        assert [one.step for one in snapshots.all()] == expected


def test_saving_a_step_again_replaces_it(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.save(3, write, {"take": 1})
    snapshots.save(3, write, {"take": 2})
    latest = snapshots.latest()
    assert latest is not None
    assert latest.state() == {"take": 2}
    assert [path.name for path in tmp_path.iterdir()] == ["step-3"]


def test_what_was_left_half_written_is_not_seen_and_goes_with_the_next(tmp_path: Path) -> None:
    (tmp_path / ".step-7.partial").mkdir()
    (tmp_path / "notes").mkdir()
    snapshots = Snapshots(tmp_path)
    assert snapshots.latest() is None
    snapshots.save(8, write, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes", "step-8"]
    snapshots.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("size", [0, 20])
def test_a_damaged_one_names_the_remedy(tmp_path: Path, size: int) -> None:
    damaged = Snapshots(tmp_path).save(5, write, {"numbers": list(range(100))})
    path = damaged.folder / "training.pt"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(BadRequest, match=r"training\.pt cannot be read .*: remove .*step-5") as caught:
        damaged.state()
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_one_before(tiny: Path, tmp_path: Path) -> None:
    weights = (tiny / "model.safetensors").stat().st_size
    limits = [weights + 10_000, weights // 2]  # too little for the state, and for the weights
    command = [sys.executable, "-c", SMALL_DISK, str(tiny), str(tmp_path / "here"), *map(str, limits)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert len(told) == len(limits)
    assert all("step-2" in line and "what was saved before is whole" in line for line in told)
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["step-1"]
    latest = Snapshots(tmp_path / "here").latest()
    assert latest is not None
    assert latest.state() == {"step": 1}
    open_publisher(latest.folder)


def test_a_learner_comes_back_to_the_bit_with_its_weights_stored_once(tiny: Path, tmp_path: Path) -> None:
    publish = open_publisher(tiny)
    learner = Learner(publish.model, OptimConfig())
    learner.keep_reference()
    for parameter in publish.model.parameters():
        parameter.grad = torch.full_like(parameter, 0.01)
    learner.optimiser.step()
    saved = Snapshots(tmp_path).save(1, publish, {"learner": learner_state(learner)})
    assert "model" not in saved.state()["learner"]
    again = Learner(open_publisher(saved.folder).model, OptimConfig())
    restore_learner(again, saved.state()["learner"])
    torch.testing.assert_close(again.state_dict(), learner.state_dict(), rtol=0, atol=0)
