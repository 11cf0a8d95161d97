"""Arguments of a call as a person is shown them, and the way back.

What is shown has no keys in it and no character that hides. A person edits that; what nobody touched must reach the
tool as it was, so each value that still is what was shown becomes the original again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import orjson

from agentlab.errors import InputError
from agentlab.trace.redact import REDACTED, Redactor
from agentlab.trace.safe import visible

_MOVED = (
    "something that is not shown here (a key, a hidden character) was moved, so nobody can tell which it is: leave it "
    "at its place, or write it out"
)


def masked(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments without secrets, every hidden character marked, in names too."""
    clean = orjson.loads(_redactor().json(orjson.dumps(arguments)))
    return dict(_visible(clean))


def masked_schema(schema: Any) -> Any:
    """A JSON schema with all its texts made visible; a pattern that this would alter is left out, Python checks it."""
    match schema:
        case str():
            return visible(schema)
        case list():
            return [masked_schema(item) for item in schema]
        case dict():
            kept = {name: value for name, value in schema.items() if name != "pattern" or value == masked_schema(value)}
            return {visible(name): masked_schema(value) for name, value in kept.items()}
        case _:
            return schema


def restored(edited: Mapping[str, Any], original: Mapping[str, Any]) -> dict[str, Any]:
    """What a person wrote, with the original in the place of all that was left as it was shown.

    Raises:
        InputError: A hidden key was edited in part, or moved so that nobody can tell which one it is.
    """
    return _restored_object(edited, original, masked(original))


@cache
def _redactor() -> Redactor:
    """Made at first use: its regular expressions take a moment."""
    return Redactor()


def _visible(value: Any) -> Any:
    match value:
        case str():
            return visible(value)
        case list():
            return [_visible(item) for item in value]
        case dict():
            return {name: _visible(value[own]) for name, own in _names(value).items()}
        case _:
            return value


def _names(entries: Mapping[str, Any]) -> dict[str, str]:
    """The names of an object as shown, each once, and what they are."""
    names: dict[str, str] = {}
    for own in entries:
        name, n = visible(own), 1
        while name in names:
            n += 1
            name = f"{visible(own)} ({n})"
        names[name] = own
    return names


def _restored(edited: Any, original: Any, seen: Any) -> Any:
    """One value.

    Args:
        edited: What the person left there.
        original: What the call has there.
        seen: What was shown of it.
    """
    if _same(edited, seen):
        return original
    if isinstance(edited, dict) and isinstance(original, dict):
        return _restored_object(edited, original, seen)
    if isinstance(edited, list) and isinstance(original, list):
        return _restored_list(edited, original, seen)
    if isinstance(edited, str) and isinstance(original, str):
        return _restored_text(edited, original)
    return _written(edited, original, seen)


def _restored_object(edited: Mapping[str, Any], original: Mapping[str, Any], seen: Mapping[str, Any]) -> dict[str, Any]:
    names = _names(original)
    result: dict[str, Any] = {}
    for name, value in edited.items():
        own = names.get(name)
        if own is None:
            result[name] = _written(value, original, seen)
        else:
            result[own] = _restored(value, original[own], seen[name])
    return result


def _restored_list(edited: list[Any], original: list[Any], seen: list[Any]) -> list[Any]:
    """Items may have been added, removed and moved: each finds what it was by how it looked."""
    if len(edited) == len(original):
        n_left = sum(map(_same, edited, seen))
        if n_left >= len(original) - 1 or not _hidden(original, seen):
            return list(map(_restored, edited, original, seen))
    return [_found_item(item, original, seen) for item in edited]


def _found_item(item: Any, original: list[Any], seen: list[Any]) -> Any:
    look_so = [original[i] for i, other in enumerate(seen) if _same(item, other)]
    if not look_so:
        return _written(item, original, seen)
    if not all(_same(one, look_so[0]) for one in look_so):
        raise InputError(_MOVED)
    return look_so[0]


def _written(value: Any, original: Any, seen: Any) -> Any:
    """A value that stands at a new place: it may not hold what only looks like a hidden one."""
    if _texts(value) & _hidden(original, seen):
        raise InputError(_MOVED)
    return value


def _restored_text(edited: str, original: str) -> str:
    """A text that was edited: the marks of its hidden characters stand for these again.

    Raises:
        InputError: It still has the mark of a key, which nobody can put back.
    """
    if REDACTED in edited and REDACTED not in original:
        raise InputError(f"a text with a hidden key was edited in part: write it whole, without {REDACTED}")
    for character in set(original):
        mark = visible(character)
        if mark != character:
            edited = edited.replace(mark, character)
    has_windows_lines = "\r\n" in original and original.count("\n") == original.count("\r\n")
    return edited.replace("\n", "\r\n") if has_windows_lines else edited


def _hidden(original: Any, seen: Any) -> set[str]:
    """The texts that are shown in the place of others."""
    match original, seen:
        case dict(), dict():
            pairs = ((original[own], seen[name]) for name, own in _names(original).items())
            return set().union(*(_hidden(*pair) for pair in pairs))
        case list(), list():
            return set().union(*map(_hidden, original, seen))
        case _, str() if not _same(original, seen):
            return {seen}
    return set()


def _texts(value: Any) -> set[str]:
    match value:
        case str():
            return {value}
        case dict():
            return set().union(*map(_texts, value.values()))
        case list():
            return set().union(*map(_texts, value))
    return set()


def _same(a: Any, b: Any) -> bool:
    """Whether two JSON values are the same: 1 and 1.0 are, 1 and true are not."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(value, b[name]) for name, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)
