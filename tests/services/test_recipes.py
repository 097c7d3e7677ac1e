"""Recipes: the shipped ones load, overrides reach everywhere, and what is wrong is named in one line."""

from pathlib import Path

import pytest

from palestra.services.errors import BadRequest
from palestra.services.training.recipes import GrpoRecipe, SupervisedRecipe, load_recipe

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MINIMAL = 'kind = "grpo"\n[[domains]]\nenv = "travel"\n'


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(MINIMAL)
    return path


def test_the_shipped_recipes_load() -> None:
    assert isinstance(load_recipe(EXAMPLES / "quickstart.toml"), GrpoRecipe)
    assert isinstance(load_recipe(EXAMPLES / "coldstart.toml", ["model.hidden_size=64", "seed=3"]), SupervisedRecipe)


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
