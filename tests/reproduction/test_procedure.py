"""Tests of the whole procedure: which kernel size each rule chooses, and the best of restarts."""

import pandas as pd
import pytest
import torch

from sanbook.data.dataset import DataSet, Provenance
from sanbook.reproduction.procedure import best_of, choose, sizes_after_last_epoch
from sanbook.training import Protocol, Trained, fit, sweep


def trained(rows):
    """A sweep whose rows are given: (kernel_size, seed, epoch, split, phi)."""
    columns = ["kernel_size", "seed", "epoch", "split", "phi"]
    table = pd.DataFrame(rows, columns=columns)
    table["inverse_compression_ratio"] = table["normalized_reconstruction_loss"] = table.phi / 2
    return Trained(table, {}, {}, "extrema", Protocol())


def test_each_rule_chooses_its_own_size_and_epoch():
    swept = trained(
        [
            # m = 5 is best on test after the last epoch, m = 3 on validation after its first.
            (3, 0, 1, "validation", 0.3), (3, 0, 2, "validation", 0.9),
            (3, 0, 1, "test", 0.8), (3, 0, 2, "test", 0.7),
            (5, 0, 1, "validation", 0.6), (5, 0, 2, "validation", 0.5), (5, 0, 2, "test", 0.2),
        ]
    )  # fmt: skip
    rows = choose(swept, published_m=3).set_index("selection")
    assert rows.kernel_size.to_dict() == {
        "test": 5, "validation": 3, "published_m": 3, "published_m_last": 3,
    }  # fmt: skip
    assert rows.phi.to_dict() == {
        "test": 0.2, "validation": 0.8, "published_m": 0.8, "published_m_last": 0.7,
    }  # fmt: skip
    assert rows.validation_phi.to_dict() == {
        "test": 0.5, "validation": 0.3, "published_m": 0.3, "published_m_last": 0.9,
    }  # fmt: skip


@pytest.fixture(scope="module")
def noise():
    """A recording of noise."""
    x = torch.randn(12, 40, generator=torch.Generator().manual_seed(0))
    card = Provenance("noise", "noise", 1.0, "", "simulated", "")
    return DataSet(x[:6], x[6:8], x[8:], card)


def test_the_choices_are_those_of_networks_trained_one_by_one(noise):
    protocol = Protocol(epochs=3)
    rows = choose(sweep(noise, "extrema", [4, 7, 9], seeds=[0, 1], protocol=protocol), 7)
    plain = [
        fit(noise, "extrema", m, seed=seed, protocol=protocol).select()
        for m in (4, 7, 9)
        for seed in (0, 1)
    ]
    plain = pd.concat(plain, ignore_index=True)
    for seed in (0, 1):
        last = plain[(plain.seed == seed) & (plain.rule == "last")]
        chosen = rows[(rows.seed == seed) & (rows.selection == "test")]
        assert chosen.phi.item() == pytest.approx(last.phi.min(), abs=1e-4)
        assert chosen.kernel_size.item() == last.loc[last.phi.idxmin()].kernel_size


def test_all_sizes_are_after_the_last_epoch(noise):
    swept = sweep(noise, "extrema", [4, 7], seeds=[0, 1], protocol=Protocol(epochs=2))
    sizes, rows = sizes_after_last_epoch(swept), choose(swept, 7)
    assert sizes.shape == (2, 2)
    of_seed = rows[(rows.seed == 1) & (rows.selection == "published_m_last")].phi.item()
    assert sizes.seed_1[7] == of_seed


def test_the_best_of_restarts_is_chosen_on_validation():
    rows = pd.DataFrame(
        {
            "database": "mitdb", "activation": "extrema", "init": "normal", "seed": range(5),
            "validation_phi": [0.5, 0.4, 0.1, 0.2, 0.0], "phi": [0.1, 0.2, 0.3, 0.4, 0.5],
        }
    )  # fmt: skip
    assert best_of(rows, 2).phi.tolist() == [0.2, 0.3]  # the fifth seed fills no team
    assert best_of(rows, 1).phi.tolist() == rows.phi.tolist()
    assert best_of(rows, 5).phi.tolist() == [0.5]
