"""The card of calls that wait, in a real Chromium on a page of its own: what a person does, and what would be sent."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from agentlab.widgets.script import script, style
from tests.browser.jlab import CHROMIUM_FLAGS, XSS_PAYLOADS, find_chromium

pytestmark = pytest.mark.browser

LOAD = """async ({code, css, state}) => {
  const bytes = (value) => new DataView(new TextEncoder().encode(JSON.stringify(value)).buffer);
  const listeners = {};
  let now = state;
  window.sent = [];
  const model = {get: () => bytes(now), on: (name, f) => (listeners[name] ??= []).push(f), send: (m) => sent.push(m)};
  window.snapshot = (state) => { now = state; for (const f of listeners["change:snapshot"]) f(); };
  window.message = (type, fields) => { for (const f of listeners["msg:custom"]) f({type}, [bytes(fields)]); };
  const sheet = document.createElement("style");
  sheet.textContent = css;
  document.head.append(sheet);
  const made = await import(URL.createObjectURL(new Blob([code], {type: "text/javascript"})));
  made.default().render({model, el: document.querySelector("main")});
}"""
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 10, "default": 3}},
    "required": ["city"],
    "additionalProperties": False,
}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "email": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "role": {"enum": ["owner", "guest"]},
    },
    "required": ["name", "role"],
}
EVENT = {
    "$defs": {"Person": PERSON},
    "type": "object",
    "properties": {
        "people": {"type": "array", "items": {"$ref": "#/$defs/Person"}, "minItems": 1},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "when": {"type": "object", "properties": {"all_day": {"type": "boolean"}}, "required": ["all_day"]},
        "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
        "place": {"oneOf": [{"type": "object", "required": ["room"]}, {"type": "object", "required": ["url"]}]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    },
    "required": ["people", "tags", "when"],
    "additionalProperties": False,
}
EVENT_ARGUMENTS = {
    "people": [{"name": "Ann", "role": "owner", "email": "a@x.org"}, {"name": "Bob", "role": "guest", "email": None}],
    "tags": ["q3", "team"],
    "when": {"all_day": False},
    "limits": {"seats": 12},
    "place": {"room": 4},
}
FILE = {"type": "object", "properties": {"path": {"type": "string"}, "text": {"type": "string"}}}
FILE_ARGUMENTS = {"path": "notes/a.md", "text": "The meeting is on Thursday.\n\nBring the figures of the last quarter."}
PARIS = '{"city": "Paris", "days": 4}'


def ask(arguments: Any = PARIS, schema: Any = WEATHER, call_id: str = "c1", **fields: Any) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, indent=2)
    known = {"call_id": call_id, "call_hash": f"hash of {call_id}", "tool": "weather", "description": "A forecast."}
    can = ["approve", "edit", "deny", "respond", "escalate", "stop"]
    shown = {"arguments_json": text, "schema": schema, "rule": "rule 1", "asked_s": 3, "queue": [1, 1], "can": can}
    return {**known, **shown, "patterns": [['path under "notes"'], ['path == "notes/a.md"']], **fields}


def state(*asks: dict[str, Any], done: Any = (), note: str = "") -> dict[str, Any]:
    placed = [{**one, "queue": [n, len(asks)]} for n, one in enumerate(asks, start=1)]
    return {"run_id": "run-1", "asks": placed, "done": list(done), "note": note}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    path = find_chromium()
    if path is None:
        told = "no Chromium: install one (`apt-get install chromium`), or set JLAB_CHROMIUM to its path"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


class Card:
    """A page with one card on it."""

    def __init__(self, page: Any) -> None:
        self.page, self.errors = page, list[str]()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.errors.append(dialog.message), dialog.accept()))

    def show(self, *asks: dict[str, Any], **fields: Any) -> Card:
        self.page.set_content("<!doctype html><main></main>")
        shown = {"code": script("approval_card"), "css": style("approval_card"), "state": state(*asks, **fields)}
        self.page.evaluate(LOAD, shown)
        self.page.locator(".agentlab-approval_card").focus()
        return self.settled()

    def settled(self) -> Card:
        """When what has just come takes an answer."""
        self.page.wait_for_function("!document.querySelector('.al-approval-bar[aria-disabled]')")
        return self

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The decisions, without what names the call."""
        sent = [message for message in self.page.evaluate("sent") if message["type"] == "decide"]
        assert all(message["call_hash"] == f"hash of {message['call_id']}" for message in sent)
        return [{k: v for k, v in m.items() if k not in ("type", "call_id", "call_hash")} for m in sent]

    @property
    def edited(self) -> Any:
        (sent,) = self.sent
        assert sent["action"] == "edit"
        return json.loads(sent["arguments_json"])

    @property
    def problems(self) -> list[str]:
        return list(self.page.locator(".al-slot-error:visible").all_inner_texts())

    @property
    def was(self) -> list[str]:
        return list(self.page.locator(".al-was:visible").all_inner_texts())

    @property
    def focused(self) -> str:
        return str(self.page.evaluate("((e) => e.getAttribute('aria-label') ?? e.textContent)(document.activeElement)"))

    def field(self, name: str) -> Any:
        return self.page.get_by_label(name, exact=True)

    def press(self, name: str, nth: int = 0, **how: Any) -> None:
        self.page.get_by_role("button", name=name, **how).nth(nth).click()

    def type(self, *keys: str) -> None:
        for key in keys:
            (self.page.keyboard.type if len(key) > 1 and key[0] == "'" else self.page.keyboard.press)(key.strip("'"))


