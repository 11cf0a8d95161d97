"""Starts and stops the child process that serves the embedded model."""

from __future__ import annotations

import dataclasses
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from agentlab.errors import ServerError

_START_LIMIT_S = 300.0
_STOP_LIMIT_S = 5.0
_TOLD_CHARS = 400
_one_start = threading.Lock()
"""Two models that load at once would both take all cores."""


@dataclasses.dataclass(frozen=True, slots=True)
class ServerSettings:
    """What the child is told, besides its key."""

    path: str
    name: str
    n_ctx: int
    slots: int
    threads: int
    max_tokens: int


class LocalServer:
    """A model being served on loopback; only who knows the key may use it.

    Raises:
        ServerError: The child could not load the model.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.api_key = secrets.token_hex(24)
        self._owner = os.getpid()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the child
        # `-P`: the script's folder must not stand in the import path, its neighbours have common names.
        command = [sys.executable, "-P", str(Path(__file__).with_name("_local_server.py"))]
        pipe = subprocess.PIPE
        with _one_start:
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._log)  # noqa: S603
            try:
                self.url = self._start(settings)
            except BaseException:
                self.stop()
                raise

    @property
    def is_running(self) -> bool:
        """False after the end of the child, whoever ended it."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the child. Nothing happens in a forked process, to which it does not belong."""
        if os.getpid() != self._owner:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _start(self, settings: ServerSettings) -> str:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None and stdout is not None  # noqa: PT018, S101  # they are pipes
        too_long = threading.Timer(_START_LIMIT_S, self._process.kill)
        too_long.daemon = True
        too_long.start()
        try:
            stdin.write(json.dumps({**dataclasses.asdict(settings), "api_key": self.api_key}).encode() + b"\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            too_long.cancel()
        if not line:
            raise ServerError(f"the embedded model did not start: {self._last_words()}", retryable=False)
        url: str = json.loads(line)["url"]
        return url

    def _last_words(self) -> str:
        self._process.wait()
        self._log.seek(0)
        text = self._log.read().decode(errors="replace").strip()
        return text[-_TOLD_CHARS:] or f"it ended with status {self._process.returncode}"
