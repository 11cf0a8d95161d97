"""The arguments of a call while they are being written: JSON that is not over, read as far as it goes.

The value of a telling name is never shown, other strings are texts that grow. What is no JSON is held back until the
call is whole.
"""

from __future__ import annotations

import json
import re

from agentlab.trace.redact import REDACTED, Redactor
from agentlab.trace.safe import visible
from agentlab.widgets.growing_text import LiveText

_BLANKS = re.compile(r"[ \t\r\n]+")
_PLAIN = re.compile(r'[^"\\]+')
_BARE = re.compile(r"[\w.+-]+")
_CONSTANT = re.compile(r"true|false|null")
_NUMBER = re.compile(r"-?\d{1,400}(?:\.\d{1,400})?(?:[eE][+-]?\d{1,4})?")
_BARE_CHARS = 1_000
_PAIR_CHARS = 12
"""Two escapes that stand for one character."""


class LiveJson:
    """A JSON text that grows, as a page shows it."""

    def __init__(self) -> None:
        self._left = ""
        """What has come and could not be read yet."""
        self._prose: LiveText | None = None
        """Where it does not begin as an object or an array."""
        self._broken = False
        self._open: list[str] = []
        """The brackets that are open."""
        self._name: str | None = None
        """Of the value that comes; None: it has none."""
        self._wants_name = False
        """The next string is a name."""
        self._string: _String | None = None
        self._parts: list[str] = []
        """What is shown but for the string that is open."""
        self._n_chars = 0
        """Characters of it."""
        self._changed: int | None = None
        """From where on what is shown is new."""

    @property
    def shown(self) -> str:
        """All that is shown."""
        if self._prose is not None:
            return self._prose.shown
        return "".join(self._parts) + ("" if self._string is None else self._string.shown)

    def add(self, text: str) -> None:
        """Take the next piece."""
        if self._prose is not None:
            self._prose.add(text)
        elif not self._broken:
            self._left += text

    def news(self) -> tuple[int, str] | None:
        """Where what is shown changes, and what stands there now; None when nothing new can be shown."""
        if not self._parts and self._prose is None and self._left.lstrip()[:1] not in ("", "{", "["):
            self._prose = LiveText()
            self._prose.add(self._left)
        if self._prose is not None:
            return self._prose.news()
        self._changed = None
        self._read()
        news = None if self._string is None else self._string.news()
        if self._changed is None:  # a string grew, and nothing else
            return None if news is None else (self._n_chars + news[0], news[1])
        if news is not None:
            self._changed_at(self._n_chars + news[0])
        return self._changed, self.shown[self._changed :]

    def _read(self) -> None:
        at = 0
        while at < len(self._left) and not self._broken:
            after = self._in_string(self._string, at) if self._string else self._outside(at)
            if after == at:
                break
            at = after
        self._left = "" if self._broken else self._left[at:]

    def _outside(self, at: int) -> int:
        """Read what begins there; the same place again when its end has not come."""
        char = self._left[at]
        if blanks := _BLANKS.match(self._left, at):
            self._show(blanks[0].replace("\r", ""))
            return blanks.end()
        if char == '"':
            self._string = _String(self._name, is_name=self._wants_name)
            self._changed_at(self._n_chars)
            return at + 1
        if char in "{}[],:":
            self._structure(char)
            return at + 1
        return self._bare(at)

    def _structure(self, char: str) -> None:
        if char in "}]":
            if not self._open or self._open.pop() + char not in ("{}", "[]"):
                self._broken = True
                return
        elif char in "{[":
            self._open.append(char)
        if char != ":":
            self._name = None
        self._wants_name = char in "{," and self._open[-1:] == ["{"]
        self._show(char)

    def _bare(self, at: int) -> int:
        word = _BARE.match(self._left, at)
        if word is None or word.end() - at > _BARE_CHARS:
            self._broken = True
        elif word.end() < len(self._left):
            self._show_bare(word[0])
            return word.end()
        return at

    def _show_bare(self, word: str) -> None:
        if _CONSTANT.fullmatch(word):
            self._show(word)
        elif _NUMBER.fullmatch(word):
            self._show(f'"{REDACTED}"' if self._name is not None and Redactor.is_secret(self._name) else word)
        else:
            self._broken = True

    def _in_string(self, string: _String, at: int) -> int:
        if self._left[at] == '"':
            self._close(string)
            return at + 1
        if plain := _PLAIN.match(self._left, at):
            string.add(plain[0])
            return plain.end()
        after = _end_of_escape(self._left, at)
        if after is not None:
            string.add(_unescaped(self._left[at:after]))
        return at if after is None else after

    def _close(self, string: _String) -> None:
        string.close()
        if (news := string.news()) is not None:
            self._changed_at(self._n_chars + news[0])
        if string.is_name:
            self._name, self._wants_name = string.text, False
        self._string, shown = None, string.shown
        self._changed_at(self._n_chars + len(shown) - 1)
        self._parts.append(shown)
        self._n_chars += len(shown)

    def _show(self, text: str) -> None:
        if text:
            self._changed_at(self._n_chars)
        self._parts.append(text)
        self._n_chars += len(text)

    def _changed_at(self, place: int) -> None:
        self._changed = place if self._changed is None else min(self._changed, place)