@pytest.fixture
def card(chromium: Any) -> Iterator[Card]:
    page = chromium.new_page()
    shown = Card(page)
    yield shown
    assert shown.errors == []
    page.close()


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        (["a"], [{"action": "approve"}]),
        (["a", "a", "d"], [{"action": "approve"}]),
        (["d", "'no way'", "Enter"], [{"action": "deny", "reason": "no way"}]),
        (["d", "Enter"], [{"action": "deny"}]),
        (["d", "'no'", "Escape"], []),
        (["Control+a", "Alt+d", "x"], []),
        (["e", "End", "'ade'"], []),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_keys(card: Card, keys: list[str], sent: list[dict[str, Any]]) -> None:
    card.show(ask()).type(*keys)

    assert card.sent == sent


def test_what_was_sent_cannot_be_sent_twice_and_can_be_mended_when_python_refuses(card: Card) -> None:
    card.show(ask()).type("a")
    assert card.page.get_by_role("button", name="Approve").is_disabled()
    assert card.page.get_by_text("sent…").is_visible()

    card.page.evaluate("message('decided', {call_id: 'c1', error: 'bad arguments'})")

    assert card.page.get_by_role("alert").filter(has_text="bad arguments").is_visible()
    card.field("city").fill("Rome")
    card.press("Approve edited")
    assert [json.loads(one.get("arguments_json", "{}")) for one in card.sent] == [{}, {"city": "Rome", "days": 4}]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("25", "must be at most 10"),
        ("x", "must be a whole number"),
        ("", "must be a whole number"),
        ("9007199254740993", "has more digits than this form can hold: write it in the JSON tab"),
    ],
)
def test_an_invalid_edit_is_refused_beside_its_field_and_not_sent(card: Card, text: str, told: str) -> None:
    card.show(ask()).field("days").fill(text)
    assert card.problems == [told]
    about = card.field("days").get_attribute("aria-describedby").split()
    assert told in [card.page.locator(f"#{name}").inner_text() for name in about]

    card.press("Approve edited")

    assert card.sent == []
    assert card.field("days").get_attribute("aria-invalid") == "true"
    assert card.page.evaluate("document.activeElement.id") == card.field("days").get_attribute("id")


def test_what_was_changed_is_told_and_can_be_undone(card: Card) -> None:
    card.show(ask(FILE_ARGUMENTS, FILE))
    card.field("text").fill(FILE_ARGUMENTS["text"].replace("Thursday", "Friday"))
    card.field("path").fill("b.md")

    assert (card.page.locator("del").all_inner_texts(), card.page.locator("ins").all_inner_texts()) == (
        ["Thursday"],
        ["Friday"],
    )
    assert card.was[0] == "was: notes/a.md"
    card.press("Undo edits")
    assert (card.was, card.field("path").input_value()) == ([], "notes/a.md")
    card.press("Approve")
    assert card.sent == [{"action": "approve"}]


