"""Tests of the criteria by which a published number agrees with our runs."""

import numpy as np
import pandas as pd
import pytest

import sanbook.reproduction.criteria
from sanbook.reproduction.criteria import (
    RUNS,
    Evidence,
    compare_numbers,
    describe_shares,
    prediction_interval,
    shares,
    unmatched,
)
from sanbook.reproduction.published import KEYS, published_numbers

KEY = {"table": "mnist", "database": "mnist", "activation": "extrema", "kernel_size": 3}


@pytest.fixture
def one_published_row(monkeypatch):
    """The paper prints one row: CR^-1 .30, loss .50, phi .60, accuracy 90."""
    values = {"inverse_compression_ratio": 0.3, "normalized_reconstruction_loss": 0.5,
              "phi": 0.6, "accuracy_percent": 90.0}  # fmt: skip
    rows = [KEY | {"metric": metric, "published": value} for metric, value in values.items()]
    monkeypatch.setattr(
        sanbook.reproduction.criteria, "published_numbers", lambda: pd.DataFrame(rows)
    )


def run(selection="published_m", dead=False, **values):
    """One measured row; without values equal to the published one."""
    row = {"inverse_compression_ratio": 0.3, "normalized_reconstruction_loss": 0.5, "phi": 0.6,
           "accuracy_percent": 90.0, "seed": 0, "init": "normal"}  # fmt: skip
    return KEY | row | {"selection": selection, "dead": dead} | values


def verdicts(*runs, absent=None):
    rows = pd.DataFrame(runs, columns=RUNS)
    return compare_numbers(Evidence(rows, absent or {})).set_index("metric")


@pytest.mark.parametrize(
    ("phi", "matches"), [(0.6, True), (0.619, True), (0.581, True), (0.621, False), (0.579, False)]
)
def test_the_mean_matches_within_two_hundredths(one_published_row, phi, matches):
    assert verdicts(run(phi=phi + 0.1), run(phi=phi - 0.1, seed=1)).mean_matches["phi"] == matches


def test_a_run_matches_and_the_range_is_shown(one_published_row):
    row = verdicts(run(phi=0.9), run(phi=0.61, seed=1), run(phi=0.5, seed=2)).loc["phi"]
    assert (row.verdict, row.low, row.high, row.runs) == ("a run matches", 0.5, 0.9, 3)
    assert row["mean"] == pytest.approx(0.67)
    assert row.difference == pytest.approx(0.07)


@pytest.mark.parametrize(
    ("accuracies", "mean", "some"),
    [((89, 92), True, True), ((91.4, 95), False, True), ((80, 95), False, False)],
)
def test_an_accuracy_has_a_tolerance_of_points(one_published_row, accuracies, mean, some):
    rows = [run(accuracy_percent=value, seed=seed) for seed, value in enumerate(accuracies)]
    row = verdicts(*rows).loc["accuracy_percent"]
    assert (row.mean_matches, row.run_matches) == (mean, some)


@pytest.mark.parametrize("other", [{"init": "constant"}, {"selection": "published_m_last"}])
def test_other_initialisations_and_the_last_epoch_count_as_a_run_only(one_published_row, other):
    row = verdicts(run(phi=0.9), run(phi=0.6, **other)).loc["phi"]
    assert (row.mean_matches, row.run_matches, row["mean"], row.runs) == (False, True, 0.9, 1)


def test_what_the_procedure_gives_counts_as_a_run_and_has_an_interval(one_published_row):
    drawn = [
        run(selection="test", phi=round(0.55 + s / 50, 2), seed=s, kernel_size=3 + s)
        for s in range(3)
    ]
    row = verdicts(run(phi=0.9), *drawn).loc["phi"]
    assert (row.verdict, row.chosen_low, row.chosen_high) == ("a run matches", 0.55, 0.59)
    assert (row.m_chosen, row["mean"]) == (1, 0.9)
    assert row.inside_interval
    constant = [choice | {"init": "constant"} for choice in drawn]
    row = verdicts(run(phi=0.9), *constant).loc["phi"]
    assert (row.run_matches, row.inside_interval, row.m_chosen) == (True, False, 0)


