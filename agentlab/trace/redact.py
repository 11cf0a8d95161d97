"""Keys and tokens taken out of texts, before anything is stored or shown.

Two sieves: a coarse one reads a whole group of events at once and lets nearly all of them pass, a fine one takes the
few that remain apart and replaces what is secret. The coarse one may be wrong in one direction only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson
from pydantic_core import SchemaValidator, core_schema

REDACTED = "[redacted]"

_SHAPES = re.compile(
    r"(?:\b|(?<=\\[bfnrt]))(?:"  # the letter of an escaped line end is no part of the word behind it
    r"sk-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic, OpenRouter and those who took it over
    r"|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"  # AWS
    r"|(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,})"
    r"|(?:xox[abeoprs]|xapp)-[A-Za-z0-9-]{10,}"  # Slack
    r"|AIza[A-Za-z0-9_-]{30,}"  # Google
    r"|hf_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|eyJ[A-Za-z0-9_-]{8,400}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"  # a JSON web token
    r")|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[A-Za-z0-9+/=\s\\:,]|-(?!-))*(?:-----END [A-Z ]{0,40}KEY-----)?"
)
_SEPARATOR = r"(?:\\*[\"'])?\s*[:=]\s*"
"""Between a name and its value; quotes are escaped where JSON stands inside JSON."""

_AFTER_A_WORD = (
    re.compile(r"(?i)(\bbearer\s+)(?:(?=[a-z._~+/=-]*\d)[a-z0-9._~+/=-]{8,}|[a-z0-9._~+/=-]{16,})"),
    re.compile(
        r"(?i)(\bauthorization"
        + _SEPARATOR
        + r"(?:\\*[\"'])?(?:basic|bearer|token|negotiate|digest)?\s*)[^\s\"',;]{4,}"
    ),
    re.compile(r"(://[^/\s:@]*:)[^/\s]+(?=@)"),
)
_NAMES = (
    r"(?:api[ _-]?key|secret[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret|(?<![a-z])secret"
    r"|password|passwd|(?:access|auth|refresh|session|id|api)[_-]?token"
)
_NAMED = re.compile(rf"(?i)({_NAMES}){_SEPARATOR}(?:\\*[\"'])?)[^\s\"',;&]{{4,}}")
_QUOTED = re.compile(
    rf"(?i)({_NAMES}|secret(?=\\*[\"'])|authorization){_SEPARATOR}"
    r"(?P<quote>\\*(?:\"\"\"|'''|[\"'])))(?!(?P=quote))[^\n]+?(?:(?<!\\)(?=(?P=quote))|(?=\n)|\Z)"
)
"""A value in quotes goes up to the quote that closes it, which is escaped as often as the one that opened it; where
none does, up to the end of the line."""

_TOKEN = re.compile(r"(?i)((?<![a-z])token" + _SEPARATOR + r"(?:\\*[\"'])?)(?=[^\s\"',;&]*\d)[^\s\"',;&]{16,}")
"""The word is an everyday one in a lab for language models, so the value has to look like a key."""

_SECRET_NAME = re.compile(
    r"(?i)(?:api[ _-]?key|(?:secret|access|private)[_-]?key|secret|password|passwd"
    r"|(?:access|auth|refresh|session|id|api)[_-]?token|authorization)$"
)
"""Ends of the names whose value is secret whatever it looks like."""

_COARSE = (
    r"sk-[A-Za-z0-9_-]{16}|AKIA|ASIA|ABIA|ACCA|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|xapp-|AIza"
    r"|hf_[A-Za-z0-9]{20}|eyJ[A-Za-z0-9_-]{8,}\.|PRIVATE KEY|://[^\s/@]+@"
    r"|bearer|Bearer|BEARER|authorization|Authorization|AUTHORIZATION|passw|Passw|PASSW|secret|Secret|SECRET"
    r"|api[ _-]?[Kk]ey|Api[ _-]?[Kk]ey|API[ _-]?K(?:ey|EY)"
    r"|access[_-]?[Kk]ey|Access[_-]?[Kk]ey|ACCESS[_-]?KEY|private[_-]?[Kk]ey|Private[_-]?[Kk]ey|PRIVATE[_-]?KEY"
    r"|(?:token|Token|TOKEN)(?:\\+[nrtf]|\\+u[0-9a-f]{4}|\\*[\"']|\s)*[:=]"
)
"""Read over JSON text, where quotes and line ends are escaped, perhaps several times over. Each alternative begins with
plain letters in one case, which lets the regular expressions skip to them; hence the list of spellings."""


class Redactor:
    """Replaces keys, tokens and passwords by `[redacted]`.

    Args:
        extra: Regular expressions of secrets that only you know the shape of.
    """

    def __init__(self, extra: Iterable[str | re.Pattern[str]] = ()) -> None:
        self._extra = tuple(re.compile(pattern) for pattern in extra)
        # The regular expressions of pydantic's core are a hundred times as fast here as those of `re`, and take time
        # in proportion to the text whatever is in it.
        schema = core_schema.str_schema(pattern=_COARSE, regex_engine="rust-regex", strict=True)
        self._looks_harmful = SchemaValidator(schema).isinstance_python

    def text(self, text: str) -> str:
        """The text without its secrets."""
        return self._clean_string(text)

    def suspects(self, json_text: str) -> bool:
        """False when there is surely no secret in what this is the JSON of."""
        return bool(self._extra) or self._looks_harmful(json_text)

    def json(self, data: bytes) -> bytes:
        """A JSON text without its secrets: whole values behind telling names, and pieces of all other texts."""
        return orjson.dumps(self._clean(orjson.loads(data)))

    @staticmethod
    def is_secret(name: str) -> bool:
        """Whether the value of this name is secret whatever it looks like."""
        return _SECRET_NAME.search(name) is not None

    def _clean(self, value: Any) -> Any:
        match value:
            case str():
                return self._clean_string(value)
            case dict():
                return {key: self._clean_named(key, item) for key, item in value.items()}
            case list():
                return [self._clean(item) for item in value]
            case _:
                return value

    def _clean_named(self, name: str, value: Any) -> Any:
        if isinstance(value, (str, int, float)) and not isinstance(value, bool) and self.is_secret(name):
            return REDACTED
        if isinstance(value, str) and _TOKEN.fullmatch(f"{name}={value}"):
            return REDACTED
        return self._clean(value)

    def _clean_string(self, text: str) -> str:
        """Arguments and many returns are JSON inside a text: there the names of values tell more."""
        if text.lstrip()[:1] in ("{", "["):
            try:
                before = orjson.loads(text)
                after = self._clean(before)
            except (orjson.JSONDecodeError, RecursionError):
                return self._clean_text(text)
            return text if before == after else orjson.dumps(after).decode()
        return self._clean_text(text)

    def _clean_text(self, text: str) -> str:
        text = _SHAPES.sub(REDACTED, text)
        for pattern in (_QUOTED, *_AFTER_A_WORD, _NAMED, _TOKEN):
            text = pattern.sub(_keep_name, text)
        for pattern in self._extra:
            text = pattern.sub(REDACTED, text)
        return text


def _keep_name(match: re.Match[str]) -> str:
    return match[1] + REDACTED
