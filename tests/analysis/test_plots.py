from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from agentlab import Agent, ScriptedModel, frozen, say
from agentlab.analysis.plots import waterfall
from agentlab.analysis.waterfall import Waterfall
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from agentlab.trace.trace import Trace
from tests.factories import Story, reply, tool, trace_of


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def rectangles(ax: Axes) -> dict[str, list[Rectangle]]:
    return {str(container.get_label()): list(container.patches) for container in ax.containers}  # type: ignore[attr-defined]


def marks(ax: Axes) -> list[list[float]]:
    return [at for each in ax.collections if isinstance(each, PathCollection) for at in each.get_offsets().tolist()]


def figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure()
    assert isinstance(figure, Figure)
    return figure


def png(ax: Axes) -> bytes:
    file = BytesIO()
    figure_of(ax).savefig(file, format="png", dpi=50)
    return file.getvalue()


def busy_trace() -> Trace:
    story = Story()
    used = [tool("search", 0.5), tool("fail", 0.3, ok=False), tool("delete", 0.2, asked_s=1.0)]
    story.step(reply(complete=False), reply(calls=["search"], gap_s=0.1), *used, idle_s=0.3)
    return story.step(reply("Two cats.")).end()


def test_bars_and_marks_are_drawn_where_the_trace_has_them() -> None:
    trace = busy_trace()

    ax = waterfall(trace)

    drawn = rectangles(ax)
    for kind in {bar.kind for bar in Waterfall(trace).bars}:
        expected = [(bar.start_s, bar.end_s) for bar in Waterfall(trace).bars if bar.kind == kind]
        np.testing.assert_allclose([(r.get_x(), r.get_x() + r.get_width()) for r in drawn[kind]], expected)
    np.testing.assert_allclose(marks(ax), [(mark.t_s, mark.step) for mark in Waterfall(trace).first_tokens])


def test_every_bar_stands_in_the_row_of_its_step() -> None:
    trace = busy_trace()

    drawn = rectangles(waterfall(trace))

    for kind, patches in drawn.items():
        steps = [bar.step for bar in Waterfall(trace).bars if bar.kind == kind]
        for patch, step in zip(patches, steps, strict=True):
            assert step - 0.5 < patch.get_y() < patch.get_y() + patch.get_height() < step + 0.5


def test_axes_say_what_they_show() -> None:
    ax = waterfall(busy_trace())

    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time since the run started [s]", "step")
    assert ax.get_title(loc="left") == "counter · tiny-1 · 2 steps in 3.66 s · end_turn"
    assert ax.yaxis_inverted()
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "first token",
        "waiting for the first token",
        "model streaming",
        "tool",
        "tool failed",
        "waiting for a person",
        "idle",
    ]


def test_rows_name_their_tools_and_nothing_where_there_was_none() -> None:
    story = Story().step(reply(calls=["count", "add"]), tool("count"), tool("add")).step(reply("Two."))

    assert [text.get_text() for text in waterfall(story.end()).texts] == ["count, add"]


@pytest.mark.parametrize("n_steps", [1, 2, 30, 31, 100])
def test_runs_of_any_length_are_readable(n_steps: int) -> None:
    ax = waterfall(trace_of(n_steps))

    assert png(ax).startswith(b"\x89PNG")
    ticks = [int(tick) for tick in ax.get_yticks()]
    assert ticks[0] == 1
    assert len(ticks) <= 31
    assert all(1 <= tick <= n_steps for tick in ticks)
    assert figure_of(ax).get_size_inches()[1] <= 14


@pytest.mark.parametrize("n_steps", [60, 1000])
def test_the_colours_of_the_key_are_seen_at_any_number_of_steps(n_steps: int) -> None:
    story = Story()
    for _ in range(n_steps):
        story.step(reply(ttft_s=0.9, gap_s=0.001))

    picture = plt.imread(BytesIO(png(waterfall(story.end()))))

    row = picture[picture.shape[0] // 3 : picture.shape[0] // 2, picture.shape[1] // 3 : picture.shape[1] // 2, :3]
    is_pale, is_dark = (np.linalg.norm(row - to_rgb(color), axis=2) < 0.1 for color in ("#b9dcf2", "#0072b2"))
    assert is_pale.sum() > 3 * is_dark.sum()


def test_many_steps_count_from_their_own_start() -> None:
    few, many = waterfall(trace_of(30)), waterfall(trace_of(31))

    assert "since the run started" in few.get_xlabel()
    assert "since the step started" in many.get_xlabel()
    assert {round(r.get_x(), 9) for r in rectangles(many)["idle"]} == {0.0}
    assert "since the run started" in waterfall(trace_of(31), since="run").get_xlabel()


def test_it_draws_into_the_axes_that_are_given() -> None:
    _, ax = plt.subplots()

    assert waterfall(trace_of(3), ax=ax) is ax
    assert plt.get_fignums() == [1]


def test_kinds_differ_in_grey() -> None:
    drawn = rectangles(waterfall(busy_trace()))
    look = {}
    for kind, (patch, *_) in drawn.items():
        red, green, blue = to_rgb(patch.get_facecolor())
        lightness = round(0.299 * red + 0.587 * green + 0.114 * blue, 2)
        look[kind] = (lightness, patch.get_hatch(), patch.get_height() > 0.15)

    plain = sorted(lightness for lightness, hatch, thick in look.values() if hatch is None and thick)
    assert np.diff(plain).min() > 0.3
    hatches = [hatch for _, hatch, _ in look.values() if hatch]
    assert len(set(hatches)) == len(hatches) == 3


@pytest.mark.parametrize("text", [r"$\frac{1}$", "100 % _of_ ^it^", "line\nbreak", "\u202eabc", "x" * 500])
def test_hostile_names_are_drawn_as_they_are(text: str) -> None:
    story = Story(agent_name=text).step(reply(calls=["f"]), tool(text))

    ax = waterfall(story.end())

    assert png(ax)
    assert "\u202e" not in ax.get_title(loc="left")
    assert len(ax.get_title(loc="left")) < 150


@pytest.mark.parametrize(
    "trace",
    [Trace(), Story().trace(), Story().step(reply(comes=False), finished=False).trace(live=True)],
    ids=["no events", "no steps", "the first call is under way"],
)
def test_runs_that_have_hardly_begun_are_drawn_too(trace: Trace) -> None:
    assert png(waterfall(trace))


def test_it_takes_one_run() -> None:
    with pytest.raises(InputError, match="one run or trace is needed here"):
        waterfall([trace_of(1), trace_of(2, "run-2")])
    with Lab() as lab, pytest.raises(InputError, match=r"of a lab, `lab\.trace\(run_id\)` gives one"):
        waterfall(lab)


async def test_a_run_plots_itself() -> None:
    with frozen(seed=1):
        run = await Agent(ScriptedModel([say("Two cats.")])).run("How many cats?")

    assert run.plot().get_title(loc="left").startswith("agent · scripted · 1 step")
