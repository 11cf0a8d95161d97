"""Text from models, tools and files, made safe to look at.

Nothing in it can hide, reorder its surroundings or act, and keys and tokens in it are not shown.
"""

from __future__ import annotations

import re
from functools import cache
from html import escape

from agentlab.trace.redact import Redactor
from agentlab.trace.words import cut, pretty

_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, but for tab and line feed; terminals obey some
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # turn the direction of what follows
    "\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb"  # take no room
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"  # half pairs, which UTF-8 cannot write, and no characters at all
    "\U000e0000-\U000e0fff"  # tags: a second text inside the text, unseen
    "]"
)
"""The two joiners and the variation selectors of emoji stay: scripts and pictures need them."""

NAME_CHARS = 80
"""A name longer than this is cut: some are made by models."""


def visible(text: str) -> str:
    """The text without secrets, and with every character that acts or hides replaced by one that shows it.

    Line ends become line feeds.
    """
    return _marked(without_secrets(text))


def beginning(text: str, limit_chars: int | None) -> tuple[str, int]:
    """The beginning of the visible text, and how many characters were left out.

    Secrets are taken out of the whole: of half a key, or of half a JSON text, nobody can tell what it is.
    """
    head, left = cut(without_secrets(text), limit_chars)
    return _marked(head), left


def pretty_beginning(text: str, limit_chars: int | None) -> tuple[str, int]:
    """As `beginning`; JSON objects and arrays are on indented lines."""
    return beginning(pretty(without_secrets(text)), limit_chars)


def without_secrets(text: str) -> str:
    """The text with every key and token in it replaced; of JSON, every value behind a telling name."""
    redactor = _redactor()
    return redactor.text(text) if redactor.suspects(text) else text


def in_one_line(text: str, limit_chars: int = NAME_CHARS) -> str:
    """The visible text on one line, cut at `limit_chars`: for names, codes and reasons."""
    whole = visible(text)
    cut = whole if len(whole) <= limit_chars else whole[: limit_chars - 1] + "…"
    return cut.replace("\n", " ").replace("\t", " ")


def as_html(text: str) -> str:
    """The visible text, escaped for HTML: inside an element and inside a quoted attribute alike.

    Every text that agentlab did not write itself goes through here.
    """
    return escape(visible(text), quote=True)


@cache
def _redactor() -> Redactor:
    """Made at first use: its regular expressions take a moment."""
    return Redactor()


def _marked(text: str) -> str:
    """The text with every character that acts or hides replaced by one that shows it."""
    return _HIDDEN.sub(_shown, text.replace("\r\n", "\n"))


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "␡" if code == 0x7F else f"⟨U+{code:04X}⟩"
