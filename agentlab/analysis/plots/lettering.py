"""Names that models, tools and files chose, written into a picture.

Nothing in them is read as mathematics or TeX, and what they are written with is there: a font of this machine that has
the character, or else its number in the place of the character.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.font_manager import FontEntry, FontProperties, findfont, fontManager, get_font

from agentlab.trace.safe import in_one_line

LABEL_CHARS = 36

_NO_LETTERS = ("Last Resort", ".Last", "Noto Color Emoji", "Apple Color Emoji", "cm", "STIXSize", "STIXNonUnicode")
"""Fonts that draw boxes in the place of letters, coloured pictures, or mathematics under other characters' numbers."""

_REGULAR = 400

_HEAD_SHARE = 0.6
_EMPTY = '""'
_LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"

_UNITS = {"_usd": "US dollars", "_s": "s", "_tokens": "tokens", "_bytes": "bytes"}


def label(text: str, limit_chars: int = LABEL_CHARS) -> str:
    """The text in one line, nothing hidden, each character drawable; a long one is cut in its middle.

    One that runs from right to left is kept from turning what stands beside it.
    """
    whole = in_one_line(unicodedata.normalize("NFC", text), 50 * LABEL_CHARS)
    drawable = "".join(char if _fonts_with(char) is not None else _code(char) for char in whole)
    short = _cut(drawable, limit_chars) or _EMPTY
    turns = any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in short)
    return f"{_LEFT_TO_RIGHT}{short}{_LEFT_TO_RIGHT}" if turns and _fonts_with(_LEFT_TO_RIGHT) is not None else short


def labels(texts: Iterable[str], limit_chars: int = LABEL_CHARS) -> list[str]:
    """Labels of several names; where cutting made two names look the same they are numbered."""
    seen: dict[str, int] = {}
    found = []
    for text in texts:
        name = label(text, limit_chars)
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def column_label(name: str, said: str = "{}") -> str:
    """A column of a frame in words, its unit behind them.

    Args:
        name: The column's name.
        said: What is said of it, such as `mean {}`.
    """
    words = label(name)
    for ending, unit in _UNITS.items():
        if words.endswith(ending):
            return f"{said.format(words.removesuffix(ending).replace('_', ' '))} [{unit}]"
    return said.format(words)


def lettering(*texts: str) -> dict[str, Any]:
    """Keywords for matplotlib's texts: these are written as they stand, in fonts that have their characters."""
    more = dict.fromkeys(family for text in texts for char in text for family in _fonts_with(char) or ())
    own = list(mpl.rcParams["font.family"])
    return {"parse_math": False, "usetex": False, **({"fontfamily": [*own, *more]} if more else {})}


def _cut(text: str, limit_chars: int) -> str:
    """The names of variants differ at their ends as often as at their beginnings."""
    if len(text) <= limit_chars:
        return text
    head = int((limit_chars - 1) * _HEAD_SHARE)
    return text[:head] + "…" + text[len(text) - (limit_chars - 1 - head) :]


def _code(char: str) -> str:
    return "" if unicodedata.combining(char) or _joins(char) else f"⟨U+{ord(char):04X}⟩"


def _joins(char: str) -> bool:
    """Joiners and variation selectors, which only change how their neighbours look."""
    return char in "\u200c\u200d" or "\ufe00" <= char <= "\ufe0f"


def _fonts_with(char: str) -> tuple[str, ...] | None:
    """The families to add for a character: none for most, None when no font has it."""
    return () if char < "\x7f" else _search(ord(char), tuple(mpl.rcParams["font.family"]))


@lru_cache(maxsize=4096)
def _search(code: int, own: Sequence[str]) -> tuple[str, ...] | None:
    if any(_has(findfont(FontProperties(family=[family])), code) for family in own):
        return ()
    return next(((entry.name,) for entry in _upright_fonts() if _has(entry.fname, code)), None)


@lru_cache(maxsize=1)
def _upright_fonts() -> list[FontEntry]:
    """One font a family, those made for many scripts first."""
    upright = [each for each in fontManager.ttflist if each.style == "normal" and not each.name.startswith(_NO_LETTERS)]
    upright.sort(key=lambda each: ("Noto Sans" not in each.name, each.name, -_boldness(each)))
    return list({each.name: each for each in upright}.values())


def _boldness(entry: FontEntry) -> float:
    """How far from regular it is."""
    return abs(float(entry.weight) - _REGULAR) if isinstance(entry.weight, int | float) else 0.0


def _has(path: str, code: int) -> bool:
    try:
        return bool(Path(path).exists() and get_font(path).get_char_index(code))
    except (OSError, RuntimeError):  # a font file that FreeType cannot read
        return False
