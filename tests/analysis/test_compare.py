from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind

from agentlab import Agent, Lab, ScriptedModel, runs_with_tags
from agentlab.analysis.compare import adjust, adjusted, compare
from agentlab.analysis.paired import Clusters, Samples, clusters_of
from agentlab.analysis.plan import plan
from agentlab.analysis.power import POWER, sign_flip_reach
from agentlab.analysis.resampling import bootstrap_interval, sign_flip_p, unpaired
from agentlab.errors import InputError


def arm(values_by_task, metric="score"):
    rows = [(f"t{n}", m, v) for n, values in enumerate(values_by_task) for m, v in enumerate(values)]
    return pd.DataFrame(rows, columns=["task", "trial", metric])


def study(effect, *, n_tasks=30, n_trials=3, seed=0, noise=0.5):
    rng = np.random.default_rng(seed)
    tasks = rng.normal(size=(n_tasks, 1))
    gains = effect + 0.4 * rng.normal(size=(n_tasks, 1))
    a = tasks + noise * rng.normal(size=(n_tasks, n_trials))
    b = tasks + gains + noise * rng.normal(size=(n_tasks, n_trials))
    return arm(a), arm(b)


def test_the_difference_is_that_of_the_pairs():
    a, b = arm([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), arm([[2.0, 3.0], [4.0, 6.0], [6.0, 7.0]])
    found = compare(a, b, "score", n_resamples=200)
    assert found.difference == pytest.approx(7 / 6)
    assert (found.mean_a, found.mean_b) == (3.5, pytest.approx(3.5 + 7 / 6))
    assert (found.n_pairs, found.n_clusters, found.n_dropped) == (6, 3, 0)


def test_rows_pair_by_their_keys_and_not_by_their_order():
    a, b = study(0.5)
    found = compare(a, b, "score")
    assert compare(
        a.sample(frac=1, random_state=1), b.sample(frac=1, random_state=2), "score"
    ).difference == pytest.approx(found.difference)


def test_one_seed_gives_the_same_figures():
    a, b = study(0.2)
    assert compare(a, b, "score", seed=4) == compare(a, b, "score", seed=4)
    assert compare(a, b, "score", seed=4) != compare(a, b, "score", seed=5)


@pytest.mark.parametrize(
    ("effect", "better", "verdict"),
    [
        (1.0, "higher", "better"),
        (1.0, "lower", "worse"),
        (-1.0, "lower", "better"),
        (0.0, "higher", "no difference shown"),
    ],
)
def test_the_verdict_is_in_words(effect, better, verdict):
    a, b = study(effect, seed=11)
    found = compare(a, b, "score", better=better)
    assert found.verdict == verdict
    taken_as = f", as {better} is better" if verdict in ("better", "worse") else ""
    assert f": {verdict}{taken_as}; could have shown" in repr(found)


def test_five_tasks_cannot_show_anything_at_the_usual_level():
    a, b = study(50.0, n_tasks=5)
    assert compare(a, b, "score").verdict == "too few pairs"
    a, b = study(50.0, n_tasks=6)
    assert compare(a, b, "score").verdict == "better"


def test_missing_values_drop_their_pair_and_are_counted():
    a, b = study(1.0)
    b["score"] = b["score"].astype("Float64")
    b.loc[[3, 7], "score"] = pd.NA
    found = compare(a, b, "score")
    assert (found.n_pairs, found.n_dropped) == (88, 2)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda a, b: (a, b.iloc[1:]), r"1 of 90 rows have no partner, such as task='t0', trial="),
        (lambda a, b: (a, pd.concat([b, b.iloc[:1]])), r"`b` has several rows for task='t0'"),
        (lambda a, b: (a.drop(columns="score"), b), "`a` has no column 'score'"),
        (lambda a, b: (a.assign(score=np.nan), b), "no pair has `score` in both arms"),
    ],
    ids=["alone", "twice", "no-column", "all-missing"],
)
def test_what_does_not_pair_is_refused(spoil, text):
    with pytest.raises(InputError, match=text):
        compare(*spoil(*study(0.0)), "score")


