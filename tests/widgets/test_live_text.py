"""The reply on its way: what a page is sent adds up to the safe text, and a key is never shown, not even in pieces."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.trace.events import ModelDelta
from agentlab.trace.safe import visible
from agentlab.widgets.growing_text import LINE_CHARS, LiveText
from agentlab.widgets.live_json import LiveJson
from agentlab.widgets.live_text import LiveReply

KEY = "sk-abcdefghijklmnopqrstuvwx0123"


def page_of(pieces: list[str], kind: type[LiveText | LiveJson] = LiveText) -> tuple[str, list[str]]:
    """What a page shows in the end, and all that it ever showed."""
    text, shown, seen = kind(), "", []
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


SECRET = st.text("abcXYZ019!#$%^*.~_-", min_size=8, max_size=40)
WORDS = st.text("abcXYZ019!#$%^*.~_- \"'\\\n:;,&{[/€🙂", min_size=8, max_size=60)


def cut_up(text: str, chance: random.Random) -> list[str]:
    pieces, rest = [], text
    while rest:
        size = chance.randint(1, 9)
        pieces, rest = [*pieces, rest[:size]], rest[size:]
    return pieces


def assert_no_piece(secret: str, seen: list[str], around: str) -> None:
    """No six characters of it, but for those that stand around it, too."""
    pieces = {secret[n : n + 6] for n in range(len(secret) - 5)}
    for text in seen:
        for piece in pieces:
            assert piece not in text or piece in around or piece in "[redacted]", (piece, text)


@given(
    secret=SECRET,
    around=st.sampled_from(
        [
            ("use postgres://bob:", "@host/db ok and more "),
            ("redis://:", "@host:6379/0 "),
            ("password = ", " and more "),
            ("password:\n", "\nand more\nand more\n"),
            ('login(password="', '", note="this") '),
            ("Authorization: Basic abc", " more "),
            ("export API_KEY=", "\nmore\n"),
        ]
    ),
    n_before=st.sampled_from([0, 3, LINE_CHARS - 30, LINE_CHARS]),
    chance=st.randoms(use_true_random=False),
)
def test_no_piece_of_a_secret_in_a_reply_is_ever_shown(secret, around, n_before, chance):
    before, after = around
    pieces = ["word " * (n_before // 5), *cut_up(before + secret + after + "and so on " * 4, chance)]
    _, seen = page_of(pieces)
    assert_no_piece(secret, seen, before + after + "and so on and so on word word ")


@given(
    secret=WORDS,
    name=st.sampled_from(["password", "api_key", "clientSecret", "Authorization", "id_token"]),
    depth=st.integers(0, 2),
    is_ascii=st.booleans(),
    chance=st.randoms(use_true_random=False),
)
def test_no_piece_of_a_secret_in_arguments_is_ever_shown(secret, name, depth, is_ascii, chance):
    text = json.dumps({"q": "cats", name: secret, "note": "as it was"}, ensure_ascii=is_ascii)
    for _ in range(depth):
        text = json.dumps({"body": text, "n": 1}, ensure_ascii=is_ascii)
    shown, seen = page_of(cut_up(text, chance), LiveJson)
    levels = [secret]
    for _ in range(depth + 1):
        levels.append(json.dumps(levels[-1], ensure_ascii=is_ascii)[1:-1])
    frame = text.replace(levels[depth + 1], "[redacted]")
    packed = frame.replace(": ", ":").replace(", ", ",")  # as JSON inside JSON is written when a secret is taken out
    for level in levels:
        assert_no_piece(level, seen, frame + packed + "\\" * 12 + '"')
    assert "[redacted]" in shown
    assert "as it was" in shown


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-999, 999)
        | st.floats(-1, 1)
        | st.text('ab "\\\n/€🙂\u2028\ud800', max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab"', max_size=3), inner, max_size=3),
        max_leaves=8,
    ),
    is_ascii=st.booleans(),
    chance=st.randoms(use_true_random=False),
)
def test_arguments_without_secrets_are_shown_whole_in_the_end(value, is_ascii, chance):
    shown, _ = page_of(cut_up(json.dumps({"a": value}, ensure_ascii=is_ascii), chance), LiveJson)
    assert shown == visible(json.dumps({"a": shown_values(value)}, ensure_ascii=False))


@given(
    value=st.lists(
        st.sampled_from(
            ["word ", 'a "quoted" one ', "back\\slash ", "€🙂 ", "line\n", "x" * 500, f"{KEY} ", "password=hunter2 "]
        ),
        max_size=40,
    ),
    n_before=st.sampled_from([0, LINE_CHARS - 300, 3 * LINE_CHARS]),
    chance=st.randoms(use_true_random=False),
)
def test_what_a_page_is_sent_of_a_long_string_adds_up_too(value, n_before, chance):
    text = "word " * (n_before // 5) + "".join(value)
    shown, _ = page_of(cut_up(json.dumps({"a": text}, ensure_ascii=False), chance), LiveJson)
    assert shown == json.dumps({"a": visible(text)}, ensure_ascii=False)


def shown_values(value):
    match value:
        case str():
            return visible(value)
        case list():
            return list(map(shown_values, value))
        case dict():
            return {name: shown_values(inner) for name, inner in value.items()}
        case _:
            return value


def test_arguments_appear_as_they_are_written():
    text = LiveJson()
    text.add('{"q": "cats and do')
    assert text.news() == (0, '{"q": "cats and ')
    text.add('gs", "n": 1')
    assert text.news() == (16, 'dogs", "n": ')
    text.add('2, "password": "hor')
    assert text.news() == (28, '12, "password": "[redacted]')
    text.add("se battery")
    assert text.news() is None
    text.add('", "api_key": 12345, "token": "abcdefgh!ijklmnop')
    assert text.news() == (55, '", "api_key": "[redacted]", "token": "')
    text.add('1", "token": "cats"}')
    assert text.shown.endswith('"token": "')
    text.news()
    assert text.shown.endswith('"token": "[redacted]", "token": "cats"}')


@pytest.mark.parametrize(
    "broken", ['{"q": ~', '{"q": }]', "{'password': 'correct horse'}", '{"q": 1} and', '{"n": 1x,']
)
def test_what_is_no_json_is_held_back(broken):
    shown, _ = page_of([*broken, "hunter2 correct horse ", '"battery staple" '], LiveJson)
    assert not any(word in shown for word in ("hunter2", "horse", "battery"))


def test_arguments_that_are_no_object_are_a_text():
    assert page_of(['say "hel', 'lo" to ', "password=hunter2 "], LiveJson)[0] == 'say "hello" to password=[redacted] '


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
