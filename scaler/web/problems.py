"""The one shape in which the API says that something is wrong: what, which field, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from http import HTTPStatus
from itertools import islice
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

METHODS = "GET, HEAD, OPTIONS"
_MOST_COMPARED = 2000

_log = structlog.get_logger(__name__)


class Problem(BaseModel):
    """What is wrong with a request."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    error: str
    """What is wrong."""
    field: str | None
    """The parameter that is wrong, null when it is none of them."""
    remedy: str
    """How to mend it."""


class ProblemError(Exception):
    """Raised by an endpoint; becomes a `Problem` with this status."""

    def __init__(self, status: HTTPStatus, error: str, field: str | None, remedy: str) -> None:
        super().__init__(error)
        self.status = status
        self.problem = Problem(error=error, field=field, remedy=remedy)


def not_found(kind: str, name: str, known: Iterable[str], field: str) -> ProblemError:
    """Nothing of that name, with the nearest names that there are."""
    some = list(islice(known, _MOST_COMPARED))
    near = get_close_matches(name, some, n=3) or some[:3]
    remedy = f"Did you mean {' or '.join(near)}?" if near else f"There is no {kind} at all yet."
    return ProblemError(HTTPStatus.NOT_FOUND, f"There is no {kind} {name!r}.", field, remedy)


def responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entry of these errors, in the form that FastAPI's `responses=` wants."""
    return {int(status): {"model": Problem, "description": status.phrase} for status in statuses}


def install(app: FastAPI) -> None:
    """Make every error of the application a `Problem`."""
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_fault)


def _answer(status: int, problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(problem.model_dump(), status, headers)


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)  # noqa: S101 - Starlette hands each handler its own kind only
    return _answer(error.status, error.problem)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    first = error.errors()[0]
    field = str(first["loc"][1]) if len(first["loc"]) > 1 else str(first["loc"][0])
    known = _parameters(request)
    if first["type"] == "extra_forbidden":
        near = get_close_matches(field, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"It takes {', '.join(known)}."
        return _answer(422, Problem(error=f"There is no parameter {field!r} here.", field=field, remedy=hint))
    remedy = f"{first['msg']}; /api/v1/openapi.json describes each parameter."
    return _answer(422, Problem(error=f"{field!r} cannot be used.", field=field, remedy=remedy))


def _parameters(request: Request) -> Sequence[str]:
    """Names of the query parameters that the endpoint takes."""
    dependant = getattr(request.scope.get("route"), "dependant", None)
    names: list[str] = []
    for parameter in dependant.query_params if dependant is not None else []:
        fields = getattr(parameter.field_info.annotation, "model_fields", None)
        names += [field.alias or name for name, field in fields.items()] if fields else [parameter.alias]
    return names


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as above
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": METHODS})
        problem = Problem(
            error=f"{request.method} is not offered here.", field=None, remedy=f"Everything here is read: {METHODS}."
        )
        return _answer(error.status_code, problem, {"Allow": METHODS})
    if error.status_code == HTTPStatus.NOT_FOUND:
        remedy = "The page is at /, the API under /api/v1 and described in /api/v1/openapi.json."
        return _answer(404, Problem(error="There is nothing at this address.", field=None, remedy=remedy))
    return _answer(error.status_code, Problem(error=str(error.detail), field=None, remedy="Correct the request."))


async def _on_fault(request: Request, error: Exception) -> Response:
    _log.error("a request failed", path=request.url.path, exc_info=error)
    problem = Problem(error="calltide could not answer.", field=None, remedy="Its log says why.")
    return _answer(500, problem)