def test_unpaired_data_is_compared_when_asked_for_and_needs_more():
    a, b = study(0.6, seed=3)
    paired = compare(a, b, "score")
    apart = compare(a, b.assign(trial=lambda f: f["trial"] + 100), "score", unpaired=True)
    assert apart.difference == pytest.approx(paired.difference)
    assert apart.high - apart.low > 1.5 * (paired.high - paired.low)
    assert not apart.paired


def test_yes_and_no_get_mcnemar_too():
    a, b = arm([[0]] * 10 + [[1]] * 6), arm([[1]] * 9 + [[0]] + [[1]] * 5 + [[0]])
    found = compare(a, b, "score", pair_by=("task", "trial"))
    assert found.p_mcnemar == pytest.approx(2 * sum([1, 10]) / 2**10)
    assert compare(*study(0.0), "score").p_mcnemar is None


def test_sign_flips_are_exact_for_few_clusters():
    clusters = Clusters(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), np.ones(6))
    assert sign_flip_p(clusters, 10, np.random.default_rng(0)) == 2 / 2**6
    mixed = Clusters(np.array([1.0, 1.0, -1.0]), np.ones(3))
    assert sign_flip_p(mixed, 10, np.random.default_rng(0)) == 1.0


def test_trials_of_one_task_do_not_count_as_tasks():
    """Ten times the same trial is no more evidence than one."""
    values, names = [0.3, -0.1, 0.4, 0.2, 0.5, 0.0], np.array(list("abcdef"), dtype=object)
    once, often = clusters_of(np.array(values), names), clusters_of(np.repeat(values, 10), np.repeat(names, 10))
    assert often.standard_error == pytest.approx(once.standard_error)
    rng = np.random.default_rng
    assert bootstrap_interval(often, 0.95, 500, rng(1)) == pytest.approx(bootstrap_interval(once, 0.95, 500, rng(1)))


def test_differences_that_do_not_vary_have_no_effect_size():
    a = arm([[n + 0.1 * n] for n in range(8)])
    found = compare(a, a.assign(score=a["score"] + 1.3), "score", n_resamples=100)
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert (found.effect_size, found.smallest_effect, found.verdict) == (None, None, "better")
    assert "no interval" in repr(found)
    assert "could have shown" not in repr(found)
    assert "inf" not in repr(found) + found._repr_html_()


@pytest.mark.parametrize("n_tasks", [2, 3, 4, 5])
def test_too_few_tasks_have_no_interval_and_could_have_shown_nothing(n_tasks):
    found = compare(*study(0.5, n_tasks=n_tasks), "score")
    assert (found.low, found.high, found.smallest_effect) == (-np.inf, np.inf, None)
    assert found.verdict == "too few pairs"
    assert np.isfinite(compare(*study(0.5, n_tasks=n_tasks), "score", confidence=0.5).low)


def yes_and_no(rng, n_tasks):
    """Differences of two arms of yes and no, one trial a task, where the second says yes more often by 0.15."""
    chance = rng.beta(2, 2, size=n_tasks)
    return (rng.random(n_tasks) < chance + 0.3 * (1 - chance)) * 1.0 - (rng.random(n_tasks) < chance)


def test_intervals_of_few_tasks_cover_what_they_say():
    """The bootstrap alone covered 86 of 100 here."""
    rng = np.random.default_rng(6)
    names = np.arange(8).astype(object)
    covered = 0
    for _ in range(400):
        low, high = bootstrap_interval(clusters_of(yes_and_no(rng, 8), names), 0.95, 300, rng)
        covered += low <= 0.15 <= high
    assert covered / 400 >= 0.92


