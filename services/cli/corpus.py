"""`palestra corpus`: corpora for the environment `search`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from . import options as opt
from .console import Console

if TYPE_CHECKING:
    from ...envs.search.corpus import Document
    from ...envs.search.loaders import Source
    from ..progress import Update


def register(app: typer.Typer) -> None:
    """Add the group `corpus`."""
    group = typer.Typer(no_args_is_help=True, help="Corpora to search: build, list, search.", rich_markup_mode=None)
    group.command("build")(build)
    group.command("list")(list_them)
    group.command("search")(search)
    group.command("remove")(remove)
    app.add_typer(group, name="corpus")


def build(
    name: Annotated[str, typer.Argument(help="Small letters, digits, - . and _.")],
    from_: Annotated[
        list[str],
        typer.Option(
            "--from",
            help="text, markdown, html, man, debian or python, a colon and a path; or encyclopaedia:SEED. Repeatable.",
            metavar="KIND:PATH",
        ),
    ],
    as_json: opt.Json = False,
) -> None:
    """Index local documents under a name; a corpus of that name is replaced once the new one is whole."""
    from dataclasses import asdict

    from ...envs.search import corpus, loaders

    console = Console(as_json)
    found, recipe = loaders.sources(from_)
    with console.stage(f"{name}: reading {len(found)} sources", len(found)) as update:
        info = corpus.build(name, _documents(found, update), recipe)
    console.data(asdict(info))
    console.line(f"{name}: {info.documents:,} documents, {info.passages:,} passages ({info.digest})")


def _documents(found: list[Source], update: Update) -> Iterator[Document]:
    for done, source in enumerate(found):
        update(done, source.name[-40:])
        yield from source.load()


def list_them(
    everything: Annotated[
        bool, typer.Option("--all", help="Also the worlds that `search` keeps to draw from.")
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Show the corpora on this machine."""
    from dataclasses import asdict

    from ...envs.search import corpus
    from ...envs.search.library import CACHED

    console = Console(as_json)
    found = [info for info in corpus.listing() if everything or not info.name.startswith(CACHED)]
    console.data([asdict(info) for info in found])
    rows = [
        [info.name, f"{info.documents:,}", f"{info.passages:,}", ", ".join(info.recipe.get("from", [])), info.digest]
        for info in found
    ]
    console.table(f"in {corpus.root()}", ["corpus", "documents", "passages", "from", "digest"], rows)


def search(
    name: Annotated[str, typer.Argument(help="A corpus; see `palestra corpus list`.")],
    query: Annotated[str, typer.Argument(help="Words to look for.")],
    top: Annotated[int, typer.Option("--top", min=1, max=100, help="How many passages.")] = 5,
    as_json: opt.Json = False,
) -> None:
    """Show the passages of a corpus that fit a query best."""
    from dataclasses import asdict

    from ...envs.search import corpus
    from ...envs.search.text import snippet

    console = Console(as_json)
    hits = corpus.open_corpus(corpus.describe(name).digest).search(query, top)
    console.data([asdict(hit) for hit in hits])
    for hit in hits:
        console.line(f"{hit.score:7.3f}  {hit.title}")
        console.line(f"         {snippet(hit.text, query)}")
    if not hits:
        console.line("no passage shares a word with the query")


def remove(
    name: Annotated[str, typer.Argument(help="A corpus; see `palestra corpus list`.")], as_json: opt.Json = False
) -> None:
    """Delete a corpus."""
    from ...envs.search import corpus

    corpus.remove(name)
    console = Console(as_json)
    console.data({"removed": name})
    console.line(f"removed {name}")
