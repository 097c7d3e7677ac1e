"""`palestra rescore`: stored rollouts judged again by the installed verifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as opt
from .console import Console

if TYPE_CHECKING:
    from ..rescore import Plan, Rescored, Said

_SHOWN = 50


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rescore")(rescore)


def rescore(
    env: Annotated[str | None, typer.Option("--env", help="Only rollouts of this environment.", metavar="ENV")] = None,
    run: Annotated[str | None, typer.Option("--run", help="Only rollouts of this run.", metavar="ID")] = None,
    rollout: Annotated[str | None, typer.Option("--rollout", help="Only this rollout.", metavar="ID")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and store nothing.")] = False,
    store_url: opt.StoreUrl = opt.STORE,
    as_json: opt.Json = False,
) -> None:
    """Judge stored rollouts again with the installed verifiers, without playing; old verdicts are kept."""
    from ...infra.store import Store
    from ..rescore import Scope, plan
    from ..rescore import rescore as judge_again

    console = Console(as_json)
    with Store(store_url) as store:
        todo = plan(store, Scope(env, run, rollout))
        found: list[Rescored] = []
        same = 0
        with console.stage("judging stored rollouts", todo.total) as update:
            for number, one in enumerate(judge_again(store, todo, dry_run), start=1):
                same += one.status == "same"
                found += [one] if one.status != "same" else []
                update(number, "")
    console.data(_told(todo, found, same, dry_run))
    _show(console, todo, found, same, dry_run)
    if any(one.status == "failed" for one in found):
        raise typer.Exit(1)


def _show(console: Console, todo: Plan, found: list[Rescored], same: int, dry_run: bool) -> None:
    changed = [one for one in found if one.status == "changed"]
    rows = [[one.rollout, _said(one.old), _said(one.new), _what(one)] for one in changed]
    if rows:
        console.table("", ["rollout", "before", "now", "change"], rows[:_SHOWN])
    if len(rows) > _SHOWN:
        console.line(f"... and {len(rows) - _SHOWN} more (--json has all)")
    verb = "would be judged" if dry_run else "judged"
    for name, cls in todo.classes.items():
        if not todo.left[name]:
            has = f"all {todo.done[name]} rollouts have a verdict of {name}-{cls.version} already"
            console.line(f"{name}: {has}" if todo.done[name] else f"{name}: no rollout to judge")
    if same or changed:
        flipped = sum(one.flipped for one in changed)
        console.line(
            f"{same + len(changed)} {verb}: {same} the same, {len(changed)} changed, {flipped} of them flipped"
        )
    if todo.unjudged:
        console.line(f"{todo.unjudged} never came to a verifier (the machinery failed): they stay as they are")
    for name, why in todo.uninstalled.items():
        console.line(f"{name} is left out: {why}")
    _show_troubles(console, found)


def _show_troubles(console: Console, found: list[Rescored]) -> None:
    lost = [one for one in found if one.status == "no_evidence"]
    failed = [one for one in found if one.status == "failed"]
    if lost:
        first = f"{lost[0].rollout}: {lost[0].note}"
        console.line(f"{len(lost)} have no evidence to judge by ({first}); they keep their verdicts: play them again")
    if failed:
        first = f"{failed[0].rollout}: {failed[0].note}"
        console.line(f"{len(failed)} could not be judged ({first}); they keep their verdicts: the same command goes on")


def _told(todo: Plan, found: list[Rescored], same: int, dry_run: bool) -> dict[str, Any]:
    changes = [one for one in found if one.status == "changed"]
    return {
        "dry_run": dry_run,
        "verifiers": {name: f"{name}-{cls.version}" for name, cls in todo.classes.items()},
        "judged": same + len(changes),
        "same": same,
        "changed": len(changes),
        "flipped": sum(one.flipped for one in changes),
        "already": sum(todo.done.values()),
        "unjudged": todo.unjudged,
        "uninstalled": todo.uninstalled,
        "changes": [_change(one) for one in changes],
        "no_evidence": [{"rollout": one.rollout, "note": one.note} for one in found if one.status == "no_evidence"],
        "failed": [{"rollout": one.rollout, "note": one.note} for one in found if one.status == "failed"],
    }


def _change(one: Rescored) -> dict[str, Any]:
    assert one.new is not None
    before, now = ({"version": s.version, "validity": s.validity, "reward": s.reward} for s in (one.old, one.new))
    return {"rollout": one.rollout, "task": one.task, "flipped": one.flipped, "before": before, "now": now}


def _said(said: Said | None) -> str:
    if said is None:
        return ""
    reward = said.validity if said.reward is None else f"{said.reward:.3f}"
    return f"{reward} ({said.version})" if said.version else reward


def _what(one: Rescored) -> str:
    assert one.new is not None
    if one.old.validity != one.new.validity:
        return f"flipped: now {one.new.validity}"
    if one.flipped:
        return "flipped: now passes" if one.new.passed else "flipped: now fails"
    return "reward" if one.old.reward != one.new.reward else "parts"