def test_an_argument_is_left_out_and_given(card: Card) -> None:
    card.show(ask()).press("leave out: days")
    assert card.was == ["was: 4"]
    card.press("Approve edited")
    assert card.edited == {"city": "Paris"}

    card.show(ask('{"city": "Paris"}')).press("give a value: days")
    card.type("'7'")
    assert card.was == ["new"]
    card.press("Approve edited")
    assert card.edited == {"city": "Paris", "days": 7}


def test_nested_things_are_edited_at_their_places(card: Card) -> None:
    card.show(ask(EVENT_ARGUMENTS, EVENT)).press("move item 1 down")
    assert card.focused == "move item 2 up"
    card.press("give a value: email")
    card.type("'b@x.org'")
    tags = card.page.locator("fieldset", has=card.page.locator("> legend", has_text="tags"))
    tags.get_by_role("button", name="add an item").click()
    card.type("'new'")
    card.field("yes").check()
    card.field("name of the entry").fill("chairs")
    card.field("place").fill('{"url": "x"}')
    card.field("role").nth(0).select_option("owner")
    card.press("set to null: note")
    assert card.problems == []
    card.press("Approve edited")

    ann = {"name": "Ann", "role": "owner", "email": "a@x.org"}
    assert card.edited == {
        "people": [{"name": "Bob", "role": "owner", "email": "b@x.org"}, ann],
        "tags": ["q3", "team", "new"],
        "when": {"all_day": True},
        "limits": {"chairs": 12},
        "place": {"url": "x"},
        "note": None,
    }


def test_null_in_a_list_is_no_news(card: Card) -> None:
    numbers = {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}}
    card.show(ask({"values": [1.5, None, 2]}, {"type": "object", "properties": {"values": numbers}}))
    assert card.was == []
    card.press("give a value: item")
    card.type("'4'")
    assert card.was == ["was: null"]
    card.press("Approve edited")
    assert card.edited == {"values": [1.5, 4, 2]}


def test_lists_keep_to_their_limits(card: Card) -> None:
    card.show(ask(EVENT_ARGUMENTS, EVENT))
    tags = card.page.locator("fieldset", has=card.page.locator("> legend", has_text="tags"))
    tags.get_by_role("textbox").nth(1).fill("q3")
    assert card.problems == ["is the same as item 1"]
    tags.get_by_role("button", name="remove item 2").click()
    card.press("remove item 1")
    card.press("remove item 1")
    assert card.problems == ["must have at least 1 item"]
    card.press("Approve edited")
    assert card.sent == []


def test_form_and_json_show_the_same(card: Card) -> None:
    tab = card.show(ask()).page.get_by_role("tab", name="JSON")
    card.field("days").fill("5")
    tab.click()
    box = card.field("arguments as JSON")
    assert json.loads(box.input_value()) == {"city": "Paris", "days": 5}

    box.fill('{"city": "Oslo", "days": 5}')
    card.page.get_by_role("tab", name="Form").click()
    assert (card.field("city").input_value(), card.was) == ("Oslo", ["was: Paris", "was: 4"])

    tab.click()
    for text, told in [('{"city":', "not valid JSON"), ('{"nope": 1}', "is required"), ("[]", "must be a JSON object")]:
        box.fill(text)
        card.press("Approve edited")
        assert told in card.problems[0]
    card.page.get_by_role("tab", name="Form").click()
    assert tab.get_attribute("aria-selected") == "true", "a list cannot be shown as a form of arguments"
    assert card.sent == []


