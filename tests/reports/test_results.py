"""Tests of the results files that pages leave, and of a page with one activation function."""

import json
from dataclasses import replace

import pandas as pd
import pytest

import sanbook.data
from san_core import ACTIVATIONS
from sanbook.reports import labelled, physionet
from sanbook.reproduction.published import published
from sanbook.training import PROTOCOLS, sweep
from sanbook.training.classifiers import FNN, classify, classify_reconstructions

TIDY = ["seed", "init", "selection", "data_source"]


def physionet_report(activations, sizes=(5, 9)):
    """A report of one epoch on the simulated mitdb."""
    recording = sanbook.data.load("mitdb", "sample")
    protocol = replace(PROTOCOLS["physionet"], epochs=1)
    trained = {a: sweep(recording, a, sizes, seeds=[3], protocol=protocol) for a in activations}
    at_published_size = {
        (row.activation, init): sweep(
            recording, row.activation, [row.kernel_size], seeds=[3, 4],
            protocol=replace(protocol, init=init),
        )
        for row in physionet.published("mitdb").itertuples()
        for init in ("normal", "constant")
    }  # fmt: skip
    return physionet.Report(recording, trained, at_published_size, profile="quick")


@pytest.fixture(scope="module")
def report():
    return physionet_report(ACTIVATIONS)


def test_simulated_data_are_not_compared_with_the_paper(report):
    findings = report.findings().book["text/markdown"]
    assert findings.count("\n- ") == 3
    assert "No comparison with the paper:** the data on this page are simulated" in findings
    assert "(2 seeds and two initializations at the published m; seed 3 elsewhere)" in (
        report.published_and_ours().text
    )


def test_a_student_may_train_one_activation_function_only():
    report = physionet_report(["extrema"])
    for section in (report.findings, report.published_and_ours, report.walk, report.plane,
                    report.by_size, report.explorer):  # fmt: skip
        assert section().html
    assert list(report.models) == ["extrema"]


def test_results_of_labelled_data_have_the_fixed_columns(tmp_path):
    examples = sanbook.data.load("mnist", "sample").first(train=80, validation=20, test=20)
    protocol, runs = replace(PROTOCOLS["mnist"], epochs=1), {}
    for activation in ("identity", "extrema"):
        trained = sweep(examples, activation, [1, 3], seeds=[5], protocol=protocol)
        found = classify_reconstructions(trained, examples, FNN)
        runs[64, activation] = labelled.Run(trained, *found)
    original = {part: getattr(examples, part)[None] for part in examples.labels}
    baseline = classify(FNN, original, examples.labels, seeds=[5], protocol=protocol)
    report = labelled.Report(examples, runs, baseline.table, profile="quick")
    report.write_results(str(tmp_path))
    rows = pd.read_csv(tmp_path / "mnist.csv")
    columns = [*published("mnist").columns, *TIDY]
    assert list(rows)[: len(columns)] == columns
    assert set(rows.selection) == {"published_m", "published_m_last", "validation", "test"}
    record = json.loads((tmp_path / "mnist.json").read_text())
    assert set(record["kernels"]["extrema"]) == {"1", "3"}
    assert report.findings().book["text/markdown"].count("\n- ") == 3
    assert report.article_table() is None
