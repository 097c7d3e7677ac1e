"""`palestra env list | new | check`."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as opt
from .console import Console

if TYPE_CHECKING:
    from ...envs.registry import Listing
    from ..check import Checked

SAMPLES = 8
"""Sample tasks of `env check`, where none are asked for."""


def register(app: typer.Typer) -> None:
    """Add the group `env`."""
    group = typer.Typer(no_args_is_help=True, help="Environments: list, make, check.", rich_markup_mode=None)
    group.command("list")(list_them)
    group.command("new")(new)
    group.command("check")(check)
    app.add_typer(group, name="env")


def list_them(as_json: opt.Json = False) -> None:
    """Show the built-in and the installed environments; broken ones with what is wrong."""
    from ...envs.registry import list_environments

    console = Console(as_json)
    found = [_describe(item) for item in list_environments()]
    console.data(found)
    rows = []
    for one in found:
        levels = "-".join(str(level) for level in dict.fromkeys(one["levels"]))
        about = one["about"] if one["ok"] else f"BROKEN: {one['error']}"
        rows.append([one["id"], one["version"], levels, one["source"], about])
    console.table("", ["environment", "version", "levels", "from", "what it is"], rows)


def _describe(item: Listing) -> dict[str, Any]:
    about = (inspect.getdoc(item.cls) or "").splitlines() if item.cls else []
    return {
        "id": item.id,
        "source": item.source,
        "ok": item.cls is not None,
        "version": item.cls.version if item.cls else "",
        "levels": [item.cls.levels.start, item.cls.levels.stop - 1] if item.cls else [],
        "tools": list(item.cls.toolset) if item.cls else [],
        "image": item.cls.image if item.cls else None,
        "about": about[0] if about else "",
        "error": item.error,
    }


def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits, single - or _ between them.")],
    folder: Annotated[Path, typer.Option("--dir", help="Where to make the folder NAME.")] = Path("."),
    as_json: opt.Json = False,
) -> None:
    """Make a plugin package: a small working environment to change into your own."""
    from ..scaffold.render import write_plugin

    files = write_plugin(name, folder)
    console = Console(as_json)
    console.data({"name": name, "files": [str(path) for path in files]})
    for path in files:
        console.line(f"wrote {path}")
    console.line(
        f"next: pip install -e {folder / name if folder != Path('.') else './' + name} && palestra env check {name}"
    )


def check(
    name: opt.EnvName,
    count: Annotated[
        int, typer.Option("--count", help="How many sample tasks; with a sandbox, two of them in full.")
    ] = SAMPLES,
    level: Annotated[int | None, typer.Option("--level", help="Default: the lowest.")] = None,
    seed: opt.Seed = 0,
    depth: opt.Depth = "full",
    report: Annotated[
        Path | None, typer.Option("--report", help="Also write OpenEnv's validation report here.", metavar="FILE")
    ] = None,
    sandbox: opt.Sandbox = "auto",
    as_json: opt.Json = False,
) -> None:
    """Certify sample tasks, let the red team try, and say, per check, what passed or what to fix."""
    from ...envs.registry import environment_class
    from ...synth.audit.ground import WatchedSandboxes
    from ..check import check_environment
    from ..machines import sandbox_for
    from ..synthesis import SynthesisSpec, check_writable

    console = Console(as_json)
    cls = environment_class(name)
    level = cls.levels.start if level is None else level
    SynthesisSpec(name, seed, level, count, depth=opt.as_depth(depth)).check()
    if report is not None:
        if depth != "full":
            raise typer.BadParameter("--report needs --depth full")
        check_writable(report)
    backend = sandbox_for(cls, sandbox, console.say)
    sandboxes = WatchedSandboxes(backend) if backend else None
    try:
        with console.stage(f"{name}: certifying {count} tasks of level {level}", count) as update:
            checked = check_environment(
                cls, sandboxes, seed, level, count, opt.as_depth(depth), lambda done: update(done, "")
            )
    finally:
        if sandboxes is not None:
            sandboxes.close()
    if report is not None:
        report.write_text(json.dumps(checked.report, indent=1, ensure_ascii=False) + "\n", "utf-8")
    console.data(_checked_data(name, level, checked))
    _tell(console, name, checked)
    if checked.ok:
        others = f"; try --level {cls.levels.stop - 1}, too" if level != cls.levels.stop - 1 else ""
        console.line(f"{name}: every check passed on {count} tasks of level {level}{others}")
    if not checked.ok:
        raise typer.Exit(1)


def _checked_data(name: str, level: int, checked: Checked) -> dict[str, Any]:
    return {
        "env": name,
        "level": level,
        "ok": checked.ok,
        "checks": [result.plain() for result in checked.results],
        "policy": [
            {"id": one.id, "status": one.shown, "evidence": list(one.evidence), "remedy": one.remedy}
            for one in checked.policy
        ],
        "gameability": checked.gameability,
    }


def _tell(console: Console, name: str, checked: Checked) -> None:
    for result in checked.results:
        console.line(f"{'ok  ' if result.ok else 'FAIL'} {result.name:<20} {result.passed} of {result.made}")
        if not result.ok:
            console.line(f"     seen: {result.problems[0][:300]}")
            console.line(f"     fix:  {result.hint}")
        elif result.seen:
            console.line(f"     {result.seen[:150]}")
    if checked.policy:
        console.line("the local lane of OpenEnv's policy severity-v1:")
    for one in checked.policy:
        console.line(f"{one.shown:<4} {one.id:<36} {'; '.join(one.evidence)[:150]}")
        if one.status in ("fail", "error"):
            console.line(f"     fix:  {one.remedy}")
    game = checked.gameability
    if game["score"] is not None:
        console.line(
            f"gameability {game['score']:g}: {game['earned']} of {game['cheats']} cheats earned or learned something, "
            f"{game['evaded']} got out of being judged"
        )
    if not checked.ok:
        console.line(f"{name}: fix what FAILs, then check again")
