"""The starts: variants against plain training, and what the page says of made results."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from san_core import SAN
from sanbook.data.dataset import DataSet, Provenance
from sanbook.reports import starts
from sanbook.reports.procedure import FUNCTIONS
from sanbook.reports.starts import STARTS, AdjointSAN, Starts, train_variant
from sanbook.training import Protocol, fit


@pytest.fixture(scope="module")
def noise():
    """A recording of noise."""
    x = torch.randn(12, 60, generator=torch.Generator().manual_seed(0))
    return DataSet(x[:6], x[6:8], x[8:], Provenance("noise", "noise", 1.0, "", "simulated", ""))


def test_the_plain_variant_is_what_fit_trains(noise):
    protocol = Protocol(epochs=3)
    row = train_variant(noise, 9, 0, "as published", protocol)
    table = fit(noise, "extrema", 9, seed=0, protocol=protocol).select().set_index("rule")
    assert row["phi"] == pytest.approx(table.phi["last"], abs=1e-5)
    assert row["validation_phi"] == pytest.approx(table.validation_phi["last"], abs=1e-5)


@pytest.mark.parametrize("variant", starts.VARIANTS[1:])
def test_each_variant_is_another_training_and_ends_with_the_same_distance(noise, variant):
    protocol = Protocol(epochs=3)
    plain = train_variant(noise, 9, 0, "as published", protocol)
    assert train_variant(noise, 9, 0, variant, protocol)["phi"] != plain["phi"]
    # Without epochs to train in, an annealed distance has no effect.
    none = dataclasses.replace(protocol, learning_rate=0.0)
    if variant == "annealed distance":
        plain = train_variant(noise, 9, 0, "as published", none)
        assert train_variant(noise, 9, 0, variant, none) == plain


def test_decoding_with_the_adjoint_is_the_adjoint_of_encoding():
    generator = torch.Generator().manual_seed(0)
    model = AdjointSAN([7, 5], "identity", generator=generator)
    x, a = torch.randn(3, 40, generator=generator), torch.randn(3, 2, 40, generator=generator)
    encoded = (model.encode(x) * a).sum(dim=(1, 2))
    assert torch.allclose(encoded, (x * model.decode(a)).sum(dim=1), atol=1e-4)
    for kernel in model.kernels:
        kernel.data = kernel.data + kernel.data.flip(0)  # symmetric: both are the same
    plain = SAN([7, 5], "identity")
    plain.load_state_dict(model.state_dict())
    assert torch.allclose(model.decode(a), plain.decode(a), atol=1e-5)


@pytest.fixture
def page(monkeypatch):
    """Two recordings, four seeds: segments are best, but on the second with Extrema."""
    level = {"normal": 0.5, "constant": 0.6, "segment": 0.4}
    rows = [
        {"database": database, "activation": activation, "init": init, "seed": seed,
         "phi": level[init] + seed / 100 + (0.4 if worse and init == "segment" else 0),
         "validation_phi": level[init] + seed / 100, "kernel_size": 9, "bytes": 100.0}
        for database, last in (("mitdb", False), ("prcp", True))
        for activation in FUNCTIONS
        for worse in [last and activation == "extrema"]
        for init in STARTS
        for seed in range(4)
    ]  # fmt: skip
    monkeypatch.setattr(starts, "read_reference", lambda name: pd.DataFrame(rows))
    monkeypatch.setattr(starts, "describe_reference", lambda: "Reference results.")
    return Starts("paper")


def test_the_page_says_which_start_is_best_and_where_it_hurts(page):
    said = page.findings().text
    assert "0.515 from normal weights, 0.615 from weights of 0.1, 0.465 from segments" in said
    assert "on prcp with Extrema, segments of the signal give a φ̄ that is 0.30 larger" in said
    assert "prcp" in page.harm().html
    html = page.table().html
    assert "1 of 2" in html
    assert "2 of 2" in html


def test_restarts_are_chosen_on_validation(page):
    # Of two seeds the smaller one, of all starts segments: seven pairs .4, one .8.
    assert page.restarts_of(["normal"], 1) == pytest.approx(0.515)
    assert page.restarts_of(["normal"], 2) == pytest.approx(np.mean([0.50, 0.52]))
    assert page.restarts_of(STARTS, 4) == pytest.approx((7 * 0.4 + 0.8) / 8)


def test_the_conclusions_on_starts_are_those_of_the_reference_results():
    """Segments are best in the mean and at equal cost; half of the pairs agree, a few lose."""
    page = Starts("paper")
    assert page.phi.mean().idxmin() == "segment"
    assert page.restarts_of(["segment"], 6) < page.restarts_of(STARTS, 2)
    agree = (page.phi.max(axis=1) - page.phi.min(axis=1)).le(0.02).mean()
    assert 0.4 < agree < 0.6
    loss = page.phi["segment"] - page.phi.drop(columns="segment").min(axis=1)
    assert loss.idxmax() == ("prcp", "extrema")
    assert 0 < (loss > 0.02).sum() < len(loss) / 5
