"""The error tree.

    AgentLabError
    ├── InputError (ValueError)          what a caller gave cannot be used
    │   ├── ToolDefinitionError          a function cannot become a tool
    │   ├── TimezoneError                no such IANA zone
    │   └── ConversationError            a message list no provider would accept
    ├── ModelError (RuntimeError)        a model call failed
    │   ├── AuthenticationError          bad or missing key
    │   ├── ModelNotFoundError           the endpoint does not know the model
    │   ├── RateLimitError               too many requests; `retryable` tells quota from pace
    │   ├── ContextWindowError           the prompt is longer than the model's window
    │   ├── RequestRefusedError          the endpoint refused the request (other 4xx)
    │   ├── ConnectionLostError          no connection, or cut while the reply was arriving
    │   ├── ServerError                  the endpoint failed (5xx)
    │   └── InvalidReplyError            the reply breaks the protocol
    ├── ToolError (RuntimeError)         shown to the model as a failed tool return; the run goes on
    │   ├── ToolArgumentError            arguments are no JSON or break the schema
    │   ├── UnknownToolError             no tool has that name
    │   ├── ToolRuleError                a rule does not allow the tool now
    │   └── ToolTimeoutError             the tool's time limit passed
    ├── RunError (RuntimeError)          a run was used in a way its state does not allow
    │   └── ApprovalError                a decision that answers nothing, or contradicts an earlier one
    └── StoreError (RuntimeError)        a lab or a trace file cannot be used
        ├── NotALabError                 the file is something else
        └── NewerSchemaError             written by a later agentlab

Texts say what was seen and what to do. Every error survives pickling: a sweep sends them between processes.
"""

from __future__ import annotations


class AgentLabError(Exception):
    """Base of every error that agentlab raises on purpose."""


class InputError(AgentLabError, ValueError):
    """What a caller gave cannot be used. Ends the call."""


class ToolDefinitionError(InputError):
    """A function cannot become a tool. Ends the call."""


class TimezoneError(InputError):
    """No such IANA time zone. Ends the call."""

    def __init__(self, name: object) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"{self.name!r} is no IANA time zone; use a name like 'Europe/Paris' or 'UTC'"


class ConversationError(InputError):
    """A message list that no provider would accept. Ends the call."""


class ModelError(AgentLabError, RuntimeError):
    """A model call failed. `code` is the stable name that traces and streams show."""

    code = "INTERNAL_SERVER_ERROR"
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.retry_after_s = retry_after_s
        if retryable is not None:
            self.retryable = retryable

    def __str__(self) -> str:
        return self.message


class AuthenticationError(ModelError):
    """The key is missing or refused. Ends the run."""

    code = "UNAUTHENTICATED"


class ModelNotFoundError(ModelError):
    """The endpoint does not know the model. Ends the run."""

    code = "NOT_FOUND"


class RateLimitError(ModelError):
    """Too many requests. Retried unless the quota itself is used up."""

    code = "RATE_LIMIT_EXCEEDED"
    retryable = True


class ContextWindowError(ModelError):
    """The prompt is longer than the model's window."""

    code = "CONTEXT_WINDOW_EXCEEDED"


class RequestRefusedError(ModelError):
    """The endpoint refused the request for another reason. Ends the run."""

    code = "INVALID_ARGUMENT"


class ConnectionLostError(ModelError):
    """No connection, or the connection was cut while the reply was arriving. Retried when nothing had arrived."""

    code = "CONNECTION_LOST"
    retryable = True


class ServerError(ModelError):
    """The endpoint failed. Retried."""

    retryable = True


class InvalidReplyError(ModelError):
    """The reply breaks the protocol: no event stream, broken JSON, an error in the middle."""

    code = "INVALID_REPLY"


class ToolError(AgentLabError, RuntimeError):
    """Raise it in a tool to tell the model what went wrong. Shown to the model; the run goes on."""


class ToolArgumentError(ToolError):
    """The model called a tool with arguments that are no JSON or break its schema. Shown to the model."""

    def __init__(self, tool: str, problem: str) -> None:
        super().__init__(tool, problem)
        self.tool, self.problem = tool, problem

    def __str__(self) -> str:
        return f"`{self.tool}` was called with bad arguments: {self.problem}"


class UnknownToolError(ToolError):
    """The model called a tool that it was not offered. Shown to the model."""

    def __init__(self, tool: str, available: tuple[str, ...]) -> None:
        super().__init__(tool, available)
        self.tool, self.available = tool, available

    def __str__(self) -> str:
        return f"there is no tool `{self.tool}`; available: {', '.join(self.available) or 'none'}"


class ToolRuleError(ToolError):
    """A tool rule does not allow the call now. Shown to the model."""

    def __init__(self, tool: str, allowed: tuple[str, ...], because: tuple[str, ...]) -> None:
        super().__init__(tool, allowed, because)
        self.tool, self.allowed, self.because = tool, allowed, because

    def __str__(self) -> str:
        rules = f" {' '.join(self.because)}" if self.because else ""
        return f"`{self.tool}` may not be called now; allowed: {', '.join(self.allowed) or 'none'}.{rules}"


class ToolTimeoutError(ToolError):
    """A tool's time limit passed. Shown to the model."""

    def __init__(self, tool: str, limit_s: float) -> None:
        super().__init__(tool, limit_s)
        self.tool, self.limit_s = tool, limit_s

    def __str__(self) -> str:
        return f"`{self.tool}` was stopped after its time limit of {self.limit_s:g} s"


class RunError(AgentLabError, RuntimeError):
    """A run was used in a way its state does not allow."""


class ApprovalError(RunError):
    """A decision that answers no waiting call, or contradicts one that was taken before. Nothing was changed."""


class StoreError(AgentLabError, RuntimeError):
    """A lab or a trace file cannot be used."""


class NotALabError(StoreError):
    """The file is something else, and is left as it is."""


class NewerSchemaError(StoreError):
    """Written by a later agentlab than this one."""

    def __init__(self, where: str, found: int, known: int) -> None:
        super().__init__(where, found, known)
        self.where, self.found, self.known = where, found, known

    def __str__(self) -> str:
        return (
            f"{self.where} has schema version {self.found}, this agentlab reads up to {self.known}; "
            "upgrade with `pip install -U agentlab-jupyter`"
        )
