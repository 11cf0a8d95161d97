"""The server process: an app behind uvicorn, with quiet logs and an end that leaves nothing under way."""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from agentlab.agent.agent import Agent
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.serve.app import create_app

_GRACE_S = 5


class Server(uvicorn.Server):
    """A uvicorn server that ends its runs before it waits for their readers.

    Args:
        config: What uvicorn wants to know.
        listening: Called with the server's address when it listens.
    """

    def __init__(self, config: uvicorn.Config, listening: Callable[[str], None] | None = None) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._listening is not None and not self.should_exit:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            self._listening(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app = self.config.app
        if isinstance(app, FastAPI):
            await app.state.service.live.close()
        await super().shutdown(sockets)


def run_server(agent: str, *, host: str, port: int, token: str | None, lab: Path | None) -> None:
    """Serve the agent of this name until somebody interrupts; prints the address and the token once.

    Raises:
        InputError: There is no such agent, or the token cannot be used.
        StoreError: The lab cannot be opened.
    """
    served = load_agent(agent)
    with Lab(lab) if lab is not None else nullcontext() as kept:
        app = create_app(served, lab=kept, token=token)

        def tell(address: str) -> None:
            print(f"{served.name} at {address}/v1", f"token: {app.state.token}", sep="\n", flush=True)  # noqa: T201

        with suppress(KeyboardInterrupt):
            server_for(app, host=host, port=port, listening=tell).run()


def server_for(
    app: FastAPI, *, host: str = "127.0.0.1", port: int = 0, listening: Callable[[str], None] | None = None
) -> Server:
    """A server, ready for `run()` or `await serve()`. Requests are not logged: an address may hold the token.

    Args:
        app: What `create_app` made.
        host: The address to listen at.
        port: The port; 0: one that is free.
        listening: Called with the server's address when it listens.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    return Server(config, listening)


def load_agent(name: str) -> Agent:
    """The agent of this name, `module:name`; where that is a function, what it returns.

    Raises:
        InputError: There is none.
    """
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        raise InputError(f"{name!r} names no agent; write `module:name`, such as `my_agents:helper`")
    if "" not in sys.path:
        sys.path.insert(0, "")  # modules beside which the command was called
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except ModuleNotFoundError as exc:
        raise InputError(f"there is no module {exc.name!r} to take the agent from") from exc
    except AttributeError as exc:
        raise InputError(f"`{module_name}` has no `{attribute}`") from exc
    agent = found() if callable(found) else found
    if not isinstance(agent, Agent):
        raise InputError(f"`{name}` is {type(agent).__name__}, and should be an `Agent` or a function that makes one")
    return agent
