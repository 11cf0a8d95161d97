"""The pieces a message is made of. Field names are the reference's, so stored conversations compare."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field


class Value(BaseModel):
    """Base of all message values: frozen, compared by content, nothing extra."""

    # Without `use_attribute_docstrings`: it reads every class from its source file, a fifth of the time of an import.
    # With `defer_build`: validators are made when the first value is, and an import makes none.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class TextPart(Value):
    """Text."""

    type: Literal["text"] = "text"
    text: str
    signature: str | None = None
    """A provider's proof that it wrote this; sent back unchanged."""


class Base64Image(Value):
    """A picture inside the message."""

    type: Literal["base64"] = "base64"
    media_type: str
    data: str
    detail: str | None = None


class UrlImage(Value):
    """A picture by address. Never fetched unless the caller allows it."""

    type: Literal["url"] = "url"
    url: str


class StoredImage(Value):
    """A picture kept by a server under a file id."""

    type: Literal["letta"] = "letta"
    file_id: str
    media_type: str | None = None
    data: str | None = None
    detail: str | None = None


ImageSource: TypeAlias = Annotated[Base64Image | UrlImage | StoredImage, Field(discriminator="type")]


class ImagePart(Value):
    """A picture."""

    type: Literal["image"] = "image"
    source: ImageSource


class ToolCallPart(Value):
    """A tool call inside the content, as some providers write it."""

    type: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    input: dict[str, object]
    signature: str | None = None


class ToolReturnPart(Value):
    """A tool return inside the content, as some providers write it."""

    type: Literal["tool_return"] = "tool_return"
    tool_call_id: str
    content: str
    is_error: bool


class ReasoningPart(Value):
    """What the model thought, in its own words."""

    type: Literal["reasoning"] = "reasoning"
    is_native: bool
    """True when the model's own reasoning channel wrote it."""
    reasoning: str
    signature: str | None = None


class RedactedReasoningPart(Value):
    """Reasoning that the provider has encrypted."""

    type: Literal["redacted_reasoning"] = "redacted_reasoning"
    data: str


class OmittedReasoningPart(Value):
    """Reasoning happened and was not shown."""

    type: Literal["omitted_reasoning"] = "omitted_reasoning"
    signature: str | None = None


class SummaryEntry(Value):
    """One paragraph of a reasoning summary."""

    index: int
    text: str


class SummarizedReasoningPart(Value):
    """A provider's summary of the reasoning."""

    type: Literal["summarized_reasoning"] = "summarized_reasoning"
    id: str
    summary: tuple[SummaryEntry, ...]
    encrypted_content: str | None = None


Part: TypeAlias = Annotated[
    TextPart
    | ImagePart
    | ToolCallPart
    | ToolReturnPart
    | ReasoningPart
    | RedactedReasoningPart
    | OmittedReasoningPart
    | SummarizedReasoningPart,
    Field(discriminator="type"),
]
