"""The command line: `agentlab demo`, and what comes with the other rooms."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agentlab.errors import AgentLabError
from agentlab.models.base import ChatModel
from agentlab.version import __version__

app = typer.Typer(
    help="A lab bench for LLM agents.", no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False
)


class DemoModel(StrEnum):
    """Who answers in the demonstration."""

    local = "local"
    scripted = "scripted"


def _version(wanted: bool) -> None:
    if wanted:
        print(f"agentlab {__version__}")  # noqa: T201  # what the option is for
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version.")
    ] = False,
) -> None:
    """A lab bench for LLM agents."""


@app.command()
def demo(
    model: Annotated[
        DemoModel, typer.Option(help="A real model on this machine, or a script of one.")
    ] = DemoModel.local,
    folder: Annotated[Path, typer.Option(help="Where trace, frames and picture go.")] = Path("demo"),
    task: Annotated[str | None, typer.Option(help="Another question about the weather file.")] = None,
) -> None:
    """Run an agent with three tools and a memory, live; then show its steps, first tokens and tokens."""
    from agentlab.demo.show import run_demo
    from agentlab.demo.task import TASK

    console = Console()
    try:
        run = run_demo(_demo_model(model), folder, console, task=task or TASK)
    except (AgentLabError, OSError) as exc:
        console.print(str(exc), style="red", markup=False)
        raise typer.Exit(2) from exc
    if run.error is not None or run.text is None or not run.trace.tool_calls:
        raise typer.Exit(1)


@app.command()
def serve(
    agent: Annotated[
        str | None, typer.Option(help="The agent, or a function that makes it: module:name. Default: the demo's.")
    ] = None,
    port: Annotated[int, typer.Option(help="0: one that is free.")] = 8100,
    host: Annotated[
        str, typer.Option(help="Where to listen; other machines reach it only if you say so.")
    ] = "127.0.0.1",
    token: Annotated[
        str | None,
        typer.Option(envvar="AGENTLAB_TOKEN", show_envvar=True, help="What clients send. Default: a random one."),
    ] = None,
    lab: Annotated[Path | None, typer.Option(help="The file that keeps the runs. Default: memory.")] = None,
) -> None:
    """Serve an agent to OpenAI clients and web pages."""
    try:
        from agentlab.serve.server import run_server
    except ModuleNotFoundError as exc:
        if exc.name not in ("fastapi", "starlette", "uvicorn"):
            raise
        print('a server needs more packages: pip install "agentlab-jupyter[serve]"', file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from None
    try:
        run_server(agent or "agentlab.demo.task:served_agent", host=host, port=port, token=token, lab=lab)
    except AgentLabError as exc:
        print(exc, file=sys.stderr)  # noqa: T201  # where errors go
        raise typer.Exit(2) from exc


def _demo_model(chosen: DemoModel) -> ChatModel:
    from agentlab.demo.task import embedded_model, scripted_model

    return scripted_model() if chosen is DemoModel.scripted else embedded_model()


def main() -> None:
    """Entry point of the `agentlab` command."""
    app()
