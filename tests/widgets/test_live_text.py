"""The reply on its way: what a page is sent adds up to the safe text, and a key is never shown, not even in pieces."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.trace.events import ModelDelta
from agentlab.trace.safe import visible
from agentlab.widgets.live_text import LINE_CHARS, LiveReply, LiveText

KEY = "sk-abcdefghijklmnopqrstuvwx0123"


def page_of(pieces: list[str]) -> tuple[str, list[str]]:
    """What a page shows in the end, and all that it ever showed."""
    text, shown, seen = LiveText(), "", []
    for piece in pieces:
        text.add(piece)
        if (news := text.news()) is not None:
            offset, added = news
            assert offset <= len(shown)
            shown = shown[:offset] + added
            seen.append(shown)
        assert shown == text.shown
    return shown, seen


def test_what_a_page_is_sent_adds_up_to_what_was_said():
    shown, seen = page_of(["Hel", "lo ", "wor", "ld, and", " more.\n", "Next line ends here "])
    assert shown == "Hello world, and more.\nNext line ends here "
    assert seen[0] == "Hello ", "an unfinished word waits"


@pytest.mark.parametrize("sizes", [1, 3, 7, 50])
@pytest.mark.parametrize("before", ["the key is ", '{"api_key": "', "password: "])
def test_a_key_is_never_shown_not_even_in_pieces(sizes, before):
    whole = f"{before}{KEY} and that was it\nthen more words.\n"
    pieces = [whole[n : n + sizes] for n in range(0, len(whole), sizes)]
    shown, seen = page_of(pieces)
    assert "[redacted]" in shown
    assert shown.endswith("then more words.\n")
    for text in seen:
        assert KEY[:8] not in text, text


def test_a_private_key_over_many_lines_is_not_shown():
    body = "\n".join("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" for _ in range(20))
    whole = f"here:\n-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----\nand more text\n"
    shown, seen = page_of([whole[n : n + 11] for n in range(0, len(whole), 11)])
    assert not any("MIIEv" in text for text in seen)
    assert "and more text" in shown


@given(st.text(alphabet=st.sampled_from("ab \n\t,.‮\x1b€語🙂"), max_size=400), st.randoms(use_true_random=False))
def test_however_it_is_cut_the_page_shows_the_safe_text(text: str, chance: random.Random):
    pieces, rest = [], text
    while rest:
        size = chance.randint(1, 9)
        pieces, rest = [*pieces, rest[:size]], rest[size:]
    shown, _ = page_of([*pieces, " "])
    assert shown == visible(text + " ")


def test_a_very_long_line_is_shown_whole():
    words = "word " * LINE_CHARS
    shown, _ = page_of([words[n : n + 97] for n in range(0, len(words), 97)])
    assert shown == words


def delta(**fields):
    return ModelDelta(run_id="r", step=2, seq=9, t_ns=0, kind=0, **fields)


def test_a_reply_has_a_row_for_reasoning_text_and_each_call():
    reply = LiveReply(seq=5, step=2, text_kind="a", text_label="agent")
    reply.add(delta(reasoning="Let me think. "))
    reply.add(delta(content="I will look. "))
    reply.add(delta(tool_name="search", call_index=0))
    reply.add(delta(tool_args='{"q": "cats"} ', call_index=0))
    reply.add(delta(tool_name="search", tool_args='{"q": "dogs"} ', call_index=1))
    assert reply.kinds == "racc"
    assert [(row.get("title"), row.get("text"), row.get("args")) for row in reply.rows()] == [
        (None, "Let me think. ", None),
        (None, "I will look. ", None),
        ("search", None, '{"q": "cats"} '),
        ("search", None, '{"q": "dogs"} '),
    ]
    assert len({row["id"] for row in reply.rows()}) == 4
    reply.add(delta(content="And on. "))
    assert reply.news(first_row=10) == [(11, "text", 13, "And on. ")]
    assert reply.news(first_row=10) == []