@pytest.mark.parametrize("n_tasks", [6, 8, 12, 30])
def test_the_smallest_effect_is_shown_as_often_as_it_says(n_tasks):
    """As a t test has it, 6 tasks would show theirs in 58 of 100 studies."""
    rng = np.random.default_rng(n_tasks)
    effect = sign_flip_reach(n_tasks, 0.95, POWER) / np.sqrt(n_tasks)
    studies = rng.normal(effect, 1, size=(800, n_tasks))
    shown = [sign_flip_p(Clusters(each, np.ones(n_tasks)), 600, rng) <= 0.05 for each in studies]
    assert 0.77 <= np.mean(shown) <= 0.84


def test_the_smallest_effect_is_in_the_unit_of_the_metric():
    a, b = study(0.3, n_tasks=8)
    small = compare(a, b, "score")
    big = compare(a.assign(score=a["score"] * 10), b.assign(score=b["score"] * 10), "score")
    assert big.smallest_effect == pytest.approx(10 * small.smallest_effect)


def test_several_comparisons_are_adjusted():
    assert adjust([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjust([0.01, 0.04, 0.03], "benjamini-hochberg") == pytest.approx([0.03, 0.04, 0.04])
    assert adjust([]) == []
    with pytest.raises(InputError, match="method is 'bonferoni'"):
        adjust([0.1], "bonferoni")


def test_a_plan_asks_for_fewer_tasks_when_trials_help():
    pilot = compare(*study(0.2, n_tasks=40, noise=1.0, seed=2), "score")
    wanted = plan(pilot, 0.4, cost_per_run=0.02)
    assert wanted["tasks"].is_monotonic_decreasing
    assert wanted["tasks"].iloc[0] > wanted["tasks"].iloc[-1]
    assert (wanted["runs"] == 2 * wanted["tasks"] * wanted["trials_per_task"]).all()
    assert wanted["cost"].tolist() == pytest.approx((wanted["runs"] * 0.02).tolist())
    assert plan(pilot, 0.4)["cost"].isna().all()


def test_a_planned_study_has_the_power_it_was_planned_for():
    pilot = compare(*study(0.3, n_tasks=200, n_trials=4, seed=8), "score")
    n_tasks = int(plan(pilot, 0.3, trials=(2,))["tasks"].iloc[0])
    shown = [
        compare(*study(0.3, n_tasks=n_tasks, n_trials=2, seed=s), "score", n_resamples=400).verdict == "better"
        for s in range(200)
    ]
    assert 0.74 <= np.mean(shown) <= 0.88


def test_a_planned_study_of_few_tasks_has_its_power_too():
    rng = np.random.default_rng(1)
    effect = 1.2
    pilot = compare(*study(0.3, n_tasks=200, n_trials=1, seed=8), "score")
    n_tasks = int(plan(replace(pilot, variance_between=1.0), effect)["tasks"].iloc[0])
    studies = rng.normal(effect, 1, size=(800, n_tasks))
    shown = [sign_flip_p(Clusters(each, np.ones(n_tasks)), 600, rng) <= 0.05 for each in studies]
    assert 6 < n_tasks < 11
    assert np.mean(shown) >= 0.77


def test_a_plan_never_asks_for_fewer_tasks_than_can_show_anything():
    a, b = arm([[1.0, 2.0]] * 3), arm([[2.0, 3.0], [2.001, 3.0], [2.0, 3.001]])
    assert plan(compare(a, b, "score"), 1.0)["tasks"].unique().tolist() == [6]
    assert plan(compare(a, b, "score", confidence=0.99), 1.0)["tasks"].unique().tolist() == [8]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((0.0,), "an effect of 0.0 needs no study"),
        ((float("nan"),), "an effect of nan"),
        ((0.3, 1.0), "power is 1.0; it lies between 0 and 1"),
        ((1e-6,), "would need more than 100,000 tasks"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused(arguments, text):
    with pytest.raises(InputError, match=text):
        plan(compare(*study(0.0), "score"), *arguments)


def test_a_plan_needs_a_pilot_whose_pairs_vary():
    a = arm([[n + 0.1 * n] for n in range(8)])
    for shift in (0.0, 1.3):
        with pytest.raises(InputError, match=f"all 8 pairs of the pilot differ by the same, {shift:g}: it"):
            plan(compare(a, a.assign(score=a["score"] + shift), "score", n_resamples=100), 0.5)
    a, b = arm([[0.3], [0.6], [0.7], [1.1]]), arm([[0.1 + 0.2], [0.1 * 6], [0.7], [1.1]])  # but for rounding the same
    with pytest.raises(InputError, match="all 4 pairs of the pilot differ by the same"):
        plan(compare(a, b, "score", n_resamples=100), 0.5)


def test_a_plan_needs_a_pilot_with_pairs_of_several_tasks():
    with pytest.raises(InputError, match="the pilot has 1 task"):
        plan(compare(*study(0.0, n_tasks=1), "score"), 1)
    with pytest.raises(InputError, match="the pilot is unpaired"):
        plan(compare(*study(0.0), "score", unpaired=True), 1)
    with pytest.raises(InputError, match="it takes what `compare` found"):
        plan("pilot", 1)
    with pytest.raises(InputError, match="it takes whole numbers from 1"):
        plan(compare(*study(0.0), "score"), 1, trials=(0,))


def test_several_metrics_are_compared_at_once_and_their_p_values_adjusted():
    a, b = study(1.0, n_tasks=20)
    noise = np.random.default_rng(5).normal(size=len(a))
    a, b = a.assign(cost=1.0 + noise), b.assign(cost=1.0 + noise[::-1])
    found = compare(a, b, ["score", "cost"], better={"cost": "lower"})
    alone = [compare(a, b, "score"), compare(a, b, "cost", better="lower")]
    assert [each.metric for each in found] == ["score", "cost"]
    assert [each.p_value for each in found] == [each.p_value for each in alone]
    assert [each.p_adjusted for each in found] == adjust([each.p_value for each in alone])
    assert [each.verdict for each in found] == ["better", "no difference shown"]
    gentle = compare(a, b, ["score", "cost"], adjust_by="benjamini-hochberg")
    assert [each.adjusted_by for each in gentle] == ["benjamini-hochberg"] * 2


def test_verdicts_go_by_the_adjusted_p_value():
    found = compare(*study(0.4, n_tasks=12, seed=2), "score")
    assert (found.verdict, found.p_value < 0.05) == ("better", True)
    among_many = adjusted([found, *[compare(*study(0.0, seed=s), "score") for s in range(20, 40)]])
    assert among_many[0].p > 0.05
    assert among_many[0].verdict == "no difference shown"
    assert adjusted([found])[0] == found


def test_six_tasks_that_can_show_one_difference_are_too_few_for_two():
    a, b = arm([[0.0]] * 6), arm([[1.0 + n / 10] for n in range(6)])
    found = compare(a, b, "score")
    assert (found.verdict, found.p_value) == ("better", 2 / 2**6)
    both = adjusted([found, found])
    assert [each.verdict for each in both] == ["too few pairs"] * 2
    assert both[0].least_p_adjusted == 4 / 2**6
    assert adjusted([found, found], "benjamini-hochberg")[0].verdict == "better"


def test_unpaired_arms_have_an_effect_size_and_a_smallest_effect():
    a, b = study(0.6, n_tasks=12, n_trials=1, seed=3)
    found = compare(a, b, "score", unpaired=True)
    x, y = a["score"], b["score"]
    assert found.effect_size == pytest.approx((y.mean() - x.mean()) / np.sqrt((x.var() + y.var()) / 2))
    interval = ttest_ind(y, x, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.smallest_effect > (found.high - found.low) / 2
    same = arm([[1.0]] * 4)
    flat = compare(same, same.assign(score=2.0), "score", unpaired=True)
    assert (flat.low, flat.high, flat.effect_size, flat.smallest_effect) == (-np.inf, np.inf, None, None)


def test_a_small_unpaired_arm_that_varies_much_shows_no_more_than_its_interval():
    narrow, wide = arm([[n / 10] for n in range(-15, 15)]), arm([[-4.0], [-2.0], [0.0], [2.0], [4.0], [6.0], [8.0]])
    found = compare(narrow, wide, "score", unpaired=True, n_resamples=2000)
    assert found.p_value == pytest.approx(ttest_ind(wide["score"], narrow["score"], equal_var=False).pvalue)
    assert found.low < 0 < found.high
    assert found.verdict == "no difference shown"


def test_the_smallest_effect_of_unpaired_arms_is_shown_as_often_as_it_says():
    rng = np.random.default_rng(2)
    pilot = Samples(rng.normal(size=10), 3 * rng.normal(size=30), 40, 0)
    effect = unpaired(pilot, 0.95, 99, rng).smallest_effect
    scale_a, scale_b = pilot.a.std(ddof=1), pilot.b.std(ddof=1)
    shown = 0
    for _ in range(150):
        a, b = scale_a * rng.normal(size=10), effect + scale_b * rng.normal(size=30)
        shown += unpaired(Samples(a, b, 40, 0), 0.95, 299, rng).p_value <= 0.05
    assert 0.7 <= shown / 150 <= 0.9


def test_too_few_unpaired_clusters_show_nothing_either():
    a, b = arm([[1.0], [1.1], [0.9]]), arm([[9.0], [9.1], [8.9]])
    assert compare(a, b, "score", unpaired=True).verdict == "too few pairs"
    assert (
        compare(arm([[1.0], [1.1], [0.9], [1.2]]), arm([[9.0], [9.1], [8.9], [9.2]]), "score", unpaired=True).verdict
        == "better"
    )


def test_variances_of_the_differences_are_parted():
    pairs = compare(*study(0.0, n_tasks=4000, n_trials=3, seed=1), "score")
    assert pairs.variance_between == pytest.approx(0.4**2, rel=0.1)
    assert pairs.variance_within == pytest.approx(2 * 0.5**2, rel=0.1)


@pytest.mark.parametrize(
    ("spoil", "more", "text"),
    [
        (lambda a, b: (a, b.assign(score="good")), {}, "`score` of `b` holds (object|str.*); numbers or yes and no"),
        (lambda a, b: (a, b.assign(score=np.inf)), {}, "`score` of `b` has infinite values"),
        (lambda a, b: (a.assign(task=None), b), {}, "`a` has 90 rows that lack one of task, trial"),
        (
            lambda a, b: (a, b.assign(trial=b["trial"].astype(str))),
            {},
            "trial is int64 and (object|str);",
        ),
        (lambda a, b: (a, [1, 2]), {}, r"`b` is \[1, 2\]; it takes a frame"),
        (lambda a, b: (pd.concat([a, a["score"]], axis=1), b), {}, "`a` has several columns 'score'"),
        (lambda a, b: (a, b), {"confidence": 95}, "confidence is 95; it lies between 0 and 1"),
        (lambda a, b: (a, b), {"better": "more"}, "better is 'more'; it takes 'higher' or 'lower'"),
        (lambda a, b: (a, b), {"n_resamples": 0}, "n_resamples is 0"),
        (lambda a, b: (a, b), {"pair_by": "score"}, "and not the metric"),
        (lambda a, b: (a.iloc[:0], b.iloc[:0]), {}, "no pair has `score` in both arms"),
    ],
    ids=["text", "infinite", "no-task", "other-type", "no-frame", "twice", "percent", "word", "none", "key", "empty"],
)
def test_what_cannot_be_compared_is_refused_by_name(spoil, more, text):
    with pytest.raises(InputError, match=text):
        compare(*spoil(*study(0.0)), "score", **more)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"better": {"scores": "lower"}}, "better names 'scores', which is not compared; there is score"),
        ({"better": {"score": "more"}}, "better is 'more'"),
        ({"better": None}, "better is None"),
        ({"confidence": "x"}, "confidence is 'x'"),
        ({"n_resamples": 1.5}, "n_resamples is 1.5; it takes whole numbers from 100"),
        ({"n_resamples": 99}, "n_resamples is 99"),
        ({"n_resamples": True}, "n_resamples is True"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"adjust_by": "x"}, "method is 'x'"),
        ({"pair_by": 5}, "pair_by is 5"),
        ({"pair_by": [5]}, "pair_by is 5"),
        ({"pair_by": []}, r"pair_by is \[\]"),
        ({"cluster": None}, "cluster is None"),
        ({"cluster": ["task"]}, "cluster is "),
        ({"cluster": "score"}, "cluster is 'score', which is compared"),
        ({"metric": None}, "metric is None"),
        ({"metric": []}, r"metric is \[\]"),
        ({"metric": ["score", "score"]}, "a list of different ones"),
    ],
)
def test_wrong_settings_are_told_by_name(more, text):
    with pytest.raises(InputError, match=text):
        compare(*study(0.0), **{"metric": "score", **more})


