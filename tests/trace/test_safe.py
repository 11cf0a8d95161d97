# ruff: noqa: RUF001  # other scripts are the point
from __future__ import annotations

import pytest

from agentlab.trace.safe import as_html, in_one_line, visible


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("\x00", "␀"),
        ("\x1b[2J", "␛[2J"),
        ("\r", "␍"),
        ("\x7f", "␡"),
        ("\x9b31m", "⟨U+009B⟩31m"),
        ("\u202e", "⟨U+202E⟩"),
        ("\u2066", "⟨U+2066⟩"),
        ("\u200b", "⟨U+200B⟩"),
        ("\u2028", "⟨U+2028⟩"),
        ("\ufeff", "⟨U+FEFF⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("\uffff", "⟨U+FFFF⟩"),
        ("\U000e0041", "⟨U+E0041⟩"),
    ],
    ids=lambda text: ascii(text),
)
def test_what_acts_or_hides_is_shown(hidden: str, shown: str) -> None:
    assert visible(f"a{hidden}b") == f"a{shown}b"


@pytest.mark.parametrize("text", ["\t", "\n", "é", "e\u0301", "👩\u200d🔬", "❤\ufe0f", "می\u200cخواهم", "שלום", "日本"])
def test_what_scripts_and_pictures_need_stays(text: str) -> None:
    assert visible(text) == text


def test_line_ends_become_line_feeds() -> None:
    assert visible("a\r\nb") == "a\nb"


def test_what_is_visible_can_be_written_as_utf_8() -> None:
    every = "".join(map(chr, range(0x110000)))

    assert visible(every).encode()


def test_a_name_stays_on_one_line_and_is_cut() -> None:
    assert in_one_line("a\nb\tc") == "a b c"
    assert in_one_line("x" * 81) == "x" * 79 + "…"
    assert in_one_line("x" * 80) == "x" * 80


def test_html_is_escaped_for_elements_and_attributes() -> None:
    assert as_html("<a b=\"c\" d='e'>&\x00") == "&lt;a b=&quot;c&quot; d=&#x27;e&#x27;&gt;&amp;␀"


@pytest.mark.parametrize("show", [visible, in_one_line, as_html])
def test_keys_are_not_shown(show):
    key = "sk-" + "a1B2" * 8
    assert key not in show(f"the key is {key}, keep it")
    assert "keep it" in show(f"the key is {key}, keep it")
    assert "hunter22" not in show('{"user": "ann", "password": "hunter22"}')
