"""The multiscale SAN: kernels, pursuit, gradients, what is chosen, files."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import orthogonal_mp

import san_core
from sanbook.scales import (
    Adam,
    MultiscaleSAN,
    compare_scales,
    fit_scales,
    initial_prototypes,
    ladder,
    resampling,
)
from sanbook.scales.pursuit import code_of

LENGTHS = [2, 3, 7, 10, 15]


@pytest.fixture
def model():
    return MultiscaleSAN(torch.randn(2, 3, generator=torch.Generator().manual_seed(0)), LENGTHS)


@pytest.fixture(scope="module")
def x():
    return torch.randn(4, 60, generator=torch.Generator().manual_seed(1)).cumsum(dim=1)


def san(model):
    """A SAN of the same kernels, each of its own."""
    same = san_core.SAN([len(kernel) for kernel in model.kernels()], "identity")
    for parameter, kernel in zip(same.kernels, model.kernels(), strict=True):
        parameter.data = kernel.detach()
    return same


# --- kernels --------------------------------------------------------------------------------------


def test_kernels_are_the_prototypes_at_every_length_in_both_directions(model):
    kernels = model.kernels()
    assert [len(kernel) for kernel in kernels] == 4 * LENGTHS
    assert model.num_weights == 6
    for kernel in kernels:
        assert kernel.norm().item() == pytest.approx(1, abs=1e-6)
    for i in range(2):
        forwards, backwards = kernels[10 * i : 10 * i + 5], kernels[10 * i + 5 : 10 * i + 10]
        prototype = model.prototypes[i].detach()
        torch.testing.assert_close(forwards[1], prototype / prototype.norm())
        for one, other in zip(forwards, backwards, strict=True):
            torch.testing.assert_close(one.flip(0), other)


@pytest.mark.parametrize("m", [1, 2, 5, 8])
def test_resampling_draws_straight_lines(m):
    prototype = torch.randn(m, generator=torch.Generator().manual_seed(0)).double()
    corners = np.r_[0, prototype, 0]
    for length in range(m, 60):
        places = np.arange(1, length + 1) * (m + 1) / (length + 1)
        expected = np.interp(places, np.arange(m + 2), corners)
        np.testing.assert_allclose(resampling(m, length) @ prototype, expected, atol=1e-12)


def test_resampling_to_fewer_samples_leaves_no_weight_out():
    for m, length in ((9, 1), (9, 2), (9, 4), (5, 3)):
        factors = resampling(m, length)
        assert factors.shape == (length, m)
        assert (factors.sum(dim=0) > 0).all()
        torch.testing.assert_close(factors, factors.flip(0, 1))


def test_ladder_reaches_from_two_samples_to_the_longest():
    for m in (2, 5, 9):
        lengths = ladder(m, 999)
        assert lengths[0] == 2
        assert 850 < lengths[-1] <= 999
        assert all((length + 1) % (m + 1) == 0 for length in lengths if length > 1.5 * m)
        assert len(set(lengths)) == len(lengths)


# --- encoding and decoding ------------------------------------------------------------------------


def test_conventions_are_those_of_a_san(model, x):
    a = model.encode(x)
    assert a.shape == (4, 20, 60)
    assert a.dtype == x.dtype
    x_hat = model(x)
    torch.testing.assert_close(x_hat, san(model).decode(a), atol=1e-4, rtol=1e-4)
    inverse_cr = san_core.inverse_compression_ratio(a, model.num_weights)
    loss = san_core.normalized_loss(x, x_hat)
    expected = torch.stack([inverse_cr, loss, san_core.phi(inverse_cr, loss)], dim=-1)
    torch.testing.assert_close(model.metrics(x, a), expected)


def test_pursuit_is_that_of_scikit_learn(model, x):
    model = model.double()
    atoms = model.atoms(60)
    dictionary = atoms.draw_unit(torch.arange(20 * 60)).numpy().T
    each = torch.eye(20 * 60).view(-1, 20, 60)
    drawn = san(model).double().decode(each.double()).detach()
    torch.testing.assert_close(atoms.draw(torch.arange(20 * 60)), drawn)
    for example, path in zip(x.double().numpy(), model.follow(x), strict=True):
        steps = len(path.chosen)
        assert steps > 3
        expected = orthogonal_mp(dictionary, example, n_nonzero_coefs=steps, return_path=True)
        error = np.abs(example[:, None] - dictionary @ expected).sum(axis=0)
        loss = error / np.abs(example).sum()
        np.testing.assert_allclose(path.losses[1:], loss, atol=1e-9)
        chosen = np.zeros(20 * 60, bool)
        chosen[path.chosen] = True
        assert np.array_equal(expected[:, -1] != 0, chosen)


def test_activation_at_a_border_is_found():
    model = MultiscaleSAN(torch.tensor([[1.0, 3.0, 2.0]]), [7, 15])
    for place in (0, 1, 38, 39):
        a = torch.zeros(1, 4, 40)
        a[0, 3, place] = 2.0  # half of the kernel is outside
        found = model.encode(model.decode(a).detach())
        torch.testing.assert_close(found, a, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cost", [2, 3])
def test_phi_is_never_above_that_of_zeros(cost):
    noise = torch.randn(20, 50, generator=torch.Generator().manual_seed(3))
    for q, m in ((1, 1), (2, 7), (6, 8)):
        model = MultiscaleSAN(initial_prototypes(q, m, seed=0), ladder(m, 49), cost)
        found = model.metrics(noise, model.encode(noise))
        nothing = model.metrics(noise, torch.zeros(20, len(model.kernels()), 50))
        assert (found[:, 2] <= nothing[:, 2] + 1e-6).all()
        assert (found[:, 0] >= nothing[:, 0]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [3]), r"prototypes: \(2,\) .*\(q, m\)"),
        (([[]], [3]), "at least one weight"),
        (([[float("nan")]], [3]), "finite"),
        (([[1.0]], []), "lengths: .* are not different"),
        (([[1.0]], [3, 0]), "each at least 1"),
        (([[1.0]], [3, 3]), "different"),
        (([[1.0]], [3], 4), "cost: 4 is none of 2 and 3"),
    ],
)
def test_what_is_no_network_is_refused(arguments, message):
    prototypes, *others = arguments
    with pytest.raises(ValueError, match=message):
        MultiscaleSAN(torch.tensor(prototypes), *others)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (torch.ones(60), r"x: the shape \(60,\) is not \(B, n\)"),
        (torch.ones(2, 14), "have 14 samples, the longest kernel 15"),
        (torch.full((2, 60), torch.nan), "120 samples are NaN or infinite"),
        (torch.eye(60)[:3] * torch.tensor([[1.0], [0.0], [1.0]]), r"examples \[1\] of 3"),
    ],
)
def test_examples_that_cannot_be_encoded_are_refused(model, example, message):
    for use in (model.encode, model.follow):
        with pytest.raises(ValueError, match=message):
            use(example)


def test_maps_of_another_network_are_refused(model):
    with pytest.raises(ValueError, match=r"\(1, 19, 60\) is not \(B, 20, n\)"):
        model.decode(torch.zeros(1, 19, 60))


def test_the_browser_draws_the_same_kernels(javascript, model, x):
    model = model.double()
    kernels = [kernel.tolist() for kernel in model.kernels()]
    for path in model.follow(x):
        drawn = [
            javascript.call("san.draw", kernels[number // 60], number % 60, 60)
            for number in path.chosen.tolist()
        ]
        np.testing.assert_allclose(drawn, model.atoms(60).draw(path.chosen), atol=1e-12)


# --- learning -------------------------------------------------------------------------------------


def test_gradient_at_fixed_activations(model, x):
    model = model.double()
    a = model.encode(x.double())

    def mean_phi(prototypes):
        other = MultiscaleSAN(prototypes, LENGTHS).double()
        del other.prototypes
        other.prototypes = prototypes  # a parameter would be cut off
        return other.metrics(x.double(), a)[:, 2].mean()

    prototypes = model.prototypes.detach().requires_grad_()
    assert torch.autograd.gradcheck(mean_phi, prototypes)


def test_gradient_through_amplitudes_of_least_error_is_zero(model, x):
    """With the amplitudes solved anew, phi falls as the gradient at fixed ones says."""
    model = model.double()
    chosen = [path.chosen[: path.steps] for path in model.follow(x)]

    def mean_phi(prototypes):
        other = MultiscaleSAN(prototypes, LENGTHS).double()
        a = code_of(other.atoms(60), chosen, x.double())
        return other.metrics(x.double(), a)[:, 2].mean()

    at_start = mean_phi(model.prototypes)
    at_start_a = code_of(model.atoms(60), chosen, x.double())
    model.metrics(x.double(), at_start_a)[:, 2].mean().backward()
    gradient = model.prototypes.grad
    step = 1e-3 * gradient / gradient.norm()
    fall = at_start - mean_phi(model.prototypes.detach() - step)
    assert fall.item() == pytest.approx((gradient * step).sum().item(), rel=0.3)


def test_steps_are_those_of_torch():
    one, other = (torch.ones(2, 3, dtype=torch.float64).requires_grad_() for _ in "ab")
    adam, expected = Adam(one, 0.05), torch.optim.Adam([other], lr=0.05)
    for k in range(5):
        other.grad = torch.randn(2, 3, generator=torch.Generator().manual_seed(k)).double()
        adam.step(other.grad)
        expected.step()
        torch.testing.assert_close(one, other)


@pytest.fixture(scope="module")
def pulses():
    """Pulses of one odd shape, of any width, at any place, up and down."""
    random, shape = np.random.default_rng(0), np.array([0, 0.1, 1, -0.7, 0.3, 0.2, 0.1, 0])
    x = np.zeros((8, 200))
    for example in x:
        for place in (10, 70, 130):
            width = random.integers(15, 50)
            pulse = np.interp(np.linspace(0, 7, width), np.arange(8), shape)
            example[place : place + width] += random.choice([-2, -1, 1, 2]) * pulse
    return torch.from_numpy(x + 0.01 * random.normal(size=x.shape)).float()


def test_learned_mothers_are_better_than_those_at_the_start(pulses):
    train, validation, test = pulses[:4], pulses[4:6], pulses[6:]
    fitted = compare_scales(train, validation, candidates=[(1, 7)], rounds=[12])
    first = MultiscaleSAN(fitted.initial, fitted.model.lengths)
    before, after = (
        model.metrics(test, model.encode(test))[:, 2].mean() for model in (first, fitted.model)
    )
    assert after < 0.95 * before
    history = fitted.history
    assert len(history) == 13
    chosen = fitted.model.metrics(validation, fitted.model.encode(validation))[:, 2].mean()
    assert chosen.item() == pytest.approx(history.validation_phi.min(), abs=1e-4)


def test_the_better_half_goes_on(pulses):
    candidates = [(1, 1), (1, 5), (2, 5)]
    fitted = compare_scales(pulses[:3], pulses[3:5], candidates=candidates, rounds=[1, 2])
    epochs = fitted.history.groupby(["prototypes", "weights"]).epoch.max()
    assert sorted(epochs) == [1, 3, 3]
    first = fitted.history[fitted.history.epoch <= 1].groupby(["prototypes", "weights"])
    assert epochs[first.validation_phi.min().idxmax()] == 1
    chosen = fitted.model.metrics(pulses[3:5], fitted.model.encode(pulses[3:5]))[:, 2].mean()
    assert chosen.item() == pytest.approx(fitted.history.validation_phi.min(), abs=1e-4)


def test_same_seed_same_network(pulses):
    settings = {"candidates": [(1, 3), (2, 3)], "rounds": [1]}
    one, again, other = (
        compare_scales(pulses[:2], pulses[2:3], seed=seed, **settings) for seed in (1, 1, 2)
    )
    assert torch.equal(one.model.prototypes, again.model.prototypes)
    assert one.history.equals(again.history)
    assert not torch.equal(one.model.prototypes, other.model.prototypes)


def test_fit_needs_examples_that_vary():
    good, blank = torch.ones(2, 30), torch.zeros(1, 30)
    for train, validation in ((good, blank), (blank, good)):
        with pytest.raises(ValueError, match="zero everywhere"):
            fit_scales(train, validation)


def test_atoms_are_made_again_when_the_prototypes_change(model, x):
    before = model.encode(x)
    made = model.atoms(x.shape[1])
    assert model.atoms(x.shape[1]) is made
    with torch.no_grad():
        model.prototypes[1, 0] += 1
    assert model.atoms(x.shape[1]) is not made
    fresh = MultiscaleSAN(model.prototypes, model.lengths, model.cost)
    assert torch.equal(model.encode(x), fresh.encode(x))
    assert not torch.equal(model.encode(x), before)
