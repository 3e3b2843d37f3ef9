"""The application: routers, guard, problems, limits and the page put together.

`create_app` takes a ready `Service`; what happens in a request is told in the routers.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from assistant import __version__
from assistant.errors import AssistantError, NotFoundError, QuestionError, ServerError
from assistant.surfaces.http import (
    admin,
    answers,
    conversations,
    documents,
    evaluation,
    local,
    openai,
    signin,
    source,
    state,
    strategies,
)
from assistant.surfaces.http.depend import TheService
from assistant.surfaces.http.door import is_page, refusal
from assistant.surfaces.http.guard import PUBLIC_PATHS, Guard
from assistant.surfaces.http.limits import BodyLimit
from assistant.surfaces.http.openai_errors import ErrorShape
from assistant.surfaces.http.service import Service
from assistant.surfaces.problems import MEDIA_TYPE, PROBLEM_SCHEMA, problems, to_problem

logger = logging.getLogger(__name__)

STATIC_FOLDER = Path(__file__).parent / "static"
# Each answer under way holds a thread while its next piece is awaited.
_THREADS = 128


def create_app(service: Service) -> FastAPI:
    """Return the whole server as an ASGI application; the page is mounted last, at ``/``."""
    app = FastAPI(
        title="Strategy assistant",
        version=__version__,
        summary="Questions answered from a company's own papers, with citations that hold.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        lifespan=_lifespan,
    )
    app.state.service = service
    for module in (
        answers,
        conversations,
        documents,
        admin,
        state,
        evaluation,
        local,
        openai,
        signin,
        source,
        strategies,
    ):
        app.include_router(module.router)
    app.add_api_route("/static/logo", _logo, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC_FOLDER), name="static")
    app.add_exception_handler(AssistantError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_unexpected)
    app.add_middleware(_Counted, service=service)
    app.add_middleware(BodyLimit, settings=service.settings)
    app.add_middleware(Guard, service=service)
    app.add_middleware(ErrorShape)
    app.openapi = lambda: _schema(app)  # type: ignore[method-assign]
    return app


def _logo(service: TheService) -> FileResponse:
    """Return the company's logo; opened by itself, an SVG may run nothing."""
    path = service.settings.company_logo
    if path is None or not path.is_file():
        raise NotFoundError("There is no logo. Set ASSISTANT_COMPANY_LOGO to an SVG or PNG file.")
    return FileResponse(
        path,
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        },
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = _THREADS
    yield


def _on_error(request: Request, error: Exception) -> Response:
    """Tell a program by a problem document, a person at a browser by a page."""
    assert isinstance(error, AssistantError)
    problem = to_problem(error)
    response = (
        refusal(request, request.app.state.service.settings, error)
        if is_page(request)
        else JSONResponse(problem, problem["status"], media_type=MEDIA_TYPE)
    )
    if "retry_after" in problem:
        response.headers["Retry-After"] = str(problem["retry_after"])
    return response


def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    said = "; ".join(
        f"`{'.'.join(str(part) for part in problem['loc'][1:]) or 'body'}`: {problem['msg']}"
        for problem in error.errors()
    )
    if is_page(request):  # an address that no link leads to
        return _on_error(request, NotFoundError("There is nothing here."))
    return _on_error(
        request, QuestionError(f"The request is not understood. {said}. See /v1/openapi.json.")
    )


def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _on_error(request, NotFoundError("There is nothing here. See /v1/openapi.json."))
    problem = {
        "type": "about:blank",
        "title": str(error.detail),
        "status": error.status_code,
        "detail": str(error.detail),
    }
    return JSONResponse(problem, error.status_code, error.headers, media_type=MEDIA_TYPE)


def _on_unexpected(request: Request, error: Exception) -> Response:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _on_error(
        request,
        ServerError("The server failed unexpectedly. Its log says why; ask an administrator."),
    )


def _schema(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI schema, its validation errors described as the problems they are."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        schemas = schema["components"]["schemas"]
        schemas["Problem"] = PROBLEM_SCHEMA
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        open_to_all = app.state.service.settings.auth == "none"
        schema["security"] = [{"key": []}, {}] if open_to_all else [{"key": []}]
        for path, operations in schema["paths"].items():
            for operation in operations.values():
                _describe(operation, is_public=path in PUBLIC_PATHS)
        app.openapi_schema = schema
    return app.openapi_schema


def _describe(operation: dict[str, Any], *, is_public: bool) -> None:
    """Add what every operation with input may answer, and that some need no key."""
    responses = operation["responses"]
    generated = responses.get("422", {}).get("content", {})
    if "HTTPValidationError" in str(generated):
        del responses["422"]
    common = []
    if "parameters" in operation or "requestBody" in operation:
        common += [400, 422]
    if "requestBody" in operation:
        common.append(413)
    for status, response in problems(*common).items():
        responses.setdefault(str(status), response)
    if "400" in responses:  # what is not even HTTP never reaches the handlers
        responses["400"]["content"]["text/plain"] = {"schema": {"type": "string"}}
    if is_public:
        operation["security"] = []


class _Counted:
    """Counts requests by the template of their route, so that no id becomes a label."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._metrics = service.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.request(scope["method"], route, status)
