"""Which process writes a run, and whether it still lives: what tells a running run from an interrupted one."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_DEAD_STATES = ("Z", "X")
"""A zombie has ended; only its parent has not looked yet."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process. Process numbers are given out again, so its start time belongs to its name."""

    host: str
    pid: int
    started: str
    """Clock ticks from the machine's start to the process's; empty where the system does not tell."""

    @classmethod
    def this_process(cls) -> Owner:
        """The process that asks."""
        stat = _stat(os.getpid())
        return cls(socket.gethostname(), os.getpid(), stat[1] if stat else "")

    @classmethod
    def read(cls, text: str) -> Owner:
        """From what `str` wrote."""
        pid, started, host = text.split(" ", 2)
        return cls(host, int(pid), started.strip("-"))

    def __str__(self) -> str:
        return f"{self.pid} {self.started or '-'} {self.host}"

    def is_alive(self) -> bool:
        """True while the process lives on this machine. Processes of other machines cannot be seen from here."""
        if self == Owner.this_process():
            return True
        if self.host != socket.gethostname():
            return False
        if _PROC.is_dir():
            stat = _stat(self.pid)
            return stat is not None and stat[0] not in _DEAD_STATES and stat[1] == self.started
        return _answers(self.pid)


def _stat(pid: int) -> tuple[str, str] | None:
    """State and start time of a process, where the kernel lists them in a file."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], fields[19]


def _answers(pid: int) -> bool:
    if os.name != "posix":
        return False  # there, signal 0 would interrupt the other process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
