"""One column of a frame: name, type, unit, meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import pandas as pd
import pyarrow as pa

Kind: TypeAlias = pa.DataType | tuple[str, ...]
"""An Arrow type, or the words of a category."""

TEXT = pa.string()
COUNT = pa.int64()
NUMBER = pa.float64()
FLAG = pa.bool_()


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""

    @property
    def arrow_type(self) -> pa.DataType:
        """What it is made from; the words of a category are text there."""
        return TEXT if isinstance(self.kind, tuple) else self.kind

    @property
    def dtype(self) -> Any:
        """Its dtype in pandas: an Arrow type, or `category` where the words are known beforehand."""
        if isinstance(self.kind, tuple):
            return pd.CategoricalDtype(pd.Index(self.kind, dtype=pd.ArrowDtype(TEXT)))
        return pd.ArrowDtype(self.kind)


def seconds(name: str, meaning: str) -> Column:
    """A column of seconds."""
    return Column(name, NUMBER, meaning, "s")


def tokens(name: str, meaning: str) -> Column:
    """A column of whole tokens."""
    return Column(name, COUNT, meaning, "tokens")
