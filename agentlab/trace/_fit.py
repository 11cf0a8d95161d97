"""As much of a long trace as fits: the beginning, how much was left out, and the last step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentlab.trace._sections import Section, Sections


class Budget:
    """What may still be drawn. None: no limit."""

    def __init__(self, messages: int | None, size: int | None) -> None:
        self._messages = messages
        self._size = size

    def take(self, size: int, messages: int = 0) -> bool:
        """Spend this much; False, and nothing spent, when it does not fit."""
        if self._size is not None and size > self._size:
            return False
        if self._messages is not None and messages > self._messages:
            return False
        if self._size is not None:
            self._size -= size
        if self._messages is not None:
            self._messages -= messages
        return True

    def split(self) -> Budget:
        """Half of it, as a budget of its own; `give_back` returns what is left of that."""
        half = Budget(*(None if left is None else left // 2 for left in (self._messages, self._size)))
        self.take(half._size or 0, half._messages or 0)
        return half

    def give_back(self, other: Budget) -> None:
        """Add what another budget has left."""
        self.take(-(other._size or 0), -(other._messages or 0))


@dataclass(frozen=True, slots=True)
class Drawn:
    """A section, as far as it fitted."""

    text: str
    messages: int
    """How many of its messages are in the text."""
    complete: bool


Draw = Callable[[Section, Budget], Drawn]
Note = Callable[[int, int], str]
"""What to write in the place of so many messages and, among them, so many whole steps."""


def fit(parts: Sections, draw: Draw, note: Note, budget: Callable[[], Budget]) -> list[str]:
    """The texts of the sections, with a note where some are left out. The last section is kept as well as it can be."""
    texts, complete = _as_many_as_fit(parts, draw, note, budget())
    if complete or len(parts) == 1:
        return texts
    rest = budget()
    half = rest.split()
    end, _ = _as_many_as_fit(parts.part(-1), draw, note, half)
    rest.give_back(half)
    front, _ = _as_many_as_fit(parts.part(0, -1), draw, note, rest)
    return front + end


def _as_many_as_fit(parts: Sections, draw: Draw, note: Note, budget: Budget) -> tuple[list[str], bool]:
    texts: list[str] = []
    for n, part in enumerate(parts):
        drawn = draw(part, budget)
        texts.append(drawn.text)
        if not drawn.complete:
            left = parts.part(n).n_messages - drawn.messages
            return [*texts, note(left, parts.part(n + bool(drawn.text)).n_steps)], False
    return texts, True
