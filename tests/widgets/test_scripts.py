"""The scripts of the widgets as a front end gets them: one module each, loaded from anywhere, that makes text only."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from agentlab.widgets.script import script, style

HOME = Path(__file__).resolve().parents[2] / "agentlab" / "widgets"
WIDGETS = sorted(path.stem for path in HOME.glob("*.js"))
SOURCES = sorted(HOME.rglob("*.js"))
SHEETS = sorted(HOME.glob("*.css"))

IMPORT = re.compile(r'^import \{ (\w+(?:, \w+)*) \} from "(\./(?:parts/)?\w+\.js)";$', re.MULTILINE)
DECLARED = re.compile(r"^(?:export )?(?:async )?(?:function\*?|class|const|let|var) (\w+)", re.MULTILINE)
EXPORTED = re.compile(r"^export (?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE)
SVG = "http://www.w3.org/2000/svg"

RUNS_AS_CODE = {
    "innerHTML": r"\binnerHTML\b",
    "outerHTML": r"\bouterHTML\b",
    "insertAdjacentHTML": r"\binsertAdjacentHTML\b",
    "setHTMLUnsafe": r"\bsetHTMLUnsafe\b|\bparseHTMLUnsafe\b",
    "createContextualFragment": r"\bcreateContextualFragment\b",
    "DOMParser": r"\bDOMParser\b",
    "document.write": r"\bdocument\s*\.\s*write(ln)?\b",
    "srcdoc": r"\bsrcdoc\b",
    "eval": r"\beval\s*\(",
    "Function": r"\bnew\s+Function\b",
    "a timer of text": r"\bset(Timeout|Interval)\(\s*[\"'`]",
    "script, frame or object": r"[\"'`](script|iframe|frame|object|embed|base|link)[\"'`]",
    "a listener as text": r"[\"'`]on[a-z]+[\"'`]",
    "a link": r"\bhref\b|\bwindow\.open\b|\blocation\s*(\.\s*\w+\s*)?=[^=]",
    "an address": rf"(?:https?:|ws:|wss:|javascript:)(?!{re.escape(SVG.removeprefix('http:'))}[\"'])",
    "a request": r"\bfetch\s*\(|\bXMLHttpRequest\b|\bWebSocket\b|\bEventSource\b|\bsendBeacon\b|\bimport\s*\(",
}
"""What no script may hold, by the name of the danger."""


def dangers(text: str) -> list[str]:
    """The dangers in a script; what a comment tells of is none."""
    code = re.sub(r"/\*.*?\*/|^\s*//.*$", "", text, flags=re.DOTALL | re.MULTILINE)
    return [name for name, pattern in RUNS_AS_CODE.items() if re.search(pattern, code)]


def node() -> str:
    found = shutil.which("node")
    if found is None:
        told = "no Node: install one (`apt-get install nodejs`)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    return str(found)


def parsed(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """What Node says of a module when it reads it without running it."""
    path = folder / "widget.mjs"
    path.write_text(text, encoding="utf-8")
    return subprocess.run([node(), "--check", path], capture_output=True, check=False, text=True)


@pytest.mark.parametrize("name", WIDGETS)
def test_a_joined_script_is_one_module_that_imports_nothing(name: str, tmp_path: Path) -> None:
    text = script(name)

    assert parsed(text, tmp_path).stderr == ""
    assert re.findall(r"^\s*import\b.*", text, re.MULTILINE) == []
    assert len(re.findall(r"^export default\b", text, re.MULTILINE)) == 1


@pytest.mark.parametrize("text", ["const a = 1;\nfunction a() {}", "import x from", "export default () => {"])
def test_a_script_that_cannot_be_loaded_is_seen(text: str, tmp_path: Path) -> None:
    assert "SyntaxError" in parsed(text, tmp_path).stderr


def test_names_at_the_top_are_unique_over_all_files() -> None:
    names = Counter(name for path in SOURCES for name in DECLARED.findall(path.read_text()))

    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_imports_have_the_form_that_is_joined_and_name_what_is_there(path: Path) -> None:
    text = path.read_text()
    imports = IMPORT.findall(text)

    assert len(imports) == len(re.findall(r"^\s*import\b(?!\()", text, re.MULTILINE))
    for names, origin in imports:
        exported = EXPORTED.findall((path.parent / origin).read_text())
        assert set(names.split(", ")) <= set(exported), f"{origin} exports {exported}"
    assert re.findall(r"^export (?:\{|\*).*", text, re.MULTILINE) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_script_makes_anything_but_text_of_text(path: Path) -> None:
    assert dangers(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    [
        "el.innerHTML = x;",
        "el.insertAdjacentHTML('beforeend', x);",
        "h('iframe', { srcdoc: x })",
        "document.write(x)",
        "eval(x)",
        "new Function(x)",
        "setTimeout('go()', 1)",
        "h('a', { href: x })",
        "el.setAttribute('onclick', x)",
        "fetch(`https://example.org/${x}`)",
        'const NS = "http://www.w3.org/1999/xhtml";',
        "await import(x)",
        'h("script", {}, x)',
        "location.href = x",
    ],
)
def test_a_danger_is_seen(line: str) -> None:
    assert dangers(line) != []


@pytest.mark.parametrize("line", [f'const NS = "{SVG}";', "// never innerHTML", "el.textContent = x;", "evaluate(x)"])
def test_what_is_harmless_is_let_be(line: str) -> None:
    assert dangers(line) == []


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_a_joined_style_sheet_loads_nothing(path: Path) -> None:
    text = style(path.stem)

    assert re.findall(r"@import|url\(|https?:|expression\(", text) == []
    assert text.count("{") == text.count("}") > 0


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_a_style_sheet_outweighs_that_of_static_traces_wherever_in_the_page_they_stand(path: Path) -> None:
    roots = re.findall(r"^(\.[\w-]+\S*)", style(path.stem), re.MULTILINE)

    assert {root for root in roots if not root.startswith(".agentlab-trace.agentlab-")} == {".agentlab-trace:not(#_)"}


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_colours_of_a_theme_have_a_fallback_and_motion_is_only_for_who_likes_it(path: Path) -> None:
    text = style(path.stem)
    calm = re.sub(r"@media \(prefers-reduced-motion: no-preference\) \{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", text)

    assert re.findall(r"var\(--(?:jp|vscode)-[\w-]+\)", text) == []
    assert re.findall(r"\b(?:animation|transition)(?:-\w+)?:|scroll-behavior: smooth", text) != []
    assert re.findall(r"\b(?:animation|transition)(?:-\w+)?:|scroll-behavior: smooth", calm) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_script_can_be_read_in_one_sitting_and_is_checked(path: Path) -> None:
    lines = path.read_text().splitlines()

    assert lines[0] == "// @ts-check"
    assert len(lines) <= 400


def test_the_wheel_holds_scripts_and_style_sheets() -> None:
    from hatchling.builders.wheel import WheelBuilder

    built = {file.relative_path for file in WheelBuilder(str(HOME.parents[1])).recurse_included_files()}
    files = [*HOME.rglob("*.js"), *HOME.rglob("*.css"), *HOME.parent.rglob("*.css")]

    assert files
    assert {str(path.relative_to(HOME.parents[1])) for path in files} - built == set()
