"""What `import agentlab` costs, beside the client library that a notebook about agents would load anyway."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from tests.benchmarks.figures import Figure

TARGET = 0.7
REPEATS = 9


def run() -> Iterator[Figure]:
    """In fresh processes, by turns."""
    pairs = [(_cpu_s("agentlab"), _cpu_s("openai")) for _ in range(REPEATS)]
    ours_s, theirs_s = (min(times) for times in zip(*pairs, strict=True))
    detail = f"{ours_s:.2f} s against {theirs_s:.2f} s"
    yield Figure("CPU of `import agentlab`, against `import openai`", ours_s / theirs_s, "x", TARGET, False, detail)


def _cpu_s(name: str) -> float:
    """Processor time of an import in a fresh process [s]."""
    code = f"import time; began_s = time.process_time(); import {name}; print(time.process_time() - began_s)"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
