"""How many tokens a text has: by a tokenizer, where the caller has one, else estimated from its length."""

from __future__ import annotations

from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from agentlab.analysis.latency import Floats
from agentlab.errors import InputError
from agentlab.trace.usage import UsageSource

CHARS_PER_TOKEN = 4
"""Of the estimate, a rule of thumb for English prose; code, JSON and other languages have fewer."""


class Encoder(Protocol):
    """A tokenizer of a library: its `encode` gives something with a length."""

    def encode(self, text: str) -> Sized:
        """The tokens of a text."""
        ...


Tokenizer: TypeAlias = Callable[[str], int] | Encoder
"""A function from a text to its number of tokens, or an object with `encode`, as those of tiktoken and tokenizers."""


@dataclass(frozen=True)
class TokenCounter:
    """Counts the tokens of texts.

    Args:
        tokenizer: Who counts; None: one token for every four characters begun.

    Raises:
        InputError: The tokenizer is something else.
    """

    tokenizer: Tokenizer | None = None

    def __post_init__(self) -> None:
        counts = callable(self.tokenizer) or hasattr(self.tokenizer, "encode")
        if self.tokenizer is not None and (not counts or isinstance(self.tokenizer, str)):  # a name can encode itself
            raise InputError(
                f"`tokenizer` takes a function from a text to its number of tokens, not {self.tokenizer!r:.80}"
            )

    @property
    def source(self) -> UsageSource:
        """Who counts."""
        return "estimated" if self.tokenizer is None else "tokenizer"

    def counts(self, texts: Any) -> Floats:
        """Tokens of each text; NaN for one that is null. A text that comes again is counted once.

        Raises:
            InputError: The tokenizer gave something that is no number of tokens.
        """
        texts = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        if self.tokenizer is None:
            chars = pc.cast(pc.utf8_length(texts), pa.float64()).to_numpy(zero_copy_only=False)
            return np.asarray(np.ceil(chars / CHARS_PER_TOKEN))
        once = texts.dictionary_encode()
        found = np.array([*map(self._count, once.dictionary.to_pylist()), np.nan], np.float64)
        return np.asarray(found[once.indices.fill_null(-1).to_numpy(zero_copy_only=False)])

    def _count(self, text: str) -> int:
        tokenizer: Any = self.tokenizer
        # Of tiktoken: `encode` refuses a text with `<|endoftext|>` in it, which any tool may return.
        encode = getattr(tokenizer, "encode_ordinary", None) or getattr(tokenizer, "encode", None)
        n = tokenizer(text) if encode is None else len(encode(text))
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
            raise InputError(f"the tokenizer gave {n!r:.80} for a text; it has to give the number of its tokens")
        return int(n)