class _String:
    """A string of it, a name or a value."""

    def __init__(self, name: str | None, *, is_name: bool) -> None:
        self.is_name = is_name
        self._live = LiveText()
        self._pieces: list[str] = []
        """What a name, or a value that waits for its end, is made of."""
        self._is_secret = name is not None and Redactor.is_secret(name)
        self._of_token = name if name is not None and name.lower().endswith("token") else None
        self._waits = is_name or self._is_secret or self._of_token is not None
        self._end = ""
        self._place, self._place_escaped = 0, 0
        """Where the last news began, in the text and in its escaped form."""
        self._news = ""
        """What stands there."""

    @property
    def text(self) -> str:
        """All of it, where it waited for its end."""
        return "".join(self._pieces)

    @property
    def shown(self) -> str:
        """What is shown of it, quotes and all."""
        if self._is_secret:
            return f'"{REDACTED}{self._end}'
        return f'"{_escaped(self._live.shown)}{self._end}'

    def add(self, text: str) -> None:
        """Take the next piece, its escapes undone."""
        (self._pieces.append if self._waits else self._live.add)(text)

    def close(self) -> None:
        """Its end has come."""
        self._end = '"'
        if self._waits and not self._is_secret:
            safe = visible(self.text)
            if self._of_token is not None and visible(f"token={self.text}") != f"token={safe}":
                safe = REDACTED
            self._live.add(safe)
        self._live.close()

    def news(self) -> tuple[int, str] | None:
        """Where what is shown changes, and what stands there now; None when nothing new can be shown."""
        news = self._live.news()
        if news is None:
            return None
        place, text = news
        if place < self._place:  # a secret was seen, further back
            self._place, self._place_escaped, self._news = 0, 0, self._live.shown
        self._place_escaped += len(_escaped(self._news[: place - self._place]))
        self._place, self._news = place, text
        return len('"') + self._place_escaped, _escaped(text) + self._end


def _end_of_escape(text: str, at: int) -> int | None:
    """Where the escape that begins there ends; None while that cannot be told."""
    if text[at + 1 : at + 2] != "u":
        return at + 2 if at + 1 < len(text) else None
    end = at + 6
    if re.fullmatch(r"\\u[dD][89abAB]..", text[at:end]) and text[end : end + 2] in ("", "\\", "\\u"):
        pair = text[end : at + _PAIR_CHARS]
        if len(pair) < _PAIR_CHARS // 2:
            return None
        return at + _PAIR_CHARS if re.fullmatch(r"\\u[dD][c-fC-F]..", pair) else end
    return end if len(text) >= end else None


def _unescaped(escape: str) -> str:
    try:
        return str(json.loads(f'"{escape}"'))
    except ValueError:
        return escape


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
