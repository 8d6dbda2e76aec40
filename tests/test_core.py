"""Tests of san_core: against `naive`, numbers worked by hand, invariants, gradients, errors."""

import math

import naive
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

import san_core
from san_core import (
    ACTIVATIONS,
    SAN,
    activate,
    extrema,
    extrema_pool_indices,
    inverse_compression_ratio,
    is_extremum,
    normalized_loss,
    phi,
    sparsity_density,
    topk_absolutes,
)

# (leading axes, spatial axes), with sizes that no two axes share
SHAPES = [
    ((), (1,)),
    ((), (2,)),
    ((), (13,)),
    ((3,), (12,)),
    ((2, 3), (7,)),
    ((), (5, 8)),
    ((3,), (7, 4)),
    ((), (1, 6)),
    ((3, 2), (4, 7)),
]
FILLS = ["normal", "rounded", "zero", "positive", "negative"]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=generator(seed), dtype=dtype)


def filled(fill, shape, dtype=torch.float64):
    if fill == "normal":
        return normal(*shape, dtype=dtype)
    if fill == "rounded":  # ties and plateaus
        return (1.5 * normal(*shape, dtype=dtype)).round()
    return torch.full(shape, {"zero": 0.0, "positive": 0.7, "negative": -0.7}[fill], dtype=dtype)


def map_by_map(function, s, ndim):
    """Apply a function of one NumPy map to every map of a tensor."""
    maps = s.reshape(-1, *s.shape[s.ndim - ndim :]).numpy()
    return torch.from_numpy(np.stack([function(m) for m in maps])).reshape(s.shape)


def activate_at(s, activation, m, ndim=1, border_tolerance=2):
    """An activation function with the sparsity density of a kernel size."""
    d = sparsity_density(activation, m, s.shape[s.ndim - ndim :], border_tolerance)
    return activate(s, activation, d, ndim)


def parameters(function, spatial):
    """Every k, cell or distance that a map allows; distances also beyond its sides."""
    last = {
        topk_absolutes: math.prod(spatial),
        extrema_pool_indices: min(spatial),
        extrema: max(spatial) + 3,
    }
    return range(1, last[function] + 1)


SPARSE = [topk_absolutes, extrema_pool_indices, extrema]
each_sparse = pytest.mark.parametrize("function", SPARSE, ids=lambda f: f.__name__)
each_shape = pytest.mark.parametrize(("leading", "spatial"), SHAPES)
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
each_ndim = pytest.mark.parametrize("ndim", [1, 2])


# --- Section II: the metric phi -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "num_weights", "ndim", "expected"),
    [
        (torch.zeros(1, 2, 10), 6, 1, [0.6]),
        (torch.ones(1, 2, 10), 6, 1, [(6 + 2 * 20) / 10]),
        (torch.tensor([[[0.0, -2.0, 0.0, 1e-9]], [[0, 0, 1, 0]]]), 3, 1, [7 / 4, 5 / 4]),
        (torch.eye(3).expand(1, 2, 3, 3), 8, 2, [(8 + 3 * 6) / 9]),
    ],
)
def test_inverse_compression_ratio_worked_by_hand(a, num_weights, ndim, expected):
    assert inverse_compression_ratio(a, num_weights, ndim).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ndim", "side", "q", "m", "activation", "expected"),
    [
        (1, 1000, 1, 7, "top-k absolutes", 0.291),
        (1, 1000, 1, 7, "extrema-pool indices", 0.291),
        (1, 1000, 1, 10, "extrema-pool indices", 0.210),
        (1, 1000, 1, 1, "identity", 2.001),
        (1, 178, 2, 15, "extrema-pool indices", (2 * 2 * 11 + 2 * 15) / 178),
        (2, 28, 2, 6, "top-k absolutes", (3 * 32 + 72) / 784),
        (2, 28, 2, 6, "extrema-pool indices", (3 * 32 + 72) / 784),
        (2, 28, 2, 3, "identity", (3 * 2 * 784 + 18) / 784),
    ],
)
def test_inverse_compression_ratio_has_the_closed_form_of_the_paper(
    ndim, side, q, m, activation, expected
):
    model = SAN([m] * q, activation, ndim, generator=generator())
    a = model.encode(normal(3, *[side] * ndim, dtype=torch.float32))
    ratio = inverse_compression_ratio(a, model.num_weights, ndim)
    torch.testing.assert_close(ratio, torch.full((3,), expected))


