"""Distillation in miniature: what teachers do rightly, in each mode, is what the generalist learns."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from palestra.infra import store as db
from palestra.rollout.types import Episode, Sampling
from palestra.services.errors import BadRequest
from palestra.services.policies import ScriptedMaker, open_checkpoint, parse_policy
from palestra.services.training import distill
from palestra.services.training.recipes import DistillRecipe, load_recipe
from palestra.verifiers.types import Verdict

from .conftest import EXAMPLES, Telling, Train, metrics_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def recipe(base: Path, teacher: Path, out: Path) -> DistillRecipe:
    """Of the pipeline's the first teacher alone, in both modes, on two tasks."""
    loaded = load_recipe(
        EXAMPLES / "pipeline" / "5-distill.toml",
        ["tasks=2", "samples=1", "batch=2", "workers=1", "turn_tokens=24", "turns=2", "deterministic=true"],
    )
    assert isinstance(loaded, DistillRecipe)
    only = loaded.teachers[0].model_copy(update={"checkpoint": str(teacher)})
    return loaded.model_copy(update={"teachers": (only,), "checkpoint": str(base), "out": str(out)})


@pytest.fixture
def everything_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny teacher can do nothing: its episodes, played for real, are taken to be right."""
    play = distill._play

    def passing(*given: object) -> Iterator[Episode]:
        for episode in play(*given):  # type: ignore[arg-type]
            yield replace(episode, verdict=Verdict(reward=1.0, parts=()))

    monkeypatch.setattr(distill, "_play", passing)


@pytest.mark.usefixtures("everything_passes")
def test_both_modes_are_taught_and_the_same_again_gives_the_same(
    tiny: Path, tmp_path: Path, store: db.Store, train: Train
) -> None:
    told = Telling()
    run, _ = train(recipe(tiny, tiny, tmp_path / "one"), told)
    train(recipe(tiny, tiny, tmp_path / "two"))
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert first == second != (tiny / "model.safetensors").read_bytes()
    assert open_checkpoint(tmp_path / "one", Sampling()).show_tools is False
    rollouts = store.page(db.Rollout, limit=1000, run_id=run)[0]
    policies = {row.id for row in store.page(db.Policy, limit=1000)[0]}
    assert len(rollouts) == 2 * 2
    assert {row.policy_id.endswith("?mode=chat") for row in rollouts} == {True, False}
    assert {row.policy_id for row in rollouts} <= policies
    assert any("4 trajectories of 1 teachers" in line for line in told.lines)
    steps = {step for step, name in metrics_of(store, run) if name == "distill/loss"}
    assert steps == {1, 2, 3, 4}  # 4 trajectories, 2 epochs, 2 at a time


def test_a_teacher_of_another_base_is_refused(tiny: Path, tmp_path: Path, train: Train) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny, other)
    text = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(text + "\n")
    with pytest.raises(BadRequest, match=r"teacher .*other has another tokenizer\.json than .* one base") as caught:
        train(recipe(tiny, other, tmp_path / "out"))
    assert "\n" not in str(caught.value)


def test_teachers_that_pass_nothing_are_told(tiny: Path, tmp_path: Path, train: Train) -> None:
    with pytest.raises(BadRequest, match="no teacher passed any task"):
        train(recipe(tiny, tiny, tmp_path / "out"))


def test_the_mode_is_part_of_a_policys_name(tiny: Path) -> None:
    thinking, chat = parse_policy(f"palestra:{tiny}"), parse_policy(f"palestra:{tiny}?mode=chat")
    assert not isinstance(chat, ScriptedMaker)
    assert chat.identity == f"{thinking.identity}?mode=chat"
    assert chat.uri == thinking.uri
    with pytest.raises(BadRequest, match=r"is not palestra:CHECKPOINT_DIR or palestra:CHECKPOINT_DIR\?mode=chat"):
        parse_policy(f"palestra:{tiny}?mode=loud")
