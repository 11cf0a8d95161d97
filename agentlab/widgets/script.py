"""The script and the style sheet of a widget, each joined from its own file and the parts that it imports.

A front end loads a widget from one text, so nothing in it can be imported by address. The files themselves are plain
modules, which Node and the type checker read as they are: a line `import { h } from "./parts/dom.js";` is replaced by
the part, once. Names at the top of a part are therefore unique among all parts; a test holds them to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_HOME = Path(__file__).parent
_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?function|class|const|let)", re.MULTILINE)
_CSS_IMPORT = re.compile(r'^@import "(\.[^"]+)";\n', re.MULTILINE)


@cache
def script(name: str) -> str:
    """The module of a widget as one text, ready to be loaded from anywhere."""
    return _joined(_HOME / f"{name}.js", _IMPORT)


@cache
def style(name: str) -> str:
    """The style sheet of a widget as one text."""
    return _joined(_HOME / f"{name}.css", _CSS_IMPORT)


def _joined(entry: Path, imports: re.Pattern[str]) -> str:
    parts = dict(_parts(entry, imports, set()))
    own = parts.pop(entry)
    return "".join(_EXPORT.sub("", text) for text in parts.values()) + own


def _parts(path: Path, imports: re.Pattern[str], seen: set[Path]) -> Iterator[tuple[Path, str]]:
    """A file and what it imports, the imported first, each once."""
    seen.add(path)
    text = path.read_text(encoding="utf-8")
    for match in imports.finditer(text):
        part = (path.parent / match[1]).resolve()
        if part not in seen:
            yield from _parts(part, imports, seen)
    yield path, imports.sub("", text)