def test_numbers_that_javascript_would_alter_are_edited_as_text_only(card: Card) -> None:
    schema = {"type": "object", "properties": {"to": {"type": "string"}, "cents": {"type": "integer"}}}
    card.show(ask('{"to": "ann", "cents": 9007199254740993}', schema))
    assert card.page.get_by_role("tab", name="Form").is_disabled()

    card.field("arguments as JSON").fill('{"to": "bob", "cents": 9007199254740993}')
    card.press("Approve edited")

    assert card.sent[0]["arguments_json"] == '{"to": "bob", "cents": 9007199254740993}'


def test_names_of_the_language_itself_are_names_like_others(card: Card) -> None:
    card.show(ask('{"__proto__": "a", "b": {"c": 1}, "constructor": "z"}', {"type": "object"}))
    card.page.locator(".al-jsonbox").nth(0).fill('"new"')
    card.press("Approve edited")

    assert card.sent[0]["arguments_json"] == '{"__proto__":"new","b":{"c":1},"constructor":"z"}'


def test_answering_in_the_tools_place_needs_an_answer(card: Card) -> None:
    card.show(ask()).press("Respond")
    card.press("Answer for the tool")
    assert (card.sent, card.problems) == ([], ["write what the model is to read"])

    card.type("'sunny'", "Enter", "'22 C'", "Control+Enter")

    assert card.sent == [{"action": "respond", "response": "sunny\n22 C"}]


@pytest.mark.parametrize(
    ("buttons", "sent"),
    [(["Hand on"], {"action": "escalate"}), (["Stop the run…", "Stop the run"], {"action": "stop"})],
)
def test_handing_on_and_stopping(card: Card, buttons: list[str], sent: dict[str, Any]) -> None:
    card.show(ask())
    for name in buttons:
        card.press(name, exact=True)

    assert card.sent == [sent]


@pytest.mark.parametrize(
    ("reach", "always"),
    [
        ("these exact arguments", {"kind": "exact", "uses": 5}),
        ("calls like this one", {"kind": "pattern", "where": ['path under "notes"'], "uses": 5}),
        ("every call of", {"kind": "tool", "uses": 5}),
    ],
)
def test_always_allow(card: Card, reach: str, always: dict[str, Any]) -> None:
    card.show(ask(FILE_ARGUMENTS, FILE)).press("Always allow")
    card.page.get_by_label(reach).check()
    card.press("Approve and always allow")

    assert card.sent == [{"action": "approve", "always": always}]


def test_the_conditions_of_always_are_edited_and_checked(card: Card) -> None:
    card.show(ask(FILE_ARGUMENTS, FILE, patterns=[])).press("Always allow")
    card.page.get_by_label("calls like this one").check()
    card.press("Approve and always allow")
    card.press("add a condition")
    for text in ("pth under x", "path is x"):
        card.field("condition").fill(text)
        card.press("Approve and always allow")
        assert card.problems != []
    card.field("condition").fill("path under x")
    card.field("how many further calls").fill("0")
    card.press("Approve and always allow")
    assert card.sent == []

    card.page.get_by_label("without a limit").check()
    card.press("Approve and always allow")

    assert card.sent == [{"action": "approve", "always": {"kind": "pattern", "where": ["path under x"]}}]


def test_news_of_other_calls_do_not_disturb_who_types(card: Card) -> None:
    card.show(ask()).field("city").fill("Rome")

    card.page.evaluate("(s) => snapshot(s)", state(ask(), ask(call_id="c2")))

    assert (card.field("city").input_value(), card.page.evaluate("document.activeElement.value")) == ("Rome", "Rome")
    assert card.page.get_by_text("1 of 2").is_visible()
    card.page.evaluate("(s) => snapshot(s)", state(ask('{"city": "Bonn"}', call_hash="hash of another")))
    assert card.field("city").input_value() == "Bonn"


def test_a_queue_is_answered_in_any_order_and_the_focus_goes_on(card: Card) -> None:
    asks = [ask(call_id=name, tool=name) for name in ("first", "second", "third")]
    card.show(*asks).press("second")
    assert card.page.get_by_text("2 of 3").is_visible()
    card.press("Approve", nth=1)

    card.page.evaluate("(s) => snapshot(s)", state(asks[0], asks[2]))

    assert [m["call_id"] for m in card.page.evaluate("sent") if m["type"] == "decide"] == ["second"]
    assert card.page.locator("section.al-approval").get_attribute("data-call-id") == "first"
    assert card.focused.startswith("first asks to run"), "no button, that a key would press"
    card.page.evaluate("(s) => snapshot(s)", state())
    assert card.focused == "tool calls that wait for a decision"


