# ruff: noqa: RUF001  # a dash stands for what is missing
from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from agentlab.messages import envelopes
from agentlab.messages.parts import ReasoningPart, TextPart
from agentlab.trace import _html_items, html
from agentlab.trace._items import Called, Said, Thought, Told
from agentlab.trace.chunks import ChunkRecorder
from agentlab.trace.events import ModelCalled, ModelReplied
from agentlab.trace.html import trace_html, trace_page
from agentlab.trace.trace import Trace
from agentlab.trace.usage import Usage
from tests.browser.jlab import XSS_PAYLOADS
from tests.trace.building import Building, usage
from tests.trace.hostile import Reader, hostile, not_allowed

HIDDEN = "a\x00\x1b[31m\r\u202eb\u2066\u200b\ufeff\U000e0041\ud800c"


def plain(trace: Trace, **options: int | None) -> str:
    """The fragment without its style sheet."""
    return re.sub(r"<style>.*?</style>", "", trace_html(trace, **options), flags=re.DOTALL)


def words(trace: Trace) -> str:
    """What is read where there is no style sheet, blanks joined."""
    apart = re.sub("<(?=/?(?:p|div|t|pre|details|summary|strong|br))", " <", plain(trace))
    return re.sub(r"\s+", " ", Reader(apart).text).strip()


def weather(*, error: str | None = None) -> Building:
    """A step with one call of a tool."""
    build = Building().user("How warm is Oslo?").begin(usage=usage(812, 96, cached=512, reasoning=44))
    build.asks(("c1", "weather", '{"place": "Oslo", "request_heartbeat": true}'), thoughts="I look it up.")
    return build.runs("c1", "weather", '{"place": "Oslo"}', ms=231).returns("c1", "weather", "4", error=error)


def talk() -> Trace:
    """Two steps: a tool, then a message to the user."""
    build = weather().goes_on().begin(usage=usage(1020, 40))
    said = '{"message": "Four degrees."}'
    return (
        build.asks(("c2", "send_message", said))
        .runs("c2", "send_message", said)
        .returns("c2", "send_message", "None")
        .stops()
    )


def long(steps: int, text: str = "word " * 20) -> Trace:
    """Three messages a step."""
    build = Building().user("Go.")
    for n in range(steps):
        build.begin(usage=usage(10, 5)).asks((f"c{n}", "look", f'{{"n": {n}}}'), thoughts=text)
        build.runs(f"c{n}", "look", f'{{"n": {n}}}').returns(f"c{n}", "look", f"seen {n}")
        if n < steps - 1:
            build.goes_on(f"reason {n}")
    return build.stops()


def test_a_trace_reads_from_top_to_bottom_without_its_style_sheet() -> None:
    assert words(talk()) == (
        "ada · tiny · memgpt · ✓ end_turn"
        " Steps Tool calls Input tokens Output tokens TTFT Duration"
        " 2 2 · 0 failed 1,832 · 512 cached 136 · 44 reasoning 100 ms · first step 531 ms"
        " run-1 · 2026-01-02 03:04:05 UTC"
        ' Settings and 0 tools · 43 characters { "provider": "scripted", "tools": {} }'
        " User How warm is Oslo?"
        " Step 1 weather · 812 → 96 tokens · TTFT 100 ms · 371 ms"
        " input cached output reasoning TTFT last token finish retries 812 512 96 44 100 ms 140 ms tool_calls 0"
        " Inner thoughts: I look it up."
        ' weather 231 ms asks for a heartbeat ✓ success arguments {"place": "Oslo"} returned 4'
        " ↻ goes on (on_request): Function called using request_heartbeat=true, returning control"
        " Step 2 send_message · 1,020 → 40 tokens · TTFT 100 ms · 160 ms"
        " input cached output reasoning TTFT last token finish retries 1,020 0 40 0 100 ms 140 ms tool_calls 0"
        " send_message 20 ms ✓ success"
        " ■ stops: end_turn (on_request)"
        " Agent Four degrees."
    )


