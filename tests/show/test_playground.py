"""The browser's SAN, book/_static/san.js and san2d.js, beside san_core."""

import json
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from py_mini_racer import JSEvalException

import san_core
from san_core import ACTIVATIONS, SAN

STATIC = Path(__file__).parent.parent.parent / "book" / "_static"
TOLERANCE = 1e-5

RANDOM = np.random.default_rng(0)
# Integers, so that similarities are exact, and equal ones stay equal, in any order of summation.
INTEGERS = {
    "ties": RANDOM.integers(-3, 4, 60).tolist(),
    "plateaus": np.repeat([0, 2, 2, -1, 3, 3, 0, -2, 0, 1], 4).tolist(),
    "one impulse": [0] * 10 + [1] + [0] * 9,
    "mostly zeros": [0, 0, 0, 5, 0, 0, 0, 0, -5, 0, 0, 5],
    "rising": list(range(-6, 7)),
    "falling": list(range(6, -7, -1)),
    "alternating": [1, -1] * 8,
    "constant": [2] * 13,
    "one sample": [3],
}
SIGNALS = INTEGERS | {
    "random": RANDOM.normal(size=101).tolist(),
    "random, even length": RANDOM.normal(size=100).tolist(),
}
INTEGER_KERNELS = [
    [1],
    [-2],
    [1, 2],
    [1, 0, -1],
    [1, 1, 1, 1],
    [1, 2, 3, 2, 1],
    [1, -1, 2, 0, 1, 1],
]
RANDOM_KERNELS = [RANDOM.normal(size=m).tolist() for m in (1, 2, 3, 4, 7, 10)]


def as_map(values):
    return torch.tensor(values, dtype=torch.float64)


def assert_same(got, expected):
    """Equal to the tolerance, and zero at exactly the same positions."""
    got, expected = np.array(got, dtype=float), expected.numpy()
    np.testing.assert_array_equal(got != 0, expected != 0)
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


def assert_same_network(javascript, x, kernels, activation, border_tolerance=2):
    """Every step of a SAN, from the similarity maps to phi."""
    model = SAN([len(w) for w in kernels], activation, border_tolerance=border_tolerance).double()
    for parameter, w in zip(model.kernels, kernels, strict=True):
        parameter.data = as_map(w)
    with torch.no_grad():
        s, a = model.similarities(as_map([x])), model.encode(as_map([x]))
        x_hat = model.decode(a)
    densities = [
        javascript.call("san.density", activation, len(w), len(x), border_tolerance)
        for w in kernels
    ]
    assert_same(javascript.call("san.similarities", x, kernels), s[0])
    a_browser = javascript.call("san.encode", x, kernels, activation, densities)
    assert_same(a_browser, a[0])
    x_hat_browser = javascript.call("san.decode", a_browser, kernels)
    np.testing.assert_allclose(x_hat_browser, x_hat[0].numpy(), rtol=0, atol=TOLERANCE)
    inverse_cr = san_core.inverse_compression_ratio(a, model.num_weights)
    loss = san_core.normalized_loss(as_map([x]), x_hat)
    got = javascript.call("san.inverseCompressionRatio", a_browser, model.num_weights)
    assert got == pytest.approx(inverse_cr.item(), abs=TOLERANCE)
    got_loss = javascript.call("san.normalizedLoss", x, x_hat_browser)
    assert got_loss == pytest.approx(loss.item(), abs=TOLERANCE)
    expected = san_core.phi(inverse_cr.double(), loss).item()
    assert javascript.call("san.phi", got, got_loss) == pytest.approx(expected, abs=TOLERANCE)


def test_names_of_the_activations_are_those_of_san_core(javascript):
    assert tuple(javascript.eval("san.ACTIVATIONS.join('|')").split("|")) == ACTIVATIONS


@pytest.mark.parametrize("name", SIGNALS)
def test_activation_functions_at_every_density(javascript, name):
    s = SIGNALS[name]
    assert_same(javascript.call("san.identity", s), san_core.identity(as_map(s)))
    assert_same(javascript.call("san.relu", s), san_core.relu(as_map(s)))
    for d in range(1, len(s) + 1):
        assert_same(
            javascript.call("san.topkAbsolutes", s, d), san_core.topk_absolutes(as_map(s), d)
        )
        assert_same(
            javascript.call("san.extremaPoolIndices", s, d),
            san_core.extrema_pool_indices(as_map(s), d),
        )
        assert_same(javascript.call("san.extrema", s, d), san_core.extrema(as_map(s), d))


@pytest.mark.parametrize("name", SIGNALS)
def test_peaks_and_valleys_before_any_is_suppressed(javascript, name):
    s = SIGNALS[name]
    got = [javascript.call("san.isExtremum", s, t) for t in range(len(s))]
    assert got == san_core.is_extremum(as_map(s)).tolist()


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", SIGNALS)
def test_network_of_each_kernel(javascript, name, activation):
    x = SIGNALS[name]
    kernels = INTEGER_KERNELS + (RANDOM_KERNELS if name not in INTEGERS else [])
    fitting = [w for w in kernels if len(w) <= len(x)]
    assert fitting
    for w in fitting:
        assert_same_network(javascript, x, [w], activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_network_of_several_kernels_and_another_border_tolerance(javascript, activation):
    assert_same_network(javascript, SIGNALS["random"], RANDOM_KERNELS, activation)
    assert_same_network(
        javascript, SIGNALS["random"], RANDOM_KERNELS, activation, border_tolerance=5
    )
    assert_same_network(javascript, SIGNALS["ties"], INTEGER_KERNELS, activation)


@pytest.mark.parametrize("name", SIGNALS)
def test_steps_of_suppression_are_those_of_extrema(javascript, name):
    s = SIGNALS[name]
    candidates = san_core.is_extremum(as_map(s)).nonzero().flatten().tolist()
    for d in range(1, len(s) + 1):
        steps = javascript.call("san.suppress", s, d)
        kept = [step["kept"] for step in steps]
        # A valley at zero may be kept, and is zero then.
        not_zero = sorted(t for t in kept if s[t] != 0)
        assert not_zero == san_core.extrema(as_map(s), d).nonzero().flatten().tolist()
        visited = [t for step in steps for t in (step["kept"], *step["suppressed"])]
        assert sorted(visited) == candidates
        for step in steps:
            strength = abs(s[step["kept"]])
            assert all(abs(t - step["kept"]) <= d for t in step["suppressed"])
            assert all(abs(s[t]) <= strength for t in step["suppressed"])
        strengths = [abs(s[t]) for t in kept]
        assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 7, 10])
