"""What a page is asked about a call, and what its answers decide."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentlab.agent.approval import Condition, Decision, Scope
from agentlab.agent.desk import PendingCall
from agentlab.errors import InputError
from agentlab.widgets.asks import ACTIONS, ask_of, decision_from, patterns_of
from tests.browser.jlab import XSS_PAYLOADS

KEY = "sk-" + "a1" * 12
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "n": {"type": "number"}}, "required": ["path"]}


def a_call(**fields: Any) -> PendingCall:
    given_: dict[str, Any] = {"arguments": {"path": "notes/a.txt", "n": 1.0}, "parameters": SCHEMA, **fields}
    return PendingCall(call_id="c1", tool="save", run_id="r1", step=1, **given_)


def edited(call: PendingCall, **changes: Any) -> dict[str, Any]:
    arguments = {**json.loads(ask_of(call)["arguments_json"]), **changes}
    return {"type": "decide", "action": "edit", "arguments_json": json.dumps(arguments)}


def test_a_page_is_asked_in_plain_data() -> None:
    call = a_call(description="Save it.", rule="rule 2")

    ask = ask_of(call, 2, 3, asked_s=1.5)

    assert orjson.loads(orjson.dumps(ask)) == {
        "call_id": "c1",
        "call_hash": call.call_hash,
        "tool": "save",
        "description": "Save it.",
        "arguments_json": '{\n  "path": "notes/a.txt",\n  "n": 1.0\n}',
        "schema": SCHEMA,
        "rule": "rule 2",
        "asked_s": 1.5,
        "queue": [2, 3],
        "can": ["approve", "edit", "deny", "respond", "escalate", "stop"],
        "patterns": [['path under "notes"'], ['path == "notes/a.txt"'], ["n == 1.0"]],
    }


def test_a_tool_of_which_nothing_is_known_takes_any_object() -> None:
    assert ask_of(a_call(parameters={}))["schema"] == {"type": "object"}


def test_nothing_that_is_shown_is_secret_or_hidden() -> None:
    hostile = f"a\u202eb\u200b {KEY}"
    call = a_call(arguments={hostile: [hostile], "password": "tiger"}, description=hostile, rule=hostile)

    text = orjson.dumps(ask_of(call)).decode()

    assert "tiger" not in text
    assert KEY not in text
    assert "\u202e" not in text
    assert "\u200b" not in text


@pytest.mark.parametrize("payload", XSS_PAYLOADS.values(), ids=XSS_PAYLOADS)
def test_hostile_text_stays_text_on_its_way_to_the_page_and_back(payload: str) -> None:
    call = a_call(arguments={"path": payload, payload: payload})

    decision = decision_from(edited(call, n=2), call)

    assert decision.arguments == {"path": payload, payload: payload, "n": 2}


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ({"action": "approve"}, Decision(action="approve")),
        (
            {"action": "approve", "always": {"kind": "exact", "uses": 3}},
            Decision(action="approve", always=Scope(kind="exact", uses=3)),
        ),
        (
            {"action": "approve", "always": {"kind": "pattern", "where": ["n < 3"]}},
            Decision(action="approve", always=Scope(kind="pattern", where=("n < 3",))),
        ),
        ({"action": "deny"}, Decision(action="deny")),
        ({"action": "deny", "reason": "no"}, Decision(action="deny", reason="no")),
        ({"action": "respond", "response": "42"}, Decision(action="respond", response="42")),
        ({"action": "escalate"}, Decision(action="escalate")),
        ({"action": "stop", "reason": "enough"}, Decision(action="stop", reason="enough")),
        (
            {"action": "edit", "arguments_json": '{"path": "b.txt"}'},
            Decision(action="edit", arguments={"path": "b.txt"}),
        ),
    ],
    ids=lambda value: value["action"] if isinstance(value, dict) else "",
)
def test_an_answer_becomes_a_decision(message: dict[str, Any], wanted: Decision) -> None:
    assert decision_from(message, a_call()) == wanted


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({}, "None is nothing that can be decided"),
        ({"action": "run"}, "'run' is nothing that can be decided; there are approve, edit"),
        ({"action": ["approve"]}, r"\['approve'\] is nothing that can be decided"),
        ({"action": {}}, "is nothing that can be decided"),
        ({"action": "edit"}, "no `arguments_json`"),
        ({"action": "edit", "arguments_json": {"path": "x"}}, "no `arguments_json`"),
        ({"action": "edit", "arguments_json": "{"}, "not valid JSON"),
        ({"action": "edit", "arguments_json": '{"n": NaN}'}, "NaN is no number that JSON can hold"),
        ({"action": "edit", "arguments_json": '{"n": -Infinity}'}, "-Infinity is no number"),
        ({"action": "edit", "arguments_json": '{"n": 1e400}'}, "1e400 is no number"),
        ({"action": "edit", "arguments_json": "[" * 100_000}, "not valid JSON"),
        ({"action": "edit", "arguments_json": "[1]"}, "must be a JSON object"),
        ({"action": "edit", "arguments_json": f'{{"n": {10**25}}}'}, "cannot be written as JSON"),
        ({"action": "edit", "arguments_json": f'{{"n": {"1" * 5000}}}'}, "not valid JSON"),
        ({"action": "edit", "arguments_json": '{"path": "\\ud800"}'}, "cannot be written as JSON"),
        ({"action": "edit", "arguments_json": '{"path": "x"}', "always": {"kind": "tool"}}, "`always` goes with"),
        ({"action": "deny", "reason": 3}, "no `reason`"),
        ({"action": "respond"}, "no `response`"),
        ({"action": "respond", "response": None}, "no `response`"),
        ({"action": "deny", "always": {"kind": "exact"}}, "`always` goes with action 'approve'"),
        ({"action": "approve", "always": "tool"}, "`always` must say `kind`"),
        ({"action": "approve", "always": {"kind": "all"}}, "'exact', 'pattern' or 'tool'"),
        ({"action": "approve", "always": {"kind": "pattern"}}, "a pattern needs conditions"),
        ({"action": "approve", "always": {"kind": "pattern", "where": ["?"]}}, "'\\?' is no condition"),
        ({"action": "approve", "always": {"kind": "pattern", "where": "n < 3"}}, "valid tuple"),
        ({"action": "approve", "always": {"kind": "tool", "uses": 0}}, "greater than or equal to 1"),
        ({"action": "approve", "always": {"kind": "tool", "lifetime_s": 1}}, "`always` must say `kind`"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_an_answer_that_cannot_be_used_says_why(message: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        decision_from(message, a_call())


scopes = st.dictionaries(
    st.sampled_from(["kind", "where", "uses"]), st.sampled_from(["tool", "exact", [], ["n < 3"], 3, 0, True])
)
junk = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())
fields = st.sampled_from(["action", "arguments_json", "reason", "response", "always", "call_hash"])


@given(st.dictionaries(fields, st.sampled_from([*ACTIONS, "{}", '{"a": 1}']) | junk | scopes))
def test_whatever_a_page_sends_is_a_decision_or_an_input_error(message: dict[str, Any]) -> None:
    with contextlib.suppress(InputError):
        assert isinstance(decision_from(message, a_call()), Decision)


def test_an_edit_that_changes_nothing_is_an_approval() -> None:
    call = a_call(arguments={"path": KEY, "n": 1.0})

    assert decision_from(edited(call), call) == Decision(action="approve")
    assert decision_from(edited(call, n=1), call) == Decision(action="approve")


def test_what_the_page_never_saw_reaches_the_tool() -> None:
    call = a_call(arguments={"path": f"Bearer {KEY}", "password": "tiger", "n": 1})

    decision = decision_from(edited(call, n=2), call)

    assert decision.arguments == {"path": f"Bearer {KEY}", "password": "tiger", "n": 2}


def test_a_long_whole_number_reaches_the_tool_to_its_last_digit() -> None:
    call = a_call(arguments={"path": "x", "n": 9007199254740993})

    decision = decision_from(edited(call, path="y"), call)

    assert decision.arguments == {"path": "y", "n": 9007199254740993}


arguments = st.dictionaries(
    st.sampled_from(["path", "to", "n", "größe", "not in", "x-y"]),
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(["a", "notes", "..", "~", "x y", "/"])).map("/".join),
        st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none(),
        st.lists(st.text()),
    ),
)


@given(arguments)
def test_every_proposal_is_a_condition_that_holds_for_the_call(arguments: dict[str, Any]) -> None:
    try:
        orjson.dumps(arguments)
    except TypeError:
        return
    for (text,) in patterns_of(arguments):
        assert Condition.parse(text).holds(arguments)
        Scope(kind="pattern", where=(text,))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("notes/a.txt", ['path under "notes"', 'path == "notes/a.txt"']),
        ("/etc/passwd", ['path under "/etc"', 'path == "/etc/passwd"']),
        ("a.txt", ['path == "a.txt"']),
        ("/a", ['path == "/a"']),
        ("https://x.org/a", ['path == "https://x.org/a"']),
        ("two words/or more", ['path == "two words/or more"']),
        ("../a.txt", ['path == "../a.txt"']),
        ("notes/..", ['path == "notes/.."']),
        (True, ["path == true"]),
        (None, []),
        (["a"], []),
        ("x" * 200, []),
        (KEY, []),
        ("a\u200b", []),
        (f"notes/{KEY}", []),
    ],
)
def test_proposals_for_a_value(value: Any, wanted: list[str]) -> None:
    assert [text for pattern in patterns_of({"path": value}) for text in pattern] == wanted


def test_a_password_is_proposed_nowhere() -> None:
    assert patterns_of({"password": "tiger"}) == []
