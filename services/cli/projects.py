"""`palestra projects ingest | list | show | remove`: repositories with tests, for `bugfix`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as opt
from .console import Console

if TYPE_CHECKING:
    from ...envs.bugfix.sources.catalogue import Entry
    from ...envs.bugfix.types import Project
    from ...infra.sandbox.sync import Sandboxes

Which = Annotated[str, typer.Argument(metavar="PROJECT", help="LANGUAGE/NAME, NAME or digest; see `projects list`.")]


def register(app: typer.Typer) -> None:
    """Add the group `projects`."""
    group = typer.Typer(no_args_is_help=True, help="Repositories with tests, for bugfix.", rich_markup_mode=None)
    group.command("ingest")(ingest)
    group.command("list")(list_them)
    group.command("show")(show)
    group.command("remove")(remove)
    app.add_typer(group, name="projects")


def ingest(
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[SPEC...]",
            help="pypi:NAME==VERSION, npm:NAME@VERSION, debian:NAME=VERSION, git:URL@REF, a folder or an archive; with "
            "a catalogue the names of some of its projects.",
        ),
    ] = None,
    catalogue: Annotated[bool, typer.Option("--catalogue", help="Ingest the catalogue that Palestra ships.")] = False,
    file: Annotated[Path | None, typer.Option("--file", help="Another catalogue.", metavar="TOML")] = None,
    sandbox: opt.Sandbox = "auto",
    fresh: Annotated[bool, typer.Option("--fresh", help="Also those that are here already.")] = False,
    as_json: opt.Json = False,
) -> None:
    """Turn repositories into projects. What is here already is left alone, so an interrupted command goes on."""
    from ...infra.sandbox.sync import Sandboxes
    from ..errors import BadRequest

    entries = _entries(specs or [], catalogue, file)
    if not entries:
        raise BadRequest(
            "name what to ingest (pypi:NAME, npm:NAME, debian:NAME, git:URL, a folder), or say --catalogue"
        )
    console = Console(as_json)
    rows: list[dict[str, Any]] = []
    with Sandboxes(sandbox) as sandboxes, console.stage(f"ingesting {len(entries)}", len(entries)) as update:
        for number, entry in enumerate(entries):
            rows.append(_one(entry, sandboxes, fresh, lambda note, at=number, e=entry: update(at, f"{e.name}: {note}")))
            if rows[-1]["error"]:
                console.say(f"FAILED {entry.name}: {' '.join(rows[-1]['error'].split())}")
            update(number + 1, entry.name)
    console.data(rows)
    _table(console, [row for row in rows if not row["error"]])
    if failed := sum(bool(row["error"]) for row in rows):
        console.line(f"{failed} of {len(rows)} could not be ingested; the same command tries them again")
        raise typer.Exit(1)


def list_them(
    language: Annotated[str, typer.Option("--language", help="Only those of one language.")] = "",
    as_json: opt.Json = False,
) -> None:
    """Show the projects of this machine: those that Palestra ships, and those ingested."""
    from ...envs.bugfix import projects

    console = Console(as_json)
    found = [_row(projects.load(title)) for title in projects.names(language)]
    console.data(found)
    _table(console, found)


def show(which: Which, as_json: opt.Json = False) -> None:
    """Show one project: where it came from, how its tests are run, its tests and its real bugs."""
    from ...envs.bugfix.recipes import completed

    project = _load(which)
    console = Console(as_json)
    recipe = completed(project.recipe)
    suite = {"visible": project.suite.visible, "hidden": project.suite.hidden, "flaky": project.suite.flaky}
    changes = [{"title": change.title, "files": sorted(change.before)} for change in project.changes]
    told = {"build": recipe.build.strip(), "test": recipe.test.strip(), "suite": suite, "changes": changes}
    row = _row(project)
    console.data({**row, **told, "hidden_files": sorted(project.hidden), "tests_files": sorted(project.tests)})
    for name in ("name", "language", "version", "source", "digest", "files"):
        console.line(f"{name:<9} {row[name]}")
    console.line(f"{'build':<9} {recipe.build.strip() or '(nothing)'}\n{'test':<9} {recipe.test.strip()}")
    console.line(f"tests     {row['visible']} visible, {row['hidden']} hidden, {row['flaky']} set aside")
    for change in project.changes:
        console.line(f"real bug  {change.title} ({', '.join(sorted(change.before))})")


def remove(which: Which, as_json: opt.Json = False) -> None:
    """Forget an ingested project. Tasks made from it can then not be played until it is ingested again."""
    from ...envs.bugfix import projects
    from ..errors import BadRequest

    project = _load(which)
    place = projects.store() / project.language / f"{project.name}-{project.digest}.json.gz"
    if not place.is_file():
        raise BadRequest(f"{project.title} ships with Palestra: only ingested projects can be removed")
    place.unlink()
    console = Console(as_json)
    console.data({"removed": project.title, "digest": project.digest})
    console.line(f"removed {project.title} {project.version} ({project.digest})")


def _entries(specs: list[str], catalogue: bool, file: Path | None) -> list[Entry]:
    from ...envs.bugfix.sources.catalogue import CATALOGUE, plain, read_catalogue
    from ..errors import BadRequest

    if not catalogue and file is None:
        return [plain(spec) for spec in specs]
    known = {entry.name: entry for entry in read_catalogue(file or CATALOGUE)}
    if unknown := sorted(set(specs) - set(known)):
        raise BadRequest(f"the catalogue has no project {unknown[0]!r}; it has {', '.join(known)}")
    return [entry for name, entry in known.items() if not specs or name in specs]


def _one(entry: Entry, sandboxes: Sandboxes, fresh: bool, told: Any) -> dict[str, Any]:
    from ...envs.bugfix import projects
    from ...envs.bugfix.sources.ingest import ingest as make
    from ...envs.bugfix.sources.types import SourceError
    from ...infra.sandbox.types import SandboxError

    started = time.monotonic()
    if not fresh and (here := _here(entry)):
        return {**_row(here), "seconds": 0.0, "error": ""}
    try:
        project = make(entry, sandboxes, told)
        projects.save(project)
    except (SourceError, SandboxError, ValueError) as error:
        return {"name": entry.name, "source": str(entry.spec), "error": str(error)}
    return {**_row(project), "seconds": round(time.monotonic() - started, 1), "error": ""}


def _here(entry: Entry) -> Project | None:
    """The project that this entry made before, if its source is pinned."""
    from ...envs.bugfix import projects
    from ...envs.bugfix.sources.ingest import source_of

    if not entry.spec.sha256:
        return None
    named = [title for title in projects.names() if title.split("/")[1] == entry.name]
    found = [projects.load(title) for title in named]
    return next((project for project in found if project.source == source_of(entry.spec)), None)


def _load(which: str) -> Project:
    from ...envs.bugfix import projects
    from ..errors import BadRequest

    try:
        return projects.load(which)
    except ValueError as error:
        raise BadRequest(str(error)) from error


def _row(project: Project) -> dict[str, Any]:
    return {
        "name": project.name,
        "language": project.language,
        "version": project.version,
        "source": project.source,
        "digest": project.digest,
        "files": len(project.files) + len(project.hidden),
        "visible": len(project.suite.visible),
        "hidden": len(project.suite.hidden),
        "flaky": len(project.suite.flaky),
        "changes": len(project.changes),
    }


def _table(console: Console, rows: list[dict[str, Any]]) -> None:
    columns = ["name", "language", "version", "files", "visible", "hidden", "flaky", "changes"]
    columns += ["seconds"] if any("seconds" in row for row in rows) else []
    if rows:
        console.table("", columns, [[str(row.get(column, "")) for column in columns] for row in rows])
