"""The discrepancies: what the sections say of made-up results, without training anything."""

import json

import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup

from sanbook.reports import differences
from sanbook.reproduction import results
from sanbook.show.names import METRICS
from sanbook.training import Protocol, Trained


def trained(kernels, phi=0.5, kernel_size=15):
    """One SAN whose φ is `phi` after the first epoch, the best one, and 0.1 more after the last."""
    rows = [
        {"kernel_size": kernel_size, "seed": 0, "epoch": epoch, "split": split, **dict.fromkeys(
            METRICS, phi + 0.1 * (epoch - 1))}
        for epoch in (1, 2) for split in ("validation", "test")
    ]  # fmt: skip
    of_key = {(kernel_size, 0): kernels}
    return Trained(pd.DataFrame(rows), of_key, of_key, "extrema", Protocol())


def rows_of(shown):
    """The cells of a table below its head."""
    rows = BeautifulSoup(shown.html, "html.parser").find_all("tr")
    return [[cell.text for cell in row.find_all("td")] for row in rows[1:]]


@pytest.fixture
def report(tmp_path):
    """The report of a page whose neighbours left one living and one dead run of each function."""
    rows = [
        {"activation": a, "kernel_size": 15, "batch_size": 64, "seed": seed, "dead": seed == 1,
         "selection": selection, **dict.fromkeys(METRICS, 0.4 + change + 5 * seed),
         "accuracy_percent": 70.0 - 20 * change}
        for a in ("identity", "extrema") for seed in (0, 1)
        for selection, change in (("published_m", 0.0), ("published_m_last", 0.25))
    ]  # fmt: skip
    baseline = [{"seed": 0, "accuracy_percent": 80.0, "validation_accuracy_percent": 90.0}]
    for table in differences.LABELLED:
        page = {"rows": rows, "baseline": baseline, "kernels": {}}
        (tmp_path / f"{table}.json").write_text(json.dumps(page))
    swept = pd.DataFrame(
        {"database": "mitdb", "activation": "extrema", "init": "normal", "data_source": "real",
         "selection": ["validation", "test"] * 2, "seed": [0, 0, 1, 1],
         "phi": [0.5, 0.25, 0.5, 0.5], "kernel_size": [9, 7, 9, 9]}
    )  # fmt: skip
    swept.to_csv(tmp_path / "physionet.csv", index=False)
    return differences.Report("quick", [0], data="sample", directory="", results=str(tmp_path))


def test_each_row_shows_the_difference_of_its_own_kernels(report):
    apart, alike = torch.tensor([[0.0] * 15, [0.25] * 15]), torch.ones(2, 15)
    shown = report.starts(
        {("uci_epilepsy", "identity"): trained(apart), ("uci_epilepsy", "extrema"): trained(alike)}
    )
    assert [row[-1] for row in rows_of(shown)] == ["-", "0.25", "-", "0"]
    assert report.effects["starts"].endswith("differ by 0.25")


def test_dead_networks_enter_no_mean_and_are_counted(report):
    living = trained(torch.ones(2, 15))
    dead = trained(torch.zeros(2, 15), phi=1.0)  # of nothing kept, the loss of predicting zero
    shown = report.range({"identity": living, "extrema": dead}, pd.Series([60.0]))
    found = [row[2:] for row in rows_of(shown)]
    of_page = ["[−1, 1]", *["0.400"] * 3, "1"]
    assert found == [of_page, ["[0, 1]", *["0.500"] * 3, "0"], of_page, ["[0, 1]", *"---", "1"]]
    assert "dead networks left out" in shown.text


def test_findings_have_the_numbers_of_three_sections(report):
    report.starts({("uci_epilepsy", "extrema"): trained(torch.ones(2, 15))})
    report.range({"extrema": trained(torch.ones(2, 15))}, pd.Series([60.0]))
    report.sizes()
    said = report.findings().text
    assert "differ by 0 after training" in said
    assert "reaches 60.0 % in the range [0, 1]" in said
    assert "reaches 80.0 % in the range [−1, 1]" in said
    assert "on test is 0.125 smaller" in said  # the mean of two seeds: 0.25 and 0


def test_choice_is_counted_by_run(report):
    (extrema,) = [row for row in rows_of(report.sizes()) if row[0] == "Extrema"]
    assert extrema == ["Extrema", "0.500", "0.375", "0.250", "1 of 2"]


def test_changes_of_the_last_epoch_leave_dead_networks_out(report):
    of_recording = {("mitdb", "extrema"): trained(torch.ones(1, 15))}
    changes = differences.epoch_changes(of_recording, report.runs)
    assert changes.phi.tolist() == pytest.approx([0.1, *[0.25] * 6])
    assert changes.accuracy_percent.tolist()[1:] == pytest.approx([-5.0] * 6)
    assert pd.isna(changes.accuracy_percent[0])
    first, *_ = rows_of(report.epochs(of_recording))
    assert first == ["PhysioNet", "Extrema", "+0.100 (+0.100 to +0.100)", "-", "1"]


def test_right_answers_on_validation_and_test_are_counted_together(report):
    shown = report.counters({"validation": torch.zeros(100), "test": torch.zeros(300)})
    assert rows_of(shown) == [["0", "80.0", "82.5"]]
    assert report.effects["counters"] == "accuracy +2.5 points"


def test_the_summary_has_every_discrepancy(report):
    report.effects = {key: f"effect of {key}" for key in differences.DISCREPANCIES}
    effects = [row[-1] for row in rows_of(report.summary())]
    assert effects == list(report.effects.values())
    assert report.summary().html.count('id="tab-differences"') == 1


def test_without_a_build_the_page_trains_what_it_compares_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "BUILD", tmp_path)
    monkeypatch.setattr(differences, "QUICK", {"train": 200, "validation": 100, "test": 100})
    where = {"data": "sample", "directory": "", "results": ""}
    report = differences.Report("quick", [0], **where)
    said = report.origin().text
    assert "No build has results of UCI-epilepsy, MNIST and Fashion-MNIST." in said
    assert "reference results" in said
    start, *_ = rows_of(report.starts({("uci_epilepsy", "extrema"): trained(torch.ones(2, 15))}))
    assert 0 < float(start[6]) < 3, start
    assert report.trained_san("mnist", "extrema-pool indices", 6).kernels[0].shape == (6, 6)
    assert len(rows_of(report.counters(report.load("uci-epilepsy").labels))) == 1
    assert "recordings of the paper: 11" in report.sizes().text
    changes = differences.epoch_changes({}, report.runs)
    assert not changes.isna().any(axis=None)


def test_a_folder_that_was_named_has_to_have_the_results(tmp_path):
    where = {"data": "sample", "directory": "", "results": str(tmp_path)}
    with pytest.raises(FileNotFoundError, match="no results of this page"):
        differences.Report("quick", [0], **where)
