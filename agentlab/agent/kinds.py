"""Values of an open family, told apart by `kind`: whoever subclasses the base joins it, and is read from data too."""

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
        kinds = {cls.model_fields["kind"].default: cls for cls in _subclasses(base)}
        kind = data.get("kind") if isinstance(data, dict) else None
        if kind not in kinds:
            raise ValueError(f"kind {kind!r} is not known; there are: {', '.join(sorted(map(str, kinds)))}")
        return kinds[kind].model_validate(data)

    return read


def _subclasses(base: type[_T]) -> Iterator[type[_T]]:
    for cls in base.__subclasses__():
        yield cls
        yield from _subclasses(cls)
