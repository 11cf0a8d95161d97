"""Distributions over model calls: first tokens, and the gaps between chunks."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patches import StepPatch
from scipy.stats import ecdf as scipy_ecdf
from scipy.stats import kstest

from agentlab.analysis.bands import clustered_half_width, dkw_half_width
from agentlab.analysis.frames import steps_df
from agentlab.analysis.gaps import gaps_df
from agentlab.analysis.plots import token_gaps, ttft_ecdf
from agentlab.analysis.plots.first_token import ecdf
from agentlab.errors import InputError
from agentlab.trace.trace import Trace
from tests.factories import Story, reply, tool, trace_of


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


FEW = " · too few runs for a band"


def calls(*ttfts_s: float, variant: str = "a", gaps_s: tuple[float, ...] = (), run_id: str = "run") -> Trace:
    """A run whose calls take so long; each then has these gaps."""
    story = Story(f"{run_id}-{variant}", tags={"variant": variant})
    for number, ttft_s in enumerate(ttfts_s):
        gap_s = gaps_s[number % len(gaps_s)] if gaps_s else 0.01
        story.step(reply(calls=["f"], ttft_s=ttft_s, gap_s=gap_s, n_chunks=3), tool("f"))
    return story.end()


def key_of(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def curve(ax: Axes, number: int = 0) -> tuple[list[float], list[float]]:
    x, y = ax.lines[number].get_data()
    return [float(value) for value in x], [float(value) for value in y]


def test_the_curve_steps_up_at_each_value() -> None:
    ax = ttft_ecdf(calls(0.4, 0.1, 0.4, 0.2))

    x, y = curve(ax)
    assert x[1:-1] == pytest.approx([0.1, 0.2, 0.4])
    assert y[1:-1] == pytest.approx([0.25, 0.5, 1.0])
    assert (x[0], y[0], y[-1]) == (0.0, 0.0, 1.0)
    assert ax.lines[0].get_drawstyle() == "steps-post"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=40))
def test_shares_are_those_of_scipy(values: list[float]) -> None:
    at, share = ecdf(np.array(values))

    expected = scipy_ecdf(values).cdf
    np.testing.assert_allclose(at, expected.quantiles)
    np.testing.assert_allclose(share, expected.probabilities)


def test_the_band_holds_the_whole_true_curve_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        at, share = ecdf(rng.random(40))  # whose true curve is at itself
        half = dkw_half_width(40, 0.9)
        below = np.concatenate([[0.0], share[:-1]])
        held += bool((np.abs(share - at) <= half).all() and (np.abs(below - at) <= half).all())
    assert 0.9 <= held / 1000 <= 0.95  # it promises at least so much


def test_the_band_is_drawn_around_the_curve() -> None:
    ttfts_s = [0.1 * n for n in range(1, 41)]

    ax = ttft_ecdf(calls(*ttfts_s), confidence=0.9, cluster=None)

    (band,) = [each for each in ax.collections if isinstance(each, PolyCollection)]
    heights = band.get_paths()[0].vertices[:, 1]
    half = np.sqrt(np.log(2 / 0.1) / 80)
    assert (heights.min(), heights.max()) == (0.0, 1.0)
    assert np.isclose(heights, 0.5 + half, atol=1e-9).any()
    assert np.isclose(heights, 0.5 - half, atol=1e-9).any()
    assert "90 % bands of independent calls" in ax.get_title(loc="left")
    assert not list(ttft_ecdf(calls(0.1, 0.2), confidence=0).collections)


def test_the_band_of_calls_that_hang_together_holds_the_true_curve_too() -> None:
    """That of independent calls held it in 64 of 100 studies like these."""
    rng = np.random.default_rng(3)
    held = alone = 0
    for _ in range(250):
        values = np.sqrt(0.5) * (rng.normal(size=(30, 1)) + rng.normal(size=(30, 10))).ravel()
        half = clustered_half_width(values, np.repeat(np.arange(30), 10), 0.95, 200, rng)
        off = kstest(values, "norm").statistic
        held += half is not None and off <= half
        alone += off <= dkw_half_width(300, 0.95)
    assert held / 250 >= 0.92
    assert alone / 250 < 0.8


def test_the_band_is_over_runs_and_a_few_runs_have_none() -> None:
    runs = [calls(0.1 * n, 0.1 * n + 0.01, run_id=f"r{n}") for n in range(1, 7)]

    ax, few, apart = ttft_ecdf(runs), ttft_ecdf(runs[:5]), ttft_ecdf(runs, cluster=None)

    assert ax.get_title(loc="left").endswith("with 95 % bands of whole runs")
    assert FEW not in key_of(ax)[0]
    assert (len(few.collections), few.get_title(loc="left")) == (0, "time to the first token")
    assert key_of(few)[0].endswith(FEW)
    wide, narrow = (np.asarray(each.collections[0].get_paths()[0].vertices) for each in (ax, apart))
    assert wide[wide[:, 0] > 0.59][:, 1].min() < narrow[narrow[:, 0] > 0.59][:, 1].min()


def test_groups_have_curves_of_their_own_and_are_told_in_the_key() -> None:
    ax = ttft_ecdf([calls(0.1, 0.2), calls(1.0, 1.2, 1.4, variant="b")], by="variant")

    assert key_of(ax) == [f"{told}{FEW}" for told in ("a · n = 2 · median 150 ms", "b · n = 3 · median 1.20 s")]
    assert curve(ax, 0)[0][1:-1] == pytest.approx([0.1, 0.2])
    assert curve(ax, 1)[0][1:-1] == pytest.approx([1.0, 1.2, 1.4])
    assert (
        len({line.get_linestyle() for line in ax.lines[:2]} | {ax.lines[0].get_marker(), ax.lines[1].get_marker()}) >= 3
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time to the first token [s]", "share of model calls")


def test_calls_without_the_measure_are_left_out_and_counted() -> None:
    story = Story().step(reply(n_chunks=0), reply(calls=["f"], ttft_s=0.3), tool("f")).step(reply(ttft_s=0.5))

    ax = ttft_ecdf(story.end())

    assert key_of(ax) == [f"n = 2, 1 without · median 400 ms{FEW}"]
    assert curve(ax)[1][1:-1] == [0.5, 1.0]


def test_a_group_without_any_value_stands_in_the_key() -> None:
    silent = Story("silent", tags={"variant": "b"}).step(reply(n_chunks=0)).end()

    ax = ttft_ecdf([calls(0.1), silent], by="variant")

    assert key_of(ax) == [f"a · n = 1 · median 100 ms{FEW}", f"b · n = 0, 1 without{FEW}"]


def test_runs_are_parted_by_a_column_of_runs_too_and_those_without_a_tag_are_named() -> None:
    untagged = Story("plain").step(reply()).end()

    assert key_of(ttft_ecdf(calls(0.1), by="model"))[0].startswith("tiny-1 · ")
    assert [text.split(" · ")[0] for text in key_of(ttft_ecdf([calls(0.1), untagged], by="variant"))] == [
        "a",
        "no variant",
    ]


def test_runs_are_parted_without_reading_where_their_time_went(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large lab that would take longer than the picture."""

    def never(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr("agentlab.analysis.frames.run_times", never)

    ttft_ecdf([trace_of(3, "r1")], by="arm")
    token_gaps([trace_of(3, "r1")], by="model")


def test_any_iterator_of_runs_will_do() -> None:
    ax = ttft_ecdf((trace for trace in (calls(0.1), calls(0.2, variant="b"))), by="variant")

    assert len(key_of(ax)) == 2


def test_measures_are_those_of_the_definition_that_is_asked_for() -> None:
    trace = calls(0.4)  # whose role comes after half of that, and counts for vLLM

    ours, theirs = ttft_ecdf(trace), ttft_ecdf(trace, definition="vllm")

    assert (curve(ours)[0][1], curve(theirs)[0][1]) == pytest.approx((0.4, 0.2))
    assert "as vllm means it" in theirs.get_xlabel()
    assert curve(ttft_ecdf(trace, measure="e2e_s"))[0][1] == pytest.approx(float(steps_df(trace)["e2e_s"].iloc[0]))


def test_other_measures_and_tags_are_refused() -> None:
    with pytest.raises(InputError, match="'tokens' is no column of `latency_df` in seconds"):
        ttft_ecdf(calls(0.1), measure="tokens")
    with pytest.raises(InputError, match="no run has a tag or a column 'arm'; the tags are variant"):
        ttft_ecdf(calls(0.1), by="arm")
    with pytest.raises(InputError, match="confidence is 95"):
        ttft_ecdf(calls(0.1), confidence=95)
    with pytest.raises(InputError, match="pytorch"):
        ttft_ecdf(calls(0.1), definition="pytorch")  # type: ignore[arg-type]


@pytest.mark.parametrize("plot", [ttft_ecdf, token_gaps])
@pytest.mark.parametrize("by", [None, "variant"])
def test_nothing_is_said_in_a_sentence(plot, by) -> None:
    for source in ([], Trace()):
        ax = plot(source, by=by)
        assert [text.get_text() for text in ax.texts if text.get_text().startswith("nothing to show: no ")]
        ax.figure.savefig(BytesIO(), format="png", dpi=30)


@pytest.mark.parametrize("plot", [ttft_ecdf, token_gaps])
def test_it_draws_into_the_axes_that_are_given(plot) -> None:
    _, axes = plt.subplots(1, 2)

    assert plot(trace_of(2), axes[1]) is axes[1]
    assert not axes[0].lines
    assert plt.get_fignums() == [1]


def gap_bars(ax: Axes) -> tuple[list[float], list[float]]:
    """Heights of the bars of zeros, and of the bins of each group together."""
    bins = [patch.get_data().values for patch in ax.patches if isinstance(patch, StepPatch) and not patch.get_fill()]
    zeros = [patch.get_height() for container in ax.containers for patch in container]
    return zeros, [float(values.sum()) for values in bins]


def test_gaps_of_0_have_their_own_bar_and_all_bars_add_up() -> None:
    trace = calls(0.1, 0.1, 0.1, 0.1, gaps_s=(0.0, 0.01, 0.02, 1.0))

    ax = token_gaps(trace)

    zeros, others = gap_bars(ax)
    assert (zeros, others) == (pytest.approx([0.25]), pytest.approx([0.75]))
    assert key_of(ax) == ["n = 8 · 25.0 % are 0 · median 15 ms"]
    assert ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_xticklabels()][:2] == ["0", "10 ms"]