def test_all_at_once(card: Card) -> None:
    asks = [ask(call_id=name) for name in "abc"]
    card.show(*asks).press("Approve all")
    assert card.sent == []
    assert card.page.get_by_role("listitem").count() == 3
    card.press("Approve these 3")
    assert card.sent == [{"action": "approve"}] * 3

    card.show(*asks).press("Deny all")
    card.type("'later'", "Enter")
    assert card.sent == [{"action": "deny", "reason": "later"}] * 3


def test_the_page_tells_that_it_is_there_only_while_a_call_waits(card: Card) -> None:
    pings = "sent.filter((m) => m.type === 'ping').length"
    card.show(ask()).page.wait_for_function(f"{pings} >= 2")

    card.page.evaluate("(s) => snapshot(s)", state())

    before = card.page.evaluate(pings)
    card.page.wait_for_timeout(1300)
    assert card.page.evaluate(pings) == before


def test_every_control_has_a_name_and_every_reference_leads_somewhere(card: Card) -> None:
    card.show(ask(EVENT_ARGUMENTS, EVENT)).press("Always allow")

    nameless = card.page.evaluate("""() => [...document.querySelectorAll("main :is(input, textarea, select, button)")]
      .filter((e) => e.offsetParent && !e.labels?.length && !e.ariaLabel && !e.getAttribute("aria-labelledby")
                     && !e.textContent.trim()).map((e) => e.outerHTML)""")
    ids = card.page.evaluate("() => [...document.querySelectorAll('main [id]')].map((e) => e.id)")
    named = card.page.evaluate("""() => [...document.querySelectorAll("main *")].flatMap((e) =>
      ["aria-describedby", "aria-labelledby", "aria-controls", "for"].flatMap((a) =>
      (e.getAttribute(a) ?? "").split(" ").filter(Boolean)))""")

    assert nameless == []
    assert len(ids) == len(set(ids))
    assert set(named) - set(ids) == set()


def test_the_probe_fires_where_text_becomes_html(chromium: Any) -> None:
    page = chromium.new_page()
    page.set_content("<main></main>")
    page.evaluate("(text) => { document.querySelector('main').innerHTML = text; }", XSS_PAYLOADS["img"])
    page.wait_for_function("window.__pwned?.length")
    page.close()


@pytest.mark.parametrize("payload", XSS_PAYLOADS.values(), ids=XSS_PAYLOADS)
def test_hostile_text_is_shown_and_does_nothing(card: Card, payload: str) -> None:
    texts = {"type": "string", "description": payload, "pattern": payload, "default": payload}
    schema = {"type": "object", "properties": {payload: texts, "e": {"enum": [payload]}, "o": {"type": "object"}}}
    hostile = ask(
        *({payload: payload, "e": payload, "o": {payload: payload}}, schema, payload),
        tool=payload,
        description=payload,
        rule=payload,
        patterns=[[payload]],
    )
    card.show(hostile, ask(tool=payload), done=[{"tool": payload, "call_id": "x", "words": payload}], note=payload)
    card.page.get_by_role("textbox").first.fill(f"{payload} changed")
    card.press("Approve edited")
    card.page.evaluate("(t) => { message('decided', {call_id: t, error: t}); message('problem', {text: t}); }", payload)
    card.press("Undo edits")
    card.press("Always allow")
    card.page.get_by_label("calls like this one").check()
    card.press("Approve and always allow")
    card.press("Deny…")
    card.page.wait_for_timeout(100)

    assert card.page.locator("main").inner_text().count(payload) >= 6
    assert card.page.locator("main :is(script, img, svg, iframe, a, object, embed, link, details)").count() == 0
    assert [frame.evaluate("window.__pwned") for frame in card.page.frames] == [None]