@pytest.mark.parametrize("unpaired", [False, True])
@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda f: f.assign(score=f["score"] + 1j), "`score` of `a` holds complex128"),
        (lambda f: f.assign(task=[[1]] * len(f)), "`task` of `a` holds values that are no names"),
        (lambda f: f.assign(score=pd.to_timedelta(f["score"], "s")), "`score` of `a` holds timedelta64"),
    ],
)
def test_columns_that_cannot_be_read_are_told_by_name(spoil, text, unpaired):
    a, b = study(0.0)
    with pytest.raises(InputError, match=text):
        compare(spoil(a), b, "score", unpaired=unpaired)


def test_both_rows_of_a_pair_are_of_one_cluster():
    a, b = study(0.0)
    a["id"] = b["id"] = range(len(a))
    other = b.assign(task=b["task"].replace("t3", "u"))
    with pytest.raises(InputError, match="3 pairs are of two clusters, such as id=9: `task` is 't3' in `a` and 'u'"):
        compare(a, other, "score", pair_by="id")
    assert compare(a, b, "score", pair_by="id").n_clusters == 30


def test_columns_may_have_any_name():
    a, b = (each.rename(columns={"task": "value_a", "trial": "_merge"}) for each in study(1.0))
    assert compare(a, b, "score", pair_by=["value_a", "_merge"], cluster="value_a").verdict == "better"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"effect": "x"}, "an effect of 'x'"),
        ({"effect": None}, "an effect of None"),
        ({"power": "x"}, "power is 'x'"),
        ({"trials": 3}, "trials are 3"),
        ({"trials": "12"}, "trials are '12'"),
        ({"trials": [1.5]}, "trials is 1.5; it takes whole numbers"),
        ({"cost_per_run": -1}, "cost_per_run is -1"),
        ({"cost_per_run": "x"}, "cost_per_run is 'x'"),
        ({"cost_per_run": float("nan")}, "cost_per_run is nan"),
        ({"cost_per_run": pd.NA}, "cost_per_run is <NA>"),
    ],
)
def test_a_plan_tells_wrong_settings_by_name(arguments, text):
    pilot = compare(*study(0.0), "score", n_resamples=100)
    with pytest.raises(InputError, match=text):
        plan(pilot, **{"effect": 0.5, **arguments})


