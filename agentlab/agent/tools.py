"""Tools: plain Python functions that a model may call.

    @tool
    def search(query: str, limit: int = 10) -> list[str]: ...

The JSON schema comes from the signature and the docstring; arguments are checked against it before the function runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

import docstring_parser
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from agentlab import clock
from agentlab.agent._thread import start_in_thread
from agentlab.errors import ToolArgumentError, ToolDefinitionError, ToolError, ToolTimeoutError
from agentlab.trace.events import ToolSpec

_F = TypeVar("_F", bound=Callable[..., Any])


class Tool:
    """A function with the schema that a model needs to call it. Calling the tool calls the function."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        timeout_s: float | None = None,
        parallel: bool = False,
    ) -> None:
        if timeout_s is not None and timeout_s <= 0:
            raise ToolDefinitionError(f"timeout_s is {timeout_s}; give seconds above 0, or None for no limit")
        self.function = function
        self.timeout_s = timeout_s
        self.parallel = parallel
        self._signature = _Signature.of(function)
        self.spec = ToolSpec(
            name=name or getattr(function, "__name__", type(function).__name__),
            description=description if description is not None else self._signature.description,
            parameters=self._signature.schema(),
        )
        functools.update_wrapper(self, function, updated=())

    @property
    def name(self) -> str:
        """The name that the model calls."""
        return self.spec.name

    def __repr__(self) -> str:
        arguments = ", ".join(self.spec.parameters["properties"])
        return f"<tool {self.name}({arguments})>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def check(self, arguments: Mapping[str, Any]) -> None:
        """Return when the arguments fit the schema.

        Raises:
            ToolArgumentError: They do not; the text names each argument that is wrong.
        """
        self._signature.bind(self.name, arguments)

    async def run(self, arguments: Mapping[str, Any]) -> Any:
        """What the function returns for these arguments. A plain function runs in a thread of its own.

        A thread cannot be stopped: after a time-out a plain function may still be at work, its result is dropped.

        Raises:
            ToolArgumentError: The arguments break the schema.
            ToolTimeoutError: The time limit passed.
            Exception: Whatever the function raises.
        """
        args, kwargs = self._signature.bind(self.name, arguments)
        if inspect.iscoroutinefunction(_unwrap(self.function)):
            return await self._within_limit(self.function(*args, **kwargs))
        return await self._in_thread(functools.partial(self.function, *args, **kwargs))

    async def _within_limit(self, coroutine: typing.Coroutine[Any, Any, Any]) -> Any:
        if self.timeout_s is None:
            return await coroutine
        try:
            return await clock.within(_without_exit(coroutine), self.timeout_s)
        except clock.LimitPassed as exc:
            raise ToolTimeoutError(self.name, self.timeout_s) from exc

    async def _in_thread(self, function: Callable[[], Any]) -> Any:
        with clock.held():
            work = start_in_thread(function, name=f"tool {self.name}")
            try:
                await asyncio.wait({work}, timeout=self.timeout_s)
                if not work.done():
                    raise ToolTimeoutError(self.name, self.timeout_s or 0.0)
                return work.result()
            finally:
                work.cancel()


async def _without_exit(coroutine: typing.Coroutine[Any, Any, Any]) -> Any:
    """In a task of its own, `SystemExit` would tear down the event loop."""
    try:
        return await coroutine
    except SystemExit as exc:
        raise ToolError(f"SystemExit: {exc}") from exc


@overload
def tool(function: _F, /) -> Tool: ...
@overload
def tool(
    *, name: str | None = None, description: str | None = None, timeout_s: float | None = None, parallel: bool = False
) -> Callable[[_F], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    timeout_s: float | None = None,
    parallel: bool = False,
) -> Tool | Callable[[_F], Tool]:
    """A tool made from a function, by decoration or by call.

    Every parameter needs a type hint; defaults, `Optional`, enums, literals, pydantic models, dataclasses,
    keyword-only parameters and `*args` work. The first paragraph of the docstring describes the tool, its `Args`
    section the parameters.

    Args:
        function: A plain or an `async` function.
        name: What the model calls it; the function's name when not given.
        description: What the model reads; from the docstring when not given.
        timeout_s: Time limit of one call [s]; None: none.
        parallel: Whether it may run beside other calls of the same reply.

    Raises:
        ToolDefinitionError: A parameter has no type hint, or a type that has no JSON schema.
    """
    if function is not None:
        return Tool(function, name=name, description=description, timeout_s=timeout_s, parallel=parallel)
    return lambda f: Tool(f, name=name, description=description, timeout_s=timeout_s, parallel=parallel)


def as_tool(item: Tool | Callable[..., Any]) -> Tool:
    """The tool itself, or one made from a function."""
    if isinstance(item, Tool):
        return item
    if callable(item):
        return Tool(item)
    raise ToolDefinitionError(f"{item!r} is no tool: give a function, or one decorated with `@tool`")


