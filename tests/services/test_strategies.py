"""Test-time strategies and placements by their names."""

from __future__ import annotations

import pytest

from palestra.infra.sandbox.sync import Sandboxes
from palestra.rollout.errors import EngineError
from palestra.rollout.players import ScriptedEngine, TokenPolicy
from palestra.rollout.types import Policy, Sampling
from palestra.services.errors import BadRequest
from palestra.services.placement import parse_placement, parse_resources
from palestra.services.policies import ScriptedMaker, scripted_codec
from palestra.services.strategies import ManagedMaker, Strategy


class TokenMaker:
    """Makes a policy that keeps its own context."""

    identity, kind, uri = "tokens", "palestra", ""

    def __call__(self, sandboxes: Sandboxes | None) -> Policy:
        return TokenPolicy("tokens", ScriptedEngine([]), scripted_codec(), Sampling(), 100)


def test_a_policy_plays_by_its_strategy() -> None:
    maker = Strategy("discard_75", 0.5).apply(TokenMaker())
    assert (maker.identity, maker.kind, maker.uri) == ("tokens", "palestra", "")
    policy = maker(None)
    assert isinstance(policy, TokenPolicy)
    assert (policy.context.strategy, policy.context.share) == ("discard_75", 0.5)
    for name in ("stop", "parallel_fewest_step"):
        assert not isinstance(Strategy(name).apply(TokenMaker()), ManagedMaker)
    assert [Strategy(name, parallel=n).count for name, n in (("stop", 0), ("parallel_fewest_step", 6))] == [1, 6]
    assert Strategy("parallel_fewest_step").count == 4


def test_what_cannot_be_is_said() -> None:
    class TextPolicy:
        id = "text"

    class TextMaker(TokenMaker):
        def __call__(self, sandboxes: Sandboxes | None) -> Policy:
            return TextPolicy()  # type: ignore[return-value]

    with pytest.raises(EngineError, match="'text' speaks text"):
        Strategy("summary").apply(TextMaker())(None)
    assert ScriptedMaker("oracle").kind == "oracle"
    for strategy, policy, told in (
        (Strategy("forget"), "palestra:x", "'forget' is not one of stop, summary"),
        (Strategy("summary", 0.0), "palestra:x", "context-share is 0.0"),
        (Strategy("summary", parallel=2), "palestra:x", "it is for --context-strategy parallel_fewest_step"),
        (Strategy("parallel_fewest_step", parallel=-1), "oracle", "parallel is -1"),
        (Strategy("summary"), "replay:1", "policy replay has no context to manage"),
    ):
        with pytest.raises(BadRequest, match=told):
            strategy.check(policy)


def test_resources_and_placements_are_read() -> None:
    assert parse_resources("") == {}
    assert parse_resources("cpu=1, GPU=0.5,sandbox=2") == {"CPU": 1.0, "GPU": 0.5, "sandbox": 2.0}
    for wrong in ("sandbox", "=1", "sandbox=-1", "sandbox=x", "sandbox=nan", "gpu=1.5"):
        with pytest.raises(BadRequest, match="resources"):
            parse_resources(wrong)
    assert [parse_placement(name) for name in ("pack", "SPREAD")] == ["PACK", "SPREAD"]
    with pytest.raises(BadRequest, match="'near' is not one of pack, spread"):
        parse_placement("near")