def test_each_gap_is_in_the_bin_where_it_belongs() -> None:
    trace = calls(0.1, 0.1, 0.1, gaps_s=(0.001, 0.01, 0.1))

    ax = token_gaps(trace)

    (outline,) = [patch for patch in ax.patches if isinstance(patch, StepPatch) and not patch.get_fill()]
    values, edges, _ = outline.get_data()
    gaps_s = gaps_df(trace)["icl_s"].to_numpy(dtype=float)
    expected, _ = np.histogram(gaps_s, edges)
    np.testing.assert_allclose(values, expected / len(gaps_s))
    assert np.count_nonzero(values) == 3
    assert edges[0] == pytest.approx(0.001)


@pytest.mark.parametrize("gap_s", [0.0, 1e-9, 0.001, 100.0])
def test_one_gap_is_drawn_too(gap_s: float) -> None:
    ax = token_gaps(Story().step(reply(gap_s=gap_s, n_chunks=2)).end())

    zeros, others = gap_bars(ax)
    assert sum(zeros) + sum(others) == pytest.approx(1.0)
    assert key_of(ax)[0].startswith("n = 1 · ")
    ax.figure.savefig(BytesIO(), format="png", dpi=30)


def test_groups_of_gaps_stand_side_by_side() -> None:
    fast, slow = calls(0.1, gaps_s=(0.0,)), calls(0.1, variant="b", gaps_s=(0.5,))

    zeros, others = gap_bars(token_gaps([fast, slow], by="variant"))

    assert (zeros, others) == ([1.0, 0.0], pytest.approx([0.0, 1.0]))


def test_gaps_are_those_of_the_definition_that_is_asked_for() -> None:
    trace = calls(0.4)

    assert key_of(token_gaps(trace, definition="vllm"))[0].startswith(
        f"n = {len(gaps_df(trace, definition='vllm'))} · "
    )
    with pytest.raises(InputError, match="takes no gaps"):
        token_gaps(trace, definition="guidellm")


def test_a_figure_of_a_whole_run_is_missing_in_no_call() -> None:
    """Letta's stands in the row of the first call; the others can have none."""
    ax = ttft_ecdf([calls(0.1, 0.2, 0.3), calls(0.2, 0.4, run_id="other")], definition="letta")

    assert key_of(ax)[0].startswith("n = 2 · median")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"measure": []}, r"\[\] is no column"),
        ({"confidence": "x"}, "confidence is 'x'"),
        ({"confidence": 1}, "confidence is 1"),
        ({"by": 5}, "by is 5"),
        ({"by": ["model"]}, "by is "),
        ({"ax": 5}, "ax is 5"),
        ({"seed": -1}, "seed is -1"),
        ({"n_resamples": 0}, "n_resamples is 0"),
    ],
)
def test_wrong_settings_of_a_curve_are_told(more: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        ttft_ecdf(trace_of(2), **more)
