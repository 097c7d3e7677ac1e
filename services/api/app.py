"""The HTTP API over a store; read-only, JSON, described at `/openapi.json`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from ... import __version__
from ...infra.store import Store
from .problems import Problem, install, problem
from .routes import router

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


class Api(FastAPI):
    """FastAPI whose description names our problem details instead of FastAPI's own errors."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schemas = super().openapi()["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            problem_schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(problem_schema.pop("$defs"))
            schemas["Problem"] = problem_schema
        assert self.openapi_schema is not None
        return self.openapi_schema


def create_app(store_url: str) -> FastAPI:
    """The API over the store at this URL; raises StoreError when it cannot be opened."""
    store = Store(store_url)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        store.close()

    # The usual pages of documentation load scripts from elsewhere; the description itself does not.
    app = Api(title="Palestra", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.store = store
    install(app)
    app.include_router(router)

    @app.api_route("/api/{rest:path}", methods=_METHODS, include_in_schema=False)
    def unknown(request: Request, rest: str) -> JSONResponse:
        """Whatever no route above took, so that it gets a problem and not a page."""
        if request.method != "GET":
            return problem(
                request, 405, f"{request.method} is not for this API: it only reads", headers={"Allow": "GET"}
            )
        raise HTTPException(404, f"there is nothing at {request.url.path[:200]}")

    return app
