"""Tests of the tables about SANs whose reconstructions are classified."""

import numpy as np
import pandas as pd

import sanbook.training
from sanbook.reports.labelled_tables import (
    compare_accuracy,
    compare_phi,
    describe_dead,
    select_kernel_sizes,
)


def rows(**columns):
    """Two kernel sizes of two activation functions with two seeds; one network of ReLU is dead."""
    table = pd.DataFrame(
        [(m, activation, seed) for m in (1, 2) for activation in ("relu", "extrema")
         for seed in (0, 1)],
        columns=["kernel_size", "activation", "seed"],
    )  # fmt: skip
    for name in (*sanbook.training.MEASURES, "accuracy_percent", "validation_phi"):
        table[name] = np.arange(1.0, 9)
    table["inverse_compression_ratio_qm"], table["phi_qm"] = table.phi - 1, table.phi - 1
    table["dead"] = [True, False] + [False] * 6
    return table.assign(**columns)


def published():
    return rows().drop_duplicates(["kernel_size", "activation"]).iloc[:3]


def test_dead_networks_are_counted_and_not_averaged():
    phis = compare_phi(rows(), published())
    assert list(phis["φ̄"]) == [2.0, 3.5, 5.5, 7.5]
    assert list(phis["φ̄, range"])[:2] == ["2.000", "3.000 to 4.000"]
    assert list(phis["φ̄ (W = qm)"]) == [1.0, 2.5, 4.5, 6.5]
    accuracies = compare_accuracy(rows(), published(), original=5.0)
    assert list(accuracies["dead seeds"]) == ["1 of 2", "0 of 2", "0 of 2", "0 of 2"]
    assert list(accuracies["minus baseline (points)"]) == ["-3.0", "-1.5", "0.5", "2.5"]


def test_what_has_no_living_network_or_no_published_row_is_left_empty():
    dead = rows(dead=[True, True] + [False] * 6)
    phis = compare_phi(dead, published())
    assert phis.loc[0, ["φ̄", "φ̄, range"]].isna().all()
    assert list(phis["published φ̄"].fillna("-")) == ["1.00", "3.00", "5.00", "-"]
    accuracies = compare_accuracy(dead, published(), original=5.0)
    empty = ["accuracy (%)", "accuracy, range (%)", "minus baseline (points)"]
    assert accuracies.loc[0, empty].isna().all()


def test_one_seed_has_no_range():
    one = rows().query("seed == 0")
    for table in (compare_phi(one, published()), compare_accuracy(one, published(), 5.0)):
        assert not [name for name in table if "range" in name]
        assert table.columns.is_unique


def test_second_way_to_count_weights_is_shown_only_where_it_differs():
    table = rows()
    same = table.assign(phi_qm=table.phi, inverse_compression_ratio_qm=table.phi)
    assert "φ̄ (W = qm)" not in compare_phi(same, published())


def test_dead_networks_are_named_in_a_sentence_for_one_and_for_many():
    assert "1 of 8 networks has no activation" in describe_dead(rows())
    two = rows(dead=[True, True] + [False] * 6)
    assert "2 of 8 networks have no activation" in describe_dead(two)
    assert "none of the 8 networks." in describe_dead(rows(dead=False))


def test_selected_kernel_sizes_have_the_smallest_phi_of_each_activation_and_seed():
    table = rows(validation_phi=[9, 9, 1, 9, 2, 2, 2, 2]).assign(rule="best")
    last = table.assign(rule="last", validation_phi=0.5, phi=0.5)  # chosen by no rule
    chosen = select_kernel_sizes(pd.concat([table, last]))
    assert (chosen.selection == "published_m").sum() == len(table)
    assert (chosen.selection == "published_m_last").sum() == len(last)
    validation = chosen[chosen.selection == "validation"].set_index(["activation", "seed"])
    assert validation.kernel_size.to_dict() == {
        ("relu", 0): 2,
        ("relu", 1): 2,
        ("extrema", 0): 1,
        ("extrema", 1): 2,
    }
    assert (chosen.kernel_size[chosen.selection == "test"] == 1).all()
