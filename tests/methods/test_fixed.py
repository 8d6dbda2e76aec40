"""DCT, wavelets, samples and straight lines: closed forms, and a count per example."""

import dataclasses

import numpy as np
import torch
from every_method import Data

from sanbook.methods import base as methods
from sanbook.methods import fixed
from sanbook.methods.fixed import DCT, DownSampling, PiecewiseLinear, Wavelets

LINEAR = [DCT(), DCT(block=5), Wavelets(wavelet="sym4", level=2), Wavelets(wavelet="bior2.2")]


def test_all_coefficients_lose_nothing(data):
    x, n = data.test, data.test[0].numel()
    for method in (DCT(n), DCT(n, block=4), Wavelets(n, wavelet="sym4", level=2)):
        inverse_cr, loss, _ = methods.evaluate(method, x).unbind(dim=1)
        assert loss.max() < 1e-5, method
        torch.testing.assert_close(inverse_cr, torch.full_like(inverse_cr, float(x.ndim)))


def test_cosine_is_one_coefficient_of_its_own_transform():
    n, frequency = 64, 5
    x = torch.cos(torch.pi / n * (torch.arange(float(n)) + 0.5) * frequency)[None]
    method = DCT(k=1)
    code = method.encode(x)
    assert code.nonzero().tolist() == [[0, 0, frequency]]
    torch.testing.assert_close(code[0, 0, frequency].item(), (n / 2) ** 0.5)
    inverse_cr, loss, _ = methods.evaluate(method, x)[0]
    assert inverse_cr == 2 / n
    assert loss < 1e-5
    assert torch.equal(DCT().encode(x), code)  # the count of each example is 1


def test_constant_is_one_coefficient_of_each_block():
    x = torch.full((1, 40), 3.0)
    code = DCT(k=5, block=8).encode(x)
    assert code.nonzero()[:, 2].tolist() == [0, 8, 16, 24, 32]


def test_step_is_two_coefficients_of_its_own_wavelet():
    x = (torch.arange(128.0) < 64).float()[None]
    code = Wavelets(10, wavelet="haar", level=7).encode(x)
    assert code.abs().gt(1e-5).sum() == 2
    assert methods.evaluate(Wavelets(2, wavelet="haar", level=7), x)[0, 1] < 1e-5


def test_lines_through_corners_lose_nothing():
    corners = {0: 1.0, 20: -2.0, 50: 4.0, 99: 0.0}
    line = np.interp(np.arange(100), list(corners), list(corners.values()))
    x = torch.from_numpy(line).float()[None]
    for method in (PiecewiseLinear(k=4), PiecewiseLinear()):
        code = method.encode(x)
        assert code.nonzero()[:, 2].tolist() == list(corners)  # the last is 0, yet an entry
        assert methods.entries(code).item() == 4
        assert methods.evaluate(method, x)[0, 1] < 1e-6


def test_samples_of_a_constant_lose_nothing(data):
    x = torch.ones_like(data.test)
    metrics = methods.evaluate(DownSampling(3), x)
    assert metrics[:, 1].max() == 0
    expected = 3 ** (x.ndim - 1) / x[0].numel()
    torch.testing.assert_close(metrics[:, 0], torch.full((len(x),), expected))


def test_blocks_need_not_divide_an_example(data):
    for block in (1, 4, 5, 7):
        pieces = fixed.cut(data.test, block)
        assert pieces.shape[-1] == block
        assert torch.equal(fixed.join(pieces, data.test.shape[1:]), data.test)


# --- a count per example --------------------------------------------------------------------------


def stepwise(x):
    return [*LINEAR, *([PiecewiseLinear()] if x.ndim == 2 else [])]


def test_path_is_what_every_count_gives(data):
    x = data.test[:3].clone()
    x[1, :] = 0.0  # few coefficients are not 0
    x[1, 3] = 1.0
    for method in stepwise(x):
        counts, losses = method.path(x, most=20)
        for k in range(1, 21):
            fixed = dataclasses.replace(method, k=k)
            assert torch.equal(counts[:, k], methods.entries(fixed.encode(x))), (method, k)
            expected = methods.evaluate(fixed, x)[:, 1].double()
            torch.testing.assert_close(losses[:, k], expected, atol=2e-6, rtol=1e-5)


def test_every_example_takes_the_count_with_its_own_smallest_phi(data):
    x = data.test
    for method in stepwise(x):
        for scale_paid in (False, True):
            own = dataclasses.replace(method, scale_paid=scale_paid)
            every = [
                methods.evaluate(dataclasses.replace(own, k=k), x)[:, 2]
                for k in range(1, x[0].numel() // 2)
            ]
            smallest = torch.stack(every).amin(dim=0)
            torch.testing.assert_close(methods.evaluate(own, x)[:, 2], smallest)


def test_own_count_is_never_worse_than_nothing(data):
    noise = torch.randn(data.test.shape, generator=torch.Generator().manual_seed(1))
    for method in LINEAR:
        assert methods.evaluate(method, noise)[:, 2].max() <= 1 + 1e-6


def test_a_dearer_entry_is_taken_less_often():
    x = Data(1).test
    for method in LINEAR:
        free, paid = (
            methods.entries(dataclasses.replace(method, scale_paid=paid).encode(x))
            for paid in (False, True)
        )
        assert (paid <= free).all()
        assert (paid < free).any()
