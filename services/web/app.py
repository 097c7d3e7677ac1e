"""The pages as an application of their own, to be mounted at / beside the API."""

from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint

from ...infra.store import Store, StoreError
from .render import Pages
from .views import router

_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_pages(store: Store) -> FastAPI:
    """The pages over an open store."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.store = store
    pages = app.state.pages = Pages(store)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    app.include_router(router)

    @app.middleware("http")
    async def guard(request: Request, call_next: RequestResponseEndpoint) -> Response:
        """No page may load or run anything from elsewhere, whatever a model wrote into it."""
        response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        return response

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return pages.error(request, error.status_code, str(error.detail))

    async def on_invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        what = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
        return pages.error(request, 422, what)

    async def on_store(request: Request, error: Exception) -> Response:
        return pages.error(request, 503, str(error))

    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(StoreError, on_store)
    return app
