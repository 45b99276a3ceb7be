"""The web application: page, JSON API, health and metrics over the service's state. It changes nothing.

It has no log-in of its own: the service binds it to 127.0.0.1 unless told otherwise, and whoever opens it wider
puts a proxy before it.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client.exposition import choose_encoder
from starlette.middleware.gzip import GZipMiddleware

from scaler.web import assets
from scaler.web.api import api_router
from scaler.web.exposition import registry_of
from scaler.web.headers import HeadAndHeaders
from scaler.web.health import Liveness, Readiness, keda_readiness_of, readiness_of
from scaler.web.problems import install, not_found
from scaler.web.state import StateReader


def create_app(state: StateReader) -> FastAPI:
    """The application over this state."""
    app = FastAPI(
        title="calltide",
        version=state.version,
        description="What calltide knows and decides, read-only. Times are epoch seconds, null means not known.",
        openapi_url="/api/v1/openapi.json",
        # Their pages load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    install(app)
    app.include_router(api_router(state))
    _add_health(app, state)
    _add_metrics(app, state)
    _add_page(app, state.version)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(HeadAndHeaders)
    return app


def _add_health(app: FastAPI, state: StateReader) -> None:
    @app.get("/healthz", tags=["health"])
    async def healthz() -> Liveness:
        """The process lives."""
        return Liveness()

    unready: dict[int | str, dict[str, Any]] = {
        int(HTTPStatus.SERVICE_UNAVAILABLE): {"model": Readiness, "description": "Not ready"}
    }

    @app.get("/readyz", tags=["health"], response_model=Readiness, responses=unready)
    async def readyz() -> JSONResponse:
        """Whether answers can be given, with each check."""
        return _told(readiness_of(state))

    @app.get("/readyz/keda", tags=["health"], response_model=Readiness, responses=unready)
    async def readyz_keda() -> JSONResponse:
        """Whether KEDA can be answered here at all, be it with answers of before: the readiness of the pod."""
        return _told(keda_readiness_of(state))


def _told(readiness: Readiness) -> JSONResponse:
    status = HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE
    return JSONResponse(readiness.model_dump(), status)


def _add_metrics(app: FastAPI, state: StateReader) -> None:
    registry = registry_of(state)

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        # In a thread: with many fleets the text takes longer than a plan may wait.
        text = await asyncio.to_thread(encode, registry)
        return Response(text, headers={"Content-Type": content_type})


def _add_page(app: FastAPI, version: str) -> None:
    shell, own = assets.page(version), assets.own_assets()

    @app.get("/", include_in_schema=False)
    async def page(request: Request) -> Response:
        return shell.respond(request)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(request: Request, name: str) -> Response:
        if name == assets.PLOTLY_NAME:
            library = await asyncio.to_thread(assets.plotly_asset)
            return library.respond(request)
        if name not in own:
            raise not_found("file", name, own, "name")
        return own[name].respond(request)
