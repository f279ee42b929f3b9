"""The app: every route, the errors of each, and the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, Response

from recsweep import __version__
from recsweep.service import (
    pages,
    routes_artifacts,
    routes_catalog,
    routes_events,
    routes_health,
    routes_jobs,
    routes_trials,
)
from recsweep.service.examples import ANSWERS, PARAMETERS
from recsweep.service.front import Front
from recsweep.service.guard import Reader
from recsweep.service.problems import Problem, add_handlers
from recsweep.service.service import Service

PREFIX = "/api/tuning"
_ABOUT = (
    "Tuning jobs over HTTP: make one, start it, watch it, stop it. Every route but `/healthz` and `/readyz` "
    "needs a bearer token. Errors are problem+json (RFC 9457) and name field, value and fix."
)


def make_app(service: Service) -> FastAPI:
    """The app of a service. It trains nothing and imports no torch."""
    app = FastAPI(
        title="recsweep",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    app.state.service = service
    app.add_middleware(Front, service=service, prefix=PREFIX)
    add_handlers(app)
    app.include_router(routes_health.health)
    app.include_router(routes_health.numbers)
    app.include_router(pages.router)
    parts = (routes_jobs, routes_trials, routes_artifacts, routes_events, routes_catalog)
    for part in parts:
        app.include_router(part.router, prefix=PREFIX)

    @app.get("/openapi.json", include_in_schema=False, dependencies=[Reader])
    def openapi() -> Response:
        """The OpenAPI document."""
        return JSONResponse(document(app))

    return app


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the app, with the types that routes name by themselves."""
    if app.openapi_schema:
        return app.openapi_schema
    made = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    schemas = made["components"]["schemas"]
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            _complete(operation, f"{method.upper()} {path}")
    app.openapi_schema = made
    return made


def _complete(operation: dict[str, Any], route: str) -> None:
    """An operation whose errors are all problems, with examples of its answer and its parameters."""
    for status, answer in operation["responses"].items():
        if "HTTPValidationError" in str(answer):
            raise ValueError(f"{route} says nothing of its {status}")
        if status.startswith("2"):
            for content in answer.get("content", {}).values():
                content["example"] = ANSWERS[route]
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in PARAMETERS:
            parameter["example"] = PARAMETERS[parameter["name"]]
