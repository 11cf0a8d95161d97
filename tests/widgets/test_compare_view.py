"""Two runs side by side: what a page is told, the static fallback, hostile texts, size and time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentlab.errors import InputError
from agentlab.trace.trace import Trace
from agentlab.trace.words import MISSING, seconds
from agentlab.widgets import shown
from agentlab.widgets.compare_html import compare_html, shown_rows
from agentlab.widgets.compare_view import PAGE_SIZE, CompareView
from agentlab.widgets.comparison import Comparison
from tests.browser.jlab import XSS_PAYLOADS
from tests.factories import Story, reply, tokens, tool, trace_of
from tests.trace.hostile import Reader, hostile

ALLOWED = {
    *("div", "style", "p", "strong", "small", "span", "bdi", "table", "thead", "tbody", "tr", "th", "td", "pre"),
    *("code", "br", "del", "ins"),
}
ATTRIBUTES = {"class", "scope", "colspan", "dir", "style"}


def told(run_id: str, *answers: str, **fields: Any) -> Trace:
    story = Story(run_id, **fields)
    for answer in answers:
        story.step(reply(calls=["search"], usage=tokens(10, 2)), tool("search", text=answer))
    return story.step(reply("Done.", usage=tokens(20, None))).end()


def view(a: Trace, b: Trace) -> tuple[CompareView, list[tuple[str, dict[str, Any]]]]:
    made, said = CompareView(a, b), list[tuple[str, dict[str, Any]]]()
    made.tell = lambda kind, **fields: said.append((kind, fields))  # type: ignore[method-assign]
    return made, said


def with_settings(trace: Trace, **fields: Any) -> Trace:
    return Trace([trace.events[0].model_copy(update=fields), *trace.events[1:]])


def test_a_page_gets_marks_for_all_rows_and_the_pages_it_needs() -> None:
    made, _ = view(told("run-1", *"x" * 200), told("run-2", *"x" * 150, *"y" * 50))

    state = json.loads(json.dumps(made.state()))

    assert set(state["pages"]) == {"0", str(state["first"] // PAGE_SIZE)}
    assert state["marks"][state["first"]] == "~"
    assert set(state["marks"][: state["first"]]) == {"="}
    assert state["words"] == "50 differences, the first in step 151"
    first = state["pages"][str(state["first"] // PAGE_SIZE)][state["first"] % PAGE_SIZE]
    assert [field for field in first["l"]["fields"] if field[0] == "returned"] == [["returned", [["-", "x"]], 0]]
    assert [field for field in first["r"]["fields"] if field[0] == "returned"] == [["returned", [["+", "y"]], 0]]


def test_a_page_asks_for_more_rows_and_for_whole_texts() -> None:
    long = "word " * 4_000
    made, said = view(told("run-1", long, *"x" * 200), told("run-2", long + "more", *"x" * 200))

    made.on_page({"type": "page", "pages": [2, 99, "x", -1]})
    made.on_page({"type": "whole", "row": made.state()["first"]})
    made.on_page({"type": "whole", "row": 10**6})
    made.on_page({"type": "whole", "row": "3"})
    made.on_page({"type": "unheard of"})

    assert [kind for kind, _ in said] == ["page", "whole"]
    assert [len(rows) for rows in said[0][1]["pages"].values()] == [PAGE_SIZE]
    returned = {name: spans for name, spans, _ in said[1][1]["shown"]["r"]["fields"]}["returned"]
    assert "".join(text for _, text in returned) == long + "more"


def test_settings_that_differ_stand_above_and_only_they() -> None:
    settings = {"system": "Be kind.", "heartbeat": {"policy": "on_request"}, "max_steps": 5}
    other = {"system": "Be brief.", "heartbeat": {"policy": "always"}, "max_steps": 5, "timezone": "CET"}

    found = Comparison(
        with_settings(told("run-1", "x"), settings=settings),
        with_settings(told("run-2", "x"), settings=other, model="b"),
    )

    assert {each.name: (each.left, each.right) for each in found.settings} == {
        "model": ("tiny-1", "b"),
        "system": ("Be kind.", "Be brief."),
        "heartbeat.policy": ("on_request", "always"),
        "timezone": (None, "CET"),
    }


def test_totals_tell_the_difference_and_never_turn_a_missing_value_into_zero() -> None:
    found = Comparison(told("run-1", "x", "y"), told("run-2", "x", "y", "z"))

    totals = {total.name: (total.left, total.right, total.difference) for total in found.totals()}

    assert totals["Outcome"] == ("end_turn", "end_turn", "same")
    assert totals["Steps"] == ("3", "4", "+1 (+33%)")
    assert totals["Input tokens"] == ("40", "50", "+10 (+25%)")
    assert totals["Output tokens"] == (MISSING, MISSING, "")
    assert totals["TTFT, first step"] == ("500 ms", "500 ms", "same")
    assert totals["Tool time"] == ("200 ms", "300 ms", "+100 ms (+50%)")
    assert "Cached tokens" not in totals


@pytest.mark.parametrize(
    ("other_s", "expected"),
    [
        (0.3508, ("351 ms", "351 ms", "\N{MINUS SIGN}0.20 ms", True)),
        (0.3499, ("351 ms", "350 ms", "\N{MINUS SIGN}1.1 ms", False)),
        (0.3510, ("351 ms", "351 ms", "same", True)),
        (0.3475, ("351 ms", "348 ms", "\N{MINUS SIGN}3.5 ms (\N{MINUS SIGN}1%)", False)),
    ],
    ids=str,
)
def test_a_difference_below_half_a_percent_has_no_share_and_one_that_nobody_reads_is_not_marked(
    other_s: float, expected: tuple[str, str, str, bool]
) -> None:
    a, b = (Story(f"run-{ttft_s}").step(reply("Done.", ttft_s=ttft_s)).end() for ttft_s in (0.351, other_s))

    total = next(total for total in Comparison(a, b).totals() if total.name == "TTFT, first step")

    assert (total.left, total.right, total.difference, total.same) == expected


def test_a_call_that_is_the_same_in_both_tells_the_time_of_each() -> None:
    one, other, alike = (
        Story(run_id).step(reply(calls=["search"]), tool("search", duration_s=took_s)).end()
        for run_id, took_s in (("run-1", 0.1), ("run-2", 0.3), ("run-3", 0.1))
    )
    found = Comparison(one, other)

    assert _call_facts(found) == ["A 100 ms", "B 300 ms"]
    assert _call_facts(Comparison(one, alike)) == ["100 ms"]
    assert "A 100 ms · B 300 ms" in compare_html(found)


def _call_facts(found: Comparison) -> list[str]:
    number = next(n for n, row in enumerate(found.rows) if row.line.kind == "c")
    facts: list[str] = found.shown_row(number)["l"]["facts"]
    return facts


def test_times_are_those_of_the_frames() -> None:
    trace = trace_of(6)
    row = trace.runs_df().iloc[0]
    totals = {total.name: total.left for total in Comparison(trace, trace).totals()}

    assert totals["Model time"] == seconds(row.model_s)
    assert totals["Tool time"] == seconds(row.tool_s)
    assert totals["Duration"] == seconds(row.wall_s)


@pytest.mark.parametrize("payload", XSS_PAYLOADS.values(), ids=XSS_PAYLOADS)
def test_hostile_texts_are_text_on_both_sides(payload: str) -> None:
    for a, b in ((payload, f"{payload} again"), (payload, "harmless")):
        html = compare_html(Comparison(hostile(a), hostile(b)), max_bytes=None)
        reader = Reader(html)

        assert reader.wrong == []
        assert {tag for tag, _ in reader.elements} <= ALLOWED
        assert {name for _, attributes in reader.elements for name in attributes} <= ATTRIBUTES
        assert payload.replace("\n", "") in reader.text or len(payload) > 80


def test_keys_in_the_texts_are_not_shown() -> None:
    key = "sk-abcdefghijklmnop1234"
    made, _ = view(told("run-1", f"key {key}", "x", question=key), told("run-2", "none", "x", key, question=key))

    assert key not in json.dumps(made.state()) + made._repr_html_() + str(made)
    assert "[redacted]" in str(made)


def test_the_static_view_keeps_to_its_size_and_says_what_is_left_out() -> None:
    long = [f"{n} " + "word " * 300 for n in range(300)]
    found = Comparison(told("run-1", *long), told("run-2", *(text + "x" for text in long)))

    html = compare_html(found)
    few = compare_html(found, max_rows=3, max_bytes=None)

    assert len(html.encode()) <= 150_000
    assert "more rows with differences" in html
    assert few.count("al-c-row al-c-differs") <= 3
    assert html.count("<tr") == html.count("</tr>")
    assert "Totals" in html


def test_the_static_view_shows_rows_around_differences() -> None:
    assert shown_rows("====~====") == [2, 3, 4, 5, 6]
    assert shown_rows("~==<") == [0, 1, 2, 3]
    assert shown_rows("=" * 10) == [0, 1, 2, 3]
    assert shown_rows("") == []


def test_two_empty_traces_can_be_compared() -> None:
    made, _ = view(Trace(), Trace())

    assert made.state()["marks"] == ""
    assert "without its beginning" in made._repr_html_()


def test_a_run_that_goes_on_is_compared_as_it_stands() -> None:
    live = Story("run-1").step(reply("Hm.")).trace(live=True)
    made, _ = view(live, told("run-2", "x"))
    before = made.state()["marks"]

    live.append(live.events[-1].model_copy(update={"seq": 99}))

    assert made.state()["marks"] == before


def test_only_runs_and_traces_can_be_compared() -> None:
    with pytest.raises(InputError, match="one run or trace is needed"):
        CompareView(told("run-1", "x"), [])  # type: ignore[arg-type]


def test_without_a_person_at_the_page_the_static_view_is_shown_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = view(told("run-1", "x"), told("run-2", "y"))
    displayed: list[dict[str, str]] = []
    monkeypatch.setattr(shown, "display", lambda data, **_: displayed.append(data))

    made._ipython_display_()
    monkeypatch.setattr(shown, "person_at_front_end", lambda: True)
    made._ipython_display_()

    assert displayed[0] == {"text/plain": str(made), "text/html": made._repr_html_()}
    assert ["application/vnd.jupyter.widget-view+json" in data for data in displayed] == [False, False, True]
    assert shown.STATIC in displayed[1]["text/html"]
    assert displayed[2]["text/plain"] == "", "what draws no widgets has the static view, and needs no name below it"


def test_repr_is_the_same_each_time_and_says_how_alike_the_runs_are() -> None:
    made, _ = view(told("run-1", "x"), told("run-2", "y"))

    assert repr(made) == "<CompareView 1 difference, the first in step 1>"
    assert "  - search · success" in str(made)


def test_of_five_thousand_rows_a_side_a_page_gets_an_index_and_the_first_pages() -> None:
    one = told("run-1", *(f"result {n} " + "word " * 60 for n in range(1_700)))
    other = told("run-2", *(f"result {n} " + "word " * 60 + "x" * (n % 3 == 0) for n in range(1_700)))

    assert len(json.dumps(CompareView(one, other).state())) < 400_000


def test_a_run_and_a_trace_compare_themselves_with_another() -> None:
    made = told("run-1", "x").diff(told("run-2", "x"))

    assert repr(made).startswith("<CompareView the same in all ")
