from __future__ import annotations

import json
import locale
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agentlab
from agentlab.errors import TimezoneError
from agentlab.messages import envelopes
from agentlab.messages.envelopes import Envelope, time_text, unpack, unpack_user_text

USUAL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen():
    with agentlab.frozen(at="2026-01-02T03:04:05Z"):
        yield


@pytest.mark.parametrize(
    ("at", "zone", "text"),
    [
        (USUAL, "UTC", "2026-01-02 03:04:05 AM UTC+0000"),
        (USUAL, "America/Los_Angeles", "2026-01-01 07:04:05 PM PST-0800"),
        (USUAL, "Asia/Kolkata", "2026-01-02 08:34:05 AM IST+0530"),
        (USUAL, "Asia/Kathmandu", "2026-01-02 08:49:05 AM +0545+0545"),
        (datetime(2026, 11, 1, 8, 30, tzinfo=UTC), "America/Los_Angeles", "2026-11-01 01:30:00 AM PDT-0700"),
        (datetime(2026, 11, 1, 9, 30, tzinfo=UTC), "America/Los_Angeles", "2026-11-01 01:30:00 AM PST-0800"),
        (datetime(2026, 7, 1, 12, tzinfo=UTC), "UTC", "2026-07-01 12:00:00 PM UTC+0000"),
        (datetime(2028, 2, 29, tzinfo=UTC), "UTC", "2028-02-29 12:00:00 AM UTC+0000"),
        (datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC), "UTC", "1969-12-31 11:59:59 PM UTC+0000"),
        (datetime(2026, 1, 2, 4, 4, 5, tzinfo=timezone(timedelta(hours=1))), "UTC", "2026-01-02 03:04:05 AM UTC+0000"),
    ],
)
def test_the_time_is_written_for_a_person_in_the_zone(at, zone, text):
    assert time_text(at, zone) == text


@pytest.mark.parametrize(
    "zone", ["Nowhere/City", "Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "America", None, 3]
)
def test_a_zone_that_does_not_exist_is_named(zone):
    with pytest.raises(TimezoneError, match="is no IANA time zone"):
        time_text(USUAL, zone)


def test_the_half_of_the_day_is_english_in_every_locale():
    before = locale.setlocale(locale.LC_TIME)
    try:
        for name in ("de_DE.UTF-8", "C.UTF-8"):
            try:
                locale.setlocale(locale.LC_TIME, name)
            except locale.Error:
                continue
            assert time_text(datetime(2026, 7, 1, 13, 59, 58, tzinfo=UTC)) == "2026-07-01 01:59:58 PM UTC+0000"
    finally:
        locale.setlocale(locale.LC_TIME, before)


def test_a_user_envelope_has_its_keys_in_order():
    text = envelopes.user_message('naïve "日本"\n🚀', timezone="UTC", location="Oslo", name="ann")

    assert text == (
        '{\n  "type": "user_message",\n  "message": "naïve \\"日本\\"\\n🚀",\n'
        '  "time": "2026-01-02 03:04:05 AM UTC+0000",\n  "location": "Oslo",\n  "name": "ann"\n}'
    )
    assert list(json.loads(envelopes.user_message("x"))) == ["type", "message", "time"]


def test_a_tool_return_says_whether_it_worked():
    assert envelopes.tool_return("done", ok=True).startswith('{\n  "status": "OK",\n  "message": "done",\n  "time"')
    assert json.loads(envelopes.tool_return(None, ok=False))["message"] is None
    assert json.loads(envelopes.tool_return("", ok=False))["status"] == "Failed"


def test_a_heartbeat_carries_its_reason():
    assert json.loads(envelopes.heartbeat("go on", location="Oslo")) == {
        "type": "heartbeat",
        "reason": "go on",
        "time": "2026-01-02 03:04:05 AM UTC+0000",
        "location": "Oslo",
    }


def test_an_alert_is_not_wrapped_twice():
    once = envelopes.system_alert("mind the gap")

    assert envelopes.system_alert(once) == once
    assert envelopes.system_alert(once, kind="notice") != once
    assert json.loads(once)["type"] == "system_alert"


def test_a_summary_is_an_alert_that_says_what_is_hidden():
    alert = unpack(envelopes.summary("They spoke of cats.", hidden=7, total=10))

    assert alert.kind == "system_alert"
    assert alert.text.startswith("7 of the 10 messages")
    assert alert.text.endswith("They spoke of cats.")


def test_a_login_names_the_last_one():
    assert unpack(envelopes.login()) == Envelope(
        "login", "Never (first login)", "2026-01-02 03:04:05 AM UTC+0000", None
    )


@pytest.mark.parametrize(
    "text",
    [
        '{"message": "hi", "priority": "high"}',
        '{"type": "system_alert", "message": "x"}',
        '{"type": "user_message", "message": {"a": 1}}',
        '{"type": "user_message", "message": "cut',
        '["user_message"]',
        '"user_message"',
        "user_message",
        "",
        "{" * 100_000 + '"user_message"',
    ],
)
def test_text_that_is_no_user_envelope_comes_back_as_it_is(text):
    assert unpack_user_text(text) == text


@pytest.mark.parametrize(
    "text", ["", "hi", "{}", "[]", "null", '{"status": "odd", "message": "x"}', '{"status": "OK", "message": 3}']
)
def test_other_text_is_no_envelope(text):
    assert unpack(text) is None


@given(st.text(st.characters(), max_size=30))
def test_what_was_wrapped_comes_out_again(text):
    text = text.encode("utf-8", "ignore").decode()  # half a surrogate pair cannot be sent

    assert unpack_user_text(envelopes.user_message(text)) == text
    assert unpack(envelopes.tool_return(text, ok=False))[::3] == ("tool_return", False)
    assert unpack(envelopes.tool_return(text)).text == text
    assert unpack(envelopes.heartbeat(text)).text == text


def test_half_a_surrogate_pair_is_escaped():
    wrapped = envelopes.user_message("a\ud83d")

    wrapped.encode()
    assert json.loads(wrapped)["message"] == "a\ud83d"


@given(st.text(max_size=30))
def test_the_text_is_what_the_standard_library_would_write(text):
    data = json.loads(envelopes.tool_return(text))

    assert envelopes.tool_return(text) == json.dumps(data, indent=2, ensure_ascii=False)
