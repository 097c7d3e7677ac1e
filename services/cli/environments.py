"""`palestra env list | new | check`."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as opt
from .console import Console

if TYPE_CHECKING:
    from ...envs.registry import Listing


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
    count: Annotated[int, typer.Option("--count", help="How many sample tasks.")] = 8,
    level: Annotated[int | None, typer.Option("--level", help="Default: the lowest.")] = None,
    seed: opt.Seed = 0,
    sandbox: opt.Sandbox = "auto",
    as_json: opt.Json = False,
) -> None:
    """Certify sample tasks and say, per check, what passed or what to fix."""
    from ...envs.registry import environment_class
    from ..check import check_environment
    from ..machines import open_sandboxes, sandbox_for
    from ..synthesis import SynthesisSpec

    console = Console(as_json)
    cls = environment_class(name)
    level = cls.levels.start if level is None else level
    SynthesisSpec(name, seed, level, count).check()
    sandboxes = open_sandboxes(sandbox_for(cls, sandbox, console.say))
    try:
        with console.stage(f"{name}: certifying {count} tasks of level {level}", count) as update:
            results = check_environment(lambda: cls(sandboxes), seed, level, count, lambda done: update(done, ""))
    finally:
        if sandboxes is not None:
            sandboxes.close()
    ok = all(result.ok for result in results)
    console.data(
        {
            "env": name,
            "level": level,
            "ok": ok,
            "checks": [
                {"name": r.name, "ok": r.ok, "passed": r.passed, "of": r.made, "problems": r.problems, "hint": r.hint}
                for r in results
            ],
        }
    )
    for result in results:
        console.line(f"{'ok  ' if result.ok else 'FAIL'} {result.name:<14} {result.passed} of {result.made}")
        if not result.ok:
            console.line(f"     seen: {result.problems[0][:300]}")
            console.line(f"     fix:  {result.hint}")
    console.line(f"{name}: {'every check passed' if ok else 'fix what FAILs, then check again'}")
    if not ok:
        raise typer.Exit(1)
