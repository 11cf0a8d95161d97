"""Requests drawn from the server's own description: none breaks it, and each answer is as described."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from agentlab import Agent, ApprovalPolicy, ApprovalRule, Ask, ScriptedModel, call, tool
from agentlab.serve.app import create_app
from agentlab.serve.limits import ServeLimits
from tests.serve.serving import HEADERS, TOKEN

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@tool
def pay(to: str) -> str:
    """Send money."""
    return "paid"


def described() -> schemathesis.BaseSchema:
    """An app of whose runs some end and some pause."""
    policy = ApprovalPolicy(rules=(ApprovalRule(decide="ask"),), approvers=(Ask(attended=False),), unattended="pause")
    model = ScriptedModel(lambda request: call("pay", to="ann", id="c1") if request.turn % 2 else "Done.")
    app = create_app(Agent(model, [pay], approval=policy), token=TOKEN, limits=ServeLimits(body_bytes=10_000))
    return schemathesis.openapi.from_asgi("/openapi.json", app)


OPERATIONS = [found.ok() for found in described().get_all_operations()]


def test_every_route_is_described() -> None:
    assert sorted(operation.label for operation in OPERATIONS) == [
        "DELETE /v1/runs/{run_id}",
        "GET /healthz",
        "GET /v1/approvals",
        "GET /v1/models",
        "GET /v1/runs/{run_id}",
        "GET /v1/runs/{run_id}/events",
        "POST /v1/approvals/{call_id}",
        "POST /v1/chat/completions",
        "POST /v1/runs",
    ]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "odd"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_no_request_breaks_the_server(operation: APIOperation, mode: GenerationMode) -> None:
    drawn: list[int] = []

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    def ask(case: schemathesis.Case) -> None:
        drawn.append(1)
        case.call_and_validate(headers=HEADERS, checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing can be wrong where nothing is sent
    assert drawn or mode is GenerationMode.NEGATIVE
