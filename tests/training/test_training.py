"""Tests of sanbook.training: the sweep against plain training, tested against the paper."""

import random
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import needs

import sanbook.data
from san_core import ACTIVATION_FUNCTIONS, ACTIVATIONS, phi
from sanbook.training import (
    MEASURES,
    Protocol,
    evaluate,
    fit,
    initial_san,
    reconstruct,
    sweep,
)
from sanbook.training.files import load_model, save_model

KEYS = ["kernel_size", "seed", "epoch", "split"]
SHORT = Protocol(epochs=3, init="normal")
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
each_ndim = pytest.mark.parametrize("ndim", [1, 2])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def data_set(ndim=1, seed=0, scale=1.0):
    """Normal noise: no two similarities are so close that rounding decides what is kept."""
    train, validation, test = (7, 2, 4) if ndim == 2 else (6, 2, 4)
    examples = scale * normal(train + validation + test, *[(60,), (9, 8)][ndim - 1], seed=seed)
    split = examples.split([train, validation, test])
    return SimpleNamespace(train=split[0], validation=split[1], test=split[2])


# --- sweep and fit --------------------------------------------------------------------------------

CASES = [
    # activation, ndim, kernel sizes, q, init
    ("identity", 1, [1, 4, 7], 1, "constant"),
    ("identity", 2, [2, 5], 2, "normal"),
    ("relu", 1, [3, 6], 2, "normal"),
    ("relu", 2, [1, 4], 1, "constant"),
    ("top-k absolutes", 1, [5, 8, 60], 1, "constant"),
    ("top-k absolutes", 1, [6, 9], 2, "normal"),
    ("top-k absolutes", 2, [2, 3], 2, "normal"),
    ("extrema-pool indices", 1, [4, 11], 1, "constant"),
    ("extrema-pool indices", 1, [7, 10], 2, "normal"),
    ("extrema-pool indices", 2, [3, 8], 1, "constant"),
    ("extrema", 1, [2, 13], 1, "constant"),
    ("extrema", 1, [8, 15], 2, "normal"),
    ("extrema", 2, [4, 5], 2, "normal"),
    ("extrema-pool indices", 1, [6, 9], 2, "segment"),
    ("extrema", 2, [3, 4], 2, "segment"),
]
each_case = pytest.mark.parametrize(
    ("activation", "ndim", "kernel_sizes", "num_kernels", "init"), CASES
)


def both_ways(activation, ndim, kernel_sizes, models, protocol):
    """The sweep of two seeds, and some of its models (kernel size, seed) trained one at a time."""
    data = data_set(ndim)
    swept = sweep(data, activation, kernel_sizes, seeds=[1, 7], protocol=protocol)
    plain = {
        (m, seed): fit(data, activation, m, seed=seed, protocol=protocol) for m, seed in models
    }
    return swept, plain


def rows(trained, kernel_size=None, seed=None):
    """The table, or that of one model, indexed by what identifies a row."""
    table = trained.table.set_index(KEYS, verify_integrity=True).sort_index()
    return table if seed is None else table.loc[[kernel_size]].loc[:, [seed], :]


def assert_frames_close(actual, expected):
    pd.testing.assert_frame_equal(actual, expected, check_dtype=False, rtol=0, atol=1e-3)


@each_case
def test_sweep_trains_the_kernels_that_fit_trains(
    activation, ndim, kernel_sizes, num_kernels, init
):
    protocol = Protocol(epochs=3, num_kernels=num_kernels, init=init)
    models = [(kernel_sizes[0], 1), (kernel_sizes[-1], 7)]
    swept, plain = both_ways(activation, ndim, kernel_sizes, models, protocol)
    assert swept.last.keys() == {(m, seed) for m in kernel_sizes for seed in (1, 7)}
    for model, one in plain.items():
        assert one.last[model].shape == (num_kernels, *[model[0]] * ndim)
        torch.testing.assert_close(swept.last[model], one.last[model], rtol=0, atol=1e-4)
        torch.testing.assert_close(swept.best[model], one.best[model], rtol=0, atol=1e-4)


@each_case
def test_sweep_gives_the_table_of_fit(activation, ndim, kernel_sizes, num_kernels, init):
    protocol = Protocol(epochs=30, batch_size=3, num_kernels=num_kernels, init=init)
    model = kernel_sizes[-1], 7
    swept, plain = both_ways(activation, ndim, kernel_sizes, [model], protocol)
    assert_frames_close(rows(swept, *model), rows(plain[model]))
    assert list(swept.table.columns) == list(plain[model].table.columns)


