"""Matching pursuit: against least squares and scikit-learn, borders, duplicates, when it stops."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from sklearn.linear_model import orthogonal_mp

import san_core
import sanbook.scales.pursuit
from sanbook.methods import base as methods
from sanbook.methods import kernels as atoms
from sanbook.scales.pursuit import Atoms, Hats, Pursuit, follow, least_absolute_error, pursue

KERNELS = [torch.tensor([1.0, -2.0, 0.5, 3.0]), torch.tensor([1.0, 1.0, 1.0]), torch.tensor([2.0])]


@pytest.fixture(scope="module")
def x():
    return torch.randn(3, 40, generator=torch.Generator().manual_seed(0))


def every_atom(kernels, n):
    """All atoms ``(J * n, n)``, by drawing an activation of 1 at each place with a SAN."""
    model = san(kernels)
    a = torch.eye(len(kernels) * n).view(-1, len(kernels), n)
    return model.decode(a).detach().double()


def san(kernels):
    model = san_core.SAN([len(kernel) for kernel in kernels], "identity")
    for parameter, kernel in zip(model.kernels, kernels, strict=True):
        parameter.data = kernel
    return model


def explicit(x, dictionary, most, refit=True):
    def strongest(residual):
        return (residual @ dictionary.T).abs().argmax(dim=1)

    return Pursuit(x, strongest, dictionary.__getitem__, most, refit)


# --- atoms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [6, 7, 40])
def test_atoms_are_what_a_san_draws(n):
    every, all_numbers = every_atom(KERNELS, n), torch.arange(3 * n)
    bank = Atoms(KERNELS, n)
    torch.testing.assert_close(bank.draw(all_numbers), every)
    torch.testing.assert_close(bank.norms.flatten(), every.norm(dim=1))
    signals = torch.randn(5, n, generator=torch.Generator().manual_seed(1))
    products = signals.double() @ (every / every.norm(dim=1, keepdim=True)).T
    assert torch.equal(bank.strongest(signals), products.abs().argmax(dim=1))
    code = torch.randn(5, 3, n, generator=torch.Generator().manual_seed(2))
    code *= code.abs() > 1
    decoded = bank.decode(code.double()).float()
    torch.testing.assert_close(decoded, san(KERNELS).decode(code).detach(), atol=1e-5, rtol=1e-5)


def test_what_hardly_reaches_into_a_signal_is_no_atom():
    kernel = torch.tensor([1e-5, 0.0, 1.0])
    bank = Atoms([kernel], n=5)
    assert bank.norms[0].isinf().tolist() == [True] + [False] * 4
    first_only = torch.eye(5)[:1]
    assert bank.strongest(first_only) != 0


# --- steps ----------------------------------------------------------------------------------------


def test_steps_are_those_of_scikit_learn(x):
    dictionary = every_atom(KERNELS, 40)
    dictionary = dictionary / dictionary.norm(dim=1, keepdim=True)
    exact = x.double()
    pursuit = explicit(exact, dictionary, most=12)
    for k in range(1, 13):
        pursuit.step()
        code = pursuit.code(torch.full([3], k), len(dictionary))
        expected = orthogonal_mp(dictionary.T.numpy(), exact.T.numpy(), n_nonzero_coefs=k)
        np.testing.assert_allclose(code.T, expected, atol=1e-9)
        torch.testing.assert_close(exact - code @ dictionary, pursuit.residual)


@pytest.mark.parametrize("refit", [True, False], ids=["orthogonal", "plain"])
def test_examples_may_be_taken_out(x, refit):
    dictionary = every_atom(KERNELS, 40)
    dictionary = dictionary / dictionary.norm(dim=1, keepdim=True)
    exact, counts = x.double(), [3, 30, 7]
    together = explicit(exact, dictionary, 30, refit)
    for k in range(30):
        together.going = (torch.tensor(counts) > k).nonzero().flatten()
        together.step()
    code = together.code(torch.tensor(counts), len(dictionary))
    for i, count in enumerate(counts):
        alone = explicit(exact[i : i + 1], dictionary, 30, refit)
        for k in range(count):
            alone.step()
            error = alone.residual.abs().sum()
            torch.testing.assert_close(alone.errors[0, k + 1], error)
            different = len(set(alone.chosen[0, : k + 1].tolist()))
            assert alone.entries[0, k + 1] == together.entries[i, k + 1] == different
        torch.testing.assert_close(together.residual[i], alone.residual[0])
        expected = alone.code(torch.tensor([count]), len(dictionary))[0]
        torch.testing.assert_close(code[i], expected)
    if not refit:
        assert together.entries.amax() < 30  # one was chosen twice


@pytest.mark.parametrize("apart", [0.0, 1e-12, 1e-6, 1e-3])
def test_near_duplicates_do_no_harm(x, apart):
    half = torch.randn(20, 40, generator=torch.Generator().manual_seed(4)).double()
    other = torch.randn(20, 40, generator=torch.Generator().manual_seed(5)).double()
    dictionary = torch.cat([half, half + apart * other])
    pursuit = explicit(x.double(), dictionary, most=40)
    before = pursuit.residual.norm(dim=1)
    for k in range(1, 41):
        pursuit.step()
        after = pursuit.residual.norm(dim=1)
        assert (after <= before + 1e-12).all()
        before = after
        code = pursuit.code(torch.full([3], k), 40)
        torch.testing.assert_close(code @ dictionary + pursuit.residual, x.double())


# --- the pursuit that stops by itself -------------------------------------------------------------


@pytest.mark.parametrize("cost", [2, 3, 40])  # at 40 nothing is worth it
@pytest.mark.parametrize("num_weights", [0, 8])
@pytest.mark.parametrize("refit", [True, False], ids=["orthogonal", "plain"])
def test_pursuit_stops_where_phi_is_smallest(x, cost, num_weights, refit):
    dictionary = every_atom(KERNELS, 40)
    unit = dictionary / dictionary.norm(dim=1, keepdim=True)
    smooth = x.cumsum(dim=1)
    paths = follow(Atoms(KERNELS, 40), smooth, cost, num_weights, refit)
    pursuit = explicit(smooth.double(), unit, most=40, refit=refit)
    losses, phis = [torch.ones(3).double()], [torch.full([3], math.hypot(1, num_weights / 40))]
    for k in range(1, 41):
        pursuit.step()
        counts = pursuit.code(torch.full([3], k), len(unit)).count_nonzero(dim=1)
        loss = pursuit.residual.abs().sum(dim=1) / smooth.double().abs().sum(dim=1)
        losses.append(loss)
        phis.append(san_core.phi((num_weights + cost * counts) / 40, loss).float())
    losses, phis = torch.stack(losses, dim=1), torch.stack(phis, dim=1)
    amplitudes = pursuit.amplitudes(torch.tensor([path.steps for path in paths]))
    for i, path in enumerate(paths):
        steps = len(path.chosen)
        assert torch.equal(path.chosen, pursuit.chosen[i, :steps])
        torch.testing.assert_close(path.losses, losses[i, : steps + 1])
        torch.testing.assert_close(path.phis.float(), phis[i, : steps + 1])
        assert path.steps == phis[i].argmin()  # no later step would have a smaller one
        torch.testing.assert_close(path.amplitudes, amplitudes[i, : path.steps])
    code = pursue(Atoms(KERNELS, 40), smooth, cost, num_weights, refit)
    assert code.shape == (3, 3, 40)
    assert code.dtype == smooth.dtype
    counts = code.flatten(1).count_nonzero(dim=1)
    loss = san_core.normalized_loss(smooth, san(KERNELS).decode(code).detach())
    found = san_core.phi((num_weights + cost * counts) / 40, loss)
    if refit:
        assert (found <= phis.amin(dim=1) + 1e-6).all()  # absolute errors, not squared ones
    else:
        torch.testing.assert_close(found, phis.amin(dim=1))


# --- hats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [33, 64])
def test_hats_find_what_transforms_find(n):
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(m, generator=generator).double() for m in (1, 4, 4, 3, 7)]
    spacing = [5, 1, 3, 8, 1]
    kernels = []
    for weight, apart in zip(weights, spacing, strict=True):
        knots = apart * torch.arange(len(weight) + 2)
        corners = torch.nn.functional.pad(weight, (1, 1))
        kernel = np.interp(np.arange(knots[-1] + 1), knots.numpy(), corners.numpy())[1:-1]
        kernels.append(torch.from_numpy(kernel))
    kernels += [kernel.flip(0) for kernel in kernels]
    weights += [weight.flip(0) for weight in weights]
    backwards = [5, 6, 7, 8, 9, 0, 1, 2, 3, 4]
    hats, atoms = Hats(kernels, weights, 2 * spacing, backwards, n), Atoms(kernels, n)
    noise = torch.randn(100, n, generator=generator).double()
    for residual in (noise, noise.cumsum(dim=1)):
        unit = hats.draw_unit(torch.arange(10 * n))
        by_size = (residual @ unit.T).abs().sort(dim=1, descending=True)
        clear = by_size.values[:, 0] > 1.00001 * by_size.values[:, 1]
        assert clear.float().mean() > 0.9
        for found in (hats.strongest(residual), atoms.strongest(residual)):
            assert torch.equal(found[clear], by_size.indices[clear, 0])


# --- amplitudes -----------------------------------------------------------------------------------


def test_absolute_error_is_nearly_the_smallest():
    generator = torch.Generator().manual_seed(0)
    drawn, x = (torch.randn(k, 60, generator=generator).double() for k in (6, 1))
    x = x[0]
    found = least_absolute_error(drawn, x)
    # As a linear program: errors above and below, both at least 0.
    identity = np.eye(60)
    program = linprog(
        np.r_[np.zeros(6), np.ones(120)],
        A_eq=np.hstack([drawn.T.numpy(), identity, -identity]),
        b_eq=x.numpy(),
        bounds=[(None, None)] * 6 + [(0, None)] * 120,
    )
    error = (x - found @ drawn).abs().sum().item()
    assert program.fun <= error <= 1.01 * program.fun


def test_absolute_error_is_never_above_that_of_least_squares():
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        drawn = torch.randn(9, 30, generator=generator).double()
        x = torch.randn(30, generator=generator).double() ** 3
        squares = torch.linalg.lstsq(drawn.T, x).solution
        error = (x - least_absolute_error(drawn, x) @ drawn).abs().sum()
        assert error <= (x - squares @ drawn).abs().sum() + 1e-9


# --- kernels --------------------------------------------------------------------------------------

DICTIONARIES = [
    atoms.ShiftInvariantWavelets(wavelet="db2"),
    atoms.Gabor(cycles=2),
    atoms.RandomKernels(seed=3),
]


@pytest.mark.parametrize("method", DICTIONARIES, ids=lambda method: type(method).__name__)
def test_kernels_have_unit_norm_and_fit(method):
    for n in (30, 200):
        for kernel in method.kernels(n):
            assert len(kernel) <= n
            assert kernel.norm().item() == pytest.approx(1, abs=1e-6)


def test_wavelet_kernels_are_what_coefficients_draw():
    pywt = pytest.importorskip("pywt")
    kernels = atoms.ShiftInvariantWavelets(wavelet="db2").kernels(64)
    levels = pywt.dwt_max_level(64, "db2")
    assert len(kernels) == levels + 1
    zeros = pywt.wavedec(np.zeros(64), "db2", "zero", levels)
    for i, kernel in enumerate(reversed(kernels)):  # the scaling function first, as PyWavelets
        drawn = [band.copy() for band in zeros]
        drawn[i][len(drawn[i]) // 2] = 1.0
        drawn = torch.from_numpy(pywt.waverec(drawn, "db2", "zero")).float()
        inside = drawn.nonzero().flatten()
        inside = drawn[inside[0] : inside[-1] + 1]
        overlap = torch.nn.functional.conv1d(
            torch.nn.functional.pad(inside, (64, 64))[None, None], kernel[None, None]
        )
        assert overlap.abs().max() == pytest.approx(inside.norm().item(), rel=0.02)


def test_gabor_kernels_of_one_length_are_windows_and_their_waves():
    kernels = [kernel for kernel in atoms.Gabor(cycles=2).kernels(100) if len(kernel) == 48]
    window, *waves = kernels
    assert (window > 0).all()
    torch.testing.assert_close(window, window.flip(0))
    for cosine, sine in (waves[:2], waves[2:]):
        torch.testing.assert_close(cosine, cosine.flip(0), atol=1e-6, rtol=0)
        torch.testing.assert_close(sine, -sine.flip(0), atol=1e-6, rtol=0)
        assert (cosine @ sine).abs() < 1e-6


def test_own_atoms_are_found_again():
    method = atoms.Gabor(cycles=1)
    kernels = method.kernels(96)
    a = torch.zeros(1, len(kernels), 96)
    a[0, 4, 20], a[0, 9, 70] = 1.0, 2.0
    x = method.decode(a, torch.Size([96]))
    inverse_cr, loss, _ = methods.evaluate(method, x)[0]
    assert inverse_cr == 4 / 96
    assert loss < 1e-5


# --- memory ---------------------------------------------------------------------------------------


def test_a_window_of_ten_thousand_samples_takes_little_memory():
    """The process has loaded the libraries before; what is counted is what encoding adds."""
    code = """
