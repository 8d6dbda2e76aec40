"""The browser's SAN, book/_static/san.js, beside san_core."""

import json

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from py_mini_racer import JSEvalException

import san_core
from san_core import ACTIVATIONS, SAN

RANDOM = np.random.default_rng(0)
# Integers, so that similarities are exact, and equal ones stay equal, in any order of summation.
INTEGERS = {
    "ties": RANDOM.integers(-3, 4, 60),
    "plateaus": np.repeat([0, 2, 2, -1, 3, 3, 0, -2, 0, 1], 4),
    "one impulse": np.bincount([10], minlength=20),
    "mostly zeros": np.array([0, 0, 0, 5, 0, 0, 0, 0, -5, 0, 0, 5]),
    "rising": np.arange(-6, 7),
    "falling": np.arange(6, -7, -1),
    "alternating": np.array([1, -1] * 8),
    "constant": np.full(13, 2),
    "one sample": np.array([3]),
    "image with ties": RANDOM.integers(-2, 3, (10, 10)),
    "image black but for one pixel": np.pad([[1]], 5),
}
EXAMPLES = INTEGERS | {
    "random": RANDOM.normal(size=101),
    "random, even length": RANDOM.normal(size=100),
    "random image, higher than wide": RANDOM.normal(size=(13, 9)),
}
SIGNALS = [name for name, x in EXAMPLES.items() if x.ndim == 1]


def assert_same_network(javascript, x, kernels, activation, border_tolerance=2, d=None):
    """Every step of a SAN, from the similarity maps to phi; zero at exactly the same places."""
    batch = torch.from_numpy(np.asarray(x, dtype=float))[None]
    m, ndim = len(kernels[0]), batch.ndim - 1
    model = SAN([m] * len(kernels), activation, ndim, border_tolerance).double()
    for parameter, w in zip(model.kernels, kernels, strict=True):
        parameter.data = torch.from_numpy(np.asarray(w, dtype=float))
    with torch.no_grad():
        s = model.similarities(batch)
        a = model.encode(batch) if d is None else san_core.activate(s, activation, d, ndim)
        x_hat = model.decode(a)
    inverse_cr = san_core.inverse_compression_ratio(a, model.num_weights, ndim)
    loss = san_core.normalized_loss(batch, x_hat)
    options = {"borderTolerance": border_tolerance} | ({} if d is None else {"d": d})
    given = [np.asarray(part).tolist() for part in (x, kernels)]
    got = javascript.call("san.code", *given, activation, options)
    np.testing.assert_array_equal(np.array(got["a"]) != 0, a[0].numpy() != 0)
    for name, expected in {
        "s": s[0], "a": a[0], "xHat": x_hat[0], "inverseCr": inverse_cr[0], "loss": loss[0],
        "phi": san_core.phi(inverse_cr.double(), loss)[0], "count": a.count_nonzero(),
    }.items():  # fmt: skip
        np.testing.assert_allclose(got[name], expected, rtol=1e-6, atol=1e-12, err_msg=name)


def test_names_of_the_activations_are_those_of_san_core(javascript):
    assert tuple(javascript.eval("san.ACTIVATIONS.join('|')").split("|")) == ACTIVATIONS


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_network_of_each_size(javascript, name, activation):
    x = EXAMPLES[name]
    sizes = [m for m in (1, 2, 3, 4, 5, 7) if m <= min(x.shape)]
    for q, m in zip([1, 2, 3] * 2, sizes, strict=False):
        shape = (q, *(m,) * x.ndim)
        kernels = RANDOM.integers(-3, 4, shape)
        assert_same_network(javascript, x, kernels, activation)
        if name not in INTEGERS:
            kernels = RANDOM.normal(size=shape)
            assert_same_network(javascript, x, kernels, activation, border_tolerance=m % 5)


@pytest.mark.parametrize("activation", ACTIVATIONS[2:])
@pytest.mark.parametrize("name", SIGNALS)
def test_every_density(javascript, name, activation):
    for d in range(1, len(EXAMPLES[name]) + 1):
        assert_same_network(javascript, EXAMPLES[name], [[1]], activation, d=d)


@settings(deadline=None)  # the first call of each function compiles it
@given(
    x=st.lists(st.integers(-4, 4), min_size=6, max_size=30).filter(any),
    kernel=st.lists(st.integers(-4, 4), min_size=1, max_size=6),
    activation=st.sampled_from(ACTIVATIONS),
)
def test_network_of_any_small_integers(javascript, x, kernel, activation):
    assert_same_network(javascript, x, [kernel], activation)


@pytest.mark.parametrize("name", SIGNALS)
def test_steps_of_suppression_are_those_of_extrema(javascript, name):
    s = torch.from_numpy(EXAMPLES[name].astype(float))
    candidates = (san_core.is_extremum(s) & (s != 0)).nonzero().flatten().tolist()
    for d in range(1, len(s) + 1):
        steps = javascript.call("san.suppress", s.tolist(), d)
        kept = [step["kept"] for step in steps]
        assert sorted(kept) == san_core.extrema(s, d).nonzero().flatten().tolist()
        visited = [t for step in steps for t in (step["kept"], *step["suppressed"])]
        assert sorted(visited) == candidates
        for step in steps:
            assert all(abs(t - step["kept"]) <= d for t in step["suppressed"])
            assert all(abs(s[t]) <= abs(s[step["kept"]]) for t in step["suppressed"])
        strengths = [abs(s[t]) for t in kept]
        assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 7, 10])
def test_mirror_image_is_what_decoding_draws(javascript, m):
    kernel = RANDOM.normal(size=m).tolist()
    model = SAN([m], "identity").double()
    model.kernels[0].data = torch.tensor(kernel, dtype=torch.float64)
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


@pytest.mark.parametrize(
    ("x", "kernel", "activation", "d", "message"),
    [
        ([1, 2], [1], "top-k absolutes", 3, "1..2, but is 3"),
        ([1, 2], [1], "extrema-pool indices", 0, "1..2, but is 0"),
        ([1, 2], [1], "extrema", 0, "but is 0"),
        ([1, None, 2], [float("1e300")], "extrema", 1, "finite"),
        ([1, 2], [1, 1, 1], "relu", None, "1..2, the shortest side of x, but is 3"),
        ([1, 2], [1], "tanh", None, "one of identity,.*but is tanh"),
    ],
)
def test_errors_say_what_was_expected(javascript, x, kernel, activation, d, message):
    x = json.dumps(x).replace("null", "NaN")
    call = f"san.code({x}, [{kernel}], {activation!r}, {{ d: {json.dumps(d)} }})"
    with pytest.raises(JSEvalException, match=message):
        javascript.eval(call)