def test_normalized_loss_worked_by_hand():
    x = torch.tensor([[1.0, -2.0, 3.0, -4.0]]) * torch.tensor([[1.0], [10.0], [0.1], [1.0]])
    x_hat = torch.stack([x[0], 0 * x[1], -x[2], torch.tensor([1.0, 0.0, 3.0, -3.0])])
    for shape in ((4, 4), (4, 2, 2)):
        loss = normalized_loss(x.view(shape), x_hat.view(shape))
        assert loss.tolist() == pytest.approx([0.0, 1.0, 2.0, 0.3])


def test_phi_worked_by_hand():
    inverse_cr, loss = torch.tensor([0.5, 3.0, 0.0, 0.21]), torch.tensor([1.2, 4.0, 0.7, 0.44])
    assert phi(inverse_cr, loss).tolist() == pytest.approx([1.3, 5.0, 0.7, math.sqrt(0.2377)])


# --- Section III-A: the activation functions ------------------------------------------------------


def assert_equals_twin(function, s, ndim):
    twin = getattr(naive, function.__name__)
    for parameter in parameters(function, s.shape[s.ndim - ndim :]):
        a = function(s, parameter, ndim)
        assert (a.dtype, a.shape) == (s.dtype, s.shape)
        expected = map_by_map(lambda m, p=parameter: twin(m, p), s, ndim)
        assert torch.equal(a, expected), f"{function.__name__} with {parameter}"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("fill", FILLS)
@each_shape
@each_sparse
def test_activation_equals_its_twin(function, leading, spatial, fill, dtype):
    assert_equals_twin(function, filled(fill, (*leading, *spatial), dtype), len(spatial))


@pytest.mark.parametrize("fill", FILLS)
@each_shape
def test_is_extremum_follows_the_rule_of_differences(leading, spatial, fill):
    s = filled(fill, (*leading, *spatial))

    def twin(m):
        return np.array([naive.is_extremum(m, p) for p in np.ndindex(m.shape)]).reshape(m.shape)

    assert torch.equal(is_extremum(s, len(spatial)), map_by_map(twin, s, len(spatial)))


@pytest.mark.parametrize("border_tolerance", [0, 2, 3])
@pytest.mark.parametrize("fill", ["normal", "rounded", "zero"])
@pytest.mark.parametrize("spatial", [(11,), (5, 8), (7, 4)])
@each_activation
def test_activate_takes_the_density_from_the_kernel_size(
    activation, spatial, fill, border_tolerance
):
    ndim, s = len(spatial), filled(fill, (2, *spatial))
    for m in range(1, min(spatial) + 1):
        before = s.clone()
        a = activate_at(s, activation, m, ndim, border_tolerance)
        assert torch.equal(s, before)
        expected = map_by_map(
            lambda one, m=m: naive.activate(one, activation, m, border_tolerance), s, ndim
        )
        assert torch.equal(a, expected), f"kernel size {m}"


@pytest.mark.parametrize(
    "laid_out",
    [
        lambda s: s.contiguous(memory_format=torch.channels_last),
        lambda s: s.mT.contiguous().mT,
        lambda s: s.transpose(0, 1).contiguous().transpose(0, 1),
        lambda s: s[:, :1].expand(-1, 4, -1, -1),
        lambda s: torch.stack([s, -s], dim=-1)[..., 0],
    ],
    ids=["channels last", "columns first", "channels first", "expanded", "every second"],
)
@each_ndim
@each_sparse
def test_activation_does_not_depend_on_the_layout_in_memory(function, ndim, laid_out):
    s = laid_out(normal(2, 3, 5, 8))
    assert torch.equal(function(s, 2, ndim), function(s.contiguous(), 2, ndim))


