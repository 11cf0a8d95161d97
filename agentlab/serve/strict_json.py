"""Bodies read strictly: JSON in UTF-8, finite numbers, and no deeper than anybody needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from agentlab.serve.problems import Problem


class StrictRoute(APIRoute):
    """A route whose body is read strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            if self.body_field is not None and not _is_json(request.headers.get("content-type", "")):
                raise Problem(415, "send the body as JSON, with `Content-Type: application/json`")
            return await handle(_StrictRequest(request.scope, request.receive))

        return strictly


class _StrictRequest(Request):
    async def json(self) -> Any:
        return read_json(await self.body(), depth=self.app.state.service.limits.depth)


def read_json(body: bytes, *, depth: int) -> Any:
    """The value of a body.

    Args:
        body: What came.
        depth: The deepest nesting that is taken.

    Raises:
        Problem: It is no JSON, not in UTF-8, holds numbers that are none, or is nested too deeply.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise Problem(400, f"the body is no JSON in UTF-8: {exc}", code="invalid_json") from None
    level = [value]
    for _ in range(depth + 1):
        if any(isinstance(item, float) and not math.isfinite(item) for item in level):
            raise Problem(400, "the body holds a number that is not finite", code="invalid_json")
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return value
    raise Problem(400, f"the body is nested more than {depth} levels deep", code="invalid_json")


def _inside(item: object) -> list[Any]:
    if isinstance(item, dict):
        return list(item.values())
    return item if isinstance(item, list) else []


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
