"""What the page of the procedure says of made results: a right start and a wrong one."""

import numpy as np
import pandas as pd
import pytest

from sanbook.reports import procedure
from sanbook.reports.physionet import kernel_sizes
from sanbook.reports.procedure import FUNCTIONS, Procedure
from sanbook.reproduction.criteria import Evidence
from sanbook.reproduction.published import published


@pytest.fixture
def page(monkeypatch):
    """Eleven recordings, eight seeds: normal weights scatter around the table, 0.1 ends higher."""
    random, rows = np.random.default_rng(0), []
    table = published("physionet")
    of_eleven = table.database.isin(table.database.unique()[:11])
    table = table[of_eleven & table.activation.isin(FUNCTIONS)]
    for row in table.to_dict("records"):
        for init, shift in (("normal", 0.0), ("constant", 0.3)):
            for seed in range(8):
                phi = row["phi"] + random.normal(shift, 0.05)
                m = row["kernel_size"] if init == "normal" and seed == 0 else 250
                for selection in ("test", "validation", "published_m", "published_m_last"):
                    run = {"table": "physionet", "seed": seed, "init": init, "dead": False}
                    run |= {"selection": selection, "phi": phi, "kernel_size": m}
                    rows.append(row | run)
    monkeypatch.setattr(procedure, "reference", lambda: Evidence(pd.DataFrame(rows), {}))
    more = pd.DataFrame(rows).query("selection == 'test' and init == 'normal'")
    monkeypatch.setattr(procedure, "draws", lambda: more.assign(seed=more.seed + 8))
    monkeypatch.setattr(procedure, "describe_reference", lambda: "Reference results.")
    return Procedure()


def test_the_page_tells_a_right_start_from_a_wrong_one(page):
    normal, constant = page.chosen("normal"), page.chosen("constant")
    assert page.within_range(normal) >= 40
    assert page.within_range(constant) < 10
    assert (page.sizes_chosen(normal), page.sizes_chosen(constant)) == (44, 0)
    differ, nearer, p = page.nearer()
    assert (differ, nearer) == (44, 44)
    assert p < 1e-9
    said = page.findings().text
    assert "for 44 pairs from normal weights, and for 0 from weights of 0.1" in said
    assert "Normal weights are nearer for 44 of them" in said
    assert "With 16 seeds from normal weights" in said
    assert "Among the 8 seeds from weights of 0.1" in said


def test_the_table_has_what_each_start_chooses(page):
    html = page.beside().html
    assert "1 of 8" in html
    assert "0 of 8" in html
    assert "Kolmogorov" in page.histograms().text


def test_few_kernel_sizes_have_the_published_ones():
    sizes = kernel_sizes("mitdb", "quick")
    assert {7, 10, 229} < set(sizes) < set(range(1, 250))
    assert len(kernel_sizes("mitdb", "paper")) == 249
