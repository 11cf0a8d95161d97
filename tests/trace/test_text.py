# ruff: noqa: RUF001  # a dash stands for what is missing
from __future__ import annotations

import json
import re

import pytest

from agentlab.messages.parts import ReasoningPart, TextPart
from agentlab.trace._items import Said, Told
from agentlab.trace.text import _MOST_CHARS, _TOLD_CHARS, _item, trace_line, trace_text
from agentlab.trace.trace import Trace
from tests.browser.jlab import XSS_PAYLOADS
from tests.trace.building import Building, usage
from tests.trace.hostile import hostile


def talk() -> Trace:
    """Two steps: two tools of which one fails, then a message to the user."""
    build = Building().message("system", "system", "Be brief.").user("How warm is Oslo?")
    build.begin(usage=usage(812, 96, cached=512, reasoning=44))
    thoughts = (ReasoningPart(is_native=True, reasoning="Hm."), TextPart(text="I look it up."))
    asked = '{"place": "Oslo", "request_heartbeat": true}'
    build.asks(("c1", "weather", asked), ("c2", "tides", '{"place": '), thoughts=thoughts)
    build.runs("c1", "weather", '{"place": "Oslo"}', ms=231).returns("c1", "weather", "4")
    build.returns("c2", "tides", "they are no JSON", error="ToolArgumentError").goes_on()
    said = '{"message": "Four degrees.\\n\\nNo tides."}'
    build.begin().asks(("c3", "send_message", said))
    return build.runs("c3", "send_message", said).returns("c3", "send_message", "None").stops()


def long(steps: int) -> Trace:
    build = Building().user("Go.")
    for n in range(steps):
        build.begin().asks((f"c{n}", "look", "{}")).runs(f"c{n}", "look", "{}").returns(f"c{n}", "look", f"seen {n}")
        if n < steps - 1:
            build.goes_on()
    return build.stops()


def test_a_trace_reads_from_top_to_bottom() -> None:
    assert (
        trace_text(talk())
        == """\
ada · tiny · end_turn · 2 steps · – → – tokens · TTFT 100 ms · 531 ms
run-1 · 2026-01-02 03:04:05 UTC

  told     system message: Be brief.
  user     How warm is Oslo?

step 1 · 812 → 96 tokens · 512 cached · 44 reasoning · TTFT 100 ms · 371 ms
  thinks   Hm.
  thinks   I look it up.
  calls    weather (asks for a heartbeat) {"place": "Oslo"}
  returns  231 ms · 4
  calls    tides {"place":
  FAILED   never ran · ToolArgumentError · they are no JSON
  goes on  (on_request) Function called using request_heartbeat=true, returning control

step 2 · – → – tokens · – cached · – reasoning · TTFT 100 ms · 160 ms
  says     Four degrees.

           No tides.
  calls    send_message
  returns  20 ms
  stops    end_turn (on_request)"""
    )


def test_a_run_has_a_form_of_one_line() -> None:
    assert trace_line(talk()) == "ada · tiny · end_turn · 2 steps · – → – tokens · TTFT 100 ms · 531 ms"
    assert trace_line(Building().trace) == "ada · tiny · interrupted · 0 steps · – → – tokens · TTFT – · 0 ms"
    assert trace_line(Trace()) == "trace without its beginning, 0 events"


def test_an_error_outside_of_tools_is_loud() -> None:
    trace = Building().begin(complete=False).fails("ConnectionLostError", "it was cut", "LOST").finish("llm_api_error")

    assert "  ERROR    ConnectionLostError (LOST): it was cut" in trace_text(trace).splitlines()


def test_the_history_stands_apart() -> None:
    build = Building().message("history", "user", "Hi").message("history", "assistant", "Hello")

    assert "history, 2 messages\n  user     Hi\n  thinks   Hello\n\n  user     And now?" in trace_text(
        build.user("And now?").finish()
    )


@pytest.mark.parametrize("width", [40, 72, 100])
def test_lines_are_no_wider_than_asked_for(width: int) -> None:
    build = Building(agent_name="a" * 30, model="m" * 30).user("word " * 200 + "x" * 300)
    build.begin().asks(("c1", "look", '{"q": "' + "y" * 500 + '"}'), thoughts="thought " * 50)
    trace = build.returns("c1", "look", "z" * 900, error="ValueError").goes_on("because " * 30).trace

    assert max(map(len, trace_text(trace, width=width).splitlines())) <= width