def test_only_comparisons_and_numbers_are_adjusted():
    for wrong in (None, ["a"], "0.1"):
        with pytest.raises(InputError, match="p values"):
            adjust(wrong)
    for wrong in (None, [1], compare(*study(0.0), "score", n_resamples=100)):
        with pytest.raises(InputError, match="a list of what `compare` found"):
            adjusted(wrong)
    with pytest.raises(InputError, match="method is 'x'"):
        adjusted([compare(*study(0.0), "score", n_resamples=100)], "x")


def test_one_column_may_name_the_pairs():
    a, b = study(1.0, n_trials=1)
    assert compare(a, b, "score", pair_by="task").n_pairs == 30


@pytest.mark.parametrize("dtype", ["boolean", "bool[pyarrow]", "Int64", "double[pyarrow]"])
def test_columns_of_frames_can_be_compared(dtype):
    a, b = arm([[1], [0], [1]]), arm([[1], [1], [0]])
    found = compare(a.astype({"score": dtype}), b.astype({"score": dtype}), "score")
    assert found.difference == pytest.approx(0.0)
    assert found.p_mcnemar == pytest.approx(1.0)


def test_a_comparison_tells_what_it_found_as_text_and_as_a_table():
    a, b = study(1.0)
    found = compare(a.rename(columns={"score": "<b>score"}), b.rename(columns={"score": "<b>score"}), "<b>score")
    html = found._repr_html_()
    assert "<b>score" in repr(found)
    assert "<b>" not in html
    assert "&lt;b&gt;score" in html
    assert "<td>better, as higher is better</td>" in html
    assert f"{found.low:.4g} to {found.high:.4g}" in html
    both = adjusted([found, found])
    assert repr(both).count("(holm)") == both._repr_html_().count("(holm)") == 2
    assert both.frame()["verdict"].tolist() == ["better", "better"]
    assert "p_adjusted" in both.frame().columns
    assert (repr(adjusted([])), len(adjusted([]).frame())) == ("no comparison", 0)


