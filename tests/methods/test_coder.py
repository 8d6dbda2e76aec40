"""True bytes: every message is read bit for bit, and is about as long as it has to be."""

import numpy as np
import pytest
import torch

from sanbook.methods import coder as coding
from sanbook.methods.learned import Dictionary


def test_every_message_is_read_bit_for_bit(data, every):
    for name, method in every.items():
        code = method.encode(data.test)
        for step in (0.01, 0.3, 5.0):
            levels = coding.quantize(code, step).numpy()
            for one in levels:
                message = coding.pack(one, ordered=code.ndim == 2)
                read = coding.unpack(message, one.shape, ordered=code.ndim == 2)
                assert read.dtype == one.dtype
                assert np.array_equal(read, one), name


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    "levels",
    [[0, 0, 0], [1], [0], [5, -5, 0, 0, 1], [0, coding.LONGEST, -1], [-3] * 100],
)
def test_odd_messages_are_read_bit_for_bit(levels, ordered):
    levels = np.array([levels], np.int32)
    message = coding.pack(levels, ordered)
    assert np.array_equal(coding.unpack(message, levels.shape, ordered), levels)


def test_too_small_a_step_is_an_error():
    with pytest.raises(ValueError, match="larger step"):
        coding.pack(np.array([70_000], np.int32), ordered=True)


def test_message_is_about_as_long_as_its_entropy():
    generator = np.random.default_rng(0)
    kept = generator.random(20_000) < 0.1
    sign = np.where(generator.random(20_000) < 0.5, 1, -1)
    levels = (kept * sign * generator.geometric(0.2, 20_000)).astype(np.int32)
    share = kept.mean()
    of_places = -len(kept) * (share * np.log2(share) + (1 - share) * np.log2(1 - share))
    p = 0.2
    of_values = kept.sum() * (1 - (p * np.log2(p) + (1 - p) * np.log2(1 - p)) / p)
    bits = 8 * len(coding.pack(levels, ordered=False))
    assert of_places + of_values < bits * 1.01
    assert bits < 1.05 * (of_places + of_values)


def test_kept_entries_stay_entries():
    code = torch.tensor([[[0.0, 0.001, -0.001, 7.0]]])
    assert coding.quantize(code, step=2.0).tolist() == [[[0, 1, -1, 4]]]
    assert coding.quantize(code[:, 0], step=2.0).tolist() == [[0, 0, 0, 4]]


def test_fine_steps_lose_nothing_more(data, every):
    for name, method in every.items():
        code = method.encode(data.test)
        step = code.abs().max().item() / 20_000
        _, x_hat = coding.transmit(method, code, data.test.shape[1:], step)
        expected = method.decode(code, data.test.shape[1:])
        error = (x_hat - expected).abs().max() / expected.abs().max()
        assert error < 0.01, name  # weights are sent as 16-bit floats


def test_dead_network_sends_headers_only():
    x = torch.ones(3, 40)
    dead = Dictionary(8, 1e9, (torch.eye(8),))
    step = coding.choose_step(dead, x)
    length, loss, _ = coding.evaluate_bytes(dead, x, dead.encode(x), step).unbind(dim=1)
    assert loss.tolist() == [1.0] * 3
    assert (length - 2 * dead.num_weights).max() <= 6 + 4  # the state of the coder


def test_bytes_hold_message_and_weights(data, every):
    for method in every.values():
        code, n = method.encode(data.test), data.test[0].numel()
        step = coding.choose_step(method, data.validation)
        messages = [
            coding.pack(one, ordered=code.ndim == 2) for one in coding.quantize(code, step).numpy()
        ]
        length, loss, phi = coding.evaluate_bytes(method, data.test, code, step).unbind(dim=1)
        expected = [len(message) + 2 * method.num_weights for message in messages]
        assert length.tolist() == expected
        raw = n * (2 if data.test.ndim == 2 else 1)
        torch.testing.assert_close(phi, torch.hypot(length / raw, loss))


def test_shared_weights_take_their_share_of_bytes(data, every):
    for method in every.values():
        code = method.encode(data.test)
        alone, shared = (
            coding.evaluate_bytes(method, data.test, code, 0.3, by)[:, 0] for by in (1, 4)
        )
        torch.testing.assert_close(alone - shared, torch.full_like(alone, 1.5 * method.num_weights))


def test_lossless_sizes(data):
    x = torch.zeros(4, 1000) if data.test.ndim == 2 else torch.zeros(4, 28, 28)
    x[:, 0] = 1.0
    sizes = coding.lossless_bytes(x)
    assert sizes["stored"] == (2000 if x.ndim == 2 else 784)
    assert sizes["zlib"] < 60
    assert ("FLAC" in sizes) == (x.ndim == 2)
