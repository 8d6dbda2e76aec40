"""The browser's SAN, book/_static/san.js, beside san_core."""

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

STATIC = Path(__file__).parent.parent / "book" / "_static"
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
