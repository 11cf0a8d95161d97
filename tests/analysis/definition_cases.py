"""Chunk logs with a known answer for every definition, worked out by hand. All times are milliseconds from the request.

An event is when it came and what it carried: R role, T reasoning (it thinks), C content, N a tool's name, A a tool's
arguments, U usage, P ping, D finish reason, E a choice with nothing in it, and [D] the `[DONE]` of a server that gave
no finish reason. In the tables of answers `-` is NA, `none` no gaps, and `tokens` those that a mean is taken over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agentlab.trace.chunks import Chunk, ChunkKind, ChunkLog, ChunkRecorder
from agentlab.trace.events import ModelCalled, ModelReplied
from agentlab.trace.trace import Trace
from agentlab.trace.usage import NO_USAGE
from tests.factories import Story, tokens

MS = 1_000_000
"""Nanoseconds in a millisecond."""
_LETTERS = dict(zip("RTCNAUPD", ChunkKind, strict=True)) | {"E": ChunkKind(0)}
_END = "[D]"


@dataclass(frozen=True)
class Case:
    """One call, and what each tool says of it."""

    events: str
    headers: int | None
    close: int | None
    output_tokens: int | None
    expected: str
    reasoning_tokens: int | None = None
    complete: bool = True

    def answer(self, definition: str) -> dict[str, int | None]:
        """What this definition must say, by measure: nanoseconds, or tokens; None for NA."""
        cells = self._row(definition)
        scales = {"tokens": 1}
        return {
            name: None if cells[name] == "-" else round(float(cells[name]) * scales.get(name, MS))
            for name in cells
            if name != "gaps"
        }

    def gaps_ns(self, definition: str) -> list[int] | None:
        """The gaps in order; None where the definition takes none."""
        told = self._row(definition)["gaps"]
        return None if told == "-" else [] if told == "none" else [round(float(ms) * MS) for ms in told.split()]

    def _row(self, definition: str) -> dict[str, str]:
        heads, *lines = self.expected.strip().splitlines()
        (cells,) = (line.split() for line in lines if line.split()[0] == definition)
        names = heads.split()
        return dict(zip(names[:-1], cells[1:], strict=False)) | {"gaps": " ".join(cells[len(names) :])}


CASES = {
    # agentlab itl (90 - 30) / 4, vllm tpot (92 - 10) / 4 and itl the mean of its gaps, guidellm tpot 90 / 5
    "a role-only first chunk": Case(
        "10R 30C 50C 90C 92D 95U",
        headers=5,
        close=100,
        output_tokens=5,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab      5   30    30   30     15      -   90    10      5   20 40
        vllm          -   10     -    -   20.5   20.5   92     -      5   20 20 40 2
        guidellm      -   30    30    -     15     18   90     -      5   -
        aiperf        -   30    30    -     15      -   90     -      5   20 40
        otel          -   10     -    -     30      -  100     -      5   20 40
        letta         -   30     -    -      -      -  100     -      5   -
        """,
    ),
    # all 5 tokens count, as reasoning came first: itl 60 / 4
    "reasoning first": Case(
        "8R 20T 40T 60C 80C 80D 82U",
        headers=4,
        close=90,
        output_tokens=5,
        reasoning_tokens=2,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab      4   20    60   60     15      -   80    10      5   20 20 20
        vllm          -    8     -    -   14.4     18   80     -      5   12 20 20 20 0
        guidellm      -   20    60    -     15     16   80     -      5   -
        aiperf        -   20    60    -     15      -   80     -      5   20 20 20
        otel          -    8     -    -     20      -   90     -      5   20 20 20
        letta         -   20     -    -      -      -   90     -      5   -
        """,
    ),
    # agentlab counts the 5 tokens that were seen: itl 72 / 4; others 72 / 8
    "reasoning that is counted and not shown": Case(
        "10R 108C 140C 180C 180D 181U",
        headers=5,
        close=190,
        output_tokens=9,
        reasoning_tokens=4,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab      5  108   108  108     18      -  180    10      5   32 40
        vllm          -   10     -    -   42.5  21.25  180     -      9   98 32 40 0
        guidellm      -  108   108    -      9     20  180     -      9   -
        aiperf        -  108   108    -      9      -  180     -      9   32 40
        otel          -   10     -    -     36      -  190     -      9   32 40
        letta         -  108     -    -      -      -  190     -      9   -
        """,
    ),
    # no answer text, so no ttfa
    "a tool call first": Case(
        "10R 24N 30A 36A 37D 38U",
        headers=9,
        close=40,
        output_tokens=4,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab      9   24    24    -      4      -   36     4      4   6 6
        vllm          -   10     -    -   6.75      9   37     -      4   14 6 6 1
        guidellm      -   24    24    -      4      9   36     -      4   -
        aiperf        -   24    24    -      4      -   36     -      4   6 6
        otel          -   10     -    -      6      -   40     -      4   6 6
        letta         -   24     -    -      -      -   40     -      4   -
        """,
    ),
    "empty deltas": Case(
        "5E 15E 20C 25E 30C 40E 41D 46U",
        headers=5,
        close=50,
        output_tokens=2,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab      5   20    20   20     10      -   30    20      2   10
        vllm          -    5     -    -      6     36   41     -      2   10 5 5 5 10 1
        guidellm      -   20    20    -     10     15   30     -      2   -
        aiperf        -   20    20    -     10      -   30     -      2   10
        otel          -    5     -    -     10      -   50     -      2   10
        letta         -   20     -    -      -      -   50     -      2   -
        """,
    ),
    "usage that trails far behind": Case(
        "10C 40C 40D 500U",
        headers=10,
        close=510,
        output_tokens=4,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab     10   10    10   10     10      -   40   470      4   30
        vllm          -   10     -    -     15     10   40     -      4   30 0
        guidellm      -   10    10    -     10     10   40     -      4   -
        aiperf        -   10    10    -     10      -   40     -      4   30
        otel          -   10     -    -     30      -  510     -      4   30
        letta         -   10     -    -      -      -  510     -      4   -
        """,
    ),
    "several events in one read": Case(
        "10R 40C 40C 40C 70C 70D 71U",
        headers=10,
        close=75,
        output_tokens=4,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab     10   40    40   40     10      -   70     5      4   0 0 30
        vllm          -   10     -    -     12     20   70     -      4   30 0 0 30 0
        guidellm      -   40    40    -     10   17.5   70     -      4   -
        aiperf        -   40    40    -     10      -   70     -      4   0 0 30
        otel          -   10     -    -     10      -   75     -      4   0 0 30
        letta         -   40     -    -      -      -   75     -      4   -
        """,
    ),
    # guidellm takes two events for two tokens; nobody saw it close
    "a stream that was cut, without usage": Case(
        "10R 20C 36C",
        headers=9,
        close=None,
        output_tokens=None,
        complete=False,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab      9   20    20   20      -      -   36     -      -   16
        vllm          -   10     -    -     13      -   36     -      -   10 16
        guidellm      -   20    20    -     16     18   36     -      2   -
        aiperf        -   20    20    -      -      -   36     -      -   16
        otel          -   10     -    -     16      -    -     -      -   16
        letta         -   20     -    -      -      -   36     -      -   -
        """,
    ),
    "one token": Case(
        "10R 25C 26D 27U",
        headers=10,
        close=30,
        output_tokens=1,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab     10   25    25   25      -      -   25     5      1   none
        vllm          -   10     -    -      8      -   26     -      1   15 1
        guidellm      -   25    25    -      -     25   25     -      1   -
        aiperf        -   25    25    -      -      -   25     -      1   none
        otel          -   10     -    -      -      -   30     -      1   none
        letta         -   25     -    -      -      -   30     -      1   -
        """,
    ),
    "usage so far with every chunk": Case(
        "10RU 20CU 40CU 60CU 60DU 61U",
        headers=10,
        close=70,
        output_tokens=5,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab     10   20    20   20     10      -   60    10      5   20 20
        vllm          -   10     -    -   12.5   12.5   60     -      5   10 20 20 0
        guidellm      -   20    20    -     10     12   60     -      5   -
        aiperf        -   20    20    -     10      -   60     -      5   20 20
        otel          -   10     -    -     20      -   70     -      5   20 20
        letta         -   20     -    -      -      -   70     -      5   -
        """,
    ),
    "keep-alives before and between": Case(
        "3P 10R 15P 20C 30C 31D 32U",
        headers=3,
        close=40,
        output_tokens=2,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab      3   20    20   20     10      -   30    10      2   10
        vllm          -   10     -    -      7     21   31     -      2   10 10 1
        guidellm      -   20    20    -     10     15   30     -      2   -
        aiperf        -   20    20    -     10      -   30     -      2   10
        otel          -   10     -    -     10      -   40     -      2   10
        letta         -   20     -    -      -      -   40     -      2   -
        """,
    ),
    "an end without a finish reason": Case(
        "10C 20C 90[D]",
        headers=10,
        close=95,
        output_tokens=2,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab     10   10    10   10     10      -   20    75      2   10
        vllm          -   10     -    -     10     10   20     -      2   10
        guidellm      -   10    10    -     10     10   20     -      2   -
        aiperf        -   10    10    -     10      -   20     -      2   10
        otel          -   10     -    -     10      -   95     -      2   10
        letta         -   10     -    -      -      -   95     -      2   -
        """,
    ),
    "a role and an end": Case(
        "10R 12D 13U",
        headers=9,
        close=15,
        output_tokens=0,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab      9    -     -    -      -      -    -     -      0   none
        vllm          -   10     -    -      2      -   12     -      -   2
        guidellm      -    -     -    -      -      -    -     -      -   -
        aiperf        -    -     -    -      -      -    -     -      -   none
        otel          -   10     -    -      -      -   15     -      0   none
        letta         -    -     -    -      -      -   15     -      0   -
        """,
    ),
    "a call that never connected": Case(
        "",
        headers=None,
        close=None,
        output_tokens=None,
        complete=False,
        expected="""
                   ttfb ttft ttfot ttfa    itl   tpot  e2e close tokens   gaps
        agentlab      -    -     -    -      -      -    -     -      -   none
        vllm          -    -     -    -      -      -    -     -      -   none
        guidellm      -    -     -    -      -      -    -     -      -   -
        aiperf        -    -     -    -      -      -    -     -      -   none
        otel          -    -     -    -      -      -    -     -      -   none
        letta         -    -     -    -      -      -    0     -      -   -
        """,
    ),
}


