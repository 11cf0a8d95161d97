"""What the loop asks of a model: a request in, chunks out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from agentlab.messages.message import Message
from agentlab.messages.parts import Value
from agentlab.trace.chunks import Chunk
from agentlab.trace.events import ToolSpec


class ModelParams(Value):
    """Sampling settings. None: the endpoint's own default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The settings that are set."""
        return self.model_dump(exclude_none=True, mode="json")


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call: the whole conversation and what the model may do."""

    messages: Sequence[Message]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    """`auto`, `none`, `required`, or the name of the one tool to call."""
    parallel_tool_calls: bool = False
    params: ModelParams = field(default_factory=ModelParams)
    turn: int = 0
    """How many replies this conversation has had before, wherever they are now. Scripts find their place by it."""
    attempt: int = 0
    """How often this request was made before, in vain."""


@dataclass(slots=True)
class CallRecord:
    """What is known of one model call besides its chunks. The model fills it in while it streams.

    Times are monotonic [ns], from `agentlab.clock`.
    """

    request_ns: int | None = None
    """Just before the request left; of the last try, when there were several."""
    headers_ns: int | None = None
    close_ns: int | None = None
    retries: int = 0
    response_id: str | None = None
    response_model: str | None = None
    queue_s: float | None = None
    prefill_s: float | None = None
    marks_ns: dict[str, int] = field(default_factory=dict)


class ChatModel(Protocol):
    """A language model behind an endpoint, inside this process, or a script."""

    @property
    def name(self) -> str:
        """The model's name, as the endpoint knows it."""
        ...

    @property
    def provider(self) -> str:
        """Who serves it: `openai`, `local`, `scripted` and so on."""
        ...

    def stream(self, request: ModelRequest, record: CallRecord) -> AsyncGenerator[Chunk, None]:
        """Stream the reply; an async generator. Closing it early cancels the call.

        Raises:
            ModelError: The call failed; the subclass says how.
        """
        ...