def to_text(value: object) -> str:
    """A tool's result as the text that the model reads: text as it is, JSON for data, Python's text for the rest."""
    if isinstance(value, str):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump_json(indent=2)
    if isinstance(value, (dict, list, tuple)) or (dataclasses.is_dataclass(value) and not isinstance(value, type)):
        try:
            return orjson.dumps(value, default=_plain, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:
            return str(value)
    return str(value)


def sendable(text: str) -> str:
    """The text, with a sign in the place of what no one could send: half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def truncate(text: str, limit_chars: int | None) -> str:
    """The text, cut at the limit with a note that says so. None or 0: never cut."""
    if not limit_chars or len(text) <= limit_chars:
        return text
    note = (
        f"... [NOTE: function output was truncated since it exceeded the character limit ({len(text)} > {limit_chars})]"
    )
    return text[:limit_chars] + note


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    return str(value)


def _unwrap(function: Callable[..., Any]) -> Callable[..., Any]:
    inner = inspect.unwrap(function)
    while isinstance(inner, functools.partial):
        inner = inner.func
    return inner if inspect.isroutine(inner) else type(inner).__call__


_CLOSED = ConfigDict(extra="forbid", protected_namespaces=())


class _Signature:
    """A function's parameters as a pydantic model, and the way back to a call."""

    def __init__(self, model: type[BaseModel], parameters: list[inspect.Parameter], description: str) -> None:
        self.model = model
        self.parameters = parameters
        self.description = description

    @classmethod
    def of(cls, function: Callable[..., Any]) -> _Signature:
        name = getattr(function, "__name__", repr(function))
        try:
            signature = inspect.signature(function, eval_str=True)
        except (NameError, TypeError, ValueError) as exc:
            raise ToolDefinitionError(f"`{name}`: its signature cannot be read: {exc}") from exc
        doc = docstring_parser.parse(inspect.getdoc(function) or "")
        about = {p.arg_name.lstrip("*"): p.description for p in doc.params}
        parameters = list(signature.parameters.values())
        fields: dict[str, Any] = {_safe(p.name): _field(name, p, about.get(p.name)) for p in parameters}
        try:
            model = create_model(name, __config__=_CLOSED, **fields)
        except (PydanticSchemaGenerationError, PydanticUserError) as exc:
            raise ToolDefinitionError(f"`{name}` has a parameter whose type has no JSON schema: {exc}") from exc
        parts = (doc.short_description, doc.long_description)
        return cls(model, parameters, "\n\n".join(p for p in parts if p))

    def schema(self) -> dict[str, Any]:
        """JSON schema of the arguments, an object, without titles."""
        schema = self.model.model_json_schema(by_alias=True)
        schema.pop("description", None)
        cleaned: dict[str, Any] = _without_titles(schema)
        cleaned.setdefault("properties", {})
        cleaned.setdefault("required", [])
        return cleaned

    def bind(self, tool_name: str, arguments: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        try:
            checked = self.model.model_validate_json(orjson.dumps(dict(arguments)), strict=True)
        except ValidationError as exc:
            raise ToolArgumentError(tool_name, _problems(exc)) from exc
        except TypeError as exc:
            raise ToolArgumentError(tool_name, f"they cannot be written as JSON: {exc}") from exc
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        spread = any(p.kind is p.VAR_POSITIONAL for p in self.parameters)
        for p in self.parameters:
            value = getattr(checked, _safe(p.name))
            if p.kind is p.VAR_POSITIONAL:
                args.extend(value)
            elif p.kind is p.POSITIONAL_ONLY or (spread and p.kind is p.POSITIONAL_OR_KEYWORD):
                args.append(value)
            else:
                kwargs[p.name] = value
        return args, kwargs


def _safe(parameter: str) -> str:
    """Pydantic takes no field name with a leading underscore, nor one of its own methods' names."""
    return f"p_{parameter}"


def _field(tool_name: str, parameter: inspect.Parameter, about: str | None) -> tuple[Any, Any]:
    if parameter.kind is parameter.VAR_KEYWORD:
        raise ToolDefinitionError(
            f"`{tool_name}` takes `**{parameter.name}`: a model cannot know these names; give each parameter its own"
        )
    if parameter.annotation is parameter.empty:
        raise ToolDefinitionError(
            f"`{tool_name}`: parameter `{parameter.name}` has no type hint; write for instance `{parameter.name}: str`"
        )
    kind, default = parameter.annotation, parameter.default
    if parameter.kind is parameter.VAR_POSITIONAL:
        kind, default = list[kind], []  # type: ignore[valid-type]
    if default is parameter.empty:
        default = ...
    return kind, Field(default, alias=parameter.name, description=about)


def _without_titles(schema: Any) -> Any:
    """Pydantic titles every property with its own name: tokens without news. A property called `title` stays."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    cleaned = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            cleaned[key] = {name: _without_titles(item) for name, item in value.items()}
        elif key in ("default", "const", "enum", "examples"):
            cleaned[key] = value
        elif key != "title":
            cleaned[key] = _without_titles(value)
    return cleaned


def _problems(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"]) or "arguments"
        seen = "" if item["type"] in ("missing", "extra_forbidden") else f" (got {_short(item['input'])})"
        lines.append(f"`{where}`: {item['msg']}{seen}")
    return "; ".join(lines)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
