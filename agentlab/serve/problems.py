"""What a client is told when something is wrong: a status, and a body in the shape that OpenAI's clients read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from agentlab.errors import AgentLabError, ApprovalError, InputError, RunError, StoreError, ToolArgumentError
from agentlab.trace.events import ErrorRaised

_TOLD_PROBLEMS = 5
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "request_too_large",
    415: "unsupported_media_type",
    429: "too_many_runs",
}
_TEXTS = {
    400: "The request cannot be used; the text says why.",
    401: "The token is missing or wrong.",
    404: "There is no such run, call or model.",
    409: "It contradicts what was decided before, or what the run does now.",
    413: "The body is larger than the server takes.",
    415: "The body is no JSON by its content type.",
    429: "As many runs as the server takes are under way.",
    500: "The server failed.",
    502: "The agent's model failed.",
    503: "The lab cannot be used.",
}
_MODEL_STATUS = {
    "RATE_LIMIT_EXCEEDED": 429,
    "CONTEXT_WINDOW_EXCEEDED": 400,
    "CONTEXT_WINDOW": 400,
}
"""What failed in the agent, as the client may take it; anything else of a model is a bad gateway."""


class ErrorDetail(BaseModel):
    """What is wrong."""

    message: str
    type: str
    param: str | None = None
    """Where in the request."""
    code: str | None = None


class ErrorBody(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorDetail


class Problem(HTTPException):
    """Ends a request with this status and text."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.detail_of_error = ErrorDetail(
            message=message, type=_type(status), param=param, code=code or _CODES.get(status)
        )

    def response(self) -> JSONResponse:
        """What the client gets."""
        return JSONResponse({"error": self.detail_of_error.model_dump()}, self.status_code, self.headers)


def problem_of_run(error: ErrorRaised) -> Problem:
    """What a client is told of a run that failed. Of our own failures only the name: their texts may tell anything."""
    if error.code == "INTERNAL_SERVER_ERROR" and not error.error_type.endswith(("ModelError", "ServerError")):
        return Problem(500, f"the run failed ({error.error_type})", code=error.code)
    return Problem(_MODEL_STATUS.get(error.code, 502), error.message, code=error.code)


def problem_of(exc: AgentLabError) -> Problem:
    """What a client is told of one of our errors."""
    match exc:
        case InputError() | ToolArgumentError():
            return Problem(400, str(exc))
        case ApprovalError() | RunError():
            return Problem(409, str(exc))
        case StoreError():
            return Problem(503, "the lab cannot be used", code="lab_unavailable")
    return Problem(500, f"the server failed ({type(exc).__name__})", code="internal_error")


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for its description."""
    return {status: {"model": ErrorBody, "description": _TEXTS[status]} for status in sorted(statuses)}


def tell_problems(app: FastAPI) -> None:
    """Let every error of the app go out in this shape."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(AgentLabError, _ours)
    app.add_exception_handler(Exception, _unforeseen)


async def _http(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)  # noqa: S101  # it is registered for nothing else
    if isinstance(exc, Problem):
        return exc.response()
    return Problem(exc.status_code, str(exc.detail), headers=exc.headers).response()


async def _invalid(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)  # noqa: S101  # it is registered for nothing else
    errors = exc.errors()
    told = [f"{_place(error['loc'])}: {error['msg']}" for error in errors[:_TOLD_PROBLEMS]]
    more = [f"and {len(errors) - _TOLD_PROBLEMS} more"] if len(errors) > _TOLD_PROBLEMS else []
    return Problem(400, "; ".join([*told, *more]), param=_place(errors[0]["loc"])).response()


async def _ours(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, AgentLabError)  # noqa: S101  # it is registered for nothing else
    return problem_of(exc).response()


async def _unforeseen(request: Request, exc: Exception) -> JSONResponse:
    return Problem(500, f"the server failed ({type(exc).__name__})", code="internal_error").response()


def _place(where: tuple[int | str, ...]) -> str:
    inside = where[1:] if len(where) > 1 else where
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in inside).lstrip(".")


def _type(status: int) -> str:
    return "server_error" if status >= 500 else _TYPES.get(status, "invalid_request_error")