def test_a_call_is_a_small_table() -> None:
    assert (
        '<div class="al-call al-good"><div class="al-callhead"><code><bdi>weather</bdi></code> <small>231 ms</small>'
        ' <small>asks for a heartbeat</small> <strong class="al-badge al-good">✓ success</strong></div>'
        '<table class="al-io"><tbody>'
        '<tr><th scope="row">arguments</th><td><pre style="text-align:left" dir="auto">'
        "{&quot;place&quot;: &quot;Oslo&quot;}</pre></td></tr>"
        '<tr><th scope="row">returned</th><td><pre style="text-align:left" dir="auto">4</pre></td></tr>'
        "</tbody></table></div>"
    ) in trace_html(talk())


def test_the_words_to_the_user_are_seen_with_every_step_folded() -> None:
    folded = re.sub(r"<details.*?</details>", "", plain(talk()), flags=re.DOTALL)

    assert '<strong class="al-who">User</strong><blockquote dir="auto">How warm is Oslo?</blockquote>' in folded
    assert '<strong class="al-who">Agent</strong><blockquote dir="auto">Four degrees.</blockquote>' in folded


def test_the_last_step_is_open() -> None:
    assert open_steps(talk()) == ["Step 2"]


def test_a_failed_step_is_open_instead() -> None:
    build = weather(error="TimeoutError").goes_on(envelopes.HEARTBEAT_FAILURE).begin().asks(thoughts="Well.")

    assert open_steps(build.stops()) == ["Step 1"]
    assert '<span class="al-fail">✗ 1 failed</span>' in trace_html(build.trace)


def open_steps(trace: Trace) -> list[str]:
    return re.findall(r'<details class="al-step" open><summary><strong>(Step \d+)', trace_html(trace))


def test_a_failing_tool_is_marked_in_words() -> None:
    shown = words(weather(error="TimeoutError").stops())

    assert "weather 231 ms asks for a heartbeat ✗ TimeoutError arguments" in shown
    assert " error 4 " in shown
    assert "1 · 1 failed" in shown


def test_a_tool_that_never_ran_has_no_duration() -> None:
    build = Building().begin().asks(("c1", "weather", '{"place": '))
    trace = build.returns("c1", "weather", "no JSON", error="ToolArgumentError").stops()

    assert 'weather – never ran ✗ ToolArgumentError arguments {"place": error no JSON' in words(trace)


def test_what_judging_took_is_told_apart() -> None:
    build = weather()
    build.add(ModelCalled, model="judge", provider="scripted", n_messages=1, tool_choice="none", purpose="approval")
    log = ChunkRecorder().pack(0, None, None)
    build.add(ModelReplied, complete=True, chunks=log, usage=usage(30, 2), finish_reason="stop")

    assert "Aside" in words(build.trace)
    assert "30 → 2 tokens · 1 call" in words(build.trace)
    assert "Aside" not in words(weather().trace)


def test_an_error_outside_of_tools_is_marked_in_words() -> None:
    build = (
        Building().begin(complete=False, finish_reason=None).fails("ConnectionLostError", "cut after\n5 chunks", "LOST")
    )

    shown = words(build.finish("llm_api_error"))

    assert "✗ ConnectionLostError LOST cut after 5 chunks" in shown
    assert "✗ llm_api_error" in shown
    assert " cut 0 " in shown


def test_what_is_missing_is_a_dash_and_never_a_zero() -> None:
    shown = words(Building().begin(tokens=0).stops())

    assert (
        "Steps Tool calls Input tokens Output tokens TTFT Duration 1 0 · 0 failed – · 1 of 1 call unreported" in shown
    )
    assert "Step 1 · – → – tokens · TTFT – ·" in shown
    assert "retries – – – – – – tool_calls 0" in shown


def test_a_model_call_without_a_reply_has_nothing_but_dashes() -> None:
    trace = Building().begin().trace
    trace.steps[0].model_calls[0].replied = None

    assert "finish retries – – – – – – – –" in words(trace)


