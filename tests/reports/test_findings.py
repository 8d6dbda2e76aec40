"""Tests of findings and sentences, for one data set and for many, without training anything."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import sanbook.data
from sanbook.reports import data_physionet, own_signal, scales, scales_classes, study
from sanbook.reports.networks import HERE, PaperSANs
from sanbook.reproduction import results
from sanbook.show.names import METRICS


def text_of(shown):
    return shown.book["text/markdown"]


def studied(databases):
    """The report of a study in which Extrema is best, and better on the whole record."""
    report = object.__new__(study.Report)  # only what findings need
    report.databases = databases
    report.four = pd.DataFrame(0.5, index=databases, columns=study.ORDER)
    report.four["extrema"] = 0.2
    report.whole = report.four.copy()
    report.whole.loc[databases[0], "extrema"] = 0.1
    report.windows = pd.Series(12, index=databases)
    size = len(databases)
    report.carried = pd.DataFrame(
        np.where(np.eye(size), 0.5, 1.0), index=databases, columns=databases
    )
    return report


def test_findings_of_the_study_for_one_recording_and_for_three():
    one = text_of(studied(["mitdb"]).findings())
    assert "is the same on four windows and on the whole record for 1 of 1 recording," in one
    assert "one recording has no other recording" in one
    three = text_of(studied(["bidmc", "mitdb", "wrist"]).findings())
    assert "for 11 of 12 pairs" in three.replace("For", "for")
    assert "The largest difference is Extrema on bidmc: 0.20 on four windows, 0.10 on all 12" in (
        three
    )
    assert "scores 2.00 times the φ̄ of the recording's own kernel" in three
    assert "for 0 of 6 pairs" in three


@pytest.mark.parametrize(
    ("seeds", "flags", "said"),
    [([0], [], "One seed"), ([0, 1], [], "2 seeds agree"), ([0, 1], ["x"], "disagree** for 1 of")],
)
def test_findings_of_a_signal_say_whether_seeds_agree(seeds, flags, said):
    report = object.__new__(own_signal.Report)
    report.compared, report.seeds = SimpleNamespace(advice=["Use it."], flags=flags), seeds
    findings = text_of(report.findings())
    assert "- Use it.\n" in findings
    assert said in findings


def test_methods_are_compared_on_one_recording_and_on_two():
    rows = pd.DataFrame(
        {"dataset": ["a", "a", "b", "b"], "method": ["x", "y"] * 2, "cost": 3,
         "phi": [0.1, 0.2, 0.4, 0.3]}
    )  # fmt: skip
    assert scales.compare(rows[:2], 3) == "**Scale charged:** φ̄ is 0.100 for *x* and 0.200 for *y*."
    both = scales.compare(rows, 3)
    assert "mean φ̄ is 0.250 for *x* and 0.250 for *y*" in both
    assert "*x* on 1" in both
    assert "*y* on 1" in both


def test_steps_have_a_mean_only_over_several_recordings():
    rows = pd.DataFrame(
        {"dataset": ["a", "a", "b", "b"], "step": "s", "cost": [2, 3] * 2, "phi": [0.1, 0.2] * 2}
    )
    assert list(scales.with_costs(rows[:2], "step")) == ["a"]
    assert scales.with_costs(rows, "step").loc["s", "mean"] == "0.100 (0.200)"


def test_classes_fall_back_on_the_reference_results(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "BUILD", tmp_path)
    rows, origin = scales_classes.functions("")
    assert "committed reference results" in origin
    assert set(rows.activation) == set(sanbook.show.names.NAMES)
    assert not rows.duplicated(["activation", "seed"]).any()
    assert {*METRICS, "accuracy_percent"} <= set(rows)


def test_a_page_says_where_the_sans_of_the_paper_come_from(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "BUILD", tmp_path)
    used = {"mitdb": SimpleNamespace(card=SimpleNamespace(source="real"), labels=None)}
    trained_here = PaperSANs(used, "", 0)
    assert HERE in text_of(trained_here.origins())
    folder = tmp_path / "quick" / "results" / "physionet"
    folder.mkdir(parents=True)
    page = '{"cards": {"mitdb": {"source": "real"}}, "kernels": {"extrema": [1.0, 2.0, 3.0]}}'
    (folder / "mitdb.json").write_text(page)
    found = PaperSANs(used, "", 0)
    assert "quick/results` (mitdb)" in text_of(found.origins())
    (san,) = found.candidates("mitdb", "extrema")
    assert san.weights[0].tolist() == [1, 2, 3]
    # Of other data than those that the page loads, its SANs are not taken.
    used["mitdb"].card.source = "simulated"
    assert not PaperSANs(used, "", 0).found


def test_findings_of_the_recordings_name_durations_and_lost_signal():
    loaded = {name: sanbook.data.load(name, "sample") for name in ("mitdb", "ctu-uhb-ctgdb")}
    loaded["mitdb"].test[0, :600] = 1.0
    findings = text_of(data_physionet.Report(loaded).findings())
    assert "2 recordings: 2 simulated." in findings
    assert "minutes in ctu-uhb-ctgdb" in findings
    assert "in mitdb, 600 samples" in findings


def test_longest_run_of_a_constant_and_of_different_samples():
    assert data_physionet.longest_run(torch.ones(7)) == 7
    assert data_physionet.longest_run(torch.arange(5.0)) == 1
