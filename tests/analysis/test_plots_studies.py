"""Costs against success, and what comparisons found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.text import Annotation

from agentlab import Price
from agentlab.analysis.compare import compare
from agentlab.analysis.paired import clusters_of
from agentlab.analysis.plots import cost_vs_success, forest
from agentlab.analysis.resampling import bootstrap_interval, rate_interval
from agentlab.errors import InputError
from tests.analysis.pictures import comparisons, study
from tests.factories import Story, reply, tokens


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def points(ax: Axes) -> list[tuple[float, float]]:
    return [
        (float(each.lines[0].get_xdata()[0]), float(each.lines[0].get_ydata()[0]))
        for each in ax.containers
        if isinstance(each, ErrorbarContainer)
    ]


def spans(ax: Axes, number: int) -> list[tuple[float, float]]:
    """From where to where the bars of a point reach: of the cost, then of the success."""
    point = [each for each in ax.containers if isinstance(each, ErrorbarContainer)][number]
    across, along = (bars.get_segments()[0] for bars in point.lines[2])
    return [(float(across[0][0]), float(across[1][0])), (float(along[0][1]), float(along[1][1]))]


def key_of(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_a_point_stands_at_the_means_of_its_variant() -> None:
    runs = study()

    ax = cost_vs_success(runs, success="solved", n_resamples=200)

    means = runs.groupby("variant", sort=False)[["cost_usd", "solved"]].mean()
    np.testing.assert_allclose(points(ax), means.to_numpy())
    assert key_of(ax) == [f"{variant} · 36 runs of 12 tasks" for variant in means.index]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("mean cost of a run [US dollars]", "share of runs: solved")
    assert ax.get_title(loc="left") == "cost and success, with 95 % intervals"


def test_its_bars_are_the_intervals_over_tasks() -> None:
    runs = study()
    small = runs[runs["variant"] == "small"]

    across, along = spans(cost_vs_success(runs, success="solved", n_resamples=300, seed=5), 0)

    tasks = small["task"].to_numpy(dtype=object)
    costs = clusters_of(small["cost_usd"].to_numpy(), tasks)
    assert across == pytest.approx(bootstrap_interval(costs, 0.95, 300, np.random.default_rng(5)))
    assert along == pytest.approx(rate_interval(clusters_of(small["solved"].to_numpy(), tasks), 0.95))


def test_the_interval_of_a_share_covers_it_as_often_as_it_says() -> None:
    """Trials of a task hang together: an interval that took them for independent would cover far too seldom."""
    rng = np.random.default_rng(11)
    tasks = np.repeat(np.arange(20), 5).astype(object)
    covered = naive = 0
    for _ in range(600):
        trials = (rng.random(100) < np.repeat(rng.beta(1.2, 0.8, 20), 5)).astype(float)
        low, high = rate_interval(clusters_of(trials, tasks), 0.95)
        covered += low <= 0.6 <= high
        low, high = rate_interval(clusters_of(trials, np.arange(100).astype(object)), 0.95)
        naive += low <= 0.6 <= high
    assert 0.93 <= covered / 600 <= 0.98
    assert naive / 600 < 0.85


def test_a_share_of_all_or_nothing_still_has_an_interval() -> None:
    sure = clusters_of(np.ones(30), np.repeat(np.arange(10), 3).astype(object))

    low, high = rate_interval(sure, 0.95)

    assert (round(low, 3), high) == (0.722, pytest.approx(1.0))  # Wilson's of 10 in 10
    assert rate_interval(clusters_of(np.ones(3), np.zeros(3, dtype=object)), 0.95) == (0.0, 1.0)


def test_one_task_gives_a_hollow_point_without_bars() -> None:
    runs = study()
    one = runs[(runs["task"] == "t0") & (runs["variant"] == "small")]

    ax = cost_vs_success(one.iloc[:1], success="solved")

    assert len(points(ax)) == 1
    assert spans(ax, 0)[0][0] == spans(ax, 0)[0][1]
    assert key_of(ax) == ["small · 1 run of 1 task"]
    hollow = [line.get_markerfacecolor() for each in ax.containers for line in each.lines[:1]]  # type: ignore[attr-defined]
    assert hollow == ["#ffffff"]
    ax.figure.savefig(BytesIO(), format="png", dpi=30)


def test_a_cost_of_few_tasks_is_no_known_point() -> None:
    runs = study()
    few = runs[runs["task"].isin(["t0", "t1"]) & (runs["variant"] == "small")]
    even = runs[runs["variant"] == "small"].assign(cost_usd=0.02)

    for data in (few, even):
        ax = cost_vs_success(data, success="solved", n_resamples=100)
        (across, along) = spans(ax, 0)
        assert across[0] == across[1]
        assert along[0] < along[1]
        (point,) = [each for each in ax.containers if isinstance(each, ErrorbarContainer)]
        assert point.lines[0].get_markerfacecolor() == "#ffffff"


def test_what_cost_nothing_is_no_share_of_yes() -> None:
    free = study().assign(cost_usd=0.0)

    ax = cost_vs_success(free[free["variant"] == "small"], success="solved", n_resamples=100)

    assert spans(ax, 0)[0] == (0.0, 0.0)


def test_a_score_that_is_0_or_1_in_one_variant_is_a_score_there_too() -> None:
    runs = study().assign(score=lambda f: f["solved"].where(f["variant"] == "small", 0.5))
    small = runs[runs["variant"] == "small"]

    _, along = spans(cost_vs_success(runs, success="score", n_resamples=300), 0)

    scores = clusters_of(small["score"].to_numpy(), small["task"].to_numpy(dtype=object))
    rng = np.random.default_rng(0)
    rng.integers(0, len(scores), (300, len(scores)))  # of the cost
    assert along == pytest.approx(bootstrap_interval(scores, 0.95, 300, rng))


def test_missing_values_are_left_out_and_counted() -> None:
    runs = study().astype({"cost_usd": "Float64"})
    runs.loc[[0, 1], "cost_usd"] = pd.NA

    ax = cost_vs_success(runs, success="solved", n_resamples=100)

    assert key_of(ax)[0] == "small · 36 runs of 12 tasks · 2 without cost"
    assert points(ax)[0][0] == pytest.approx(float(runs["cost_usd"].iloc[2:36].astype(float).mean()))


def test_a_score_is_no_share() -> None:
    ax = cost_vs_success(study(), success="wall_s", cost="cost_usd", n_resamples=100)

    assert ax.get_ylabel() == "mean wall of a run [s]"
    assert ax.get_ylim()[0] > 0.5


def test_runs_bring_their_tags_and_their_costs() -> None:
    runs = []
    for variant in ("a", "b"):
        for number in range(6):
            solved = "true" if number % 3 else "no"
            story = Story(f"{variant}-{number}", tags={"variant": variant, "task": f"t{number}", "solved": solved})
            runs.append(story.step(reply(usage=tokens(1000 * (number + 1), 100))).end())
    price = {"tiny-1": Price(input_usd=2, output_usd=10)}

    ax = cost_vs_success(iter(runs), success="solved", prices=price, n_resamples=100)

    assert points(ax) == [pytest.approx((0.007 + 0.001, 4 / 6))] * 2
    assert key_of(ax) == ["a · 6 runs of 6 tasks", "b · 6 runs of 6 tasks"]
    assert "no run has both" in cost_vs_success(runs, success="solved").texts[0].get_text()  # nobody sells `tiny-1`


@pytest.mark.parametrize(
    ("change", "arguments", "text"),
    [
        ({}, {"success": "won"}, "there is no column 'won'; there are variant, task"),
        ({}, {"success": "solved", "cluster": "item"}, "cluster=None takes runs for independent"),
        ({"task": None}, {"success": "solved"}, "108 runs lack 'task'"),
        ({"solved": "maybe"}, {"success": "solved"}, "'solved' holds 'maybe'; it takes numbers, or true and false"),
        ({"cost_usd": np.inf}, {"success": "solved"}, "'cost_usd' has infinite values"),
        ({}, {"success": "solved", "confidence": 1.0}, "confidence is 1.0"),
        ({}, {"success": "solved", "confidence": "x"}, "confidence is 'x'"),
        ({}, {"success": 5}, "success is 5"),
        ({}, {"success": "solved", "cost": ["x"]}, "cost is "),
        ({}, {"success": "solved", "by": None}, "by is None"),
        ({}, {"success": "solved", "cluster": 5}, "cluster is 5"),
        ({}, {"success": "solved", "seed": "x"}, "seed is 'x'"),
        ({}, {"success": "solved", "n_resamples": 0}, "n_resamples is 0"),
        ({}, {"success": "solved", "ax": 5}, "ax is 5"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(change, arguments, text) -> None:
    with pytest.raises(InputError, match=text):
        cost_vs_success(study().assign(**change), **arguments)


def test_independent_runs_need_no_tasks() -> None:
    ax = cost_vs_success(study().drop(columns="task"), success="solved", cluster=None, n_resamples=100)

    assert key_of(ax)[0] == "small · 36 runs"


def test_no_runs_are_said_in_a_sentence() -> None:
    assert (
        cost_vs_success(study().iloc[:0], success="solved").texts[0].get_text() == "nothing to show: there are no runs"
    )
    assert cost_vs_success([], success="solved").texts[0].get_text() == "nothing to show: there are no runs"


VERDICT_MARKERS = ("o", "s", "D")


def rows(ax: Axes) -> list[tuple[float, float, float]]:
    """Low end, difference and high end of each row that is drawn."""
    marks = {line.get_ydata()[0]: line.get_xdata()[0] for line in ax.lines if line.get_marker() in VERDICT_MARKERS}
    across = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]]
    return [(line.get_xdata()[0], marks[line.get_ydata()[0]], line.get_xdata()[1]) for line in across]


def words(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts if isinstance(text, Annotation)]


def test_several_metrics_stand_in_per_cent_of_the_first_arm() -> None:
    found = comparisons()

    ax = forest(found)

    expected = [tuple(100 / each.mean_a * end for end in (each.low, each.difference, each.high)) for each in found]
    np.testing.assert_allclose(rows(ax), expected)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["solved", "cost_usd", "wall_s"]
    assert ax.get_xlabel() == "b minus a [% of a's mean]"
    assert ax.yaxis_inverted()


def test_one_metric_stands_in_its_unit() -> None:
    cost = comparisons()[1]

    ax = forest({"first": cost, "again": cost})

    np.testing.assert_allclose(rows(ax), [(cost.low, cost.difference, cost.high)] * 2)
    assert ax.get_xlabel() == "b minus a: cost [US dollars]"
    assert [text.get_text() for text in ax.get_yticklabels()] == ["first", "again"]


def test_figures_stand_beside_the_rows() -> None:
    solved = comparisons()[0]

    told = words(forest(comparisons()))

    assert told[:4] == ["b \N{MINUS SIGN} a  [95 % interval]", *told[1:4]]
    assert f"{solved.difference:+.3g}  [{solved.low:.3g}, {solved.high:.3g}]" in told
    assert {"p (holm)", "pairs in clusters", "36 in 12", "better", "worse", "no difference shown"} <= set(told)
    assert f"{solved.p:.3f}" in told or "< 0.001" in told


def test_zero_and_what_could_not_be_shown_are_drawn() -> None:
    found = comparisons()[0]

    ax = forest(found)

    assert [0, 0] in [list(line.get_xdata()) for line in ax.lines]
    (band,) = ax.patches
    assert (band.get_x(), band.get_width()) == pytest.approx((-found.smallest_effect, 2 * found.smallest_effect))  # type: ignore[attr-defined, operator]
    assert key_of(ax) == ["smaller than this sample could show"]
    low, high = ax.get_xlim()
    assert low < min(0, found.low) < max(0, found.high) < high


def test_verdicts_differ_in_marker_and_fill() -> None:
    ax = forest(comparisons())

    looks = [
        (line.get_marker(), line.get_markerfacecolor()) for line in ax.lines if line.get_marker() in ("o", "s", "D")
    ]
    assert len(set(looks)) == len(looks) == 3


def test_a_comparison_of_one_task_has_no_interval() -> None:
    runs = study()
    one = runs[runs["task"] == "t0"]
    found = compare(one[one["variant"] == "small"], one[one["variant"] == "large"], "solved")

    ax = found.plot()

    assert any(text.endswith("no interval") for text in words(ax))
    assert "too few pairs" in words(ax)
    ax.figure.savefig(BytesIO(), format="png", dpi=30)


def test_a_metric_that_was_0_has_no_per_cent() -> None:
    found = comparisons()

    ax = forest([found[0], replace(found[1], mean_a=0.0)])

    assert len(rows(ax)) == 1
    assert any(text.endswith("(a is 0)") for text in words(ax))
    ax.figure.savefig(BytesIO(), format="png", dpi=30)


def test_no_comparison_is_said_and_anything_else_refused() -> None:
    assert forest([]).texts[0].get_text() == "nothing to show: there is no comparison"
    with pytest.raises(InputError, match="a forest is drawn of what `compare` found, not of 3"):
        forest([3])  # type: ignore[list-item]
    with pytest.raises(InputError, match="not of None"):
        forest(None)  # type: ignore[arg-type]


def test_comparisons_plot_themselves_into_given_axes() -> None:
    _, ax = plt.subplots()

    assert comparisons().plot(ax) is ax
    assert plt.get_fignums() == [1]
