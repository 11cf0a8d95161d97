from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.__main__ import main
from tests.conformance.replay import read_cases, replay

VECTORS = Path(__file__).parent / "vectors"
CASES = [case for path in sorted(VECTORS.glob("*.json")) for case in read_cases(path)]


@pytest.mark.parametrize("case", CASES, ids=[f"{c['function']}-{c['case']}" for c in CASES])
def test_recorded_behaviour_is_kept_where_it_is_no_defect(case):
    outcome = replay(case)

    if outcome.status == "failed":
        assert outcome.actual == outcome.expected
    assert not outcome.actual.get("inputs_changed")


def write(folder: Path, *cases: dict[str, Any]) -> None:
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")


def heartbeat(**changes: Any) -> dict[str, Any]:
    (case,) = [c for c in CASES if c["function"] == "create_heartbeat_system_message" and c["case"] == "reason"]
    return {**case, **changes}


def test_the_runner_counts_and_ends_with_the_counts(tmp_path, capsys):
    write(tmp_path, heartbeat(), heartbeat(quirk="odd", output={}))

    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed, 1 quirks"


def test_a_case_that_differs_fails_and_is_shown(tmp_path, capsys):
    case = heartbeat(input={**heartbeat()["input"], "heartbeat_reason": "another"})
    write(tmp_path, case)

    assert main([str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "create_heartbeat_system_message / reason" in out
    assert "+" in out
    assert "another" in out
    assert out.splitlines()[-1] == "0 passed, 1 failed, 0 quirks"


def test_a_call_that_should_have_raised_fails(tmp_path, capsys):
    write(tmp_path, heartbeat(output=None) | {"error": {"type": "E", "message": "m"}})

    assert main([str(tmp_path)]) == 1
    assert "raises" in capsys.readouterr().out


def test_functions_that_compat_does_not_have_count_for_nothing(tmp_path, capsys):
    write(tmp_path, heartbeat(), {"function": "not_there_yet", "case": "x", "input": {}, "output": {}})

    assert main([str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "left out, as compat does not have these functions yet: cases.json"
    assert lines[-1] == "1 passed, 0 failed, 0 quirks"


def test_json_gives_one_object_a_case(tmp_path, capsys):
    write(tmp_path, heartbeat())

    main([str(tmp_path), "--json"])

    first, last = capsys.readouterr().out.splitlines()
    assert json.loads(first)["status"] == "passed"
    assert last == "1 passed, 0 failed, 0 quirks"


def test_a_folder_without_cases_is_an_error(tmp_path):
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