@pytest.mark.parametrize(
    ("function", "parameter", "s", "expected"),
    [
        (topk_absolutes, 1, [1, -2, 2, 2], [0, -2, 0, 0]),  # the lower index on ties
        (topk_absolutes, 2, [1, -2, 2, 2], [0, -2, 2, 0]),
        (topk_absolutes, 3, [1] * 70, [1] * 3 + [0] * 67),
        (extrema_pool_indices, 3, [-2, 2, 2, 1, 3, -3], [-2, 0, 0, 0, 3, 0]),
        (extrema_pool_indices, 3, [1, 0, 0, 1, 0, 0, 9, 9], [1, 0, 0, 1, 0, 0, 0, 0]),  # no rest
        (extrema, 2, [0, 2, 0, 2, 0, 2, 0], [0, 2, 0, 0, 0, 2, 0]),
        (extrema, 2, [0, 3, 0, 0, 2, 0], [0, 3, 0, 0, 2, 0]),
        (extrema, 3, [0, 3, 0, 0, 2, 0], [0, 3, 0, 0, 0, 0]),  # the distance is inclusive
        (extrema, 2, [0, 4, 0, 3, 0, 2, 0], [0, 4, 0, 0, 0, 2, 0]),  # a suppressed one does nothing
    ],
)
def test_sparse_activation_worked_by_hand(function, parameter, s, expected):
    assert function(torch.tensor(s, dtype=torch.float32), parameter).tolist() == expected


@pytest.mark.parametrize(
    ("s", "expected"),
    [
        ([1, 2, 2, 0], [0, 1, 0, 0]),  # a plateau's peak is its first sample
        ([1, -2, -2, -1], [0, 0, 1, 0]),  # a plateau's valley is its last
        ([5, 1, 1, 1], [0, 0, 0, 0]),  # the first sample is no peak
        ([-5, 1, 1, 1], [1, 1, 0, 0]),  # the first sample can be a valley
        ([1, 1, 1, 5], [0, 0, 0, 1]),  # the last sample can be a peak
        ([1, 1, 1, -5], [0, 0, 0, 0]),  # the last sample is no valley
        ([3, 1, 2, 3], [0, 0, 0, 1]),  # a dip above zero is no valley
        ([-1, -3, -1, -2], [0, 1, 0, 0]),  # a bump below zero is no peak
    ],
)
def test_extremum_at_plateaus_and_borders(s, expected):
    assert is_extremum(torch.tensor(s)).int().tolist() == expected


def test_extrema_of_a_long_signal_equal_their_twin():
    s = normal(1000).cumsum(0)
    s -= s.mean()
    for distance in (1, 4, 226, 2000):
        assert np.array_equal(extrema(s, distance), naive.extrema(s.numpy(), distance))


@st.composite
def integers(draw):
    """A small map of one or two axes, with ties and plateaus."""
    side = st.integers(1, 7)
    spatial = draw(st.one_of(st.tuples(st.integers(1, 20)), st.tuples(side, side)))
    size = math.prod(spatial)
    values = draw(st.lists(st.integers(-4, 4), min_size=size, max_size=size))
    return torch.tensor(values, dtype=torch.float32).view(spatial)


@each_sparse
@settings(deadline=None)
@given(integers())
def test_activation_of_any_small_integers_equals_its_twin(function, s):
    assert_equals_twin(function, s, s.ndim)


# --- Section III-B: the network -------------------------------------------------------------------


def in_double(kernel_sizes, activation, ndim, border_tolerance=2):
    """A SAN with weights large enough to matter, in double precision."""
    model = SAN(kernel_sizes, activation, ndim, border_tolerance, generator=generator()).double()
    for kernel in model.kernels:
        kernel.data *= 5
    return model


@each_ndim
def test_decode_sums_the_partial_reconstructions(ndim):
    model, a = in_double([4, 3, 1], "identity", ndim), normal(2, 3, *(9, 7)[:ndim])
    r = model.partial_reconstructions(a)
    torch.testing.assert_close(model.decode(a), r[:, 0] + r[:, 1] + r[:, 2])
    for i in range(3):
        only = torch.zeros_like(a)
        only[:, i] = a[:, i]
        torch.testing.assert_close(model.decode(only), r[:, i])


