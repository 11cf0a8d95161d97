"""Arguments of the wrong kind, told at once and by name: what was seen, and what is wanted."""

from __future__ import annotations

from collections.abc import Callable

from agentlab.errors import InputError
from agentlab.trace.safe import in_one_line


def need(name: str, value: object, fits: Callable[[object], bool], wanted: str) -> None:
    """Return when the value is of the right kind.

    Raises:
        InputError: It is not.
    """
    if not fits(value):
        raise InputError(f"{name} is {in_one_line(repr(value))}; give {wanted}")