def near_maximum(s, d, ndim):
    """Not one of the paper's: keeps what is at least 1/d as strong as the strongest entry."""
    strongest = s.abs().amax(dim=tuple(range(-ndim, 0)), keepdim=True)
    return torch.where(s.abs() >= strongest / d, s, 0.0)


HALF_MAXIMUM = near_maximum, lambda m, spatial, border_tolerance: 2


@each_ndim
def test_activation_of_ones_own_trains_alone_and_in_a_sweep(monkeypatch, tmp_path, ndim):
    monkeypatch.setitem(ACTIVATION_FUNCTIONS, "half maximum", HALF_MAXIMUM)
    protocol = Protocol(epochs=5, num_kernels=2, init="normal")
    models = [(2, 1), (5, 7)]
    swept, plain = both_ways("half maximum", ndim, [2, 5], models, protocol)
    for model, one in plain.items():
        torch.testing.assert_close(swept.last[model], one.last[model], rtol=0, atol=1e-4)
        assert_frames_close(rows(swept, *model), rows(one))
    model, x = swept.model(5, 7), data_set(ndim).test
    s, a = model.similarities(x), model.encode(x)
    assert torch.equal(a != 0, s.abs() >= s.abs().flatten(2).amax(2)[(..., *[None] * ndim)] / 2)
    save_model(model, tmp_path / "model.safetensors")
    assert torch.equal(load_model(tmp_path / "model.safetensors").encode(x), a)


@each_ndim
def test_sweep_trains_an_activation_that_changes_what_it_keeps(monkeypatch, ndim):
    soft = lambda s: s.sign() * (s.abs() - 0.1).relu()  # noqa: E731
    monkeypatch.setitem(ACTIVATION_FUNCTIONS, "soft threshold", (soft, None))
    swept, plain = both_ways("soft threshold", ndim, [2, 5], [(5, 7)], SHORT)
    assert_frames_close(rows(swept, 5, 7), rows(plain[5, 7]))
    x = data_set(ndim).test
    x_hat, _ = reconstruct(swept.model(5, 7), x)
    assert torch.allclose(x_hat, swept.model(5, 7)(x), atol=1e-6)


def test_reconstruct_examples_in_any_order_of_memory():
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0)).T
    model = initial_san(3, 0, "extrema", x, SHORT)
    x_hat, _ = reconstruct(model, x)
    assert torch.allclose(x_hat, model(x), atol=1e-6)


@each_ndim
@each_activation
def test_twin_kernels_stay_identical(activation, ndim):
    protocol = Protocol(epochs=3, num_kernels=2, init="constant")
    swept, plain = both_ways(activation, ndim, [1, 3, 4], [(4, 1)], protocol)
    for first, second in [*swept.last.values(), plain[4, 1].last[4, 1]]:
        assert torch.equal(first, second)


@each_activation
def test_one_seed_gives_identical_tables_and_another_seed_does_not(activation):
    data = data_set()
    first, again = (sweep(data, activation, [3, 8], protocol=SHORT) for _ in range(2))
    pd.testing.assert_frame_equal(first.table, again.table, check_exact=True)
    other = sweep(data, activation, [3, 8], seeds=[2], protocol=SHORT)
    phis = [trained.table.query("split == 'train'").phi for trained in (first, other)]
    assert not np.isclose(*phis).any()
    plain = fit(data, activation, 3, seed=1, protocol=SHORT)
    again = fit(data, activation, 3, seed=1, protocol=SHORT)
    pd.testing.assert_frame_equal(plain.table, again.table, check_exact=True)


@each_ndim
@each_activation
def test_model_does_not_depend_on_what_else_is_swept(activation, ndim):
    data = data_set(ndim)
    alone = sweep(data, activation, [4], seeds=[5], protocol=SHORT)
    among = sweep(data, activation, [8, 4, 1], seeds=[2, 5], protocol=SHORT)
    torch.testing.assert_close(among.last[4, 5], alone.last[4, 5], rtol=0, atol=1e-4)
    assert_frames_close(rows(among, 4, 5), rows(alone))


def kernels_from_segments(train, m, seed, num_kernels=2):
    protocol = Protocol(num_kernels=num_kernels, init="segment")
    return [w.detach() for w in initial_san(m, seed, "extrema", train, protocol).kernels]


