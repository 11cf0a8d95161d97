"""What holds for every test: loopback only, no keys from outside, heavy things on one worker."""

from __future__ import annotations

import ipaddress
import os
import socket
from typing import Any

import hypothesis
import pytest

hypothesis.settings.register_profile("agentlab", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("agentlab")

os.environ["MPLBACKEND"] = "Agg"

ONE_WORKER = ("local_model", "browser")
"""Markers of tests that start something heavy; with several workers each kind stays on one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in ONE_WORKER:
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing found in the environment may turn a test into a paid call."""
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_BASE_URL")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Any:
    """Connections to other machines are refused before they leave."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not _is_loopback(address[0]):
            raise ConnectionRefusedError(f"tests stay on this machine, and this one wanted {address[0]!r}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
