"""A trace in which every text that comes from outside is hostile, and what a safe drawing of it may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

from agentlab.messages import envelopes
from agentlab.messages.message import ApprovalReturn
from agentlab.messages.parts import ImagePart, ReasoningPart, TextPart, UrlImage
from agentlab.trace.events import ToolSpec
from agentlab.trace.trace import Trace
from tests.trace.building import Building

VOID = {"br", "meta"}
ALLOWED = {
    "div",
    "style",
    "p",
    "strong",
    "small",
    "span",
    "bdi",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "details",
    "summary",
    "pre",
    "code",
    "em",
    "blockquote",
    "br",
}
ATTRIBUTES = {
    "class": r"[a-z_0-9 -]+",
    "scope": "col|row",
    "open": "",
    "dir": "auto",
    "title": "to first token|streaming|tools",
    "aria-hidden": "true",
    "style": r"left:[\d.]+%;width:[\d.]+%|text-align:left",
}


def hostile(text: str) -> Trace:
    """`text` in every place that a model, a tool, a file, a user or a server can fill."""
    build = Building(
        agent_name=text,
        model=text,
        provider=text,
        run_id=text,
        settings={text: text},
        tags={text: text},
        parent_run_id=text,
        tools=(ToolSpec(name=text, description=text, parameters={}),),
    )
    history = ("user", "assistant", "system", "tool")
    for role in history:
        build.message("history", role, text, name=text)
    build.message("history", "user", envelopes.heartbeat(text))
    build.message("history", "approval", (), approvals=(ApprovalReturn(tool_call_id=text, approve=False, reason=text),))
    build.message("system", "system", f"{text}\n{text}").message("system", "system", text)
    build.user(text).message("input", "user", envelopes.system_alert(text))
    build.message("input", "user", (ImagePart(source=UrlImage(url=text)),))
    build.fails(text, text, code=text)
    build.begin(finish_reason=text)
    thoughts = (ReasoningPart(is_native=True, reasoning=text), TextPart(text=text))
    arguments = json.dumps({text: text, "request_heartbeat": True}, ensure_ascii=False)
    said = json.dumps({"message": text}, ensure_ascii=False)
    build.asks((text, text, text), ("c2", text, arguments), ("c3", "send_message", said), thoughts=thoughts)
    build.runs("c2", text, arguments).returns("c2", text, text)
    build.runs("c3", "send_message", said).returns("c3", "send_message", text)
    build.returns(text, text, text, error=text)
    build.goes_on(text)
    build.begin(complete=False, finish_reason=text).fails(text, text, code=text)
    return build.stops("error")


class Reader(HTMLParser):
    """Elements, attributes and texts as a browser's tokeniser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(html)
        self.close()
        self.wrong += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.wrong.append(f"a comment: {data[:40]}")

    @property
    def text(self) -> str:
        """All that is read, without the style sheet."""
        return "".join(self.texts)


def not_allowed(html: str) -> list[str]:
    """What is in a fragment besides the elements and attributes that a trace is made of."""
    reader = Reader(html)
    return [*reader.wrong, *_strangers(reader)]


def _strangers(reader: Reader) -> Iterator[str]:
    for tag, attributes in reader.elements:
        if tag not in ALLOWED:
            yield f"<{tag}>"
        for name, value in attributes.items():
            if name not in ATTRIBUTES or not re.fullmatch(ATTRIBUTES[name], value or ""):
                yield f"<{tag} {name}={value!r}>"
