"""`palestra doctor | serve | images build/list`, and where `sandbox list/reap` is found."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options as opt
from . import sandboxes
from .console import Console

if TYPE_CHECKING:
    from ...infra.images.build import BuiltImage


def register(app: typer.Typer) -> None:
    """Add the commands and groups."""
    app.command("doctor")(doctor)
    app.command("serve")(serve)
    images = typer.Typer(no_args_is_help=True, help="Sandbox images: build, list.", rich_markup_mode=None)
    images.command("build")(build)
    images.command("list")(list_images)
    app.add_typer(images, name="images")
    sandbox = typer.Typer(no_args_is_help=True, help="Leases of sandboxes: list, reap.", rich_markup_mode=None)
    sandbox.command("list")(sandboxes.list_leases)
    sandbox.command("reap")(sandboxes.reap)
    app.add_typer(sandbox, name="sandbox")


def doctor(store_url: opt.StoreUrl = opt.STORE, ray: opt.RayAddress = None, as_json: opt.Json = False) -> None:
    """Look at sandboxes, Ray, the store and torch; name the command that mends what is missing."""
    from ..doctor import examine, fit

    console = Console(as_json)
    console.say("looking (a local Ray is started and a sandbox tried)")
    findings = examine(store_url, ray)
    ok = fit(findings)
    console.data({"ok": ok, "findings": [asdict(finding) for finding in findings]})
    for finding in findings:
        console.line(f"{'ok     ' if finding.ok else 'MISSING'} {finding.name}: {finding.detail}")
        if finding.remedy:
            console.line(f"        -> {finding.remedy}")
    console.line("everything needed is here" if ok else "something needed is missing: see -> above")
    if not ok:
        raise typer.Exit(1)


def serve(
    host: Annotated[str, typer.Option("--host")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535)] = 8000,
    store_url: opt.StoreUrl = opt.STORE,
) -> None:
    """Serve the pages and the HTTP API until Ctrl-C."""
    from ..serve import serve as run_server

    run_server(store_url, host, port)


def build(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Default: all.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Build a second time and compare: is the image reproducible?")
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Build sandbox images (as root on Debian, with debootstrap)."""
    from ...infra.images.build import check_image, ensure_image
    from ...infra.images.definitions import load
    from ...infra.images.definitions import names as known

    console = Console(as_json)
    wanted = names or list(known())
    for name in wanted:
        load(name)
    made = []
    with console.stage("images", len(wanted)) as update:
        for done, name in enumerate(wanted):
            began = time.monotonic()

            def note(line: str, done: int = done, name: str = name) -> None:
                update(done, f"{name}: {line[:80]}")

            image = ensure_image(name, note)
            difference = check_image(name, note) if check else None
            made.append(_report(image) | {"seconds": round(time.monotonic() - began, 1), "difference": difference})
            console.line(_told(made[-1], check))
    console.data(made)
    if any(one["difference"] for one in made):
        raise typer.Exit(1)


def list_images(as_json: opt.Json = False) -> None:
    """Show the images, which are built, what they hold, and which the engine has."""
    from ...infra.images import engine
    from ...infra.images.build import find_image
    from ...infra.images.definitions import load
    from ...infra.images.definitions import names as known

    console = Console(as_json)
    references = engine.references()
    found = []
    for name in known():
        definition, image = load(name), find_image(name)
        about: dict[str, Any] = {"name": name, "tag": definition.tag, "built": image is not None, "rootfs": ""}
        about |= _report(image) if image else {"size": None, "packages": {}, "tree": ""}
        about |= {"runner": definition.runner, "junit": definition.junit, "description": definition.description}
        found.append(about | {"engine": None if references is None else definition.reference in references})
    console.data(found)
    console.table("", ["image", "built", "packages", "tests", "tree", "engine"], [_row(a) for a in found])


def _report(image: BuiltImage) -> dict[str, Any]:
    """What `images build` and `images list` tell of an image that is built."""
    held = image.manifest
    assert held is not None
    about = {"name": image.name, "tag": image.tag, "rootfs": str(image.rootfs)}
    return about | {"size": held.size, "packages": held.packages, "tree": held.tree, "mirror": held.mirror}


def _told(made: dict[str, Any], checked: bool) -> str:
    about = f"{made['tag']}  {_mebibytes(made)}, {len(made['packages'])} packages, {made['seconds']:.0f} s"
    if made["difference"]:
        return f"{about}; NOT the same when built again: {made['difference']}"
    return f"{about}; the same when built again: {made['tree'][:12]}" if checked else about


def _row(about: dict[str, Any]) -> list[str]:
    built = [_mebibytes(about), str(len(about["packages"])), about["tree"][:12]] if about["built"] else ["no", "", ""]
    engine = {True: "yes", False: "no", None: "no engine"}[about["engine"]]
    return [about["tag"], built[0], built[1], about["runner"], built[2], engine]


def _mebibytes(about: dict[str, Any]) -> str:
    return f"{about['size'] / (1 << 20):.0f} MiB"
