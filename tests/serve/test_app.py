"""Who may ask the server, how much, and what it says to requests that cannot be used."""

from __future__ import annotations

import json
import re

import httpx2
import pytest

from agentlab import Agent
from agentlab.errors import InputError
from agentlab.serve.app import create_app
from agentlab.serve.limits import ServeLimits
from tests.serve.serving import TOKEN, GatedModel, in_process, serving, talker

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def deep(levels: int) -> str:
    return '{"messages": ' + "[" * levels + "]" * levels + "}"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("POST", CHAT),
        ("POST", "/v1/runs"),
        ("GET", "/v1/runs/x"),
        ("DELETE", "/v1/runs/x"),
        ("GET", "/v1/runs/x/events"),
        ("GET", "/v1/approvals"),
        ("POST", "/v1/approvals/x"),
        ("GET", "/somewhere"),
    ],
)
@pytest.mark.parametrize("sent", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}])
async def test_nothing_is_told_without_the_token(method, path, sent):
    client = in_process(talker())
    client.headers = httpx2.Headers(sent)

    answer = await client.request(method, path)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_health_needs_no_token():
    client = in_process(talker())
    client.headers = httpx2.Headers()

    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_a_token_in_the_address_is_good_for_reading_events_and_for_nothing_else():
    client = in_process(talker())
    run_id = (await client.post("/v1/runs", json={"input": "hi"})).json()["id"]
    client.headers = httpx2.Headers()

    assert (await client.get(f"/v1/runs/{run_id}/events?token={TOKEN}")).status_code == 200
    assert (await client.get(f"/v1/runs/{run_id}/events?token=wrong")).status_code == 401
    assert (await client.get(f"/v1/runs/{run_id}?token={TOKEN}")).status_code == 401
    assert (await client.get(f"/v1/models?token={TOKEN}")).status_code == 401


def test_the_token_is_random_where_none_is_given_and_never_too_short():
    tokens = {create_app(talker()).state.token for _ in range(3)}

    assert len(tokens) == 3
    assert min(map(len, tokens)) >= 40
    for useless in ("", "short", "with blank in it"):
        with pytest.raises(InputError, match="token"):
            create_app(talker(), token=useless)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{}", "messages: Field required"),
        ('{"messages": []}', "messages: List should have at least 1 item"),
        ('{"messages": "hi"}', "messages: Input should be a valid list"),
        ('{"messages": ["hi"]}', r"messages\[0\]: "),
        ('{"messages": [{"content": "hi"}]}', r"messages\[0\].role: Field required"),
        ('{"messages": [{"role": "king", "content": "hi"}]}', r"messages\[0\].role: Input should be 'system'"),
        ('{"messages": [{"role": "assistant", "content": "hi"}]}', "the last message has to be the user's"),
        ('{"messages": [{"role": "user"}]}', r"messages\[0\].content has no text"),
        ('{"messages": [{"role": "user", "content": " "}]}', r"messages\[0\].content has no text"),
        ('{"messages": [{"role": "user", "content": 5}]}', r"messages\[0\].content"),
        ('{"messages": [{"role": "tool", "content": "x"}, {"role": "user", "content": "hi"}]}', "tool_call_id"),
        (
            '{"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}, {"role": "user", "content": "hi"}]}',
            "a provider would refuse this history",
        ),
        (
            '{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y"}}]}]}',
            "'image_url': the agent takes text, no pictures",
        ),
        ('{"messages": [{"role": "user", "content": "hi"}], "n": 2}', "n: Input should be 1"),
        ('{"messages": [{"role": "user", "content": "hi"}], "tools": [{}]}', "tools: List should have at most 0"),
        ('{"messages": [{"role": "user", "content": "hi"}], "stream": "perhaps"}', "stream: "),
        ('{"messages": NaN}', "no JSON in UTF-8"),
        ('{"messages": 1e999}', "no JSON in UTF-8|not finite"),
        (b'{"messages": "\xff\xfe"}', "no JSON in UTF-8"),
        ('{"messages": "\\ud800"}', "no JSON in UTF-8"),
        ("", "Field required"),
        ("[]", "Input should be a valid dictionary"),
        ("null", "Field required|valid dictionary"),
        (deep(100), "nested more than 64 levels deep"),
        (deep(100_000), "no JSON in UTF-8|nested"),
    ],
)
async def test_a_malformed_request_is_told_what_is_wrong(body, said):
    client = in_process(talker())

    answer = await client.post(CHAT, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) < 600
    assert re.search(said, error["message"]), error["message"]


async def test_a_body_that_is_no_json_by_its_type_is_refused():
    client = in_process(talker())

    answer = await client.post(CHAT, content=json.dumps(HELLO), headers={"Content-Type": "text/plain"})

    assert answer.status_code == 415
    assert "application/json" in answer.json()["error"]["message"]


async def test_a_client_can_send_ten_megabytes_and_read_that_they_are_too_many():
    text = json.dumps({"messages": [{"role": "user", "content": "x" * 10_000_000}]}).encode()

    async def in_pieces():
        for at in range(0, len(text), 100_000):
            yield text[at : at + 100_000]

    async with serving(talker()) as served:
        for body in (text, in_pieces()):
            answer = await served.client.post(CHAT, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 413
            assert answer.json()["error"]["message"] == "the body is larger than 1,048,576 bytes"
        assert (await served.client.post(CHAT, json=HELLO)).status_code == 200


async def test_no_more_runs_than_the_server_takes_are_under_way():
    async with serving(Agent(GatedModel()), limits=ServeLimits(runs=2)) as served:
        first, _ = [(await served.client.post("/v1/runs", json={"input": "hi"})).json() for _ in range(2)]

        refused = await served.client.post(CHAT, json=HELLO)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["error"]["code"] == "too_many_runs"

        await served.client.delete(f"/v1/runs/{first['id']}")
        assert (await served.client.post("/v1/runs", json={"input": "hi"})).status_code == 201


async def test_unknown_addresses_and_methods_are_told_in_the_same_shape():
    client = in_process(talker())

    assert (await client.get("/nowhere")).json()["error"]["code"] == "not_found"
    assert (await client.put("/v1/runs/x")).json()["error"]["code"] == "method_not_allowed"
    assert (await client.get("/v1/runs/run-none")).json()["error"]["message"] == "there is no run 'run-none'"


async def test_pages_of_this_machine_and_named_ones_may_ask_and_others_may_not():
    client = in_process(talker(), origins=["https://lab.example.org"])

    async def allowed(origin: str) -> str | None:
        return (await client.get("/healthz", headers={"Origin": origin})).headers.get("access-control-allow-origin")

    assert await allowed("http://localhost:8888") == "http://localhost:8888"
    assert await allowed("https://lab.example.org") == "https://lab.example.org"
    assert await allowed("https://evil.example.org") is None
    assert await allowed("http://localhost.evil.example.org") is None


def test_the_description_tells_of_every_route_its_refusals_and_the_token():
    schema = create_app(talker()).openapi()

    assert set(schema["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyQuery"}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"]
            if path != "/healthz":
                assert {"HTTPBearer": []} in operation["security"]
                refusal = operation["responses"]["401"]["content"]["application/json"]["schema"]
                assert refusal == {"$ref": "#/components/schemas/ErrorBody"}
    assert "429" in schema["paths"]["/v1/runs"]["post"]["responses"]
