"""Recipes: the shipped ones load, overrides reach everywhere, and what is wrong is named in one line."""

from pathlib import Path

import pytest

from palestra.services.errors import BadRequest
from palestra.services.training.recipes import GrpoRecipe, SupervisedRecipe, load_recipe

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MINIMAL = 'kind = "grpo"\n[[domains]]\nenv = "travel-mini"\n'


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(MINIMAL)
    return path


def test_the_shipped_recipes_load() -> None:
    assert isinstance(load_recipe(EXAMPLES / "quickstart.toml"), GrpoRecipe)
    assert isinstance(load_recipe(EXAMPLES / "coldstart.toml", ["model.hidden_size=64", "seed=3"]), SupervisedRecipe)


def test_the_recipes_of_the_pipeline_load_and_each_begins_where_an_earlier_one_ended() -> None:
    recipes = [load_recipe(path) for path in sorted((EXAMPLES / "pipeline").glob("*.toml"))]
    assert [recipe.kind for recipe in recipes] == ["sft", "dsa-warmup", "dsa-sparse", "grpo", "distill", "grpo", "grpo"]
    made = {"coldstart"} | {recipe.out for recipe in recipes}
    assert all(recipe.checkpoint in made for recipe in recipes)
    assert len({recipe.out for recipe in recipes}) == len(recipes)


def test_overrides_reach_into_lists_of_tables() -> None:
    found = load_recipe(
        EXAMPLES / "pipeline" / "6-mixed.toml",
        ["domains.0.level=3", "domains.1.reward.length=0.5", "objective.clip=0.3", "rollback.most=1"],
    )
    assert isinstance(found, GrpoRecipe)
    assert [domain.level for domain in found.domains] == [3, 3, 1]
    assert found.domains[1].reward.length == 0.5
    assert found.objective == {"kl": 0.01, "clip": 0.3}
    assert found.rollback.most == 1


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("domains.3.level=2", "there is no entry 3 of 3; they are counted from 0"),
        ("domains.first.level=2", "there is no entry first of 3"),
        ("domains.0=2", "give the number of an entry and a name in it"),
        ("domains.0.reward.lenght=1", "domains.0.reward.lenght: Extra inputs are not permitted"),
        ("domains.0.reward.outcome=-1", "outcome is -1.0: a weight must be 0 or more"),
        ("domains.0.reward.free_tokens=900", "a length penalty needs 0 <= free_tokens < most_tokens"),
        ("domains.1.env=travel-mini", "two domains of travel-mini are rewarded differently"),
        ("objective.klip=1", "objective has no 'klip': it has"),
        ("objective.kl=-1", "kl"),
        ("mode=loud", "mode: Input should be 'thinking' or 'chat'"),
        ("rollback.slower=2", "rollback.slower: Input should be less than or equal to 1"),
    ],
)
def test_wrong_values_of_the_mixed_stage_are_named(override: str, expected: str) -> None:
    with pytest.raises(BadRequest) as caught:
        load_recipe(EXAMPLES / "pipeline" / "6-mixed.toml", [override])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("more", "fits"), [([], True), (["model.hidden_size=64"], False)])
def test_training_begins_from_a_checkpoint_or_from_nothing_but_not_both(more: list[str], fits: bool) -> None:
    path = EXAMPLES / "pipeline" / "1-base.toml"
    if fits:
        load_recipe(path, more)
        return
    with pytest.raises(BadRequest, match=r"give either `checkpoint` \(go on from one\) or `model` \(from nothing\)"):
        load_recipe(path, more)


def test_overrides(recipe: Path) -> None:
    found = load_recipe(recipe, ["updates=7", "lr=1e-5", "checkpoint=some/folder", "top_p=0.95"])
    assert isinstance(found, GrpoRecipe)
    assert (found.updates, found.lr, found.checkpoint, found.top_p) == (7, 1e-5, "some/folder", 0.95)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("updates", "is not NAME=VALUE"),
        ("updates=0", "updates: Input should be greater than or equal to 1 (got 0)"),
        ("updates=many", "updates: Input should be a valid integer"),
        ("upates=3", "upates: Extra inputs are not permitted"),
        ("kind=magic", "kind"),
        ("seed.deep=1", "seed"),
        ("domains=[]", "domains: Tuple should have at least 1 item"),
    ],
)
def test_wrong_values_are_named(recipe: Path, override: str, expected: str) -> None:
    with pytest.raises(BadRequest) as caught:
        load_recipe(recipe, [override])
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("body", "expected"), [(b"kind = ", "is not TOML"), (b"\xff", "is not TOML"), (b"", "kind")])
def test_unreadable_recipes_are_named(tmp_path: Path, body: bytes, expected: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(body)
    with pytest.raises(BadRequest, match=expected):
        load_recipe(path)
    with pytest.raises(BadRequest, match="cannot read the recipe"):
        load_recipe(tmp_path / "none.toml")