import resource, sys, torch
from sanbook.scales import MultiscaleSAN, initial_prototypes, ladder

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

t, prototypes = torch.arange(10_000.0), initial_prototypes(3, 5, 0)
MultiscaleSAN(prototypes, ladder(5, 300)).encode(torch.sin(t[None, :400] / 20))
model, before = MultiscaleSAN(prototypes, ladder(5, 9_999)), peak()
x = torch.sin(t / 20) * torch.exp(-(((t - 5000) / 2500) ** 2))
entries = model.encode(x[None]).count_nonzero().item()
print(peak() - before, entries)
"""
    told = subprocess.check_output([sys.executable, "-c", code], text=True)
    kilobytes, entries = map(int, told.split())
    assert entries > 16  # so memory has grown
    assert kilobytes < 400_000  # 800 MB when all possible steps had memory from the start


def test_memory_grows_without_changing_the_pursuit(monkeypatch):
    x = torch.randn(3, 60, generator=torch.Generator().manual_seed(0)).double()
    one_of_two = Atoms([torch.ones(3), torch.tensor([1.0, -1.0])], 60)
    codes = []
    for first in (1, 7, 100):
        monkeypatch.setattr(sanbook.scales.pursuit, "FIRST_STEPS", first)
        codes.append(pursue(one_of_two, x, cost=2))
    assert torch.equal(codes[0], codes[1])
    assert torch.equal(codes[0], codes[2])
