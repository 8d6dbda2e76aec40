"""Tests of the ranks: uniform for a right reproduction, small for one that ends too high."""

import numpy as np
import pandas as pd
import pytest

from sanbook.reproduction import ranks
from sanbook.reproduction.published import published_numbers
from sanbook.reproduction.ranks import counts, published_ranks, rank, uniformity


@pytest.mark.parametrize("decimals", [1, 9])
def test_the_rank_of_a_draw_among_draws_is_uniform_ties_or_none(decimals):
    random = np.random.default_rng(0)
    draws = random.normal(0.5, 0.2, size=(2000, 8))
    rounding = 0.5 * 10.0**-decimals
    places, shifted = (
        pd.DataFrame(
            [rank(round(row[0] - shift, decimals), row[1:], rounding) for row in draws],
            columns=["low", "high"],
        )
        for shift in (0, 0.1)
    )
    assert uniformity(places) > 0.01
    assert uniformity(shifted) < 1e-6
    assert counts(shifted)[0] > 600


def test_the_rank_of_a_number_below_or_above_all_of_ours():
    ours = np.linspace(0.4, 0.6, 9)
    assert rank(0.1, ours, 0.005) == (0, 0.1)
    assert rank(0.9, ours, 0.005) == (0.9, 1)


def runs_of(selection, init, phi):
    """A run for each published number."""
    numbers = published_numbers().drop_duplicates(
        ["table", "database", "activation", "kernel_size"]
    )
    rows = numbers.assign(selection=selection, init=init, seed=0, dead=False, phi=phi)
    return rows.assign(accuracy_percent=0.0)


def test_each_table_is_ranked_among_what_its_code_prints():
    runs = pd.concat(
        [
            runs_of("test", "normal", 0.0),  # below every published phi: of PhysioNet only
            runs_of("published_m_last", "normal", 9.0),  # above: of the other tables only
            runs_of("published_m", "normal", 9.0),
            runs_of("test", "constant", 9.0).query("table == 'physionet'"),
        ]
    )
    places = published_ranks(runs, "normal").query("metric == 'phi'")
    assert not (places.activation == "identity").any()
    assert places.draws.eq(1).all()
    of_physionet = places.table == "physionet"
    assert (places[of_physionet].low >= 0.5).all()
    assert (places[~of_physionet].high <= 0.5).all()
    assert set(published_ranks(runs, "constant").table) == {"physionet"}
    ours = places[of_physionet]
    assert len(ours) == 60
    assert uniformity(ours) < 0.001
    assert sum(counts(places[places.table == "mnist"])) == 24
    assert set(ranks.PRINTED) == {"physionet"}