def test_p_values_are_between_0_and_1():
    with pytest.raises(InputError, match="p values lie between 0 and 1"):
        adjust([0.2, float("nan")])


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("agentlab.analysis.resampling.find_spec", lambda name: None if name == "statsmodels" else name)
    with pytest.raises(InputError, match=r'pip install "agentlab-jupyter\[stats\]"'):
        compare(*study(0.0), "score")


def test_a_pilot_of_one_trial_a_task_says_nothing_of_more_trials():
    pilot = compare(*study(0.2, n_trials=1, seed=2), "score")
    assert pilot.variance_within is None
    assert pilot.variance_between == pytest.approx(0.4**2 + 2 * 0.5**2, rel=0.5)
    assert plan(pilot, 0.4)["trials_per_task"].tolist() == [1]
    with pytest.raises(InputError, match="the pilot has one trial a task"):
        plan(pilot, 0.4, trials=(1, 3))


def test_the_tags_of_runs_say_which_are_compared(tmp_path):
    words = {"brief": "Two.", "thorough": "Two cats live there, and a dog that sleeps all day."}
    with Lab(tmp_path / "arms.db") as lab:
        for variant, text in words.items():
            for task in range(6):
                tags = {"variant": variant, "task": f"t{task}", "trial": "1"}
                lab.run(Agent(ScriptedModel([text])), "How many?", tags=tags).wait()
        lab.run(Agent(ScriptedModel(["Nobody counts me."])), "How many?").wait()
        runs = runs_with_tags(lab)

        with_tags = runs_with_tags(lab, columns=["run_id", "output_tokens"])

    assert with_tags.columns.tolist() == ["run_id", "output_tokens", "tags", "variant", "task", "trial"]
    assert runs["variant"].isna().tolist() == [False] * 12 + [True]
    found = compare(runs[runs.variant == "brief"], runs[runs.variant == "thorough"], "output_tokens", better="lower")
    assert (found.n_pairs, found.n_clusters, found.n_dropped) == (6, 6, 0)
    gain = runs.loc[runs.variant == "thorough", "output_tokens"].iloc[0] - runs.loc[0, "output_tokens"]
    assert found.difference == gain > 0


def test_the_comparison_in_the_readme_says_what_it_says():
    readme = Path(__file__).parents[2] / "README.md"
    blocks = re.findall(r"```python\n(.*?)```", readme.read_text(), re.DOTALL)
    (block,) = [each for each in blocks if "compare(" in each]
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.startswith("better 0.25")
