"""Templates to responses."""

from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ... import __version__
from ...infra.store import Store
from . import charts, evidence, text

_TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Renders the templates, each with what all pages share."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=text.finalize,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for function in (
            text.pretty,
            text.compact,
            text.number,
            text.duration,
            text.moment,
            text.short,
            text.call_name,
            text.call_arguments,
            text.result_text,
            text.result_failed,
            evidence.meaning,
            evidence.measures,
            evidence.findings,
            evidence.depth,
            evidence.failed,
            evidence.gameability,
        ):
            self.environment.filters[function.__name__] = function
        self.environment.globals.update(
            curves=charts.curves, value_text=charts.value_text, version=__version__, store_url=store.shown_url
        )

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """The page of this template."""
        body = self.environment.get_template(template).render(path=request.url.path, **values)
        return HTMLResponse(body.encode("utf-8", "replace"), status)

    def error(self, request: Request, status: int, detail: str) -> HTMLResponse:
        """A page that says what is wrong."""
        title = HTTPStatus(status).phrase
        return self.render(request, "error.html", status, title=title, code=status, detail=detail)


def link(path: str, **query: str | None) -> str:
    """A path with those parts of a query that are given."""
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given, errors='replace')}" if given else path
