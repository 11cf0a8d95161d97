"""Token usage of one model call, and sums that never turn a missing value into zero."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Literal, TypeAlias

from agentlab.messages.parts import Value

UsageSource: TypeAlias = Literal["provider", "tokenizer", "estimated", "missing"]

WEAKEST_FIRST: tuple[UsageSource, ...] = ("missing", "estimated", "tokenizer", "provider")
"""Who counted tokens: of a sum, the weakest of its parts."""

COUNTS = (
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "total_tokens",
)
_COUNTS_OF = attrgetter(*COUNTS)


class Usage(Value):
    """Tokens of one call or of a sum of calls. None: not known, which is not zero.

    Inclusive everywhere: input includes cached tokens, output includes reasoning.
    """

    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    total_tokens: int | None = None
    source: UsageSource = "missing"
    """Who counted."""


NO_USAGE = Usage()


def sum_usage(usages: Iterable[Usage]) -> Usage:
    """The sum of several calls. A count that one of them lacks is missing in the sum; no calls: all missing.

    The source of the sum is that of its weakest part.
    """
    parts = list(usages)
    if not parts:
        return NO_USAGE
    columns = zip(*map(_COUNTS_OF, parts), strict=True)
    totals = {name: None if None in values else sum(values) for name, values in zip(COUNTS, columns, strict=True)}
    return Usage(**totals, source=min((u.source for u in parts), key=WEAKEST_FIRST.index))
