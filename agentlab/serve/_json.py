"""Any plain value as JSON text on one line, in ASCII: what the wire gets is the same whoever reads it, and how.

ASCII, since many clients cut lines with `str.splitlines`, which also cuts at U+2028 and U+0085. The fast way is tried
first; what it refuses (odd keys, long integers, half surrogate pairs, rarer types) goes the slow way, which is the one
to say what cannot be written.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import re
from collections.abc import Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring_ascii
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import SchemaSerializer, to_jsonable_python

from agentlab.errors import InputError

_OPTIONS = orjson.OPT_UTC_Z  # as pydantic writes it
_NOT_ASCII = re.compile(r'[^\x00-\x7e][^"\\]*')
"""From a character that needs an escape to the end of its text or the next escape: one piece, most of the time."""

_HALF_PAIRS = re.compile("[\ud800-\udfff]")


def to_json(value: object) -> str:
    """The value as JSON. NaN and infinities become null, bytes text (or base64 where they are none).

    Raises:
        InputError: Something in it is of a type that has no JSON, or it is nested too deeply or in itself.
    """
    try:
        return _in_ascii(orjson.dumps(value, _plain, _OPTIONS).decode())
    except (TypeError, ValueError, RecursionError):
        return _slowly(value)


def model_to_json(model: object, serializer: SchemaSerializer) -> str:
    """The model as JSON, by its own serialisers: what `model_dump_json` does, at half the time.

    A field of another type than its model says is written as it is.

    Raises:
        InputError: As above.
    """
    try:
        text = serializer.to_json(model, warnings=False).decode()
    except (TypeError, ValueError, RecursionError):
        return _slowly(model)
    # A model can be set up to write them; or it is only a text. One character is found ten times as fast as a word.
    if ("N" in text and "NaN" in text) or ("I" in text and "Infinity" in text):
        return to_json(serializer.to_python(model, mode="json", warnings=False))
    return _in_ascii(text)


def whole_characters(text: str) -> str:
    """The text with halves of surrogate pairs, which UTF-8 cannot write, replaced by U+FFFD."""
    return text if text.isascii() else _HALF_PAIRS.sub("\ufffd", text)


def _in_ascii(text: str) -> str:
    if text.isascii() and "\x7f" not in text:  # the standard library escapes that one, too
        return text
    return _NOT_ASCII.sub(lambda match: encode_basestring_ascii(match[0])[1:-1], text)


def _slowly(value: object) -> str:
    try:
        return json.dumps(_plain(value), allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise InputError("a value is nested too deeply for JSON, or holds itself") from None


def _plain(value: object) -> Any:
    """The value in dictionaries, lists, texts, numbers, booleans and None alone."""
    match value:
        case None | bool():
            return value
        case Enum():
            return _plain(value.value)
        case str():
            return whole_characters(str.__str__(value))
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else None
        case Mapping():
            return {_key(key): _plain(item) for key, item in value.items()}
        case list() | tuple() | Set():
            return [_plain(item) for item in value]
        case SecretStr() | SecretBytes():
            return "**********"
        case BaseModel():
            return _plain(value.model_dump(warnings=False))
        case _:
            return _plain_leaf(value)


def _plain_leaf(value: object) -> Any:
    match value:
        case bytes() | bytearray() | memoryview():
            return _bytes_text(bytes(value))
        case datetime() | date() | time() | timedelta():
            return to_jsonable_python(value)
        case UUID() | Decimal():
            return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise InputError(f"a value of type `{type(value).__name__}` cannot be written as JSON; give it as plain data")


def _key(key: object) -> str:
    match _plain(key):
        case str(text):
            return text
        case None | bool() | int() | float() as scalar:
            return json.dumps(scalar)
        case _:
            raise InputError(f"a key of type `{type(key).__name__}` cannot be written as JSON; use text")


def _bytes_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()