@pytest.mark.parametrize("kernel_sizes", [[1], [2], [3], [6], [4, 3], [2, 5]], ids=str)
@pytest.mark.parametrize("spatial", [(11,), (7, 6)])
@each_activation
def test_san_equals_its_twin(activation, spatial, kernel_sizes):
    x = normal(2, *spatial)
    for tolerance in (0, 2, 3):
        model = in_double(kernel_sizes, activation, len(spatial), tolerance)
        kernels = [w.detach().numpy() for w in model.kernels]
        a, x_hat = model.encode(x).detach(), model(x).detach()
        for i, example in enumerate(x.numpy()):
            expected_a, expected = naive.san(example, kernels, activation, tolerance)
            torch.testing.assert_close(a[i], torch.from_numpy(expected_a))
            torch.testing.assert_close(x_hat[i], torch.from_numpy(expected))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 6])
@each_ndim
def test_borders_are_those_of_same_padding_in_torch(ndim, m):
    convolve = F.conv1d if ndim == 1 else F.conv2d
    model, x = in_double([m], "identity", ndim), normal(2, *(9, 7)[:ndim])
    w = model.kernels[0][None, None]
    s = convolve(x[:, None], w, padding="same")
    torch.testing.assert_close(model.similarities(x), s)
    torch.testing.assert_close(model(x), convolve(s, w, padding="same")[:, 0])


@each_ndim
@each_activation
def test_forward_passes_gradcheck_for_the_kernels(activation, ndim):
    model, x = in_double([3, 2], activation, ndim), normal(2, *(8, 5)[:ndim])

    def forward(*kernels):
        weights = {f"kernels.{i}": w for i, w in enumerate(kernels)}
        return torch.func.functional_call(model, weights, (x,))

    assert gradcheck(forward, tuple(model.kernels))


@pytest.mark.parametrize(
    ("kernel_sizes", "ndim", "expected"),
    [([7], 1, 7), ([4, 9, 1], 1, 14), ([6, 6], 2, 72), ([2, 3], 2, 13)],
)
def test_num_weights_counts_every_sample(kernel_sizes, ndim, expected):
    assert SAN(kernel_sizes, "relu", ndim).num_weights == expected


def test_weights_are_those_of_the_generator_or_of_the_seed_of_torch():
    def draw(seed):
        return torch.cat(list(SAN([4, 4], "relu", generator=generator(seed)).kernels))

    seeded = generator(3)
    expected = [torch.normal(0, 0.1, (4,), generator=seeded) for _ in range(2)]
    assert torch.equal(draw(3), torch.cat(expected))
    assert not torch.equal(draw(3), draw(4))
    with torch.random.fork_rng():
        torch.manual_seed(3)
        assert torch.equal(torch.cat(list(SAN([4, 4], "relu").kernels)), draw(3))


@each_ndim
def test_constant_weights_are_a_tenth(ndim):
    model = SAN([3, 4], "relu", ndim, init="constant")
    assert all((w == 0.1).all() for w in model.kernels)


# --- errors ---------------------------------------------------------------------------------------

