"""What `agentlab serve` says when it cannot."""

from __future__ import annotations

import builtins
import sys

import pytest
from typer.testing import CliRunner

from agentlab.cli import app
from agentlab.errors import InputError
from agentlab.serve.server import load_agent


def serve(*arguments: str):
    return CliRunner().invoke(app, ["serve", *arguments])


def test_without_the_extra_it_names_the_command_that_installs_it(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.split(".")[0] == "uvicorn":
            raise ModuleNotFoundError("No module named 'uvicorn'", name="uvicorn")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "agentlab.serve.server", raising=False)

    result = serve()

    assert result.exit_code == 2
    assert 'pip install "agentlab-jupyter[serve]"' in result.output


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_colon", "write `module:name`"),
        (":name", "write `module:name`"),
        ("no_such_module:agent", "there is no module 'no_such_module'"),
        ("tests.serve.serving:nothing", "has no `nothing`"),
        ("tests.serve.serving:TOKEN", "is str, and should be an `Agent`"),
    ],
)
def test_an_agent_that_is_not_there_is_told_by_its_name(name, said):
    with pytest.raises(InputError, match=said):
        load_agent(name)
    result = serve("--agent", name, "--token", "long-enough")
    assert result.exit_code == 2
    assert said in result.output


def test_a_token_that_is_too_short_is_refused():
    result = serve("--agent", "tests.serve.serving:talker", "--token", "short")

    assert result.exit_code == 2
    assert "the token has to be 8 or more" in result.output


def test_a_function_that_makes_an_agent_is_called():
    assert load_agent("tests.serve.serving:talker").name == "agent"
