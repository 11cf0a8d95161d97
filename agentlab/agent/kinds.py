"""Values of an open family, told apart by `kind`.

Whoever subclasses the base with a `kind` of its own joins it, and is read from data too. Of two with one kind the later
one counts: in a notebook a class is defined again with its cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pydantic import BaseModel

_T = TypeVar("_T", bound=BaseModel)


def reader(base: type[_T]) -> Callable[[Any], _T]:
    """A function from data to the member of the family that its `kind` names; members pass as they are."""

    def read(data: Any) -> _T:
        if isinstance(data, base):
            return data
        kinds = {_kind(cls): cls for cls in _subclasses(base) if _kind(cls) not in map(_kind, _parents(cls, base))}
        kind = data.get("kind") if isinstance(data, dict) else None
        if not isinstance(kind, str) or kind not in kinds:
            raise ValueError(f"kind {kind!r} is not known; there are: {', '.join(sorted(map(str, kinds)))}")
        return kinds[kind].model_validate(data)

    return read


def _kind(cls: type[BaseModel]) -> Any:
    return cls.model_fields["kind"].default


def _parents(cls: type[_T], base: type[_T]) -> Iterator[type[_T]]:
    return (parent for parent in cls.__mro__[1:] if issubclass(parent, base))


def _subclasses(base: type[_T]) -> Iterator[type[_T]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _subclasses(cls)
