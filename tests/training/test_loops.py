"""Tests of the compiled loops against `san_core`, the slow twin and autograd."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import needs

import sanbook.data
from san_core import ACTIVATION_FUNCTIONS, ACTIVATIONS, SAN, activate, extrema, sparsity_density
from sanbook.training import kernels, loops
from sanbook.training.kernels import as_images

SPARSE = ACTIVATIONS[2:]
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
each_sparse = pytest.mark.parametrize("activation", SPARSE)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# --- what is kept ---------------------------------------------------------------------------------


def maps(fill, *shape):
    s = normal(*shape)
    if fill == "rounded":  # ties and plateaus
        return s.mul(1.5).round()
    if fill == "blank in part":
        return s * (normal(*shape, seed=1) > 0)
    return s if fill == "normal" else torch.full(shape, float(fill))


def kept(s, activation, d, ndim=1):
    """Where the loops keep an entry of maps ``(..., *spatial)``, booleans of the same shape."""
    spatial = s.shape[s.ndim - ndim :]
    images, layout = as_images(s.reshape(-1, *spatial)), loops.layout_of(spatial, 1)
    line, entries = np.zeros(layout.span, np.float32), np.empty(layout.span, np.int64)
    marks = np.zeros(images.shape, bool)
    for image, mark in zip(images, marks, strict=True):
        loops._lay(image, layout, line)
        count = loops._keep(kernels.kind_of(activation), d, line, layout, entries)
        mark[np.divmod(entries[:count], layout.stride)] = True
    return torch.from_numpy(marks).view(s.shape)


def assert_keeps_what_activate_keeps(s, activation, kernel_sizes, border_tolerance, ndim):
    for m in kernel_sizes:
        d = sparsity_density(activation, m, s.shape[-ndim:], border_tolerance)
        same = kept(s, activation, d, ndim) == (activate(s, activation, d, ndim) != 0)
        assert same.all(), f"kernel size {m}"


FILLS = ["normal", "rounded", "blank in part", "0", "0.7", "-0.7"]
SHAPES = [(1,), (2,), (13,), (32,), (1, 1), (1, 7), (7, 1), (9, 8), (28, 28)]


@pytest.mark.parametrize("spatial", SHAPES)
@each_sparse
def test_kept_entries_are_those_of_activate(activation, spatial):
    for fill in FILLS:
        s = maps(fill, 3, *spatial)
        for tolerance in (0, 3):
            sizes = range(1, min(spatial) + 1)
            assert_keeps_what_activate_keeps(s, activation, sizes, tolerance, len(spatial))


@each_sparse
def test_kept_entries_of_long_signals_are_those_of_activate(activation):
    sizes = [1, 2, 7, 64, 229, 500, 1000]
    assert_keeps_what_activate_keeps(maps("rounded", 4, 1000), activation, sizes, 3, ndim=1)


def test_numbers_that_differ_in_the_last_bit_are_told_apart():
    one = torch.ones(9)
    one[6] = torch.nextafter(one[6], torch.tensor(2.0))
    assert kept(one, "top-k absolutes", 1).nonzero().tolist() == [[6]]
    assert kept(-one, "top-k absolutes", 2).nonzero().tolist() == [[0], [6]]
    tiny = torch.tensor([0.0, 1e-45, -3e-45, 0.0])  # subnormal
    assert kept(tiny, "top-k absolutes", 1).nonzero().tolist() == [[2]]


# --- reconstructions ------------------------------------------------------------------------------


def by_san_core(model, x):
    with torch.no_grad():
        a = model.encode(x)
        return model.decode(a), a.flatten(1).count_nonzero(dim=1)


def assert_reconstructs_like_san_core(model, x):
    images = as_images(x)
    x_hat = np.full(images.shape, np.nan, np.float32)
    (counts,), _ = kernels.code(model, images, x_hat=x_hat)
    expected, expected_counts = by_san_core(model, x)
    assert torch.equal(counts, expected_counts)
    ours = torch.from_numpy(x_hat).view(x.shape)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


def san(sizes, activation, ndim, tolerance=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return SAN(sizes, activation, ndim, tolerance, generator=generator)


@pytest.mark.parametrize(
    ("shape", "kernel_sizes"),
    [
        ((3, 40), [[m] for m in range(1, 41)]),
        ((2, 9, 12), [[m, m] for m in range(1, 10)]),
        ((1, 1000), [[64], [249], [999], [1000]]),
        ((4, 11), [[3, 4, 1, 7]]),
        ((4, 11, 11), [[3, 4, 1, 7]]),
    ],
)
@each_activation
def test_examples_are_reconstructed_as_by_san_core(activation, shape, kernel_sizes):
    x = normal(*shape)
    for sizes in kernel_sizes:
        assert_reconstructs_like_san_core(san(sizes, activation, x.ndim - 1), x)


@each_activation
def test_images_with_blanks_and_strides(activation):
    x = normal(12, 28, 28)[::3].transpose(1, 2)
    x[..., 20:] = 0
    for m in range(1, 7):
        assert_reconstructs_like_san_core(san([m] * 2, activation, 2), x)


def test_whatever_is_not_finite_shows_in_the_reconstruction():
    for activation in ACTIVATIONS:
        model = san([3], activation, 1)
        model.kernels[0].data[1] = torch.inf
        x_hat = np.zeros((1, 1, 20), np.float32)
        kernels.code(model, as_images(normal(1, 20)), x_hat=x_hat)
        assert np.isnan(x_hat).any()


# --- gradients ------------------------------------------------------------------------------------


def gradient(model, x):
    """The loops' gradient (q, *m) for one batch, and the losses."""
    images = as_images(x)
    weights, d, layout = kernels._describe(model, images)
    space = loops._space(weights, layout)
    counts, losses = np.zeros(len(x), np.int64), np.zeros(len(x), np.float32)
    kind = kernels.kind_of(model.activation)
    order = np.arange(len(x))
    loops._gradient(images, order, weights, kind, d, layout, space, counts, losses)
    return torch.from_numpy(space.encoder).view(-1, *model.kernels[0].shape), losses