ALL_FIVE = r"\['identity', 'relu', 'top-k absolutes', 'extrema-pool indices', 'extrema'\]"
X = torch.ones(2, 9)
SHORT = torch.ones(2, 3, 6, 4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: topk_absolutes(X, 0), r"k must lie in 1\.\.9.*k=0"),
        (lambda: topk_absolutes(X, -1), r"k must lie in 1\.\.9.*k=-1"),
        (lambda: topk_absolutes(X, 10), r"k must lie in 1\.\.9.*k=10"),
        (lambda: topk_absolutes(SHORT, 25, 2), r"k must lie in 1\.\.24.*k=25"),
        (lambda: activate_at(X, "top-k absolutes", 10), r"k must lie in 1\.\.9.*k=0"),
        (lambda: extrema_pool_indices(X, 0), r"cell must lie in 1\.\.9.*cell=0"),
        (lambda: extrema_pool_indices(X, 10), r"cell must lie in 1\.\.9.*cell=10"),
        (lambda: extrema_pool_indices(SHORT, 5, 2), r"cell must lie in 1\.\.4.*cell=5"),
        (lambda: extrema(X, 0), "min_distance must be at least 1 sample, but is 0"),
        (lambda: extrema(X, -3), "min_distance must be at least 1 sample, but is -3"),
        (lambda: topk_absolutes(X[0], 1, 2), r"\(\.\.\., height, width\) for ndim=2.*\(9,\)"),
        (lambda: extrema_pool_indices(X[0], 1, 2), r"\(\.\.\., height, width\) for ndim=2"),
        (lambda: extrema(X[0], 1, 2), r"\(\.\.\., height, width\) for ndim=2"),
        (lambda: topk_absolutes(X[0, 0], 1), r"\(\.\.\., n\) for ndim=1.*\(\)"),
        (lambda: activate(X, "top-k", 3), f"one of {ALL_FIVE}, but is 'top-k'"),
        (lambda: sparsity_density("top-k", 3, (9,)), f"one of {ALL_FIVE}, but is 'top-k'"),
        (lambda: sparsity_density("top-k absolutes", 0, (5,)), "at least 1 sample, but is 0"),
        (lambda: SAN([3], "extrema pool"), f"one of {ALL_FIVE}, but is 'extrema pool'"),
        (lambda: SAN([], "relu"), r"kernel_sizes must be one or more.*\[\]"),
        (lambda: SAN([3, 0], "relu"), r"kernel_sizes .*at least 1 sample.*\[3, 0\]"),
        (lambda: SAN([3], "relu", ndim=3), "ndim must be 1 .* or 2 .*but is 3"),
        (lambda: SAN([3], "relu", ndim=0), "ndim must be 1 .* or 2 .*but is 0"),
        (lambda: SAN([3], "relu", init="zeros"), "'normal' or 'constant', but is 'zeros'"),
        (lambda: SAN([3], "relu").encode(X[0]), r"\(B, n\) for ndim=1.*\(9,\)"),
        (lambda: SAN([3], "relu")(X[None]), r"\(B, n\) for ndim=1.*\(1, 2, 9\)"),
        (lambda: SAN([3], "relu", 2).encode(X), r"\(B, height, width\) for ndim=2"),
        (lambda: SAN([3, 10], "relu").encode(X), r"kernel size must lie in 1\.\.9.*is 10"),
        (lambda: SAN([5], "relu", 2).encode(SHORT[0]), r"kernel size must lie in 1\.\.4.*is 5"),
        (lambda: SAN([3], "relu").decode(X), r"\(B, q, n\) for ndim=1.*\(2, 9\)"),
        (lambda: SAN([3], "relu").decode(SHORT), r"\(B, q, n\) for ndim=1.*\(2, 3, 6, 4\)"),
        (lambda: SAN([3, 3], "relu", 2).decode(SHORT), "3 maps for 2 kernels"),
        (lambda: inverse_compression_ratio(X, 3), r"\(B, q, n\) for ndim=1.*\(2, 9\)"),
        (lambda: inverse_compression_ratio(SHORT, 3), r"\(B, q, n\) for ndim=1"),
        (lambda: inverse_compression_ratio(X[None], 3, 2), r"\(B, q, height, width\) for ndim=2"),
        (lambda: normalized_loss(X, X[:1]), r"shape of x, \(2, 9\), but is \(1, 9\)"),
        (
            lambda: normalized_loss(X * torch.eye(2)[:, :1], X),
            r"undefined: examples \[1\] of 2 are zero",
        ),
        (lambda: normalized_loss(X, X / torch.eye(2)[:, 1:]), r"examples \[0\] of 2 give NaN"),
        (lambda: normalized_loss(X, X * torch.nan), r"examples \[0, 1\] of 2 give NaN"),
    ],
)
def test_wrong_argument_is_a_value_error_that_says_what_is_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_extrema_refuses_what_is_not_finite(broken):
    s = torch.tensor([[0.0, 3.0, 1.0], [0.0, broken, 1.0]])
    with pytest.raises(ValueError, match="must be finite"):
        san_core.extrema(s, 1)
    assert san_core.extrema(s[:0], 1).shape == (0, 3)
