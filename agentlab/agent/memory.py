"""Memory blocks: short texts that stand in the system message and that the agent may edit with tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentlab.agent.tools import Tool, tool
from agentlab.errors import InputError, ToolError

DEFAULT_LIMIT_CHARS = 5000


class Memory:
    """Labelled blocks of text. The same object keeps what an agent has learnt from run to run.

    Args:
        blocks: Label to text.
        limit_chars: The most that one block may hold; an edit that goes over it is refused.
    """

    def __init__(self, blocks: Mapping[str, str], *, limit_chars: int = DEFAULT_LIMIT_CHARS) -> None:
        self.limit_chars = limit_chars
        self._blocks = dict(blocks)
        for label, text in self._blocks.items():
            if len(text) > limit_chars:
                raise InputError(f"memory block {label!r} has {len(text)} characters; the limit is {limit_chars}")

    @property
    def blocks(self) -> dict[str, str]:
        """Label to text, a copy."""
        return dict(self._blocks)

    def as_data(self) -> dict[str, Any]:
        """The memory as data."""
        return {"blocks": self.blocks, "limit_chars": self.limit_chars}

    def copy(self) -> Memory:
        """The same blocks, for a run that shall leave these alone."""
        return Memory(self._blocks, limit_chars=self.limit_chars)

    def render(self) -> str:
        """The blocks as they stand in the system message."""
        parts = [f"<{label}>\n{text}\n</{label}>" for label, text in self._blocks.items()]
        return "\n".join(["<memory>", *parts, "</memory>"])

    def tools(self) -> list[Tool]:
        """`memory_append` and `memory_replace`, working on this memory."""

        @tool
        async def memory_append(label: str, text: str) -> str:
            """Add a line to a block of your memory.

            Args:
                label: The block.
                text: The line to add.
            """
            self._write(label, f"{self._read(label)}\n{text}".strip())
            return f"{label}: added"

        @tool
        async def memory_replace(label: str, old: str, new: str) -> str:
            """Replace a piece of text in a block of your memory.

            Args:
                label: The block.
                old: The exact text that stands there now.
                new: What shall stand there; empty to delete.
            """
            text = self._read(label)
            if not old or old not in text:
                raise ToolError(f"block `{label}` does not contain {old!r}; it holds: {text!r}")
            self._write(label, text.replace(old, new, 1))
            return f"{label}: replaced"

        return [memory_append, memory_replace]

    def _read(self, label: str) -> str:
        if label not in self._blocks:
            raise ToolError(f"there is no memory block `{label}`; there are: {', '.join(self._blocks)}")
        return self._blocks[label]

    def _write(self, label: str, text: str) -> None:
        if len(text) > self.limit_chars:
            raise ToolError(f"block `{label}` would have {len(text)} characters; the limit is {self.limit_chars}")
        self._blocks[label] = text

    def __repr__(self) -> str:
        sizes = ", ".join(f"{label}: {len(text)} chars" for label, text in self._blocks.items())
        return f"Memory({sizes})"
