"""`palestra doctor | serve | images build/list | sandbox list/reap`."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from . import options as opt
from .console import Console


def register(app: typer.Typer) -> None:
    """Add the commands and groups."""
    app.command("doctor")(doctor)
    app.command("serve")(serve)
    images = typer.Typer(no_args_is_help=True, help="Sandbox images: build, list.", rich_markup_mode=None)
    images.command("build")(build)
    images.command("list")(list_images)
    app.add_typer(images, name="images")
    sandbox = typer.Typer(no_args_is_help=True, help="Leases of sandboxes: list, reap.", rich_markup_mode=None)
    sandbox.command("list")(list_leases)
    sandbox.command("reap")(reap)
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
    as_json: opt.Json = False,
) -> None:
    """Build sandbox images (as root, with debootstrap)."""
    from ...infra.images.build import ensure_image
    from ...infra.images.definitions import load
    from ...infra.images.definitions import names as known

    console = Console(as_json)
    wanted = names or list(known())
    for name in wanted:
        load(name)
    built = []
    for name in wanted:
        with console.stage(f"image {name}", 0) as update:
            image = ensure_image(name, lambda line, update=update: update(0, line[:80]))  # type: ignore[misc]
        built.append({"name": name, "tag": image.tag, "rootfs": str(image.rootfs or "")})
        console.line(f"{image.tag} {image.rootfs or ''}")
    console.data(built)


def list_images(as_json: opt.Json = False) -> None:
    """Show the images and which are built."""
    from ...infra.images.build import find_image
    from ...infra.images.definitions import load
    from ...infra.images.definitions import names as known

    console = Console(as_json)
    found = []
    for name in known():
        image = find_image(name)
        rootfs = str(image.rootfs or "") if image else ""
        found.append(
            {"name": name, "built": image is not None, "rootfs": rootfs, "description": load(name).description}
        )
    console.data(found)
    rows = [[str(one["name"]), str(one["rootfs"]) or "not built", str(one["description"])] for one in found]
    console.table("", ["image", "built", "what it is"], rows)


def list_leases(sandbox: opt.Sandbox = "auto", as_json: opt.Json = False) -> None:
    """Show the leases on this machine, whoever owns them."""
    from ...infra.sandbox.sync import Sandboxes

    console = Console(as_json)
    with Sandboxes(_known(sandbox)) as sandboxes:
        leases = sandboxes.list_leases()
    console.data([asdict(lease) | {"expired": lease.expired} for lease in leases])
    rows = [
        [
            lease.id,
            lease.backend,
            lease.image,
            lease.owner,
            "expired" if lease.expired else f"{lease.deadline - time.time():.0f} s left",
        ]
        for lease in leases
    ]
    console.table("", ["lease", "backend", "image", "owner", "until"], rows)


def reap(sandbox: opt.Sandbox = "auto", as_json: opt.Json = False) -> None:
    """Remove leases whose owner died or whose time is over."""
    from ...infra.sandbox.sync import Sandboxes

    console = Console(as_json)
    with Sandboxes(_known(sandbox)) as sandboxes:
        removed = sandboxes.reap()
    console.data(list(removed))
    console.line(f"removed {len(removed)} leases" + (f": {', '.join(removed)}" if removed else ""))


def _known(name: str) -> str:
    from ...infra.sandbox.select import BACKENDS
    from ..errors import BadRequest

    if name != "auto" and name not in BACKENDS:
        raise BadRequest(f"unknown sandbox {name!r}: choose one of auto, {', '.join(BACKENDS)}")
    return name
