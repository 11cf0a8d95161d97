"""How long two runs take to be compared: rows aligned, the view made ready, and texts that are hard to compare."""

from __future__ import annotations

import random
from collections.abc import Iterator

from agentlab.trace.trace import Trace
from agentlab.widgets.alignment import align
from agentlab.widgets.compare_view import CompareView
from agentlab.widgets.word_diff import compared
from tests.benchmarks.figures import Figure, cpu_seconds
from tests.factories import Story, reply, tool

STEPS = 1_700
"""Of each run; three rows a step."""
ALIGN_TARGET_S = 1.0
READY_TARGET_S = 1.5
TEXT_TARGET_S = 3.0
N_WORDS = 30_000


def run() -> Iterator[Figure]:
    """Two runs of 5,000 rows that differ in a third of their steps, then pairs of texts."""
    one = _told("run-1", (f"result {n} " + "word " * 60 for n in range(STEPS)))
    other = _told("run-2", (f"result {n} " + "word " * 60 + "x" * (n % 3 == 0) for n in range(STEPS)))
    detail = f"{len(align(one, other)):,} rows"
    spent_s = cpu_seconds(lambda: align(one, other), repeats=3)
    yield Figure("CPU of aligning two runs", spent_s, "s", ALIGN_TARGET_S, False, detail)
    spent_s = cpu_seconds(lambda: CompareView(one, other).state(), repeats=3)
    yield Figure("CPU until two runs can be shown", spent_s, "s", READY_TARGET_S, False, detail)
    for name, (a, b) in _hard_texts().items():
        spent_s = cpu_seconds(lambda a=a, b=b: compared(a, b), repeats=1)  # type: ignore[misc]
        detail = f"{len(a):,} characters each"
        yield Figure(f"CPU of comparing texts: {name}", spent_s, "s", TEXT_TARGET_S, False, detail)


def _told(run_id: str, answers: Iterator[str]) -> Trace:
    story = Story(run_id)
    for answer in answers:
        story.step(reply(calls=["search"]), tool("search", text=answer))
    return story.step(reply("Done.")).end()


def _hard_texts() -> dict[str, tuple[str, str]]:
    many = [f"w{n}" for n in range(2_000)]
    return {
        "two words": (_words(N_WORDS, ["a", "b"]), _words(N_WORDS + 1, ["a", "b"])),
        "many words": (_words(N_WORDS, many), _words(N_WORDS + 1, many)),
        "one line over and over": ("\n".join(["a b c"] * 10_000), "\n".join(["a b d"] * 10_000)),
        "one long word": ("x" * 300_000, "y" * 300_000),
        "no word": ("," * 100_000, ";" * 100_000),
    }


def _words(n: int, choices: list[str]) -> str:
    drawn = random.Random(n)
    return " ".join(drawn.choice(choices) for _ in range(n))
