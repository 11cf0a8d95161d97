"""Reads JSON a character at a time, so that a reply can be taken apart while it arrives."""

from __future__ import annotations

BLANK = " \t\r\n"
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LOST = "\ufffd"


class StringDecoder:
    """Decodes the inside of a JSON string. Half a surrogate pair becomes U+FFFD."""

    def __init__(self) -> None:
        self._escape = ""
        self._high = 0

    def take(self, char: str) -> str:
        """The text that this character completes."""
        if not self._escape:
            if char == "\\":
                self._escape = char
                return ""
            return self._lost_half() + char
        self._escape += char
        if self._escape[1] == "u" and len(self._escape) < 6:
            return ""
        escape, self._escape = self._escape[1:], ""
        if escape[0] != "u":
            return self._lost_half() + _ESCAPES.get(escape, escape)
        try:
            return self._code_unit(int(escape[1:], 16))
        except ValueError:
            return self._lost_half() + _LOST

    def _code_unit(self, unit: int) -> str:
        if self._high and 0xDC00 <= unit < 0xE000:
            pair = 0x10000 + ((self._high - 0xD800) << 10) + (unit - 0xDC00)
            self._high = 0
            return chr(pair)
        before = self._lost_half()
        if 0xD800 <= unit < 0xDC00:
            self._high = unit
            return before
        return before + (_LOST if 0xDC00 <= unit < 0xE000 else chr(unit))

    def _lost_half(self) -> str:
        lost, self._high = (_LOST if self._high else ""), 0
        return lost


class ObjectScan:
    """Says of each character of a JSON object whether it belongs to a value, and to which key's.

    It reads what is there and judges little: a value may be broken inside, it ends where its brackets and quotes do.
    """

    def __init__(self) -> None:
        self.key = ""
        """The key that was read last."""
        self.value_ended = False
        """The last character ended the value of `key`."""
        self.done = False
        self.broken = False
        self._place = "before"
        self._decoder = StringDecoder()
        self._in_string = self._escaped = False
        self._depth = 0

    def take(self, char: str) -> bool:
        """True when the character belongs to the value of `key`."""
        self.value_ended = False
        if self._place == "value":
            inside = self._in_value(char)
            if self.value_ended:
                self._place = "keys"
                if not inside:
                    self._between(char)
            return inside
        if self._place == "key":
            self._in_key(char)
        else:
            self._between(char)
        return False

    def _between(self, char: str) -> None:
        if char in BLANK or (self._place == "keys" and char == ","):
            return
        if self._place == "before" and char == "{":
            self._place = "keys"
        elif self._place == "keys" and char == '"':
            self._place, self.key = "key", ""
        elif self._place == "colon" and char == ":":
            self._place = "value"
        elif self._place == "keys" and char == "}":
            self.done = True
        else:
            self.broken = True

    def _in_key(self, char: str) -> None:
        if char == '"' and not self._escaped:
            self._place = "colon"
            return
        self._escaped = char == "\\" and not self._escaped
        self.key += self._decoder.take(char)

    def _in_value(self, char: str) -> bool:
        if self._in_string:
            self._in_string = char != '"' or self._escaped
            self._escaped = char == "\\" and not self._escaped
            self.value_ended = not (self._in_string or self._depth)
        elif char == '"':
            self._in_string = True
        elif char in "{[":
            self._depth += 1
        elif self._depth:
            self._depth -= char in "}]"
            self.value_ended = not self._depth
        elif char in BLANK + ",}]":
            self.value_ended = char not in BLANK
            return False
        return True