@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("num_kernels", [1, 3])
@pytest.mark.parametrize(
    ("spatial", "sizes"),
    [((60,), [1, 2, 3, 4, 8, 33, 60]), ((9, 8), range(1, 9)), ((28, 28), range(1, 7))],
)
@each_activation
def test_gradient_is_that_of_autograd(activation, spatial, sizes, num_kernels, count):
    x = normal(count, *spatial)
    x[..., spatial[-1] - 2 :] = 0  # images have blank borders
    for m in sizes:
        model = san([m] * num_kernels, activation, len(spatial), seed=m)
        F.l1_loss(model(x), x).backward()
        expected = torch.stack([kernel.grad for kernel in model.kernels])
        ours, losses = gradient(model, x)
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)
        error = (model(x) - x).abs().flatten(1).sum(1) / x.abs().flatten(1).sum(1)
        torch.testing.assert_close(torch.from_numpy(losses), error.detach(), rtol=1e-5, atol=1e-6)


def test_twin_kernels_stay_identical_over_many_steps():
    # 15 entries fill no whole number of vectors, so one kernel's last ones lie beside the other's.
    model = SAN([15, 15], "relu", init="constant")
    orders = np.arange(640)[None].repeat(5, axis=0)
    smooth = F.avg_pool1d(normal(640, 1, 178), 9, stride=1, padding=4)[:, 0]
    after_epoch, *_ = kernels.train(model, as_images(smooth), orders, 64, 0.01)
    assert torch.equal(after_epoch[:, 0], after_epoch[:, 1])


# --- real maps, threads, the cache ----------------------------------------------------------------


@needs("MNIST", "physionet/mitdb")
@each_sparse
def test_real_maps_are_kept_like_activate_keeps_them(activation):
    with torch.no_grad():
        digits = sanbook.data.load("mnist").first(40, 1, 1).train
        for m in range(1, 7):
            s = san([m] * 2, activation, 2).similarities(digits)
            assert_keeps_what_activate_keeps(s, activation, [m], 2, ndim=2)
        beats = sanbook.data.load("mitdb").train
        for m in (1, 7, 40, 229):
            s = san([m], activation, 1).similarities(beats)
            assert_keeps_what_activate_keeps(s, activation, [m], 3, ndim=1)


def test_a_function_registered_under_another_name_is_known_by_what_it_is(monkeypatch):
    monkeypatch.setitem(ACTIVATION_FUNCTIONS, "far extrema", (extrema, lambda m, *_: 2 * m))
    assert kernels.kind_of("far extrema") == loops.EXTREMA
    assert_reconstructs_like_san_core(san([4], "far extrema", 1), normal(2, 60))
    monkeypatch.setitem(ACTIVATION_FUNCTIONS, "extrema", (lambda s, d, ndim: s, None))
    assert kernels.kind_of("extrema") is None


# --- the compiler ---------------------------------------------------------------------------------

WEIGHTS = """
import torch
from san_core import ACTIVATIONS, SAN
from sanbook.training import kernels

x = torch.randn(4, 200, generator=torch.Generator().manual_seed(0))
orders, weights = torch.arange(4)[None].numpy(), {}
for activation in ACTIVATIONS:
    model = SAN([30], activation, generator=torch.Generator().manual_seed(1))
    after_epoch, _, _ = kernels.train(model, x[:, None].numpy(), orders, 2, 0.01)
    weights[activation] = after_epoch.double().tolist()
"""


def test_first_run_on_a_machine_gives_what_later_runs_give(tmp_path):
    """A process that compiles the loops computes the same bits as one that finds them compiled."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", f"{WEIGHTS}\nprint(weights)"]
    first = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    exec(WEIGHTS, later := {})
    assert set(later["weights"]) == set(ACTIVATIONS)
    assert first.stdout == f"{later['weights']}\n"