@pytest.mark.parametrize("source", ["tokenizer", "estimated"])
def test_tokens_that_the_provider_did_not_count_say_who_did(source: str) -> None:
    trace = Building().begin(usage=usage(10, 5).model_copy(update={"source": source})).stops()

    assert f"10 · 0 cached, {source}" in words(trace)


def test_a_sum_of_tokens_that_misses_a_call_says_so() -> None:
    trace = weather().goes_on().begin(usage=Usage()).stops()

    assert "– · 1 of 2 calls unreported" in words(trace)


@pytest.mark.parametrize(
    ("stop_reason", "badge"),
    [
        ("end_turn", '<strong class="al-badge al-good">✓ end_turn</strong>'),
        ("max_steps", '<strong class="al-badge al-warn">! max_steps</strong>'),
        ("cancelled", '<strong class="al-badge al-warn">! cancelled</strong>'),
        ("llm_api_error", '<strong class="al-badge al-bad">✗ llm_api_error</strong>'),
    ],
)
def test_the_badge_tells_how_the_run_ended(stop_reason: str, badge: str) -> None:
    assert badge in trace_html(Building().finish(stop_reason))


def test_a_run_that_has_not_ended_says_why() -> None:
    running, interrupted = Building().trace, Building().trace
    running.live = True

    assert "… running" in words(running)
    assert "running: still running when this was drawn" in words(running)
    assert "! interrupted" in words(interrupted)
    assert "interrupted: its process ended before the run did; this is all that was recorded" in words(interrupted)


def test_virtual_time_is_called_so() -> None:
    assert "UTC · virtual time" in words(Building(clock="virtual").finish())
    assert "virtual" not in words(Building().finish())


def test_an_empty_trace_is_shown_as_what_it_is() -> None:
    assert "A trace without its beginning" in words(Trace())
    assert not_allowed(trace_html(Trace())) == []


def test_reasoning_is_folded_and_inner_thoughts_are_not() -> None:
    parts = (ReasoningPart(is_native=True, reasoning="Hm, Oslo."), TextPart(text="I look it up."))
    shown = trace_html(Building().begin().asks(thoughts=parts).stops())

    assert '<details class="al-prose"><summary>Reasoning <small>· 9 characters</small></summary>' in shown
    assert '<p class="al-thought" dir="auto"><em class="al-who">Inner thoughts: </em>I look it up.</p>' in shown


def test_the_history_is_folded_with_its_number_of_messages() -> None:
    build = Building().message("history", "user", "Hi").message("history", "assistant", "Hello")

    shown = trace_html(build.user("And now?").finish())

    assert '<details class="al-fold"><summary>History <small>· 2 messages</small></summary>' in shown
    assert shown.index("Hello") < shown.index("And now?")


def test_settings_tools_and_tags_are_there_to_unfold() -> None:
    shown = words(Building(settings={"max_steps": 3}, tags={"who": "eve"}, parent_run_id="run-0").finish())

    assert '"max_steps": 3, "parent_run_id": "run-0", "tags": { "who": "eve" }' in shown


def test_long_arguments_are_indented_in_their_order_and_cut_with_a_count() -> None:
    arguments = json.dumps({"zebra": "z" * 60, "ant": "a" * 5000})
    left = len(json.dumps(json.loads(arguments), indent=2)) - 4000
    shown = trace_html(Building().begin().asks(("c1", "look", arguments)).stops())

    assert "{\n  &quot;zebra&quot;: &quot;zzz" in shown
    assert f"<small>… {left:,} more characters</small>" in shown
    assert "a" * 5000 in trace_html(Building().begin().asks(("c1", "look", arguments)).stops(), max_bytes=None)


def test_the_bars_lie_on_the_time_axis_of_the_run() -> None:
    spans = re.findall(r'<span class="al-(\w+)" style="left:([\d.]+)%;width:([\d.]+)%">', trace_html(talk()))

    assert [kind for kind, _, _ in spans] == ["wait", "stream", "tools"] * 2
    ends = [(float(left), float(left) + float(width)) for _, left, width in spans]
    assert ends[0][0] == 0
    assert ends[-1][1] == pytest.approx(100, abs=0.02)
    assert all(a[1] == pytest.approx(b[0], abs=0.02) for a, b in pairwise(ends))