@each_ndim
@pytest.mark.parametrize("m", [1, 4, 7])
def test_segments_are_symmetric_of_unit_norm_and_of_their_seed(ndim, m):
    train = data_set(ndim).train
    kernels = kernels_from_segments(train, m, seed=3)
    for kernel in kernels:
        assert kernel.shape == (m,) * ndim
        assert torch.allclose(kernel.norm(), torch.tensor(1.0))
        assert torch.equal(kernel, kernel.flip(tuple(range(ndim))))
    assert all(map(torch.equal, kernels, kernels_from_segments(train, m, seed=3)))
    if m > 1:
        assert not torch.allclose(*kernels)
        assert not torch.allclose(kernels[0], kernels_from_segments(train, m, seed=4)[0])


@each_ndim
def test_segment_of_a_symmetric_pulse_reconstructs_it(ndim):
    """Only the middle of the pulse is strong, so the kernel is the pulse, scaled to unit norm."""
    m = 5
    pulse = torch.full((m,) * ndim, 1e-4)
    pulse[(m // 2,) * ndim] = 2.0
    train = torch.zeros(3, *(24,) * ndim)
    train[:, *[slice(9, 9 + m)] * ndim] = pulse
    (kernel,) = kernels_from_segments(train, m, seed=0, num_kernels=1)
    torch.testing.assert_close(kernel, pulse / pulse.norm())
    model = initial_san(m, 0, "extrema", train, Protocol(init="segment"))
    activations, x_hat = model.encode(train).detach(), model(train).detach()
    assert activations.count_nonzero() == len(train)
    torch.testing.assert_close(x_hat, train)


def test_segment_is_taken_as_it_is_where_its_mirror_image_cancels_it():
    train = torch.tensor([[1.0, -1.0] * 10])
    (kernel,) = kernels_from_segments(train[:, 2:-2], 2, seed=0, num_kernels=1)
    assert torch.allclose(kernel.abs(), torch.tensor(0.5).sqrt())


def test_segments_of_an_example_of_zeros_are_refused():
    with pytest.raises(ValueError, match="zero"):
        kernels_from_segments(torch.zeros(1, 9), 3, seed=0)


def test_start_that_is_none_of_ours_is_refused():
    with pytest.raises(ValueError, match="normal, constant, segment, but is 'zeros'"):
        Protocol(init="zeros")


def test_initial_weights_belong_to_kernel_size_and_seed():
    def weights(m, seed, **settings):
        model = initial_san(m, seed, "relu", data_set().train, Protocol(init="normal", **settings))
        return torch.stack(list(model.kernels))

    assert torch.equal(weights(5, 1), weights(5, 1))
    assert not torch.equal(weights(5, 1), weights(5, 2))
    assert not torch.equal(weights(5, 1), weights(6, 1)[:, :5])
    first, second = weights(5, 1, num_kernels=2)
    assert not torch.equal(first, second)


@each_activation
def test_training_lowers_the_loss(activation):
    t = torch.arange(60.0)
    periods = torch.tensor([[8.0], [9.0], [10.0], [11.0]])
    x = torch.sin(2 * torch.pi * t / periods)
    data = SimpleNamespace(train=x, validation=x[:2], test=x)
    table = sweep(data, activation, [9], protocol=Protocol(init="normal")).table
    loss = table[table.split == "validation"].normalized_reconstruction_loss.to_numpy()
    assert loss[-1] < 0.9 * loss[0]


def fit_one(data, activation, kernel_sizes, protocol):
    """`fit` with the arguments of `sweep`."""
    return fit(data, activation, *kernel_sizes, seed=1, protocol=protocol)


each_way = pytest.mark.parametrize("train", [sweep, fit_one])


@each_way
def test_global_random_states_and_data_are_left_as_they_were(train):
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    data, untouched = data_set(), data_set()
    train(data, "extrema", [4], protocol=SHORT)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.random.get_state()[1].tolist() == before[1]
    assert random.getstate() == before[2]
    for split in ("train", "validation", "test"):
        assert torch.equal(getattr(data, split), getattr(untouched, split))


@each_activation
def test_results_do_not_depend_on_the_number_of_threads(activation):
    data, swept, drawn = data_set(), [], []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        swept.append(sweep(data, activation, [3, 4, 9], seeds=[1, 2], protocol=SHORT))
        drawn.append(reconstruct(swept[0].model(9, 2), data.train))
    torch.set_num_threads(1)
    assert all(map(torch.equal, *drawn))
    pd.testing.assert_frame_equal(swept[0].table, swept[1].table, check_exact=True)
    for key, kernels in swept[0].last.items():
        assert torch.equal(kernels, swept[1].last[key])


@each_ndim
def test_double_precision_is_evaluated_in_double_precision(ndim, monkeypatch):
    x = data_set(ndim).test.double()
    model = initial_san(4, 1, "extrema", x, SHORT).double()
    monkeypatch.setattr("sanbook.training.LARGEST_BATCH", 1)  # one example after the other
    x_hat, _ = reconstruct(model, x)
    assert x_hat.dtype == torch.float64
    assert torch.allclose(x_hat, model(x), rtol=1e-12)


@each_ndim
def test_reconstruct_complains_as_the_model_does(ndim):
    x = data_set(ndim).test
    model = initial_san(8, 1, "extrema", x, SHORT)
    with pytest.raises(ValueError, match=r"a tensor .* is needed"):
        reconstruct(model, x[0])
    with pytest.raises(ValueError, match="kernel size must lie in"):
        reconstruct(model, x[..., :7])


# --- the table, and which epoch is tested ---------------------------------------------------------


@pytest.fixture(scope="module")
def overfitted():
    """Trainings whose best epochs on validation differ, some before the last epoch."""
    protocol = Protocol(epochs=12, init="normal", learning_rate=0.1)
    return sweep(data_set(), "relu", [9, 2, 30, 9], seeds=[4, 1], protocol=protocol)


def test_rows_of_the_table(overfitted):
    table = overfitted.table
    assert list(table.columns) == [*KEYS, *MEASURES]
    assert table.notna().all(axis=None)
    assert not table.duplicated(KEYS).any()
    models = {(m, seed) for m in (2, 9, 30) for seed in (1, 4)}
    for split in ("train", "validation"):
        of_model = table[table.split == split].groupby(["kernel_size", "seed"]).epoch
        assert of_model.agg(list).to_dict() == {model: list(range(1, 13)) for model in models}
    best = best_epochs(table)
    assert len(set(best.values())) > 1, "the fixture shows nothing"
    assert min(best.values()) < 12, "the fixture shows nothing"
    test = table[table.split == "test"]
    tested = set(test[["kernel_size", "seed", "epoch"]].itertuples(index=False, name=None))
    assert tested == {(*model, epoch) for model in models for epoch in (best[model], 12)}


def best_epochs(table):
    """By (kernel size, seed), the first epoch with the smallest phi on validation."""
    validation = table[table.split == "validation"]
    return {
        key: min(zip(group.phi, group.epoch, strict=True))[1]
        for key, group in validation.groupby(["kernel_size", "seed"])
    }


def test_select_takes_the_epoch_of_smallest_validation_phi_and_the_last(overfitted):
    table, selected = overfitted.table.set_index(KEYS), overfitted.select()
    best = best_epochs(overfitted.table)
    assert len(selected) == 2 * len(best)
    for row in selected.itertuples():
        assert row.epoch == {"best": best[row.kernel_size, row.seed], "last": 12}[row.rule]
        key = row.kernel_size, row.seed, row.epoch
        assert row.validation_phi == table.phi[*key, "validation"]
        for metric in MEASURES:
            assert getattr(row, metric) == table[metric][*key, "test"]


def test_models_give_their_test_rows_again(overfitted):
    for row in overfitted.select().itertuples():
        model = overfitted.model(row.kernel_size, row.seed, row.rule)
        again = evaluate(model, data_set().test).mean(dim=0).tolist()
        assert again == pytest.approx([getattr(row, metric) for metric in MEASURES], rel=1e-4)


@each_way
def test_first_of_equally_good_epochs_is_the_best(train):
    trained = train(data_set(), "relu", [4], protocol=Protocol(epochs=3, learning_rate=0.0))
    assert trained.select().set_index("rule").epoch.to_dict() == {"best": 1, "last": 3}


def test_changing_a_model_does_not_change_what_it_was_made_of(overfitted):
    before = overfitted.best[9, 1].clone()
    overfitted.model(9, 1).kernels[0].data.zero_()
    assert torch.equal(overfitted.best[9, 1], before)


def test_phi_in_the_table_is_the_mean_of_phi_not_phi_of_the_means():
    data = data_set()
    data.test = torch.stack([normal(60), torch.eye(60)[30], 0.5 * torch.eye(60)[3]])
    trained = sweep(data, "relu", [3], protocol=SHORT)
    row = trained.select().set_index("rule").loc["last"]
    each = evaluate(trained.model(3, 1, "last"), data.test)
    assert row.phi == pytest.approx(each[:, 2].mean().item(), rel=1e-5)
    assert row.phi != pytest.approx(phi(*each[:, :2].mean(dim=0)).item(), rel=1e-2)


@each_way
def test_train_rows_are_measured_before_each_step(train):
    data, protocol = data_set(), Protocol(epochs=1, batch_size=6, init="normal")
    before = evaluate(initial_san(4, 1, "relu", data.train, protocol), data.train).mean(dim=0)
    trained = train(data, "relu", [4], protocol=protocol)
    row = trained.table[trained.table.split == "train"].iloc[0]
    assert row[list(MEASURES)].tolist() == pytest.approx(before.tolist(), rel=1e-5)


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ndim", "m", "message"),
    [
        (1, 0, r"kernel sizes must lie in 1\.\.60.*are 0\.\.4"),
        (1, 61, r"kernel sizes must lie in 1\.\.60.*are 4\.\.61"),
        (2, 9, r"kernel sizes must lie in 1\.\.8.*are 4\.\.9"),
    ],
)
def test_kernel_size_out_of_range_is_an_error(ndim, m, message):
    with pytest.raises(ValueError, match=message):
        sweep(data_set(ndim), "relu", [m, 4], protocol=SHORT)
    if ndim == 1:
        with pytest.raises(ValueError, match=r"are \[0\]|in 1\.\.60.*but is 61"):
            fit(data_set(), "relu", m, seed=1, protocol=SHORT)


@each_way
def test_unknown_activation_is_an_error(train):
    with pytest.raises(ValueError, match=r"activation must be one of .*but is 'softmax'"):
        train(data_set(), "softmax", [4], protocol=SHORT)


@each_way
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_blank_example_is_an_error(split, train):
    data = data_set()
    getattr(data, split)[1] = 0
    with pytest.raises(ValueError, match=r"undefined: examples \[\d\] of \d are zero everywhere"):
        train(data, "relu", [4], protocol=SHORT)


@each_activation
def test_divergence_is_an_error_that_names_kernel_size_and_seed(activation):
    protocol = Protocol(epochs=3, init="normal", learning_rate=1e30)
    with pytest.raises(ValueError, match=rf"{activation} diverged at kernel size 4, seed 9"):
        sweep(data_set(), activation, [4], seeds=[9], protocol=protocol)
    with pytest.raises(ValueError, match=r"the loss must be finite.*divergence"):
        fit(data_set(), activation, 4, seed=9, protocol=protocol)


def test_divergence_names_the_kernel_size_that_diverged():
    data = data_set()
    data.train = 1e36 * data.train.abs()  # overflows once 60 of them are summed, and once more
    with pytest.raises(ValueError, match="diverged at kernel size 60, seed 1"):
        sweep(data, "identity", [1, 60], protocol=Protocol(epochs=1, init="constant"))


# --- the paper ------------------------------------------------------------------------------------


@needs("physionet/mitdb")
@pytest.mark.parametrize(
    ("activation", "m", "expected", "tolerance"),
    [
        ("top-k absolutes", 7, 0.589, 0.01),
        ("extrema-pool indices", 10, 0.488, 0.01),
        ("extrema", 229, 0.449, 0.03),
        ("identity", 1, 2.001, 0.002),
    ],
)
def test_mitdb_has_the_phi_of_the_paper(activation, m, expected, tolerance):
    protocol = Protocol(init="constant")  # as the published code, whose result has no seed
    swept = sweep(sanbook.data.load("mitdb"), activation, [m], seeds=[0], protocol=protocol)
    selected = swept.select()
    assert selected.rule.tolist() == ["best", "last"]
    assert selected.phi.tolist() == pytest.approx([expected] * 2, abs=tolerance)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "num_kernels"])
def test_protocol_refuses_nothing_to_do(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, but is 0"):
        Protocol(**{name: 0})


@pytest.mark.parametrize(("kernel_sizes", "seeds"), [([], [1]), ([3], []), ([3], [1, 1])])
def test_sweep_refuses_no_sizes_and_equal_seeds(kernel_sizes, seeds):
    data = SimpleNamespace(
        train=torch.ones(2, 9), validation=torch.ones(2, 9), test=torch.ones(2, 9)
    )
    with pytest.raises(ValueError, match="kernel sizes and different seeds"):
        sweep(data, "identity", kernel_sizes, seeds=seeds)


@pytest.mark.parametrize("there", ["SAN_PROGRESS", "ipykernel"])
def test_no_bar_is_shown_but_in_a_notebook_of_the_lab(monkeypatch, capfd, there):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    if there == "ipykernel":
        monkeypatch.setitem(sys.modules, there, sys)
    else:
        monkeypatch.setenv(there, "shown")
    sweep(data_set(seed=11), "extrema", [3], seeds=[0], protocol=SHORT)
    assert capfd.readouterr() == ("", "")
