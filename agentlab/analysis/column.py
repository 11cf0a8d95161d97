"""One column of a frame: name, type, unit, meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

Kind: TypeAlias = pa.DataType | tuple[str, ...]
"""An Arrow type, or the words of a category. A dictionary of text is a category whose words only the rows know."""

TEXT = pa.string()
COUNT = pa.int64()
NUMBER = pa.float64()
FLAG = pa.bool_()
WORDS = pa.dictionary(pa.int32(), TEXT)
"""Names that repeat. Keys of joins stay text: two frames rarely have the same words, and joins lose the dtype then."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""

    @property
    def is_category(self) -> bool:
        """Whether its texts repeat."""
        return self.words is not None or self.kind == WORDS

    @property
    def words(self) -> tuple[str, ...] | None:
        """All words of a category; None where only the rows know them, or it is none."""
        return self.kind if isinstance(self.kind, tuple) else None

    @property
    def arrow_type(self) -> pa.DataType:
        """What it is made from, and what files have; the words of a category are text there."""
        return TEXT if isinstance(self.kind, tuple) or self.kind == WORDS else self.kind

    @property
    def dtype(self) -> Any:
        """Its dtype in pandas: an Arrow type, or `category`, with its words where they are known beforehand."""
        if isinstance(self.kind, tuple):
            return pd.CategoricalDtype(pd.Index(self.kind, dtype=pd.ArrowDtype(TEXT)))
        return pd.CategoricalDtype() if self.is_category else pd.ArrowDtype(self.kind)


def seconds(name: str, meaning: str) -> Column:
    """A column of seconds."""
    return Column(name, NUMBER, meaning, "s")


def tokens(name: str, meaning: str) -> Column:
    """A column of whole tokens."""
    return Column(name, COUNT, meaning, "tokens")
