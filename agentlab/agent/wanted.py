"""Arguments of the wrong kind, told at once and by name: what was seen, and what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agentlab.agent.approval import Decision
from agentlab.errors import InputError
from agentlab.trace.safe import in_one_line


def need(name: str, value: object, fits: Callable[[object], bool], wanted: str) -> None:
    """Return when the value is of the right kind.

    Raises:
        InputError: It is not.
    """
    if not fits(value):
        raise InputError(f"{name} is {in_one_line(repr(value))}; give {wanted}")


def need_decision(value: object) -> None:
    """Return when the value is a decision.

    Raises:
        InputError: It is not.
    """
    need("decision", value, lambda x: isinstance(x, Decision), "one such as Decision(action='approve')")


def need_tags(value: object) -> None:
    """Return when the value can be the tags of a run.

    Raises:
        InputError: It cannot.
    """
    need("tags", value, _are_tags, "texts by their names, such as {'task': 't1', 'trial': '1'}")


def _are_tags(value: object) -> bool:
    return value is None or (
        isinstance(value, Mapping) and all(isinstance(text, str) for item in value.items() for text in item)
    )
