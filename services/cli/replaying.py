"""`palestra replay`: a stored rollout again, or from one of its turns on with another policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as opt
from .console import Console

if TYPE_CHECKING:
    from ...infra import store as db
    from ...infra.sandbox.sync import Sandboxes
    from ..branches import Branch
    from ..policies import NamedPolicy
    from ..replay import Difference, Recorded


def replay(
    rollout_id: Annotated[str, typer.Argument(metavar="ROLLOUT_ID")],
    from_turn: Annotated[
        int | None, typer.Option("--from-turn", help="Play N turns from the record, then let --policy go on.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", help="Who goes on from there; see `palestra rollout`.", metavar="POLICY")
    ] = None,
    samples: Annotated[int, typer.Option("--samples", help="How many branches.")] = 1,
    force: Annotated[bool, typer.Option("--force", help="Branch also where the recorded turns came out anew.")] = False,
    sandbox: opt.Sandbox = "auto",
    seed: opt.Seed = 0,
    temperature: opt.Temperature = 1.0,
    top_p: opt.TopP = 0.95,
    max_turns: opt.MaxTurns = None,
    max_tokens: opt.MaxTokens = 256,
    context: opt.Context = None,
    store_url: opt.StoreUrl = opt.STORE,
    as_json: opt.Json = False,
) -> None:
    """Play a stored rollout again and say what came out differently; or branch it with another policy."""
    from ...infra.store import Store
    from ...rollout.types import Sampling
    from ..branches import check_turn
    from ..policies import check_server, parse_policy
    from ..replay import load

    if (from_turn is None) != (policy is None):
        raise typer.BadParameter("--from-turn and --policy belong together: give both, or neither")
    console = Console(as_json)
    with Store(store_url) as store:
        recorded = load(store, rollout_id)
        if policy is None or from_turn is None:
            _again(recorded, sandbox, console)
            return
        check_turn(recorded, from_turn)
        sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed)
        maker = parse_policy(policy, sampling, store, context)
        check_server(maker)
        _branch(store, recorded, from_turn, maker, (samples, max_turns), sandbox, force, console)


def _again(recorded: Recorded, sandbox: str, console: Console) -> None:
    from ..replay import differences
    from ..replay import replay as play_again

    with _sandboxes(recorded, sandbox, console) as sandboxes:
        episode = play_again(recorded, sandboxes)
    found = differences(recorded, episode)
    rollout = recorded.rollout
    parent = {"parent": rollout.parent_id, "parent_turn": rollout.parent_turn} if rollout.parent_id else {}
    console.data({"rollout": rollout.id, "same": not found, "differences": [vars(one) for one in found], **parent})
    if rollout.parent_id:
        console.line(f"{rollout.id} was branched from {rollout.parent_id} at turn {rollout.parent_turn}")
    _show(console, found)
    if found:
        raise typer.Exit(1)
    console.line(f"{rollout.id}: {len(recorded.turns)} turns, the answer and the verdict came out the same")


def _branch(
    store: db.Store,
    recorded: Recorded,
    turn: int,
    maker: NamedPolicy,
    counts: tuple[int, int | None],
    sandbox: str,
    force: bool,
    console: Console,
) -> None:
    from ..branches import branch, store_branch
    from ..jobs import store_policy

    with _sandboxes(recorded, sandbox, console) as sandboxes:
        branches = branch(recorded, turn, maker(sandboxes), *counts, sandboxes, force)
    store_policy(store, maker)
    told = []
    for one in branches:
        id = None if one.diverged else store_branch(store, recorded, turn, one.episode)
        told.append(_told(one, id))
        _show(console, list(one.differences))
        if id is None:
            console.line(
                f"stopped at turn {len(one.episode.turns)}: {one.episode.outcome} (--force goes on all the same)"
            )
        else:
            console.line(
                f"{id}: {one.episode.outcome} after {len(one.episode.turns)} turns, {one.episode.verdict.validity}, "
                f"reward {_reward(one.episode.verdict.reward)} (parent {_reward(recorded.rollout.reward)})"
            )
    console.data({"rollout": recorded.rollout.id, "from_turn": turn, "policy": maker.identity, "branches": told})
    if any(one.diverged for one in branches):
        raise typer.Exit(1)
    console.line(f"branched from {recorded.rollout.id} at turn {turn} with {maker.identity}")


def _told(one: Branch, id: str | None) -> dict[str, Any]:
    episode = one.episode
    return {
        "id": id,
        "outcome": episode.outcome,
        "validity": episode.verdict.validity,
        "reward": episode.verdict.reward,
        "turns": len(episode.turns),
        "differences": [vars(difference) for difference in one.differences],
    }


def _show(console: Console, found: list[Difference]) -> None:
    for one in found:
        console.line(f"{one.what} differs\n  stored:   {one.stored}\n  replayed: {one.replayed}")


def _reward(reward: float | None) -> str:
    return "none" if reward is None else f"{reward:.3f}"


@contextmanager
def _sandboxes(recorded: Recorded, wanted: str, console: Console) -> Iterator[Sandboxes | None]:
    """The sandboxes the task's environment needs; None where it needs none."""
    from ...envs.registry import environment_class
    from ..machines import open_sandboxes, sandbox_for

    sandboxes = open_sandboxes(sandbox_for(environment_class(recorded.task.env), wanted, console.say))
    try:
        yield sandboxes
    finally:
        if sandboxes is not None:
            sandboxes.close()
