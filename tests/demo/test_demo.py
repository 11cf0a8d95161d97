from __future__ import annotations

import builtins
import importlib.util
from datetime import date
from io import StringIO

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from agentlab import Lab, steps_df
from agentlab.cli import app
from agentlab.demo.show import run_demo
from agentlab.demo.task import demo_agent, embedded_model, examples, scripted_model
from agentlab.demo.tools import calculate, days_between, read_column
from agentlab.errors import ToolError


def test_the_scripted_demo_shows_the_run_and_leaves_everything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    result = CliRunner().invoke(app, ["demo", "--model", "scripted"])

    assert result.exit_code == 0, result.output
    assert "The highest temperature is 23.1." in result.output
    assert "TTFT" in result.output
    steps = pd.read_parquet(tmp_path / "demo" / "frames" / "steps")
    assert steps["ttft_s"].notna().all()
    for source in ("demo/lab.db", "demo/frames"):
        assert steps_df(source)["step"].tolist() == steps["step"].tolist()
    assert 'agentlab.messages_df("demo/lab.db")' in result.output
    assert "<details" in (tmp_path / "demo" / "trace.html").read_text()
    assert {p.name for p in (tmp_path / "demo").iterdir()} >= {"lab.db", "waterfall.png", "frames"}
    with Lab(tmp_path / "demo" / "lab.db") as lab:
        assert len(lab.runs()) == 1


@pytest.mark.local_model
def test_the_demo_on_the_real_model_calls_tools_and_ends_with_a_message(tmp_path):
    screen = StringIO()
    with embedded_model() as model:
        run = run_demo(model, tmp_path, Console(file=screen))

    tools = [record.tool for record in run.trace.tool_calls.values()]
    assert tools[-1] == "send_message"
    assert len(tools) >= 2
    assert run.text
    steps = run.steps_df()
    assert steps["ttft_s"].notna().all()
    assert (steps["usage_source"] == "provider").all()
    assert (steps["input_tokens"] > 0).all()
    assert run.text in screen.getvalue()


def test_without_the_extra_the_demo_says_which_command_installs_it(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *a: None if name == "xllamacpp" else find(name, *a))
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 2
    assert 'pip install "agentlab-jupyter[local]"' in " ".join(result.output.split())


def test_the_worked_examples_answer_all_calls_but_the_last_word():
    unanswered = {"send_message"}
    messages = examples()
    asked = {c.id: c.function.name for m in messages for c in m.tool_calls or ()}
    answered = {m.tool_call_id for m in messages if m.role == "tool"}
    assert {name for call_id, name in asked.items() if call_id not in answered} == unanswered


def test_the_tools_do_what_they_say():
    assert read_column("humidity") == "44, 47, 51, 46, 45"
    assert calculate("mean(1, 2, 3) + 2 * (4 - 1) / 3") == "4"
    assert demo_agent(scripted_model()).tools[:3] == (read_column, calculate, days_between)
    assert days_between(date(2026, 5, 1), date(2026, 4, 30)) == 1


@pytest.mark.parametrize(
    "expression",
    ["__import__('os')", "2 ** 9999999", "open", "1 / 0", "mean()", "(1).real", "'a' * 3", "max(1,", "[1]"],
)
def test_the_calculator_carries_out_nothing_but_arithmetic(expression, monkeypatch):
    monkeypatch.setattr(builtins, "open", None)
    with pytest.raises(ToolError):
        calculate(expression)