def log_of(case: Case, request_ns: int) -> ChunkLog:
    """The packed log of a case."""
    recorder = ChunkRecorder()
    for event in case.events.split():
        ms = event.rstrip("RTCNAUPDE[]")
        kind = sum(int(_LETTERS[letter]) for letter in event.removeprefix(ms).strip("[]"))
        recorder.add(Chunk(request_ns + int(ms) * MS, kind, size_bytes=6 if event.endswith(_END) else 200))
    instants = (None if ms is None else request_ns + ms * MS for ms in (case.headers, case.close))
    return recorder.pack(request_ns, *instants)


def trace_of_case(case: Case, run_id: str = "run-1") -> Trace:
    """A run of one call, which leaves the moment the user's message is in; the run ends with the call."""
    story = Story(run_id).step(finished=False)
    called: Any = story.emit(ModelCalled, model="m", provider="p", n_messages=2, tool_choice="auto")
    log = log_of(case, called.t_ns)
    ends = [offset for offset, *_ in log.rows()] + ([] if log.close_ns is None else [log.close_ns])
    story.wait(max(ends, default=0) / 1e9)
    usage = tokens(7, case.output_tokens, reasoning_tokens=case.reasoning_tokens)
    story.emit(
        ModelReplied,
        complete=case.complete,
        chunks=log,
        usage=NO_USAGE if case.output_tokens is None else usage,
    )
    return story.end()