def test_mirror_image_is_what_decoding_draws(javascript, m):
    kernel = RANDOM.normal(size=m).tolist()
    model = SAN([m], "identity").double()
    model.kernels[0].data = as_map(kernel)
    for place in range(20):
        a = torch.zeros(1, 1, 20, dtype=torch.float64)
        a[..., place] = 1
        expected = model.decode(a)[0].detach().numpy()
        drawn = javascript.call("mirrorDrawn", kernel, place, 20, m)
        np.testing.assert_allclose(drawn, expected, atol=1e-12)
        assert javascript.call("mirrorDrawn", kernel, place, 20, 0) == [0] * 20


def test_nearest_point_of_the_plane(javascript):
    points = [[0, 1], [0.5, 0.5], [1, 0]]
    assert javascript.call("nearestPoint", points, [0.9, 0.2]) == 2
    assert javascript.call("nearestPoint", points, [0.4, 0.6]) == 1


IMAGES = {
    "random": RANDOM.normal(size=(12, 12)),
    "higher than wide": RANDOM.normal(size=(13, 9)),
    "ties": RANDOM.integers(-2, 3, (10, 10)).astype(float),
    "black but for one pixel": np.pad([[1.0]], 5),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", IMAGES)
def test_network_of_images(javascript, name, activation):
    x = IMAGES[name]
    for m in (1, 2, 3, 5):
        kernels = RANDOM.integers(-3, 4, (2, m, m)).astype(float)
        if name in ("random", "higher than wide"):
            kernels = RANDOM.normal(size=(2, m, m))
        model = SAN([m, m], activation, ndim=2).double()
        for parameter, w in zip(model.kernels, kernels, strict=True):
            parameter.data = torch.from_numpy(w)
        batch = torch.from_numpy(x)[None]
        with torch.no_grad():
            s, a = model.similarities(batch), model.encode(batch)
            x_hat = model.decode(a)
        d = javascript.call("san2d.density", activation, m, *x.shape, 2)
        assert d == san_core.sparsity_density(activation, m, x.shape, 2)
        given = x.tolist(), kernels.tolist()
        assert_same(javascript.call("san2d.similarities", *given), s[0])
        a_browser = javascript.call("san2d.encode", *given, activation, [d, d])
        assert_same(a_browser, a[0])
        x_hat_browser = javascript.call("san2d.decode", a_browser, given[1])
        np.testing.assert_allclose(x_hat_browser, x_hat[0].numpy(), rtol=0, atol=TOLERANCE)
        loss = javascript.call("san2d.normalizedLoss", given[0], x_hat_browser)
        assert loss == pytest.approx(san_core.normalized_loss(batch, x_hat).item(), abs=TOLERANCE)
        inverse_cr = javascript.call("san2d.inverseCompressionRatio", a_browser, model.num_weights)
        expected = san_core.inverse_compression_ratio(a, model.num_weights, ndim=2)
        assert inverse_cr == pytest.approx(expected.item(), abs=TOLERANCE)


small = st.integers(-4, 4)


@settings(deadline=None)  # the first call of each function compiles it
@given(
    x=st.lists(small, min_size=6, max_size=30).filter(any),
    kernel=st.lists(small, min_size=1, max_size=6),
    activation=st.sampled_from(ACTIVATIONS),
)
def test_network_of_any_small_integers(javascript, x, kernel, activation):
    assert_same_network(javascript, x, [kernel], activation)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("normalizedLoss", ([0, 0], [1, 0]), "all-zero"),
        ("normalizedLoss", ([1, 0], [1]), "2 samples of x, but has 1"),
        ("topkAbsolutes", ([1, 2], 3), "1..2.*k=3"),
        ("topkAbsolutes", ([1, 2], 0), "1..2.*k=0"),
        ("extremaPoolIndices", ([1, 2], 3), "1..2.*is 3"),
        ("extrema", ([1, 2], 0), "at least 1 sample, but is 0"),
        ("extrema", ([1, None], 1), "finite"),
        ("similarities", ([1, 2], [[1, 1, 1]]), "1..2.*is 3"),
        ("encode", ([1, 2], [[1]], "tanh", [None]), "one of identity,.*but is tanh"),
    ],
)
def test_errors_say_what_was_expected(javascript, function, arguments, message):
    with pytest.raises(JSEvalException, match=message):
        javascript.call(f"san.{function}", *arguments)


@pytest.mark.parametrize("script", sorted(path.name for path in STATIC.glob("*.js")))
def test_script_compiles(javascript, script):
    source = json.dumps((STATIC / script).read_text())
    assert javascript.eval(f"typeof new Function({source})") == "function"
