"""The fifteen databases together: what was measured, of a build or the reference results."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from sanbook.reports.summary import Summary, mean_and_band
from sanbook.reproduction import results as files


def test_without_a_build_the_table_has_the_reference_results(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "BUILD", tmp_path)
    summary = Summary()
    said = summary.about()
    assert "committed reference results" in repr(said[0])
    assert "make pages" in repr(said[0])
    assert "make pages" in repr(summary.density())
    cells = [
        row.find_all("td")
        for row in BeautifulSoup(summary.table().html, "html.parser").find_all("tr")
    ]
    reference = summary.reference.query(
        "database == 'mitdb' and activation == 'extrema' and selection == 'published_m'"
    )
    mean = reference.query("init == 'normal'").phi.mean()
    (ours,) = [
        row[5].text for row in cells if row and (row[0].text, row[2].text) == ("mitdb", "Extrema")
    ]
    assert ours.startswith(f"{mean:.2f} (")


def test_named_folder_without_results_is_no_error_and_is_named(tmp_path):
    assert str(tmp_path) in repr(Summary(str(tmp_path)).about()[0])


def test_band_is_one_deviation_where_every_database_has_the_size():
    rows = pd.DataFrame({"activation": "relu", "kernel_size": [1, 1, 2], "phi": [0.25, 0.75, 0.5]})
    (line,) = mean_and_band(rows, "kernel_size").to_dict("records")
    deviation = 0.5 / 2**0.5  # of a sample of two
    assert line["phi"] == 0.5
    assert (line["low"], line["high"]) == pytest.approx((0.5 - deviation, 0.5 + deviation))