def test_a_run_without_length_has_no_bars() -> None:
    assert "al-bar" not in plain(Building().begin(ttft_ms=0, tokens=1).stops())


# how much of it


def test_a_short_trace_is_shown_whole() -> None:
    shown = plain(long(60))

    assert "more message" not in shown
    assert shown.count('class="al-step"') == 60


def test_ten_thousand_messages_are_cut_to_two_hundred_with_the_last_step() -> None:
    trace = long(3334)
    assert len(trace.entries) == 10_002

    shown = trace_html(trace)

    steps = [int(n) for n in re.findall(r"<strong>Step (\d+)", shown)]
    assert steps == [*range(1, len(steps)), 3334]
    inside = 3 * (len(steps) - 1)
    left, more = re.search(r"… ([\d,]+) more messages in ([\d,]+) more steps", shown).groups()
    assert inside <= 200
    assert int(left.replace(",", "")) == pytest.approx(10_002 - inside, abs=3)
    assert int(more.replace(",", "")) == 3334 - len(steps)
    assert "trace_page(trace, max_messages=None, max_bytes=None)" in shown
    assert "seen 3333" in shown
    assert "<td>3,334</td><td>3,334 <small>" in shown
    assert max(float(left) for left in re.findall(r'style="left:([\d.]+)%', shown)) == 99


def test_no_more_bytes_are_written_than_asked_for() -> None:
    trace = long(200, text='"<é' * 500)

    for max_bytes in (30_000, 150_000):
        shown = trace_html(trace, max_messages=None, max_bytes=max_bytes)
        assert 0.8 * max_bytes < len(shown.encode()) <= max_bytes
        assert not_allowed(shown) == []
        assert "more messages in" in shown
        assert "seen 199" in shown


def test_no_limit_is_passed_however_it_falls() -> None:
    trace = long(100)

    for max_bytes in range(15_000, 40_000, 333):
        assert len(trace_html(trace, max_bytes=max_bytes).encode()) <= max_bytes


def test_the_note_counts_what_is_left_out_to_the_message() -> None:
    trace = long(10)

    for max_messages in range(1, 32):
        shown = plain(trace, max_messages=max_messages)
        left = [int(n) for n in re.findall(r"… (\d+) more message", shown)]
        calls = shown.count(">look<") - len(re.findall(r"<summary><strong>Step", shown))
        assert not_allowed(shown) == []
        if max_messages >= 30:
            assert left == []
        else:
            assert sum(left) == 30 - max_messages
            assert calls <= max_messages


def test_a_step_that_is_too_large_is_cut_inside() -> None:
    build = Building().user("Go.").begin()
    build.asks(*((f"c{n}", "look", f'{{"n": {n}}}') for n in range(500)))
    for n in range(500):
        build.runs(f"c{n}", "look", "{}").returns(f"c{n}", "look", f"seen {n}")

    shown = trace_html(build.stops())

    assert not_allowed(shown) == []
    assert 50 < shown.count("seen ") <= 200
    assert "more messages" in shown


def test_all_of_it_is_shown_on_request() -> None:
    trace = long(300)

    shown = trace_html(trace, max_messages=None, max_bytes=None)

    assert shown.count('class="al-step"') == 300
    assert "more message" not in shown


# hostile text


@pytest.mark.parametrize("payload", XSS_PAYLOADS.values(), ids=XSS_PAYLOADS.keys())
def test_hostile_text_stays_text(payload: str) -> None:
    trace = hostile(payload)

    shown = trace_html(trace)

    assert not_allowed(shown) == []
    assert Reader(shown).text.count(payload) > 20


def test_the_check_for_hostile_text_would_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_html_items, "as_html", lambda text: text)

    for payload in set(XSS_PAYLOADS) - {"md-js"}:
        assert not_allowed(trace_html(hostile(XSS_PAYLOADS[payload])))


