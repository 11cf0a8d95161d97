from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap

from agentlab.analysis.frames import runs_df
from agentlab.analysis.latency_frames import latency_df
from agentlab.analysis.percentiles import percentiles
from agentlab.errors import InputError
from agentlab.lab.lab import Lab
from tests.factories import Story, reply, trace_of


def sample(n: int, seed: int = 0) -> pd.Series[float]:
    return pd.Series(np.random.default_rng(seed).exponential(size=n), name="wait_s")


def clustered(seed: int, n_runs: int = 30, n_calls: int = 20) -> pd.DataFrame:
    """Calls whose logarithm has mean 0 and variance 1, most of it between runs."""
    rng = np.random.default_rng(seed)
    of_run = np.repeat(rng.normal(0, 0.8, n_runs), n_calls)
    values = np.exp(of_run + rng.normal(0, 0.6, n_runs * n_calls))
    return pd.DataFrame({"wait_s": values, "run_id": np.repeat(np.arange(n_runs), n_calls)})


def test_an_estimate_is_the_quantile_of_pandas() -> None:
    values = sample(700)

    told = percentiles(values, q=(0.25, 0.5, 0.99))

    assert told["estimate"].tolist() == [values.quantile(q) for q in (0.25, 0.5, 0.99)]
    assert told["measure"].tolist() == ["wait_s"] * 3
    assert (told["low"] < told["estimate"]).all()
    assert (told["estimate"] < told["high"]).all()


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_intervals_of_independent_values_are_those_of_scipy(q: float) -> None:
    values = sample(400)

    told = percentiles(values, q=(q,), n_resamples=20_000).iloc[0]
    theirs = bootstrap(
        (values,),
        lambda x, axis: np.quantile(x, q, axis=axis),
        method="percentile",
        n_resamples=20_000,
        rng=np.random.default_rng(5),
    ).confidence_interval

    assert told["low"] == pytest.approx(theirs.low, rel=0.02)
    assert told["high"] == pytest.approx(theirs.high, rel=0.02)


def test_a_draw_is_the_quantile_of_whole_clusters_put_together() -> None:
    frame = pd.concat([clustered(3, n_runs=7, n_calls=9), clustered(4, n_runs=1, n_calls=30).assign(run_id=99)])
    by_run = [group.to_numpy() for _, group in frame.groupby("run_id")["wait_s"]]
    rng = np.random.default_rng(8)
    drawn = [
        np.quantile(np.concatenate([by_run[n] for n in rng.integers(0, len(by_run), len(by_run))]), 0.37)
        for _ in range(150)
    ]

    told = percentiles(frame, "wait_s", q=(0.37,), n_resamples=150, seed=8).iloc[0]

    assert told["low"] == pytest.approx(np.quantile(drawn, 0.025), rel=1e-12)
    assert told["high"] == pytest.approx(np.quantile(drawn, 0.975), rel=1e-12)


def test_an_interval_contains_the_truth_about_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(150):
        told = percentiles(sample(60, seed), q=(0.5, 0.9), n_resamples=300)
        truth = -np.log([0.5, 0.1])
        hits += int(((told["low"] <= truth) & (truth <= told["high"])).sum())

    assert 0.89 < hits / 300 < 0.98


def test_calls_of_a_run_are_drawn_together() -> None:
    """The true median is 1; as if calls were independent half of the intervals would miss it."""
    together, apart = 0, 0
    for seed in range(100):
        for_runs = percentiles(clustered(seed), "wait_s", q=(0.5,), n_resamples=200).iloc[0]
        for_calls = percentiles(clustered(seed), "wait_s", q=(0.5,), n_resamples=200, cluster=None).iloc[0]
        together += for_runs["low"] <= 1 <= for_runs["high"]
        apart += for_calls["low"] <= 1 <= for_calls["high"]

    assert together >= 88
    assert apart <= 65


def test_the_same_seed_gives_the_same_figures_and_groups_do_not_touch_each_other() -> None:
    frame = clustered(1).assign(model=np.where(np.arange(600) < 300, "a", "b"))

    told = percentiles(frame, "wait_s", by="model")

    pd.testing.assert_frame_equal(told, percentiles(frame, "wait_s", by="model"))
    alone = percentiles(frame[frame["model"] == "b"], "wait_s", by=["model"])
    pd.testing.assert_frame_equal(told[told["model"] == "b"].reset_index(drop=True), alone)
    other = percentiles(frame, "wait_s", by="model", seed=1)
    assert (other["estimate"] == told["estimate"]).all()
    assert (other["low"] != told["low"]).any()


