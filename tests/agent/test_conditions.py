"""Conditions on arguments, rules made of them, and the hash that a decision is bound to."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, reject
from pydantic import ValidationError

from agentlab import ApprovalPolicy, ApprovalRule, Decision, Scope, clock
from agentlab.agent.approval import Condition, call_hash
from agentlab.agent.grants import Grants
from agentlab.errors import InputError
from tests.strategies import ARGUMENTS


@pytest.mark.parametrize(
    ("text", "arguments", "holds"),
    [
        ("amount > 100", {"amount": 101}, True),
        ("amount > 100", {"amount": 100}, False),
        ("amount>100", {"amount": 101}, True),
        ("amount >= 100", {"amount": 100}, True),
        ("amount < -1.5", {"amount": -2}, True),
        ("amount <= 3", {"amount": 4}, False),
        ("amount > 100", {}, False),
        ("amount > 100", {"amount": "lots"}, False),
        ("amount > 100", {"amount": None}, False),
        ("to == ann", {"to": "ann"}, True),
        ('to == "ann"', {"to": "ann"}, True),
        ("to == ann lee", {"to": "ann lee"}, True),
        ("to != ann", {"to": "bob"}, True),
        ("to != ann", {}, False),
        ("n == 1", {"n": 1}, True),
        ("n == 1", {"n": "1"}, False),
        ('to in ["ann", "bob"]', {"to": "bob"}, True),
        ('to in ["ann", "bob"]', {"to": "eve"}, False),
        ('to not in ["ann"]', {"to": "eve"}, True),
        ('to  not   in ["ann"]', {"to": "ann"}, False),
        ("to in ann", {"to": 3}, False),
        ("name like *.txt", {"name": "a.txt"}, True),
        ("name like *.txt", {"name": "a.TXT"}, False),
        ("name like a?", {"name": 3}, False),
        ("text contains cats", {"text": "two cats"}, True),
        ("tags contains cats", {"tags": ["cats"]}, True),
        ("text contains cats", {"text": 3}, False),
        ("path under notes", {"path": "notes/a.txt"}, True),
        ("path under notes", {"path": "notes"}, True),
        ("path under notes/", {"path": "./notes//a.txt"}, True),
        ("path under notes", {"path": "notesy/a.txt"}, False),
        ("path under notes", {"path": "notes/../secret"}, False),
        ("path under notes", {"path": "notes/../../etc/passwd"}, False),
        ("path under notes", {"path": "notes\\..\\..\\secret"}, False),
        ("path under notes", {"path": "/notes/a"}, False),
        ("path under notes", {"path": "notes/a\x00.txt"}, False),
        ("path under notes", {"path": 3}, False),
        ("path under /etc", {"path": "/etc/passwd"}, True),
        ("path under /etc", {"path": "//etc/passwd"}, True),
        ("path under /etc", {"path": "/home/../etc/passwd"}, True),
        ("path under /etc", {"path": "/etcetera"}, False),
        ("path under /", {"path": "/anything"}, True),
        ("path under /", {"path": "anything"}, False),
        ("path under .", {"path": "a/b"}, True),
        ("path under .", {"path": "../b"}, False),
        ("path under .", {"path": "/b"}, False),
        ("path under .", {"path": "C:/b"}, False),
        ("path under .", {"path": "~/b"}, False),
    ],
)
def test_a_condition_holds_or_does_not(text, arguments, holds):
    assert Condition.parse(text).holds(arguments) is holds


@pytest.mark.parametrize(
    "text", ["", "amount", "amount above 3", "> 3", "amount >", "amount inside [1]", "a b == 3", "a.b == 3"]
)
def test_what_is_no_condition_is_refused_where_it_is_written(text):
    with pytest.raises(InputError, match="is no condition"):
        Condition.parse("amount >> 10")
    with pytest.raises(InputError, match="is no condition"):
        Condition.parse(text)
    with pytest.raises((ValidationError, InputError), match="is no condition"):
        ApprovalRule(where=(text,), decide="approve")
    with pytest.raises((ValidationError, InputError), match="is no condition"):
        Scope(kind="pattern", where=(text,))


@pytest.mark.parametrize(
    ("rule", "tool", "matches"),
    [
        (ApprovalRule(decide="ask"), "anything", True),
        (ApprovalRule(tool="pay", decide="ask"), "pay", True),
        (ApprovalRule(tool="pay", decide="ask"), "payment", False),
        (ApprovalRule(tool="p*", decide="ask"), "pay", False),
        (ApprovalRule(tool_glob="p*", decide="ask"), "pay", True),
        (ApprovalRule(tool_glob="p*", decide="ask"), "Pay", False),
        (ApprovalRule(tool="pay", where=("n > 1", "n < 5"), decide="ask"), "pay", True),
        (ApprovalRule(tool="pay", where=("n > 1", "n < 3"), decide="ask"), "pay", False),
    ],
)
def test_a_rule_is_about_the_tools_it_names(rule, tool, matches):
    assert rule.matches(tool, {"n": 3}) is matches


@pytest.mark.parametrize(
    "make",
    [
        lambda: ApprovalRule(tool="a", tool_glob="b", decide="ask"),
        lambda: ApprovalRule(decide="respond"),
        lambda: ApprovalRule(decide="deny", response="x"),
        lambda: ApprovalRule(decide="perhaps"),
        lambda: ApprovalPolicy(approvers=()),
        lambda: ApprovalPolicy(unattended="wait"),
        lambda: Decision(action="edit"),
        lambda: Decision(action="approve", arguments={}),
        lambda: Decision(action="respond"),
        lambda: Decision(action="deny", response="x"),
        lambda: Decision(action="deny", always=Scope()),
        lambda: Scope(kind="pattern"),
        lambda: Scope(kind="tool", where=("a == 1",)),
        lambda: Scope(uses=0),
        lambda: Scope(lifetime_s=0),
    ],
)
def test_what_makes_no_sense_is_refused(make):
    with pytest.raises(ValidationError):
        make()


def test_the_hash_is_of_the_call_and_not_of_how_it_was_written():
    assert call_hash("pay", {"a": 1, "b": {"c": 2, "d": 3}}) == call_hash("pay", {"b": {"d": 3, "c": 2}, "a": 1})
    different = [
        call_hash("pay", {"a": 1}),
        call_hash("pay", {"a": "1"}),
        call_hash("pay", {"a": True}),
        call_hash("pay", {"a": None}),
        call_hash("pay", {"a": [1]}),
        call_hash("pay", {"b": 1}),
        call_hash("pay", {}),
        call_hash("Pay", {"a": 1}),
        call_hash("pay", {"a": "\u00e9"}),
        call_hash("pay", {"a": "e\u0301"}),
    ]
    assert len(set(different)) == len(different)


def as_json(arguments: dict[str, Any]) -> bytes:
    """Sorted; what no tool can be given is no case."""
    try:
        return orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        reject()


@given(ARGUMENTS, ARGUMENTS)
def test_two_calls_have_one_hash_when_they_are_one_call(first, second):
    same = as_json(first) == as_json(second)
    assert (call_hash("pay", first) == call_hash("pay", second)) is same
    assert call_hash("pay", dict(reversed(first.items()))) == call_hash("pay", first)


async def test_a_grant_ends_with_its_time_or_its_uses():
    grants = Grants()
    with clock.frozen():
        grants.add("pay", {"n": 1}, Scope(kind="tool", lifetime_s=10, uses=2), "ann")
        assert grants.use("look", {}) is None
        await clock.sleep(10)
        assert grants.use("pay", {"n": 2}) is not None
        await clock.sleep(1)
        assert grants.use("pay", {"n": 2}) is None

        grants.add("pay", {"n": 1}, Scope(kind="exact", uses=2), "ann")
        assert [grants.use("pay", {"n": 1}) is not None for _ in range(3)] == [True, True, False]

        grants.add("write", {"path": "notes/a"}, Scope(kind="pattern", where=("path under notes",)), "ann")
        assert grants.use("write", {"path": "notes/b"}) is not None
        assert grants.use("write", {"path": "/etc/shadow"}) is None
        assert grants.use("edit", {"path": "notes/b"}) is None
