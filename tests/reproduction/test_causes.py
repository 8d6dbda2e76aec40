"""Tests of the experiments on numbers that differ: what reaches them, and what is said."""

import pandas as pd
import pytest
import torch

from sanbook.data.dataset import DataSet, Provenance
from sanbook.reproduction.causes import class_of, experiments, explain, reached, try_experiments
from sanbook.reproduction.published import TABLES

NUMBER = {"table": "mnist", "database": "mnist", "activation": "relu", "kernel_size": 2}


def numbers(**published):
    rows = [NUMBER | {"metric": metric, "published": value} for metric, value in published.items()]
    return pd.DataFrame(rows)


def runs(*phis, experiment="further seeds", rule="best", dead=False):
    columns = {"phi": phis, "experiment": experiment, "rule": rule, "dead": dead}
    return pd.DataFrame(columns)


@pytest.mark.parametrize(
    ("phi", "dead", "near"), [(0.52, False, 1), (0.53, False, 0), (0.5, True, 0)]
)
def test_a_living_run_within_the_tolerance_reaches_a_number(phi, dead, near):
    assert reached(numbers(phi=0.5), runs(phi, 0.9, dead=dead)).tolist() == [near]


def test_the_first_experiment_that_reaches_a_number_is_its_cause():
    tried = pd.concat(
        [
            runs(0.9, 0.8),
            runs(0.9, 0.51, rule="last"),
            runs(0.5, 0.5, experiment="batches of 64"),
        ]
    )
    (row,) = explain(numbers(phi=0.5), tried, None).to_dict("records")
    assert (row["cause"], row["rate"]) == ("the seed, last epoch", "1 of 2")
    assert row["tested_by"] == (
        "further seeds, best epoch: 0 of 2 within 0.02, the nearest at 0.30; further seeds, last "
        "epoch: 1 of 2 within 0.02; batches of 64, best epoch: 2 of 2 within 0.02"
    )


@pytest.mark.parametrize(
    ("phis", "cause", "rate"),
    [([0.5, *[0.9] * 19], "the seed", "1 of 20"), ([0.9], "not explained", "")],
)
def test_a_seed_has_a_rate_or_is_no_cause_at_all(phis, cause, rate):
    (row,) = explain(numbers(phi=0.5), runs(*phis), None).itertuples()
    assert (row.cause, row.rate) == (cause, rate)


def test_an_accuracy_that_is_the_share_of_a_class_comes_from_predicting_this_class():
    labels = torch.tensor([0] * 522 + [1] * 563 + [2] * 295)  # UCI-epilepsy's, m = 15
    assert (class_of(40.8, labels), class_of(40.9, labels)) == (1, None)
    tried = runs(0.9).assign(accuracy_percent=85.0)
    (row,) = explain(numbers(accuracy_percent=40.8), tried, labels).itertuples()
    assert row.cause == "a classifier that predicts one class"
    assert "40.80 % of the 1380 test examples are of class 1" in row.tested_by
    (row,) = explain(numbers(accuracy_percent=84.0), tried, labels).itertuples()
    assert row.cause == "the seed"


def test_each_table_has_its_protocol_and_one_change_at_a_time():
    for table in TABLES:
        protocol, *others = experiments(table).values()
        for other in others:
            different = [
                name for name in vars(protocol) if vars(protocol)[name] != vars(other)[name]
            ]
            assert len(different) == 1


@pytest.fixture
def images():
    """Few small images of two classes."""
    x = torch.rand(30, 28, 28, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(30) % 2
    parts = {"train": slice(20), "validation": slice(20, 25), "test": slice(25, 30)}
    card = Provenance("mnist", "images", 0, "", "simulated", "", classes=("a", "b"))
    return DataSet(
        **{part: x[where] for part, where in parts.items()},
        labels={part: labels[where] for part, where in parts.items()},
        card=card,
    )


def test_experiments_stop_when_each_number_is_reached(images):
    far = try_experiments(numbers(phi=99.0), images, [0, 1, 2], [0, 1], epochs=1)
    assert list(far.groupby(["experiment", "rule"], sort=False).size()) == [3, 3, 2, 2]
    published = far.phi[0].round(3)
    near = try_experiments(numbers(phi=published), images, [0, 1], [5], epochs=1)
    assert set(near.experiment) == {"further seeds"}
    assert "accuracy_percent" not in near


def test_an_accuracy_needs_a_classifier(images):
    far = numbers(accuracy_percent=-99.0)
    trained = try_experiments(far, images, [0, 1, 2], [3], epochs=1)
    assert trained.accuracy_percent.between(0, 100).all()
    assert set(trained.seed) == {3}
