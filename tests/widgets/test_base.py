"""What all widgets share: a page that has missed something is told all of it again, by whichever widget it is."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from agentlab import Agent, Lab, ScriptedModel
from agentlab.widgets.approval_card import ApprovalCard
from agentlab.widgets.base import LabWidget
from agentlab.widgets.chat_line import ChatLine
from agentlab.widgets.compare_view import CompareView
from agentlab.widgets.lab_browser import RunTable
from agentlab.widgets.trace_view import TraceView
from tests.widgets.traces import long_trace


def card() -> ApprovalCard:
    return ApprovalCard(Agent(ScriptedModel(["Hi."])).run("hello"))


def table() -> RunTable:
    return RunTable(Lab(), open_run=lambda _: None, compare=lambda *_: None)


WIDGETS: dict[str, Callable[[], LabWidget]] = {
    "card": card,
    "chat": lambda: ChatLine("agent", on_send=print, on_stop=print),
    "comparison": lambda: CompareView(long_trace(20), long_trace(30)),
    "table": table,
}


@pytest.mark.parametrize("name", list(WIDGETS))
async def test_a_page_that_has_missed_something_gets_the_state_again(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = WIDGETS[name]()
    sent: list[object] = []
    monkeypatch.setattr(widget, "send_state", lambda key: sent.append(key))
    widget._hear(widget, {"type": "resync"}, [])
    assert sent == ["snapshot"]
    assert orjson.loads(widget.get_state("snapshot")["snapshot"]) == orjson.loads(
        orjson.dumps(widget.state(), default=str)
    )


def test_a_trace_sends_it_as_a_message_and_counts_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    view = TraceView(long_trace(20))
    loads, told = view.loads, list[str]()
    monkeypatch.setattr(view, "tell", lambda kind, **_: told.append(kind))
    view._hear(view, {"type": "resync"}, [])
    assert (told, view.loads) == (["snapshot"], loads)


@pytest.mark.parametrize("name", list(WIDGETS))
async def test_a_page_finds_the_model_of_a_widget_by_its_own_id(name: str) -> None:
    widget = WIDGETS[name]()
    assert widget.own_id == widget.model_id
