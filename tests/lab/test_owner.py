from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agentlab.lab import owner
from agentlab.lab.owner import Owner

linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the kernel lists no processes here")


def test_an_owner_reads_back_what_it_wrote() -> None:
    me = Owner.this_process()

    assert Owner.read(str(me)) == me
    assert Owner.read(str(replace(me, started=""))) == replace(me, started="")


def test_this_process_is_alive() -> None:
    assert Owner.this_process().is_alive()


@linux
def test_a_process_that_was_killed_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    there = replace(Owner.this_process(), pid=child.pid, started=owner._stat(child.pid)[1])  # type: ignore[index]
    assert there.is_alive()

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and its parent has not looked

    assert not there.is_alive()
    child.communicate()
    assert not there.is_alive()


@linux
def test_another_process_with_the_same_number_is_another() -> None:
    parent = Owner(Owner.this_process().host, os.getppid(), "1")

    assert not parent.is_alive()


def test_processes_of_other_machines_count_as_gone() -> None:
    assert not replace(Owner.this_process(), host="elsewhere").is_alive()


def test_without_a_list_of_processes_a_signal_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "_PROC", tmp_path / "none")
    me = Owner.this_process()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    assert replace(me, pid=child.pid).is_alive()
    child.kill()
    child.communicate()
    assert not replace(me, pid=child.pid).is_alive()