def test_validation_counts_nowhere(one_published_row):
    row = verdicts(run(phi=0.9), run(selection="validation", phi=0.6)).loc["phi"]
    assert (row.verdict, row.runs) == ("differs", 1)


def test_the_interval_is_that_of_one_further_run(one_published_row):
    values = [0.65, 0.66, 0.67, 0.70]
    rows = [run(phi=value, seed=seed) for seed, value in enumerate(values)]
    # mean .67, s .0216, t(3) 3.182: half the width is .0769, with the rounding .0819.
    assert verdicts(*rows).inside_interval["phi"]
    low, high = prediction_interval(np.array(values), rounding=0.005)
    assert (low, high) == (pytest.approx(0.5881, abs=1e-4), pytest.approx(0.7519, abs=1e-4))
    assert not verdicts(*rows[:3]).inside_interval["phi"]


def test_prediction_interval_holds_its_promise():
    random = np.random.default_rng(0)
    inside = 0
    for runs in random.normal(size=(4000, 6)):
        low, high = prediction_interval(runs[:5], rounding=0)
        inside += low <= runs[5] <= high
    assert inside / 4000 == pytest.approx(0.95, abs=0.012)


def test_each_cluster_has_an_interval_of_its_own(one_published_row):
    rows = [run(phi=v, seed=i) for i, v in enumerate([0.30, 0.31, 1.20, 1.21])]
    row = verdicts(*rows).loc["phi"]
    assert not row.inside_interval  # between the clusters, where no run ends
    assert row.clusters == "2 × 0.30, 2 × 1.21"
    assert verdicts(*rows, run(phi=0.6, seed=9)).inside_interval["phi"]


def test_dead_networks_are_counted_and_do_not_agree_by_chance(one_published_row):
    row = verdicts(run(dead=True), run(phi=0.9, seed=1)).loc["phi"]
    assert (row.verdict, row.dead, row["mean"]) == ("differs", 1, 0.9)
    row = verdicts(run(dead=True)).loc["phi"]
    assert (row.verdict, row.reason) == ("differs", "every network is dead")


def test_what_was_not_run_says_why(one_published_row):
    assert set(verdicts(absent={"mnist": "simulated"}).reason) == {"simulated"}
    assert set(verdicts().verdict) == {"not run"}


def test_every_published_number_is_compared():
    numbers = published_numbers()
    assert numbers.value_counts("table").to_dict() == {
        "physionet": 75 * 3,
        "uci_epilepsy": 40 * 4,
        "mnist": 30 * 4,
        "fashion_mnist": 30 * 4,
    }
    assert not numbers.duplicated([*KEYS, "metric"]).any()
    assert numbers.published.notna().all()


def test_shares_have_their_denominators_and_name_what_was_not_run(one_published_row):
    numbers = verdicts(run(phi=0.9), run(phi=0.61, seed=1)).reset_index()
    (counts,) = shares(numbers, "table").to_dict("records")
    assert counts == {
        "published": 4, "run": 4, "mean_matches": 3, "run_matches": 4, "inside_interval": 3,
        "either": 4,
    }  # fmt: skip
    said = describe_shares(numbers)
    assert "recomputed 4 of the 4 published numbers. The mean of our runs matches 3 of 4" in said
    nothing = verdicts(absent={"mnist": "simulated"}).reset_index()
    assert describe_shares(nothing) == "None of the 4 published numbers was recomputed."
    both = pd.concat([numbers, nothing.assign(database="other")])
    assert describe_shares(both).endswith("Not recomputed: other.")


def test_unmatched_numbers_were_run_and_no_run_matches_them(one_published_row):
    numbers = verdicts(run(phi=0.9, normalized_reconstruction_loss=0.9)).reset_index()
    assert set(unmatched(numbers).metric) == {"phi", "normalized_reconstruction_loss"}
    assert unmatched(verdicts().reset_index()).empty
