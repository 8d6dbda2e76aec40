"""Matching pursuit: against least squares and scikit-learn, borders, duplicates, when it stops."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import orthogonal_mp

import san_core
from sanbook import atoms, methods
from sanbook.pursuit import Atoms, Pursuit, pursue

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
    return Pursuit(x, lambda r: r @ dictionary.T, dictionary.__getitem__, most, refit)


# --- atoms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [6, 7, 40])
def test_atoms_are_what_a_san_draws(n):
    every, all_numbers = every_atom(KERNELS, n), torch.arange(3 * n)
    bank = Atoms(KERNELS, n)
    torch.testing.assert_close(bank.draw(all_numbers), every)
    torch.testing.assert_close(bank.norms.flatten(), every.norm(dim=1))
    signals = torch.randn(5, n, generator=torch.Generator().manual_seed(1))
    products = signals.double() @ (every / every.norm(dim=1, keepdim=True)).T
    torch.testing.assert_close(bank.correlate(signals).double(), products, atol=1e-5, rtol=1e-5)
    code = torch.randn(5, 3, n, generator=torch.Generator().manual_seed(2))
    code *= code.abs() > 1
    decoded = bank.decode(code.double()).float()
    torch.testing.assert_close(decoded, san(KERNELS).decode(code).detach(), atol=1e-5, rtol=1e-5)


def test_what_hardly_reaches_into_a_signal_is_no_atom():
    kernel = torch.tensor([1e-5, 0.0, 1.0])
    bank = Atoms([kernel], n=5)
    assert bank.norms[0].isinf().tolist() == [True] + [False] * 4
    assert bank.correlate(torch.ones(1, 5))[0, 0] == 0


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


def test_amplitudes_are_those_of_least_squares(x):
    dictionary = torch.randn(30, 40, generator=torch.Generator().manual_seed(3)).double()
    pursuit = explicit(x.double(), dictionary, most=9)
    for _ in range(9):
        pursuit.step()
    for k in (1, 4, 9):
        amplitudes = pursuit.amplitudes(torch.full([3], k))
        assert not amplitudes[:, k:].any()
        for one, chosen, found in zip(x.double(), pursuit.chosen, amplitudes, strict=True):
            columns = dictionary[chosen[:k]].T
            expected = torch.linalg.lstsq(columns, one[:, None]).solution[:, 0]
            torch.testing.assert_close(found[:k], expected)


def test_each_example_has_its_own_number_of_steps(x):
    dictionary = torch.eye(40).double()
    pursuit = explicit(x.double(), dictionary, most=5)
    for _ in range(5):
        pursuit.step()
    code = pursuit.code(torch.tensor([0, 2, 5]), 40)
    for k, one, found in zip((0, 2, 5), x, code.float(), strict=True):
        assert torch.equal(found, san_core.topk_absolutes(one, k) if k else torch.zeros(40))


def test_without_refit_energy_is_conserved(x):
    dictionary = every_atom(KERNELS, 40)
    dictionary = dictionary / dictionary.norm(dim=1, keepdim=True)
    exact = x.double()
    pursuit = explicit(exact, dictionary, most=30, refit=False)
    for k in range(1, 31):
        pursuit.step()
        amplitudes = pursuit.amplitudes(torch.full([3], k))
        energy = amplitudes.square().sum(dim=1) + pursuit.residual.square().sum(dim=1)
        torch.testing.assert_close(energy, exact.square().sum(dim=1))
    code = pursuit.code(torch.full([3], 30), len(dictionary))
    torch.testing.assert_close(code @ dictionary + pursuit.residual, exact)


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


@pytest.mark.parametrize("cost", [2, 3])
@pytest.mark.parametrize("refit", [True, False], ids=["orthogonal", "plain"])
def test_pursuit_stops_where_phi_is_smallest(x, cost, refit):
    dictionary = every_atom(KERNELS, 40)
    unit = dictionary / dictionary.norm(dim=1, keepdim=True)
    smooth = x.cumsum(dim=1)
    code = pursue(KERNELS, smooth, cost, refit)
    assert code.shape == (3, 3, 40)
    assert code.dtype == smooth.dtype
    counts = code.flatten(1).count_nonzero(dim=1)
    x_hat = san(KERNELS).decode(code).detach()
    found = san_core.phi(cost * counts / 40, san_core.normalized_loss(smooth, x_hat))
    pursuit = explicit(smooth.double(), unit, most=40 // cost, refit=refit)
    phis = [torch.ones(3)]
    for k in range(1, 1 + 40 // cost):
        pursuit.step()
        counts = pursuit.code(torch.full([3], k), len(unit)).count_nonzero(dim=1)
        loss = pursuit.residual.abs().sum(dim=1) / smooth.double().abs().sum(dim=1)
        phis.append(san_core.phi(cost * counts / 40, loss).float())
    torch.testing.assert_close(found, torch.stack(phis).amin(dim=0))
    assert (found < 1).all()


def test_signal_of_two_atoms_is_two_entries():
    a = torch.zeros(1, 3, 40)
    a[0, 0, 10], a[0, 1, 30] = 2.0, -3.0
    code = pursue(KERNELS, san(KERNELS).decode(a).detach(), cost=2)
    torch.testing.assert_close(code, a, atol=1e-5, rtol=1e-5)


def test_pursuit_is_never_worse_than_nothing(x):
    for cost in (2, 5, 39, 40):
        code = pursue(KERNELS, x, cost)
        counts = code.flatten(1).count_nonzero(dim=1)
        loss = san_core.normalized_loss(x, san(KERNELS).decode(code).detach())
        assert (san_core.phi(cost * counts / 40, loss) <= 1 + 1e-6).all()
    assert not code.any()  # one entry costs as much as nothing loses


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