@pytest.mark.parametrize(
    ("q", "least"), [(0.5, 12), (0.9, 58), (0.1, 58), (0.99, 598)], ids=["p50", "p90", "p10", "p99"]
)
def test_too_few_values_have_no_interval_and_say_so(q: float, least: int) -> None:
    enough, few = percentiles(sample(least), q=(q,)).iloc[0], percentiles(sample(least - 1), q=(q,)).iloc[0]

    assert enough[["low", "high"]].notna().all()
    assert pd.isna(enough["note"])
    assert few[["low", "high"]].isna().all()
    assert few["note"] == f"too few values: {least - 1} of the {least} that an interval at 95% takes"
    assert few["estimate"] > 0


def test_too_few_clusters_have_no_interval_and_say_so() -> None:
    six = percentiles(clustered(1, n_runs=6), "wait_s", q=(0.5,)).iloc[0]
    five = percentiles(clustered(1, n_runs=5), "wait_s", q=(0.5,)).iloc[0]

    assert (six["n_clusters"], pd.notna(six["low"])) == (6, True)
    assert five[["low", "high"]].isna().all()
    assert five["note"] == "too few clusters: 5 of the 6 that an interval at 95% takes"
    assert pd.notna(percentiles(clustered(1, n_runs=5), "wait_s", q=(0.5,), level=0.8)["low"].item())


def test_missing_values_are_told_and_not_taken_for_zero() -> None:
    values = sample(40)
    values.iloc[:10] = np.nan

    told = percentiles(values, q=(0.5,)).iloc[0]

    assert (told["n"], told["n_missing"], told["n_clusters"]) == (30, 10, 30)
    assert told["estimate"] == values.median()


def test_nothing_known_gives_no_estimate() -> None:
    told = percentiles(pd.Series([np.nan, np.nan], name="x"), q=(0.5,)).iloc[0]

    assert (told["n"], told["n_missing"], told["n_clusters"]) == (0, 2, 0)
    assert told[["estimate", "low", "high"]].isna().all()
    assert told["note"].startswith("too few values: 0 of")


def test_equal_values_have_an_interval_of_no_width() -> None:
    told = percentiles(pd.Series([0.25] * 80, name="x"), q=(0.5, 0.9))

    assert (told[["estimate", "low", "high"]] == 0.25).all(axis=None)


def test_a_source_gives_its_calls_for_steps_by_run() -> None:
    story = Story("run-a").step(reply(purpose="approval", ttft_s=9.0), reply(ttft_s=0.5)).step(reply(ttft_s=0.7))
    traces = [story.end(), *(trace_of(2, f"run-{n}") for n in range(6))]

    told = percentiles(traces, q=(0.5,), by="model")

    assert told["model"].tolist() == ["tiny-1"]
    assert (told["n"].item(), told["n_clusters"].item()) == (14, 7)
    calls = latency_df(traces)
    assert told["estimate"].item() == calls.loc[calls["purpose"] == "step", "ttft_s"].median()
    vllm = percentiles(traces, q=(0.5,), definition="vllm")
    assert vllm["estimate"].item() < told["estimate"].item()


def test_tags_of_runs_make_groups_and_clusters() -> None:
    def told(n: int) -> Story:
        story = Story(f"run-{n}", tags={"task": f"t{n % 7}", **({"variant": "ab"[n % 2]} if n < 14 else {})})
        return story.step(reply(ttft_s=0.5 + n % 2)).step(reply(ttft_s=0.5 + n % 2))

    traces = [told(n).end() for n in range(21)]

    found = percentiles(iter(traces), q=(0.5,), by="variant", cluster="task")

    assert found["variant"].tolist() == ["a", "b", "no variant"]
    assert found["n"].tolist() == [14, 14, 14]
    assert found["n_clusters"].tolist() == [7, 7, 7]
    assert found["estimate"].tolist()[:2] == [0.5, 1.5]
    with pytest.raises(InputError, match="no run has a tag or a column 'arm'; the tags are task, variant"):
        percentiles(traces, by="arm")


