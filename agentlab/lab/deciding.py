"""Decisions on calls that wait, from any process: what waits in a lab, and the answers that were left.

A lab keeps no keys, so a call that needs one runs where the run lives or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable

from agentlab import clock
from agentlab.agent.approval import Decision
from agentlab.agent.desk import Answer, PendingCall
from agentlab.agent.protocol import own_parameters
from agentlab.errors import ApprovalError, ToolArgumentError
from agentlab.lab.journal import utc_text
from agentlab.lab.store import Store
from agentlab.trace.redact import Redactor
from agentlab.trace.trace import Trace

_INSTEAD = "deny it or answer in its place, and let the tool take its key from the environment"


def answers_for(store: Store, run_id: str) -> dict[str, Answer]:
    """The decisions that were left for a run, by call id."""
    with store.reading() as connection:
        query = "SELECT call_id, decision, decided_by FROM answers WHERE run_id = ?"
        rows = connection.exec_driver_sql(query, (run_id,)).all()
    return {call_id: Answer(Decision.model_validate_json(text), by) for call_id, text, by in rows}


def answers_to(store: Store, call_id: str) -> dict[str, Answer]:
    """The decisions that were left on calls of this id, by run id."""
    with store.reading() as connection:
        query = "SELECT run_id, decision, decided_by FROM answers WHERE call_id = ?"
        rows = connection.exec_driver_sql(query, (call_id,)).all()
    return {run_id: Answer(Decision.model_validate_json(text), by) for run_id, text, by in rows}


def without_keys(decision: Decision, redactor: Redactor) -> Decision:
    """The decision as a lab may keep it."""
    return Decision.model_validate_json(redactor.json(decision.model_dump_json(exclude_none=True).encode()))


def leave_answer(store: Store, run_id: str, call_id: str, answer: Answer, redactor: Redactor) -> Answer:
    """Leave a decision, without its keys; the one that counts now. Of two at once, one is first, and stays."""
    kept = Answer(without_keys(answer.decision, redactor), answer.by)
    row = (run_id, call_id, kept.decision.model_dump_json(exclude_none=True), kept.by, utc_text(clock.now()))
    with store.writing() as db:
        db.execute(
            "INSERT INTO answers (run_id, call_id, decision, decided_by, decided_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (run_id, call_id) DO NOTHING",
            row,
        )
        query = "SELECT decision, decided_by FROM answers WHERE run_id = ? AND call_id = ?"
        text, by = db.execute(query, (run_id, call_id)).fetchone()
    first = Answer(Decision.model_validate_json(text), by)
    return answer if first == kept else first


def waiting_in(trace: Trace, answered: Iterable[str]) -> list[PendingCall]:
    """The calls of a run that wait and for which no decision was left."""
    done = set(answered)
    specs = {tool.name: tool for tool in trace.started.tools}
    return [
        PendingCall.of_record(record, trace.run_id, spec=specs.get(record.tool))
        for record in trace.waiting
        if record.call_id not in done
    ]


def check_decision(
    call: PendingCall, decision: Decision, call_hash: str | None, trace: Trace, redactor: Redactor
) -> None:
    """Return when the decision can be carried out, and is about this very call.

    Raises:
        ApprovalError: It was taken on other arguments, hands on to nobody, or needs a key, which a lab does not keep.
        ToolArgumentError: Edited arguments break the tool's schema.
    """
    if decision.action == "escalate":
        raise ApprovalError("there is nobody to hand on to here: approve, edit, deny, respond or stop")
    call.check_for(decision, call_hash)
    requested = trace.tool_calls[call.call_id].requested
    is_whole = requested is None or requested.call_hash == call.call_hash
    if decision.action == "approve" and trace.status == "paused" and not is_whole:
        raise ApprovalError(f"a lab keeps no keys, and `{call.call_id}` had one among its arguments: {_INSTEAD}")
    if without_keys(decision, redactor).arguments != decision.arguments:
        raise ApprovalError(f"a lab keeps no keys, and one is among these arguments for `{call.call_id}`: {_INSTEAD}")
    if decision.arguments is None:
        return
    spec = next(tool for tool in trace.started.tools if tool.name == call.tool)
    import jsonschema  # beside JupyterLab it takes a second to load, for formats of addresses that nobody checks here

    for error in jsonschema.Draft202012Validator(own_parameters(spec)).iter_errors(decision.arguments):
        raise ToolArgumentError(call.tool, f"`{error.json_path}`: {error.message}")
