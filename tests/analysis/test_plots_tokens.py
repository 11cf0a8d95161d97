"""Tokens by step and kind, and how the prompt grew: what nobody reported is never a 0."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer

from agentlab.analysis.context import context_df
from agentlab.analysis.frames import steps_df
from agentlab.analysis.plots import context_growth, tokens_by_step
from agentlab.analysis.plots.token_kinds import token_parts
from agentlab.errors import InputError
from agentlab.trace.trace import Trace
from agentlab.trace.usage import NO_USAGE
from tests.factories import Story, reply, tokens, tool, trace_of, traces

INPUTS = ["cached input", "fresh input", "input, cached part not reported"]
OUTPUTS = ["output", "reasoning", "output, reasoning part not reported"]


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def told(*usages: object, run_id: str = "run-1", variant: str = "a") -> Trace:
    """A run with a step for each of these usages."""
    story = Story(run_id, tags={"variant": variant})
    for usage in usages:
        story.step(reply(calls=["f"], usage=usage), tool("f"))
    return story.end()


def bars(ax: Axes) -> dict[str, dict[int, tuple[float, float]]]:
    """Bottom and height of the bars of each kind, by step."""
    return {
        str(each.get_label()): {round(p.get_x() + p.get_width() / 2): (p.get_y(), p.get_height()) for p in each}
        for each in ax.containers
        if isinstance(each, BarContainer)
    }


def crosses(ax: Axes) -> list[int]:
    return [round(x) for each in ax.collections if isinstance(each, PathCollection) for x, _ in each.get_offsets()]


def key_of(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_kinds_are_stacked_one_on_the_other() -> None:
    ax = tokens_by_step(told(tokens(100, 40, cached_tokens=60, reasoning_tokens=10)))

    assert bars(ax) == {
        "cached input": {1: (0.0, 60.0)},
        "fresh input": {1: (60.0, 40.0)},
        "output": {1: (100.0, 30.0)},
        "reasoning": {1: (130.0, 10.0)},
    }
    assert key_of(ax) == ["cached input", "fresh input", "output", "reasoning"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "tokens")


def test_there_is_room_above_the_highest_bar() -> None:
    ax = tokens_by_step(told(tokens(100, 40, cached_tokens=0, reasoning_tokens=0)))

    assert ax.get_ylim() == (0.0, 1.05 * 140)


def test_a_part_that_was_not_reported_is_no_0() -> None:
    ax = tokens_by_step(told(tokens(100, 40), tokens(100, 40, cached_tokens=0, reasoning_tokens=0)))

    drawn = bars(ax)
    assert drawn["input, cached part not reported"] == {1: (0.0, 100.0)}
    assert drawn["output, reasoning part not reported"] == {1: (100.0, 40.0)}
    assert drawn["cached input"] == {2: (0.0, 0.0)}
    assert crosses(ax) == []


def test_a_step_that_told_nothing_is_a_cross() -> None:
    ax = tokens_by_step(told(tokens(100, 40), NO_USAGE, tokens(None, 7)))

    assert crosses(ax) == [2, 3]
    assert key_of(ax)[-1] == "not reported"
    assert {step for kind in bars(ax).values() for step in kind} == {1, 3}
    assert bars(ax)["output, reasoning part not reported"][3] == (0.0, 7.0)


def test_of_several_runs_it_is_the_mean_of_those_that_told() -> None:
    runs = [
        told(tokens(100, 40), run_id="run-1"),
        told(tokens(300, 40), run_id="run-2"),
        told(NO_USAGE, run_id="run-3"),
    ]

    ax = tokens_by_step(runs)

    assert bars(ax)["input, cached part not reported"] == {1: (0.0, 200.0)}
    assert crosses(ax) == [1]
    assert ax.get_title(loc="left") == "tokens by step, mean of 3 runs"


@given(traces())
def test_parts_add_up_to_what_was_told(trace: Trace) -> None:
    steps = steps_df(trace)
    parts = token_parts(steps)

    for whole, kinds in (("input_tokens", INPUTS), ("output_tokens", OUTPUTS)):
        known = steps[whole].notna().to_numpy(dtype=bool)
        np.testing.assert_allclose(parts[kinds].sum(axis=1)[known], steps[whole][known].to_numpy(dtype=float))
        assert parts[kinds][~known].isna().all(axis=None)


@pytest.mark.parametrize("plot", [tokens_by_step, context_growth])
@pytest.mark.parametrize(
    ("source", "why"),
    [([], "no run has "), (Trace(), "no run has "), (Story().trace(), "no run has ")],
    ids=["no runs", "no events", "no steps"],
)
def test_nothing_is_said_in_a_sentence(plot, source, why) -> None:
    ax = plot(source)

    assert [text.get_text() for text in ax.texts if text.get_text().startswith(f"nothing to show: {why}")]
    ax.figure.savefig(BytesIO(), format="png", dpi=30)


def test_when_no_call_told_its_tokens_that_is_said() -> None:
    ax = tokens_by_step(told(NO_USAGE))

    assert ax.texts[0].get_text() == "nothing to show: no model call told how many tokens it took"


@pytest.mark.parametrize("plot", [tokens_by_step, context_growth])
@pytest.mark.parametrize("n_steps", [1, 16, 17, 120])
def test_runs_of_any_length_are_readable(plot, n_steps: int) -> None:
    ax = plot(trace_of(n_steps))

    ax.figure.savefig(BytesIO(), format="png", dpi=30)
    low, high = ax.get_xlim()
    assert len([tick for tick in ax.get_xticks() if low <= tick <= high]) <= 17
    assert ax.figure.get_size_inches()[0] <= 14


@pytest.mark.parametrize("plot", [tokens_by_step, context_growth])
def test_lines_around_bars_do_not_hide_their_colours(plot) -> None:
    few, many = plot(trace_of(20)), plot(trace_of(500))

    assert all(bar.get_linewidth() > 0 for bar in few.patches)
    assert {bar.get_linewidth() for bar in many.patches} == {0}


@pytest.mark.parametrize("plot", [tokens_by_step, context_growth])
def test_tokens_are_whole_numbers_at_the_axis(plot) -> None:
    ax = plot(told(tokens(1, 0)))

    ax.figure.draw_without_rendering()
    told_at = [text.get_text() for text in ax.get_yticklabels()]
    assert len(set(told_at)) == len(told_at)


@pytest.mark.parametrize("plot", [tokens_by_step, context_growth])
def test_it_draws_into_the_axes_that_are_given(plot) -> None:
    _, ax = plt.subplots()

    assert plot(trace_of(2), ax) is ax
    assert plt.get_fignums() == [1]


def test_the_parts_of_a_prompt_add_up_to_what_the_provider_counted() -> None:
    trace = told(tokens(100, 4), tokens(180, 4), tokens(260, 4))

    ax = context_growth(trace)

    tops = {step: sum(kind.get(step, (0, 0))[1] for kind in bars(ax).values()) for step in (1, 2, 3)}
    assert tops == pytest.approx({1: 100, 2: 180, 3: 260})
    shares = context_df(trace).query("step == 3").set_index("part")["scaled_tokens"].astype(float)
    assert {part: kind[3][1] for part, kind in bars(ax).items()} == pytest.approx(shares.to_dict())
    assert key_of(ax) == ["system", "user", "assistant", "tool"]
    assert "what the provider counted" in ax.get_title(loc="left")
    assert ax.get_ylabel() == "prompt [tokens]"


def test_a_prompt_that_nobody_counted_is_a_cross() -> None:
    ax = context_growth(told(tokens(100, 4), NO_USAGE, tokens(260, 4)))

    assert crosses(ax) == [2]
    assert {step for kind in bars(ax).values() for step in kind} == {1, 3}


def test_where_no_prompt_was_counted_it_is_estimated_and_said_to_be() -> None:
    trace = told(NO_USAGE, NO_USAGE)

    ax = context_growth(trace)

    assert "estimated by length of text" in ax.get_title(loc="left")
    expected = context_df(trace).query("step == 2").set_index("part")["tokens"].astype(float)
    assert {part: kind[2][1] for part, kind in bars(ax).items()} == pytest.approx(expected.to_dict())


def test_a_prompt_that_was_sent_again_counts_once() -> None:
    story = Story().step(reply(complete=True, usage=tokens(100, 4)), reply(usage=tokens(120, 4)))

    trace = story.end()

    assert sum(kind[1][1] for kind in bars(context_growth(trace)).values()) == pytest.approx(120)
    lines = context_growth([trace, told(tokens(50, 4), run_id="other")]).lines
    assert [line.get_ydata().tolist() for line in lines if len(line.get_ydata())] == [[120.0], [50.0]]


def test_several_runs_are_lines() -> None:
    runs = [
        told(tokens(100, 4), tokens(200, 4), run_id="run-1"),
        told(tokens(150, 4), NO_USAGE, tokens(300, 4), run_id="run-2", variant="b"),
    ]

    ax = context_growth(runs, by="variant")

    drawn = [line.get_ydata() for line in ax.lines if len(line.get_ydata())]
    np.testing.assert_array_equal(drawn[0], [100, 200])
    np.testing.assert_array_equal(drawn[1], [150, np.nan, 300])
    assert key_of(ax) == ["a · 1 run", "b · 1 run"]
    with pytest.raises(InputError, match="no run has a tag or a column 'arm'"):
        context_growth(runs, by="arm")


def test_the_prompt_is_shared_out_by_the_tokenizer_that_is_given() -> None:
    trace = trace_of(3)

    estimated, told = context_growth(trace), context_growth(trace, tokenizer=len)

    assert estimated.get_title(loc="left").endswith("shared out by length of text")
    assert told.get_title(loc="left").endswith("shared out by a tokenizer")
    drawn = sum(bar.get_height() for each in told.containers if isinstance(each, BarContainer) for bar in each)
    assert drawn == pytest.approx(context_df(trace)["scaled_tokens"].sum())
    counted = context_growth(Story().step(reply("x", usage=NO_USAGE)).end(), tokenizer=lambda text: 1000)
    assert counted.get_title(loc="left").endswith("nobody counted it, told by a tokenizer")
    assert counted.get_ylim()[1] >= 1000
    with pytest.raises(InputError, match="`tokenizer` takes a function"):
        context_growth(trace, tokenizer="gpt")  # type: ignore[arg-type]


@pytest.mark.filterwarnings("error")
def test_prompts_of_no_tokens_are_drawn_without_a_warning() -> None:
    ax = context_growth(Story().step(reply(usage=tokens(0, 0))).end())

    assert ax.get_ylim()[1] > 0
