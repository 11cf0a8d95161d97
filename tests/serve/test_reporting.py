"""Errors told to whoever runs the server."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from agentlab.errors import ServerError
from agentlab.serve.reporting import forward_to_sentry, report
from agentlab.serve.sse import stream_events
from tests.serve.streams import read, source

KEY = "sk-abcdefghijklmnopqrstuvwxyz"


class Sentry(ModuleType):
    """A stand-in for the package that keeps what it is given."""

    def __init__(self, *, initialized: bool = False) -> None:
        super().__init__("sentry_sdk")
        self.initialized, self.settings, self.captured = initialized, {}, []

    def is_initialized(self) -> bool:
        return self.initialized

    def init(self, **settings: Any) -> None:
        self.initialized, self.settings = True, settings

    def capture_exception(self, exc: BaseException) -> None:
        self.captured.append(exc)


@pytest.fixture
def sentry(monkeypatch: pytest.MonkeyPatch) -> Sentry:
    monkeypatch.setitem(sys.modules, "sentry_sdk", Sentry())
    monkeypatch.setenv("SENTRY_DSN", "https://key@localhost/1")
    return sys.modules["sentry_sdk"]


def test_an_error_is_forwarded_when_an_address_is_set_at_the_time_of_the_call(sentry, monkeypatch):
    error = ValueError("x")
    forward_to_sentry(error)
    monkeypatch.delenv("SENTRY_DSN")
    forward_to_sentry(ValueError("later"))

    assert sentry.captured == [error]


def test_sentry_is_set_up_to_send_neither_variables_nor_keys(sentry):
    forward_to_sentry(ValueError("x"))

    assert sentry.settings["include_local_variables"] is False
    assert sentry.settings["send_default_pii"] is False
    sent = sentry.settings["before_send"]({"message": f"refused {KEY}", "at": object(), "extra": {"api_key": "k"}}, {})
    assert sent["message"] == "refused [redacted]"
    assert sent["extra"] == {"api_key": "[redacted]"}


def test_a_client_that_the_program_has_set_up_is_left_as_it_is(sentry):
    sentry.initialized = True

    forward_to_sentry(ValueError("x"))

    assert len(sentry.captured) == 1
    assert sentry.settings == {}


def test_trouble_with_sentry_is_no_trouble_of_ours(sentry, monkeypatch):
    def fail(exc: BaseException) -> None:
        raise OSError("no network")

    monkeypatch.setattr(sentry, "capture_exception", fail, raising=False)
    forward_to_sentry(ValueError("x"))
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)  # as if it were not installed
    forward_to_sentry(ValueError("x"))


@pytest.mark.parametrize("error", [ValueError("x"), ServerError("down")])
async def test_errors_of_a_stream_are_forwarded_once(sentry, error):
    await read(stream_events(source(error)))

    assert sentry.captured == [error]


def int_of(text: str) -> int:
    raise ValueError(text)


def test_the_log_has_the_traceback_and_no_key(caplog):
    with pytest.raises(ValueError, match="refused") as caught:
        int_of(f"refused {KEY}")
    report(caught.value)

    assert "Traceback" in caplog.text
    assert "ValueError: refused [redacted]" in caplog.text


def test_nothing_is_loaded_without_an_address():
    code = (
        "import sys; from agentlab import compat; compat.capture_sentry_exception(ValueError('x')); print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()

    assert "sentry_sdk" not in loaded
    assert "fastapi" not in loaded