def test_a_frame_of_runs_gives_run_level_percentiles() -> None:
    traces = [trace_of(3, f"run-{n}") for n in range(12)]

    told = percentiles(runs_df(traces), "ttft_run_s", q=(0.5,), by=["agent", "model"])

    assert told[["agent", "model"]].iloc[0].tolist() == ["counter", "tiny-1"]
    assert (told["n"].item(), told["n_clusters"].item()) == (12, 12)


def test_no_calls_give_a_row_that_says_so_and_no_groups_none() -> None:
    told, grouped = percentiles(Lab(), q=(0.5,)), percentiles(Lab(), q=(0.5,), by="model")

    assert told["note"].item().startswith("too few values: 0 of")
    assert len(grouped) == 0
    assert list(grouped.columns) == ["model", *told.columns]
    assert list(percentiles(Lab(), by="variant").columns) == ["variant", *told.columns]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"q": "0.5"}, "`q` takes numbers between 0 and 1"),
        ({"q": np.array([[0.5]])}, "`q` takes numbers between 0 and 1"),
        ({"q": ()}, "`q` takes numbers between 0 and 1"),
        ({"q": (50, 99)}, "`q` takes numbers between 0 and 1"),
        ({"q": (1.01,)}, "`q` takes numbers between 0 and 1"),
        ({"level": 95}, "level is 95; it lies between 0 and 1"),
        ({"n_resamples": 10}, "n_resamples is 10; it takes whole numbers from 100"),
        ({"n_resamples": True}, "n_resamples is True"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"seed": -1}, "seed is -1"),
        ({"by": 5}, "by is 5"),
        ({"by": [5]}, "by is 5"),
        ({"by": ["name", "name"]}, "by has 'name', which the answer has already"),
        ({"by": "wait_s"}, "by has 'wait_s', which the answer has already"),
        ({"by": "n"}, "by has 'n', which the answer has already"),
        ({"by": "lists"}, "`lists` holds values that are no names"),
        ({"cluster": "lists"}, "`lists` holds values that are no names"),
        ({"cluster": ["name"]}, "cluster is "),
        ({"cluster": "wait_s"}, "cluster is 'wait_s', which is measured"),
        ({"measure": 5}, "measure is 5"),
        ({"measure": "endless"}, "`endless` has infinite values"),
        ({"measure": "turned"}, "`turned` is no column of numbers but complex128"),
        ({"measure": "ttft"}, "there is no column 'ttft'; there are wait_s, run_id, name"),
        ({"measure": "name"}, "`name` is no column of numbers but"),
        ({"by": "arm"}, "there is no column 'arm'"),
        ({"cluster": "task"}, "there is no column 'task'"),
    ],
)
def test_wrong_input_is_told(wrong: dict[str, Any], told: str) -> None:
    frame = clustered(1).assign(name="x", n=1, endless=np.inf, turned=1j, lists=[[1]] * 600)
    with pytest.raises(InputError, match=told):
        percentiles(frame, **{"measure": "wait_s", **wrong})


def test_a_frame_without_runs_is_told_what_to_do() -> None:
    with pytest.raises(InputError, match="no column 'run_id'; there are wait_s; give the column of the clusters"):
        percentiles(sample(20).to_frame(), "wait_s")


def test_one_percentile_and_arrays_of_them_may_be_asked_for() -> None:
    values = sample(700)

    assert percentiles(values, q=0.5).equals(percentiles(values, q=(0.5,)))
    assert percentiles(values, q=np.array([0.5, 0.9, 0.5]))["q"].tolist() == [0.5, 0.9]
    ends = percentiles(values, q=(0, 1))
    assert ends["estimate"].tolist() == [values.min(), values.max()]
    assert ends[["low", "high"]].isna().all(axis=None)
    assert ends["note"].str.startswith("no interval").all()


def test_a_figure_of_a_whole_run_is_missing_in_no_call() -> None:
    """Letta's stands in the row of the first call; the others can have none."""
    told = percentiles([trace_of(4, "run-a"), trace_of(2, "run-b")], q=0.5, definition="letta")

    assert (told["n"].item(), told["n_missing"].item()) == (2, 0)