def test_hidden_and_turning_characters_are_shown() -> None:
    shown = trace_html(hostile(HIDDEN))

    assert shown.encode()
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff\U000e0000-\U000e0fff]", shown
    )
    assert "a␀␛[31m␍⟨U+202E⟩b⟨U+2066⟩⟨U+200B⟩⟨U+FEFF⟩⟨U+E0041⟩⟨U+D800⟩c" in shown


def test_a_hostile_name_is_cut_short() -> None:
    shown = trace_html(Building(agent_name="x" * 100_000).begin().asks(("c1", "y" * 100_000, "{}")).stops())

    assert max(map(len, re.findall("x+|y+", shown))) == 79


def test_dollars_are_no_formulas() -> None:
    """Notebooks typeset `$…$` in HTML, unless a class above says no."""
    assert plain(talk()).startswith('<div class="agentlab-trace mathjax_ignore tex2jax_ignore">')


def test_nothing_runs_and_nothing_is_fetched() -> None:
    page = trace_page(talk())

    assert not re.search(r"<script|<link|<img|<iframe|url\(|@import|https?:|\bon\w+=", page)
    assert "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'" in page


# style and page


def test_every_rule_stands_under_the_root_class() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", trace_html(talk()))
    depth, tops = 0, ""
    for character in style:
        depth -= character == "}"
        tops += character if depth == 0 else ""
        depth += character == "{"

    assert tops == ".agentlab-trace:not(#_){}"
    assert depth == 0


def test_the_style_sheet_knows_light_and_dark_and_the_colours_of_jupyterlab() -> None:
    style = Path(html.__file__).with_name("trace.css").read_text(encoding="utf-8")

    assert "@media (prefers-color-scheme: dark)" in style
    assert {"--jp-content-font-color1", "--jp-success-color1", "--jp-error-color1", "--jp-brand-color1"} <= set(
        re.findall(r"var\((--jp-[\w-]+),", style)
    )
    assert re.findall(r"var\(--jp-[\w-]+\)", style) == []  # each has a fallback


def test_the_style_sheet_and_the_drawing_know_the_same_classes() -> None:
    folder = Path(html.__file__).parent
    drawn = "".join((folder / name).read_text(encoding="utf-8") for name in ("html.py", "_html_items.py"))
    styled = re.sub(r"--al-[\w-]+", "", (folder / "trace.css").read_text(encoding="utf-8"))

    assert set(re.findall(r"\bal-\w+", styled)) <= set(re.findall(r"\bal-\w+", drawn))


def test_a_page_stands_alone() -> None:
    page = trace_page(talk())

    assert page.startswith('<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">')
    assert "<title>ada: end_turn</title>" in page
    assert page.index("Content-Security-Policy") < page.index("<style")
    assert '<meta name="color-scheme" content="light dark">' in page
    assert trace_html(talk()) in page


def test_a_page_of_a_hostile_run_has_a_harmless_title() -> None:
    payload = "</title><script>alert(1)</script>"

    assert "<script" not in trace_page(Building(agent_name=payload).finish())


def test_a_trace_shows_itself_in_a_notebook() -> None:
    assert talk()._repr_html_() == trace_html(talk())


KEY = "sk-abcdefghijklmnopqrstuvwxyz123456"


@pytest.mark.parametrize("kind", _html_items._LIMITS_CHARS)
def test_no_piece_of_a_key_is_left_where_a_text_is_cut(kind: str) -> None:
    limit = _html_items._LIMITS_CHARS[kind]
    draw = {
        "said": lambda text: _html_items.item_html(Said("user", text, 1, "m"), whole=False),
        "thought": lambda text: _html_items.item_html(Thought("reasoning", text, 1, "m"), whole=False),
        "told": lambda text: _html_items.item_html(Told("content", text, 1, "m"), whole=False),
        "json": lambda text: _html_items.item_html(Called("look", text, "success", text), whole=False),
    }[kind]
    for start in range(limit - len(KEY) - 1, limit + 2):
        assert KEY[:6] not in draw("x" * (start - 1) + " " + KEY + " tail"), start
