"""Tests of the experiments on numbers that differ: what is open, what reaches it, what is said."""

import pandas as pd
import pytest
import torch

import sanbook.reproduction.ledger
from sanbook.data.dataset import DataSet, Provenance
from sanbook.reproduction.causes import experiments, explain, open_numbers, reached, try_experiments

NUMBER = {"table": "mnist", "database": "mnist", "activation": "relu", "kernel_size": 2}


def numbers(**published):
    rows = [NUMBER | {"metric": metric, "published": value} for metric, value in published.items()]
    return pd.DataFrame(rows)


def runs(*phis, experiment="further seeds", rule="best", dead=False):
    columns = {"phi": phis, "experiment": experiment, "rule": rule, "dead": dead}
    return pd.DataFrame(columns)


def test_open_numbers_were_run_and_are_neither_strict_nor_lenient():
    committed = sanbook.reproduction.ledger.ledger(sanbook.reproduction.ledger.recorded())
    left = open_numbers(committed)
    assert set(left.verdict) <= {"likely", "differs"}
    others = committed.drop(left.index)
    assert (others.strict.fillna(True) | others.lenient).all()


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
    (row,) = explain(numbers(phi=0.5), tried).to_dict("records")
    assert row["cause"] == "the last epoch"
    assert row["tested_by"] == (
        "further seeds, best epoch: 0 of 2 within 0.02, the nearest at 0.30; further seeds, last "
        "epoch: 1 of 2 within 0.02; batches of 64, best epoch: 2 of 2 within 0.02"
    )


@pytest.mark.parametrize(
    ("phis", "cause"),
    [([0.5, 0.9], "the seed"), ([0.5, *[0.9] * 19], "a rare seed"), ([0.9], "not explained")],
)
def test_a_seed_is_rare_or_no_cause_at_all(phis, cause):
    assert explain(numbers(phi=0.5), runs(*phis)).cause.tolist() == [cause]


def test_each_table_has_its_protocol_and_one_change_at_a_time():
    assert experiments("physionet")["normal weights at the start"].init == "normal"
    for table in sanbook.reproduction.ledger.TABLES:
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
    far = try_experiments(numbers(phi=99.0), images, [0, 1], epochs=1)
    assert list(far.groupby(["experiment", "rule"], sort=False).size()) == [2, 2, 2, 2]
    published = far.phi[0].round(3)
    near = try_experiments(numbers(phi=published), images, [0, 1], epochs=1)
    assert set(near.experiment) == {"further seeds"}
    assert "accuracy_percent" not in near


def test_an_accuracy_needs_a_classifier(images):
    trained = try_experiments(numbers(accuracy_percent=-99.0), images, [3], epochs=1)
    assert trained.accuracy_percent.between(0, 100).all()