def test_a_wrapped_line_goes_on_under_its_beginning() -> None:
    shown = trace_text(Building().user("word " * 40).finish())

    assert [line[:13] for line in shown.splitlines()[3:]] == ["  user     wo", "           wo", "           wo"]


def test_a_long_system_message_takes_little_room() -> None:
    shown = trace_text(Building().message("system", "system", "word " * 1000).finish())

    assert shown.endswith("… 4,800 more characters")
    assert len(shown.splitlines()) < 8


def test_lines_of_a_text_keep_their_indent() -> None:
    trace = Building(protocol="native").message("input", "user", "def f():\n    return 1").finish()

    assert "  user     def f():\n               return 1" in trace_text(trace)


@pytest.mark.parametrize(("text", "left"), [("x" * 5000, r"4,\d\d\d"), ("line\n" * 100, r"\d\d\d")])
def test_a_long_text_is_cut_with_a_count(text: str, left: str) -> None:
    shown = trace_text(Building().user(text).finish())

    assert re.search(rf"^           … {left} more characters$", shown, re.MULTILINE)
    assert len(shown.splitlines()) < 20


def test_a_long_trace_shows_its_beginning_and_its_last_step() -> None:
    trace = long(400)

    shown = trace_text(trace)

    steps = [int(n) for n in re.findall(r"^step (\d+)", shown, re.MULTILINE)]
    assert steps == [*range(1, len(steps)), 400]
    assert "seen 399" in shown
    left = re.search(r"^… ([\d,]+) more messages in (\d+) more steps; `trace_text", shown, re.MULTILINE)
    assert left
    assert int(left[1].replace(",", "")) == 1200 - 50
    assert int(left[2]) == 400 - len(steps)
    assert trace_text(trace, max_messages=None).count("\nstep ") == 400


@pytest.mark.parametrize("text", [*XSS_PAYLOADS.values(), "\x1b]0;pwned\x07\x1b[2J\r\x9b31m\u202e\ud800"], ids=range(9))
def test_no_text_can_act_on_a_terminal(text: str) -> None:
    shown = trace_text(hostile(text)) + trace_line(hostile(text))

    assert shown.encode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)


def test_a_name_cannot_begin_a_line_of_its_own() -> None:
    trace = Building(agent_name="ada\nstep 9").begin().asks(("c1", "look\n  stops    end_turn", "{}")).trace

    assert [line for line in trace_text(trace).splitlines() if line.startswith(("step 9", "  stops"))] == []


def test_a_long_name_is_cut_short() -> None:
    shown = trace_text(Building(agent_name="x" * 999).begin().asks(("c1", "y" * 999, "{}")).stops(), width=120)

    assert [len(run) for run in re.findall("x{9,}|y{9,}", shown)] == [79, 79]


def test_a_trace_shows_itself_in_a_terminal() -> None:
    assert str(talk()) == trace_text(talk())


def test_no_piece_of_a_key_is_left_where_a_text_is_cut() -> None:
    key = "sk-abcdefghijklmnopqrstuvwxyz123456"
    for limit, item in (
        (_MOST_CHARS, lambda text: Said("user", text, 1)),
        (_TOLD_CHARS, lambda text: Told("a", text, 1)),
    ):
        for start in range(limit - len(key) - 1, limit + 2):
            lines = "\n".join(_item(item("x" * (start - 1) + " " + key + " tail"), width=3_000))
            assert key[:6] not in lines, start


def test_a_password_of_several_words_is_not_shown_beside_the_name_of_a_tool() -> None:
    build = Building().user("Go.").begin()
    for n, note in enumerate(("short", "n " * 20_000)):
        arguments = json.dumps({"password": "correct horse battery staple", "note": note})
        build.asks((f"c{n}", "login", arguments)).runs(f"c{n}", "login", arguments).returns(f"c{n}", "login", arguments)
    text = trace_text(build.stops())
    assert text.count("[redacted]") == 4
    assert not any(word in text for word in ("correct", "horse", "battery", "staple"))
