from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from agentlab.analysis.compare import adjust, bootstrap_interval, compare, sign_flip_p, smallest_effect
from agentlab.analysis.paired import Clusters, clusters_of
from agentlab.analysis.plan import plan
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
    assert verdict in repr(found)


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
    once = clusters_of(np.array([0.3, -0.1, 0.4, 0.2]), np.array(list("abcd"), dtype=object))
    often = clusters_of(np.repeat([0.3, -0.1, 0.4, 0.2], 10), np.repeat(list("abcd"), 10).astype(object))
    assert often.standard_error == pytest.approx(once.standard_error)
    rng = np.random.default_rng
    assert bootstrap_interval(often, 0.95, 500, rng(1)) == pytest.approx(bootstrap_interval(once, 0.95, 500, rng(1)))


def test_differences_that_do_not_vary_have_no_effect_size():
    a = arm([[1.0], [2.0], [3.0]])
    found = compare(a, a.assign(score=a["score"] + 1), "score", n_resamples=100)
    assert (found.low, found.high, found.effect_size) == (1.0, 1.0, None)
    assert smallest_effect(Clusters(np.array([1.0]), np.array([1.0])), 0.95) is None


def test_several_comparisons_are_adjusted():
    assert adjust([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert adjust([0.01, 0.04, 0.03], "benjamini-hochberg") == pytest.approx([0.03, 0.04, 0.04])
    assert adjust([]) == []
    with pytest.raises(InputError, match="method is 'bonferoni'"):
        adjust([0.1], "bonferoni")


def test_a_plan_asks_for_fewer_tasks_when_trials_help():
    a, b = study(0.2, n_tasks=40, noise=1.0, seed=2)
    wanted = plan(a.assign(usd=0.01), b.assign(usd=0.03), "score", effect=0.4, cost="usd")
    assert wanted["tasks"].is_monotonic_decreasing
    assert (wanted["runs"] == 2 * wanted["tasks"] * wanted["trials_per_task"]).all()
    assert wanted["cost"].tolist() == pytest.approx((wanted["runs"] * 0.02).tolist())
    assert plan(a, b, "score", effect=0.4)["cost"].isna().all()


def test_a_planned_study_has_the_power_it_was_planned_for():
    pilot = study(0.3, n_tasks=200, n_trials=4, seed=8)
    n_tasks = int(plan(*pilot, "score", effect=0.3, trials=(2,))["tasks"].iloc[0])
    shown = [
        compare(*study(0.3, n_tasks=n_tasks, n_trials=2, seed=s), "score", n_resamples=400).verdict == "better"
        for s in range(200)
    ]
    assert 0.7 <= np.mean(shown) <= 0.9


def test_a_plan_without_an_effect_or_a_pilot_is_refused():
    with pytest.raises(InputError, match="an effect of 0"):
        plan(*study(0.0), "score", effect=0)
    with pytest.raises(InputError, match="the pilot has 1 task"):
        plan(*study(0.0, n_tasks=1), "score", effect=1)
