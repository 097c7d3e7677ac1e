"""Errors as RFC 9457 problem details (`application/problem+json`), for every way in which a request can fail."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from ...infra.store import StoreError, StoreFull, StoreUnavailable

MEDIA_TYPE = "application/problem+json"


class InvalidField(BaseModel):
    """One part of a request that is not as it should be."""

    where: str = Field(description="Where it stands, for example query.limit")
    message: str


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str = Field(description="The path that was asked for")
    errors: list[InvalidField] = Field(default=[], description="What is wrong with the request, part by part")


def problem_responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can fail with these codes."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        code: {"description": HTTPStatus(code).phrase, "content": {MEDIA_TYPE: {"schema": schema}}} for code in codes
    }


def problem(
    request: Request,
    status: int,
    detail: str,
    errors: list[InvalidField] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """A response that carries a problem."""
    body = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, instance=request.url.path, errors=errors or []
    )
    return JSONResponse(body.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem."""

    async def on_http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers) if error.headers else None
        return problem(request, error.status_code, str(error.detail), headers=headers)

    async def on_invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        errors = [
            InvalidField(where=".".join(str(step) for step in item["loc"]), message=str(item["msg"]))
            for item in error.errors()
        ]
        detail = "; ".join(f"{item.where}: {item.message}" for item in errors)
        return problem(request, 422, detail, errors)

    async def on_store(request: Request, error: Exception) -> JSONResponse:
        status = 507 if isinstance(error, StoreFull) else 503 if isinstance(error, StoreUnavailable) else 500
        return problem(request, status, str(error))

    async def on_bug(request: Request, error: Exception) -> JSONResponse:
        return problem(request, 500, f"the server failed ({type(error).__name__}); its log has the details")

    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(StoreError, on_store)
    app.add_exception_handler(Exception, on_bug)
