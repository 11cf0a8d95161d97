"""Tools as a schema, conversations as plain talk, and streamed JSON as tool calls."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentlab.errors import RequestRefusedError
from agentlab.messages import builders, envelopes
from agentlab.messages.calls import tool_call, tool_return
from agentlab.messages.message import Message
from agentlab.messages.parts import Base64Image, ImagePart, TextPart
from agentlab.models.base import ModelRequest
from agentlab.models.reply import Reply
from agentlab.models.tool_schema import SchemaTools
from agentlab.trace.chunks import Chunk, ChunkKind
from agentlab.trace.events import ToolSpec
from tests.models.calling import SEARCH, asking, built, message
from tests.strategies import ARGUMENTS, TEXT

ADD = ToolSpec(
    name="add",
    description="Add two numbers.",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "integer", "description": "the first"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
    },
)
TOOLS = (SEARCH, ADD)
CALL = '{"name": "search", "arguments": {"q": "cats"}}'


def translated(pieces: list[str], *, finish: str | None = "stop", **fields: Any) -> list[Chunk]:
    """A reply in pieces, a nanosecond after one another, as the translator hands it on."""
    translator = SchemaTools().translator(asking(**{"tools": TOOLS, **fields}))
    chunks = [Chunk(n, int(ChunkKind.CONTENT), content=text) for n, text in enumerate(pieces)]
    chunks.append(Chunk(len(pieces), int(ChunkKind.DONE), finish_reason=finish))
    return [translator.feed(chunk) for chunk in chunks]


def reply_to(text: str, **fields: Any) -> Reply:
    return built(translated([text], **fields))


def calls_in(reply: Reply) -> list[tuple[str, str]]:
    return [(call.function.name, call.function.arguments) for call in reply.tool_calls]


def told(messages: list[Message], schema: SchemaTools | None = None, **fields: Any) -> list[tuple[str, str]]:
    """Role and text of what the model gets to read, without examples."""
    schema = schema or SchemaTools(examples=())
    request, _ = schema.request(ModelRequest(messages, **{"tools": TOOLS, "tool_choice": "required", **fields}))
    return [(m.role, m.text) for m in request.messages if m.role != "system"]


def schema_of(**fields: Any) -> dict[str, Any]:
    _, extra = SchemaTools().request(asking(**{"tools": TOOLS, **fields}))
    assert extra["response_format"]["type"] == "json_schema"
    return extra["response_format"]["json_schema"]["schema"]


def names_in(schema: dict[str, Any]) -> list[str]:
    return [one["properties"]["name"]["const"] for one in schema.get("anyOf", [schema])]


class TestRequest:
    def test_tools_go_out_as_a_schema_with_an_alternative_for_plain_text(self):
        request, _ = SchemaTools().request(asking(tools=TOOLS))

        assert (request.tools, request.tool_choice, request.parallel_tool_calls) == ((), "none", False)
        assert names_in(schema_of()) == ["search", "add", "reply"]

    @pytest.mark.parametrize(
        ("choice", "names"), [("required", ["search", "add"]), ("add", ["add"])], ids=["any tool", "one tool"]
    )
    def test_where_a_call_is_demanded_there_is_no_plain_text(self, choice, names):
        assert names_in(schema_of(tool_choice=choice)) == names

    @pytest.mark.parametrize(
        "fields", [{"tools": TOOLS, "tool_choice": "none"}, {"tools": ()}], ids=["none", "no tools"]
    )
    def test_with_no_tool_allowed_nothing_is_asked_of_the_reply(self, fields):
        request, extra = SchemaTools().request(asking(**fields))

        assert extra == {}
        assert [m.text for m in request.messages] == ["Hello?"]

    def test_a_tool_choice_that_is_not_on_offer_is_refused_and_says_what_is(self):
        with pytest.raises(RequestRefusedError, match="'fly', but the tools on offer are: search, add"):
            SchemaTools().request(asking(tools=TOOLS, tool_choice="fly"))

    def test_parallel_calls_are_a_list_with_an_end(self):
        schema = schema_of(parallel_tool_calls=True)

        assert (schema["type"], schema["minItems"], schema["maxItems"]) == ("array", 1, 4)
        assert names_in(schema["items"]) == ["search", "add", "reply"]

    def test_a_tool_may_be_called_reply(self):
        tools = (SEARCH.model_copy(update={"name": "reply"}),)

        assert names_in(schema_of(tools=tools)) == ["reply", "reply_text"]
        assert calls_in(reply_to('{"name": "reply", "arguments": {}}', tools=tools)) == [("reply", "{}")]

    def test_the_system_message_tells_of_the_tools_at_its_end(self):
        request, _ = SchemaTools(examples=()).request(
            ModelRequest([message("user", "Hi"), message("system", "Be brief.")], tools=TOOLS)
        )

        first, second = request.messages
        assert first.text.startswith("Be brief.\n\nTools:\n- search(q): Find pages.\n- add(a, b): Add two numbers.\n")
        assert "  a: the first\n" in first.text
        assert second.text == "Hi"

    @pytest.mark.parametrize(
        ("fields", "end"),
        [
            ({}, "- reply(content): Answer the user in plain text.\nAnswer with one JSON object {"),
            ({"tool_choice": "required"}, "Add two numbers.\n  a: the first\nAnswer with one JSON object {"),
            ({"parallel_tool_calls": True}, "plain text.\nAnswer with a JSON list of objects {"),
        ],
        ids=["auto", "required", "parallel"],
    )
    def test_the_form_of_the_answer_is_told_last(self, fields, end):
        request, _ = SchemaTools(examples=()).request(asking(**{"tools": TOOLS, **fields}))

        assert end in request.messages[0].text

    def test_what_several_tools_say_of_a_parameter_is_told_once(self):
        twin = ADD.model_copy(update={"name": "sum"})
        request, _ = SchemaTools(examples=()).request(asking(tools=(ADD, twin)))

        assert request.messages[0].text.count("the first") == 1

    @pytest.mark.parametrize("choice", ["auto", "required", "search"])
    def test_the_tools_told_do_not_depend_on_the_one_allowed_now(self, choice):
        request, _ = SchemaTools(examples=()).request(asking(tools=TOOLS, tool_choice=choice))

        assert "- search(q)" in request.messages[0].text
        assert "- add(a, b)" in request.messages[0].text

    def test_examples_come_before_the_conversation_as_if_they_had_happened(self):
        shown = [message("user", "Cats?"), builders.assistant_message("", [tool_call("search", {"q": "cats"})])]

        assert told([message("user", "Dogs?")], SchemaTools(examples=shown)) == [
            ("user", "Cats?"),
            ("assistant", CALL),
            ("user", "Dogs?"),
        ]

    def test_made_up_examples_are_calls_of_the_offered_tools(self):
        lines = told([message("user", "Dogs?")], SchemaTools())

        assert lines == [
            ("user", 'Find pages. q: "q"'),
            ("assistant", '{"name": "search", "arguments": {"q": "q"}}'),
            ("user", "Add two numbers. a: 3, b: 3"),
            ("assistant", '{"name": "add", "arguments": {"a": 3, "b": 3}}'),
            ("user", "Dogs?"),
        ]

    def test_made_up_examples_show_plain_text_where_it_is_allowed(self):
        roles_and_texts = told([message("user", "Dogs?")], SchemaTools(), tool_choice="auto")

        assert roles_and_texts[1][1].startswith('{"name": "reply", "arguments": {"content": ')

    def test_made_up_examples_use_what_the_schema_knows_of_its_values(self):
        properties = {
            "day": {"type": "string", "format": "date"},
            "unit": {"$ref": "#/$defs/Unit"},
            "depth": {"type": "integer", "default": 7},
            "word": {"type": "string", "examples": ["cat"]},
            "spot": {"anyOf": [{"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}]},
            "tags": {"type": "array", "items": {"type": "string"}},
            "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"enum": ["b"]}]},
            "maybe": {"type": ["null", "string"]},
            "sure": {"type": "boolean"},
        }
        parameters = {
            "properties": {**properties, "optional": {"type": "string"}},
            "required": list(properties),
            "$defs": {"Unit": {"enum": ["km", "mile"]}},
        }
        tool = ToolSpec(name="f", description="", parameters=parameters)

        lines = told([message("user", "Dogs?")], SchemaTools(), tools=(tool,))

        assert json.loads(lines[1][1])["arguments"] == {
            "day": "2026-01-31",
            "unit": "km",
            "depth": 7,
            "word": "cat",
            "spot": {"x": 2.5},
            "tags": ["tags"],
            "pair": [3, "b"],
            "maybe": None,
            "sure": False,
        }

    def test_made_up_examples_of_a_schema_without_end_do_end(self):
        node = {
            "type": "object",
            "properties": {"next": {"$ref": "#/$defs/Node"}, "any": True},
            "required": ["next", "any"],
        }
        tool = ToolSpec(name="f", description="", parameters={**node, "$defs": {"Node": node}})

        shown = json.loads(told([message("user", "Dogs?")], SchemaTools(), tools=(tool,))[1][1])["arguments"]

        assert shown["any"] == "any"
        assert shown["next"]["next"]["any"] == "any"

    def test_the_given_messages_are_left_alone(self):
        given = (message("system", "S"), message("user", "U"))
        before = [m.model_dump() for m in given]
        SchemaTools().request(ModelRequest(given, tools=TOOLS))

        assert [m.model_dump() for m in given] == before


class TestPlainTalk:
    def test_calls_and_returns_become_text_in_turns(self):
        first, second = tool_call("search", {"q": "Österreich"}), tool_call("add", {"a": 1, "b": 2})
        talk = [
            message("user", "Go."),
            builders.assistant_message("", [first]),
            builders.tool_message(first.id, "search", "two pages"),
            builders.assistant_message("Now the sum.", [second]),
            builders.tool_message(second.id, "add", "no numbers", ok=False),
        ]

        assert told(talk) == [
            ("user", "Go."),
            ("assistant", '{"name": "search", "arguments": {"q": "Österreich"}}'),
            ("user", "search returned: two pages"),
            ("assistant", 'Now the sum.\n{"name": "add", "arguments": {"a": 1, "b": 2}}'),
            ("user", "add failed: no numbers"),
        ]

    def test_parallel_calls_are_a_list_and_their_returns_one_turn(self):
        one, two = tool_call("search", {"q": "a"}), tool_call("search", {"q": "b"})
        both = Message(
            role="tool",
            content=(TextPart(text="A"), TextPart(text="B")),
            tool_returns=(tool_return(one.id, "A"), tool_return(two.id, "B")),
        )

        expected = [
            (
                "assistant",
                '[{"name": "search", "arguments": {"q": "a"}}, {"name": "search", "arguments": {"q": "b"}}]',
            ),
            ("user", "search returned: A\nsearch returned: B"),
        ]
        assert told([builders.assistant_message("", [one, two]), both]) == expected
        apart = [builders.tool_message(one.id, "search", "A"), builders.tool_message(two.id, "search", "B")]
        assert told([builders.assistant_message("", [one, two]), *apart]) == expected

    def test_a_single_call_is_a_list_too_where_lists_are_asked_for(self):
        talk = [builders.assistant_message("", [tool_call("search", {"q": "cats"})])]

        assert told(talk, parallel_tool_calls=True) == [("assistant", f"[{CALL}]")]

    @pytest.mark.parametrize(
        ("choice", "text"),
        [("auto", '{"name": "reply", "arguments": {"content": "Hi."}}'), ("required", "Hi."), ("none", "Hi.")],
    )
    def test_plain_answers_look_as_the_next_one_has_to(self, choice, text):
        assert told([builders.assistant_message("Hi.")], tool_choice=choice) == [("assistant", text)]

    def test_arguments_that_are_no_json_are_told_as_they_were(self):
        talk = [builders.assistant_message("", [tool_call("search", '{"q": ')])]

        assert told(talk) == [("assistant", '{"name": "search", "arguments": "{\\"q\\": "}')]

    def test_missing_arguments_are_told_as_none(self):
        assert told([builders.assistant_message("", [tool_call("now", "")])]) == [
            ("assistant", '{"name": "now", "arguments": {}}')
        ]

    def test_a_return_without_its_call_is_told_all_the_same(self):
        lost = Message(role="tool", content=(TextPart(text="84"),), tool_call_id="call-0")

        assert told([lost]) == [("user", "the tool returned: 84")]

    def test_without_tools_an_earlier_call_is_text_all_the_same(self):
        call = tool_call("search", {"q": "cats"})
        talk = [builders.assistant_message("", [call]), builders.tool_message(call.id, "search", "none")]

        assert told(talk, tools=()) == [("assistant", CALL), ("user", "search returned: none")]

    def test_pictures_that_a_tool_returns_stay(self):
        picture = ImagePart(source=Base64Image(media_type="image/png", data="aaaa"))
        returned = Message(role="tool", content=(TextPart(text="see"), picture), tool_call_id="c", name="draw")
        request, _ = SchemaTools(examples=()).request(ModelRequest([returned], tools=TOOLS))

        assert request.messages[-1].content == (TextPart(text="draw returned: see"), picture)

    def test_a_denied_call_is_told_as_failed(self):
        call = tool_call("search", {"q": "cats"})
        asked = Message(role="approval", tool_calls=(call,))
        denied = Message.model_validate(
            {"role": "approval", "approvals": [{"tool_call_id": call.id, "approve": False, "reason": "no cats"}]}
        )

        assert told([asked, denied]) == [
            ("assistant", CALL),
            ("user", "search failed: The call was denied. Reason: no cats"),
        ]

    def test_opened_envelopes_leave_the_words_alone(self):
        call = tool_call("search", {"q": "cats"})
        talk = [
            message("user", envelopes.user_message("Go.")),
            builders.assistant_message("", [call]),
            builders.tool_message(call.id, "search", envelopes.tool_return("no such page", ok=False)),
            message("user", envelopes.heartbeat(envelopes.HEARTBEAT_FAILURE)),
        ]

        opened = told(talk, SchemaTools(examples=(), open_envelopes=True))

        assert opened == [("user", "Go."), ("assistant", CALL), ("user", "search failed: no such page")]
        assert told(talk)[0] == ("user", talk[0].text), "closed unless asked for"

    @pytest.mark.parametrize(
        "text",
        [envelopes.user_message("Hi."), envelopes.system_alert("Careful.")],
        ids=["user_message", "system_alert"],
    )  # without the time in the test's name, by which workers agree on what there is to test
    def test_a_tool_that_returns_another_envelope_is_quoted(self, text):
        call = tool_call("search", {"q": "cats"})
        talk = [builders.assistant_message("", [call]), builders.tool_message(call.id, "search", text)]

        assert told(talk, SchemaTools(examples=(), open_envelopes=True))[-1] == ("user", f"search returned: {text}")

    def test_an_empty_envelope_is_left_as_it_is(self):
        text = envelopes.tool_return(None)

        assert told([message("user", text)], SchemaTools(examples=(), open_envelopes=True)) == [("user", text)]

    def test_a_heartbeat_that_says_something_is_told_after_the_return(self):
        call = tool_call("search", {"q": "cats"})
        talk = [
            builders.assistant_message("", [call]),
            builders.tool_message(call.id, "search", "none"),
            message("user", envelopes.heartbeat(envelopes.AUTOMATED + "Call add before you stop.")),
        ]

        assert told(talk, SchemaTools(examples=(), open_envelopes=True))[-1] == (
            "user",
            "search returned: none\nCall add before you stop.",
        )

    def test_a_heartbeat_after_a_text_keeps_the_turns(self):
        talk = [builders.assistant_message("Hm."), message("user", envelopes.heartbeat(envelopes.HEARTBEAT_SUCCESS))]

        assert [role for role, _ in told(talk, SchemaTools(examples=(), open_envelopes=True))] == ["assistant", "user"]


class TestTranslator:
    def test_a_call_streams_as_name_and_pieces_of_its_arguments(self):
        pieces = ['{"na', 'me": "search', '", "argu', 'ments": {"q"', ': "ca', 'ts"}', "}"]

        chunks = translated(pieces)

        assert [chunk.t_ns for chunk in chunks] == list(range(8))
        assert [chunk.kind for chunk in chunks] == [
            0,
            0,
            ChunkKind.TOOL_NAME,
            ChunkKind.TOOL_ARGS,
            ChunkKind.TOOL_ARGS,
            ChunkKind.TOOL_ARGS,
            0,
            ChunkKind.DONE,
        ]
        assert [delta.arguments for chunk in chunks for delta in chunk.tool_calls] == ["", '{"q"', ': "ca', 'ts"}']
        assert chunks[-1].finish_reason == "tool_calls"
        assert len({delta.index for chunk in chunks for delta in chunk.tool_calls}) == 1

    def test_plain_text_streams_as_it_comes(self):
        pieces = ['{"name": "reply", "arguments": {"content": "', "Hel", "lo ", "you", '"}}']

        chunks = translated(pieces)

        assert [chunk.content for chunk in chunks] == ["", "Hel", "lo ", "you", "", ""]
        assert chunks[1].kind == ChunkKind.CONTENT
        assert chunks[-1].finish_reason == "stop"

    def test_a_text_and_calls_may_come_in_one_list(self):
        reply = reply_to('[{"name": "reply", "arguments": {"content": "Look: "}}, ' + CALL + "," + CALL + "]")

        assert reply.text == "Look: "
        assert calls_in(reply) == [("search", '{"q": "cats"}')] * 2
        assert len({call.id for call in reply.tool_calls}) == 2
        assert reply.finish_reason == "tool_calls"

    def test_usage_reasoning_and_role_pass_through(self):
        translator = SchemaTools().translator(asking(tools=TOOLS))
        kind = int(ChunkKind.ROLE | ChunkKind.REASONING | ChunkKind.CONTENT)

        chunk = translator.feed(Chunk(5, kind, content="{", reasoning="hm", size_bytes=9))

        assert (chunk.kind, chunk.reasoning, chunk.content) == (ChunkKind.ROLE | ChunkKind.REASONING, "hm", "")
        assert (chunk.t_ns, chunk.size_bytes) == (5, 9)
        assert type(chunk.kind) is int

    @pytest.mark.parametrize(
        ("text", "calls", "content"),
        [
            ("Hello {there}", [], "Hello {there}"),
            ('{"name": "Ada", "age": 3}', [], '{"name": "Ada", "age": 3}'),
            ("[1, 2]", [], "[1, 2]"),
            ("[]", [], "[]"),
            ('{"name": 3, "arguments": {}}', [], '{"name": 3, "arguments": {}}'),
            ('{"name": "fly", "arguments": {"to": "X"}}', [("fly", '{"to": "X"}')], ""),
            ('{"name": "search"}', [("search", "")], ""),
            ('{"arguments": {"q": "x"}, "name": "search"}', [("search", '{"q": "x"}')], ""),
            ('{"name": "search", "arguments": "x"}', [("search", '"x"')], ""),
            ('{"name": "search", "arguments": 12}', [("search", "12")], ""),
            (f"{CALL}\n{CALL}", [("search", '{"q": "cats"}')] * 2, ""),
            (f"{CALL} Done.", [("search", '{"q": "cats"}')], "Done."),
            ('{"name": "search", "arguments": {}; and so on', [("search", "{}")], "; and so on"),
            ('{"name": "search", "note": {"name": "x"}, "arguments": {}}', [("search", "{}")], ""),
            (r'{"na\u006de": "search", "a\"b\\": 1 , "arguments" : {}}', [("search", "{}")], ""),
            ('{"name": "search", "arguments": 12 }', [("search", "12")], ""),
            ('{"name" "search", "arguments": {}}', [], '{"name" "search", "arguments": {}}'),
            ('{"name", "arguments": {}}', [], '{"name", "arguments": {}}'),
            ('{{"name": "search"}}', [], '{{"name": "search"}}'),
            ('{: "search"}', [], '{: "search"}'),
            ('{"a"} and more', [], '{"a"} and more'),
            ('{"name": "reply", "arguments": "Hi"}', [], '"Hi"'),
            ('{"name": "reply", "arguments": {"text": "Hi"}}', [], '{"text": "Hi"}'),
            ('{"name": "reply", "arguments": {"content": 5}}', [], "5"),
            ('{"name": "reply", "arguments": {}}', [], ""),
        ],
    )
    def test_what_does_not_follow_the_schema_is_passed_on(self, text, calls, content):
        for pieces in ([text], list(text)):
            reply = built(translated(pieces))

            assert (calls_in(reply), reply.text) == (calls, content)

    @pytest.mark.parametrize(
        ("text", "calls", "content"),
        [
            ('{"name": "search", "arguments": {"q": "ca', [("search", '{"q": "ca')], ""),
            ('{"name": "sea', [], '{"name": "sea'),
            ('{"name": "search", "argu', [("search", "")], ""),
            ('{"name": "reply", "arguments": {"content": "Hel', [], "Hel"),
            ('{"name": "reply", "arguments": {"content": "Hel\\', [], "Hel"),
            ("[", [], "["),
            ("", [], ""),
        ],
    )
    def test_a_reply_that_was_cut_comes_as_far_as_it_came(self, text, calls, content):
        reply = reply_to(text, finish="length")

        assert (calls_in(reply), reply.text, reply.finish_reason) == (calls, content, "length")

    def test_a_request_without_tools_is_not_translated(self):
        assert reply_to(CALL, tools=()).text == CALL
        assert reply_to(CALL, tool_choice="none").text == CALL

    @pytest.mark.parametrize(
        ("escaped", "text"),
        [
            (r"a\n\t\"\\\/\b\f\r", 'a\n\t"\\/\b\f\r'),
            (r"\u00e9\ud83d\ude00!", "é😀!"),
            (r"\ud83d!", "\ufffd!"),
            (r"\ud83d\n", "\ufffd\n"),
            (r"\ude00", "\ufffd"),
            (r"\ud83d\ud83d\ude00", "\ufffd😀"),
            (r"\uzzzz", "\ufffd"),
        ],
        ids=["short escapes", "pairs", "half before text", "half before escape", "second half", "two halves", "no hex"],
    )
    def test_escapes_are_undone_wherever_they_are_cut(self, escaped, text):
        whole = f'{{"name": "reply", "arguments": {{"content": "{escaped}"}}}}'
        for cut in range(len(whole)):
            assert built(translated([whole[:cut], whole[cut:]])).text == text


WRITTEN = st.lists(
    st.tuples(st.sampled_from(["search", "add"]), ARGUMENTS) | st.tuples(st.just("reply"), TEXT), min_size=1, max_size=3
)


@given(written=WRITTEN, ascii_only=st.booleans(), indent=st.none() | st.just(2), in_list=st.booleans(), data=st.data())
@example(written=[("reply", "😀\\")], ascii_only=True, indent=None, in_list=True, data=None)
def test_calls_are_the_same_wherever_the_text_is_cut(written, ascii_only, indent, in_list, data):
    values = [{"name": name, "arguments": {"content": what} if name == "reply" else what} for name, what in written]
    texts = [json.dumps(value, ensure_ascii=ascii_only, indent=indent) for value in values]
    text = f"[{', '.join(texts)}]" if in_list else "\n".join(texts)
    cuts = range(len(text)) if data is None else data.draw(st.lists(st.integers(0, len(text)), max_size=8).map(sorted))

    reply = built(translated([text[a:b] for a, b in pairwise([0, *cuts, len(text)])]))

    assert reply.text == "".join(what for name, what in written if name == "reply")
    assert [(name, json.loads(arguments)) for name, arguments in calls_in(reply)] == [
        (name, what) for name, what in written if name != "reply"
    ]


@given(text=st.text(alphabet='{}[]",:\\ nameargutsh01', max_size=40), cut=st.integers(0, 40))
def test_any_text_at_all_gives_the_same_however_it_is_cut(text, cut):
    whole, halves = built(translated([text])), built(translated([text[:cut], text[cut:]]))

    assert (calls_in(whole), whole.text) == (calls_in(halves), halves.text)
