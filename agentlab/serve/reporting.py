"""Errors told to whoever runs the server: its log, without keys, and Sentry where that is wished."""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import traceback
from types import ModuleType
from typing import Any

import orjson

from agentlab.trace.redact import Redactor

_LOG = logging.getLogger("agentlab.serve")


@functools.cache
def redactor() -> Redactor:
    """What takes keys out of texts before they are logged or sent."""
    return Redactor()


def report(exc: BaseException) -> None:
    """Log an error that nobody expected, with its traceback and without its keys, and forward it to Sentry."""
    _LOG.error("%s", redactor().text("".join(traceback.format_exception(exc)).rstrip()))
    forward_to_sentry(exc)


def forward_to_sentry(exc: BaseException) -> None:
    """Hand an error to Sentry, if its address is set in `SENTRY_DSN` now and its package is installed.

    A Sentry client that the program has set up is used as it is. Otherwise one is set up that sends neither the values
    of variables nor keys, and watches nothing else. Trouble with Sentry is no trouble of the stream.
    """
    if not os.environ.get("SENTRY_DSN"):
        return
    with contextlib.suppress(Exception):
        sentry = importlib.import_module("sentry_sdk")
        if not sentry.is_initialized():
            _set_up(sentry)
        sentry.capture_exception(exc)


def _set_up(sentry: ModuleType) -> None:
    sentry.init(
        default_integrations=False, include_local_variables=False, send_default_pii=False, before_send=_without_keys
    )


def _without_keys(event: dict[str, Any], hint: object) -> Any:
    return orjson.loads(redactor().json(orjson.dumps(event, default=str)))
