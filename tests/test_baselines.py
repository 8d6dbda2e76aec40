"""The methods beside the SAN: closed forms, what they are charged, true bytes there and back."""

import types

import numpy as np
import pytest
import torch
from torch.nn.functional import pad

import san_core
import sanbook.baselines
import sanbook.coding
from sanbook.training import Protocol, sweep


class Data:
    """Noise around two sines (1D) or a slope (2D), in three parts."""

    def __init__(self, ndim, examples=12):
        generator = torch.Generator().manual_seed(0)
        side = torch.arange(96.0 if ndim == 1 else 12.0)
        clean = torch.sin(side / 5) + torch.cos(side / 3) if ndim == 1 else side + side[:, None]
        noise = torch.randn((3, examples, *clean.shape), generator=generator)
        self.train, self.validation, self.test = clean + 0.1 * noise


@pytest.fixture(scope="module", params=[1, 2], ids=["signals", "images"])
def data(request):
    return Data(request.param)


@pytest.fixture(scope="module")
def peers(data):
    """One candidate of every method (the last of a few), and a SAN."""
    protocol = Protocol(epochs=2, num_kernels=2, init="normal")
    trained = sweep(data, "extrema-pool indices", [3, 5], seeds=[0], protocol=protocol)
    candidates = {"SAN": sanbook.baselines.networks(trained)}
    candidates |= {
        name: fit(data.train[:4], seed=0) for name, fit in sanbook.baselines.METHODS.items()
    }
    chosen = {}
    for name, some in candidates.items():
        for candidate, _ in zip(some, range(3), strict=False):
            chosen[name] = candidate
    return chosen


def test_every_method_is_there(data, peers):
    absent = set() if data.train.ndim == 2 else {"piecewise linear"}
    assert set(peers) == {"SAN", *sanbook.baselines.METHODS} - absent


# --- closed forms ---------------------------------------------------------------------------------


def test_all_coefficients_lose_nothing(data):
    x, n = data.test, data.test[0].numel()
    transforms = [sanbook.baselines.Cosines(n), sanbook.baselines.Wavelets(n, "sym4", 2)]
    transforms += [sanbook.baselines.Cosines(n, block=4)]
    for peer in transforms:
        inverse_cr, loss, _ = sanbook.baselines.evaluate(peer, x).unbind(dim=1)
        assert loss.max() < 1e-5, peer
        torch.testing.assert_close(inverse_cr, torch.full_like(inverse_cr, float(x.ndim)))


def test_all_components_lose_nothing(data):
    size = 8 if data.train.ndim == 2 else 4
    patches = sanbook.baselines.patches(data.train, size, count=1000, seed=0)
    mean, (_, _, directions) = patches.mean(dim=0), torch.linalg.svd(patches - patches.mean(dim=0))
    peer = sanbook.baselines.Components(size, (directions, mean))
    assert sanbook.baselines.evaluate(peer, data.test)[:, 1].max() < 1e-5


def test_cosine_is_one_coefficient_of_its_own_transform():
    n, frequency = 64, 5
    x = torch.cos(torch.pi / n * (torch.arange(float(n)) + 0.5) * frequency)[None]
    peer = sanbook.baselines.Cosines(k=1)
    code = peer.encode(x)
    assert code.nonzero().tolist() == [[0, 0, frequency]]
    torch.testing.assert_close(code[0, 0, frequency].item(), (n / 2) ** 0.5)
    inverse_cr, loss, _ = sanbook.baselines.evaluate(peer, x)[0]
    assert inverse_cr == 2 / n
    assert loss < 1e-5


def test_constant_is_one_coefficient_of_each_block():
    x = torch.full((1, 40), 3.0)
    code = sanbook.baselines.Cosines(k=5, block=8).encode(x)
    assert code.nonzero()[:, 2].tolist() == [0, 8, 16, 24, 32]


def test_step_is_two_coefficients_of_its_own_wavelet():
    x = (torch.arange(128.0) < 64).float()[None]
    code = sanbook.baselines.Wavelets(10, "haar", level=7).encode(x)
    assert code.abs().gt(1e-5).sum() == 2
    assert (
        sanbook.baselines.evaluate(sanbook.baselines.Wavelets(2, "haar", level=7), x)[0, 1] < 1e-5
    )


def test_lines_through_corners_lose_nothing():
    corners = {0: 1.0, 20: -2.0, 50: 4.0, 99: 0.0}
    line = np.interp(np.arange(100), list(corners), list(corners.values()))
    x = torch.from_numpy(line).float()[None]
    peer = sanbook.baselines.Lines(k=4)
    code = peer.encode(x)
    assert code.nonzero()[:, 2].tolist() == list(corners)  # the last is 0, yet an entry
    assert sanbook.baselines.entries(code).item() == 4
    assert sanbook.baselines.evaluate(peer, x)[0, 1] < 1e-6


def test_samples_of_a_constant_lose_nothing(data):
    x = torch.ones_like(data.test)
    metrics = sanbook.baselines.evaluate(sanbook.baselines.Samples(3), x)
    assert metrics[:, 1].max() == 0
    expected = 3 ** (x.ndim - 1) / x[0].numel()
    torch.testing.assert_close(metrics[:, 0], torch.full((len(x),), expected))


def test_one_atom_of_each_patch_is_found():
    atoms = torch.eye(8)[:3]
    x = torch.cat([2 * atoms[0], -3 * atoms[2]])[None]
    code = sanbook.baselines.Dictionary(8, 1e-6, (atoms,)).encode(x)
    assert code.shape == (1, 3, 2)  # atoms, places
    assert code[0].tolist() == [[2, 0], [0, 0], [0, -3]]


@pytest.mark.parametrize(("tolerance", "entries"), [(0.5, 2), (2.0, 1), (6.0, 0)])
def test_atoms_are_added_until_the_error_is_tolerated(tolerance, entries):
    atoms = torch.eye(8)[:3]
    x = (2 * atoms[0] + atoms[1])[None]  # squared errors 5, 1 and 0 with 0, 1 and 2 atoms
    code = sanbook.baselines.Dictionary(8, tolerance, (atoms,)).encode(x)
    assert code.count_nonzero() == entries


def test_atom_is_drawn_where_the_code_says(data):
    ndim = data.train.ndim - 1
    atom = torch.arange(1.0, 1 + 3**ndim).view(1, *[3] * ndim)
    code = torch.zeros(1, 1, *[8] * ndim)
    code[(0, 0, *[2] * ndim)] = 2.0
    x = sanbook.baselines.ConvolutionalDictionary(0.1, (atom,)).decode(code, torch.Size([8] * ndim))
    torch.testing.assert_close(x[0], pad(2 * atom[0], [2, 3] * ndim))


def test_blocks_need_not_divide_an_example(data):
    for block in (1, 4, 5, 7):
        blocks = sanbook.baselines.cut(data.test, block)
        assert blocks.shape[-1] == block
        assert torch.equal(sanbook.baselines.join(blocks, data.test.shape[1:]), data.test)


# --- what is charged ------------------------------------------------------------------------------


def test_a_san_costs_what_the_core_says(data, peers):
    model = peers["SAN"].model
    a = model.encode(data.test)
    inverse_cr = san_core.inverse_compression_ratio(a, model.num_weights, model.ndim)
    loss = san_core.normalized_loss(data.test, model.decode(a))
    expected = torch.stack([inverse_cr, loss, san_core.phi(inverse_cr, loss)], dim=-1)
    torch.testing.assert_close(
        sanbook.baselines.evaluate(peers["SAN"], data.test), expected.detach()
    )


def test_every_method_is_charged_for_its_entries_and_weights(data, peers):
    n, ndim = data.test[0].numel(), data.test.ndim - 1
    for name, peer in peers.items():
        code = peer.encode(data.test)
        x_hat = peer.decode(code, data.test.shape[1:])
        assert x_hat.shape == data.test.shape, name
        assert x_hat.dtype == data.test.dtype, name
        coordinates = code.ndim - 2
        assert coordinates == (0 if name in ("PCA", "down-sampling") else ndim), name
        for i, one in enumerate(code):
            entries = sum(value != 0 for value in one.flatten().tolist())
            paid = one.numel() if coordinates == 0 else entries
            weights = sum(len(weight.flatten()) for weight in peer.weights)
            expected = (weights + (1 + coordinates) * paid) / n
            metrics = sanbook.baselines.evaluate(peer, data.test)[i]
            torch.testing.assert_close(metrics[0].item(), expected)
            torch.testing.assert_close(metrics[2], torch.hypot(metrics[0], metrics[1]))


def test_only_what_is_learned_has_weights(peers):
    learned = {name for name, peer in peers.items() if peer.num_weights}
    fixed = {"DCT", "DCT in blocks", "wavelets", "down-sampling", "piecewise linear"}
    assert learned == set(peers) - fixed


def test_shared_weights_cost_their_share(data, peers):
    for peer in peers.values():
        alone, shared = (sanbook.baselines.evaluate(peer, data.test, by)[:, 0] for by in (1, 4))
        saved = 0.75 * peer.num_weights / data.test[0].numel()
        torch.testing.assert_close(alone - shared, torch.full_like(alone, saved))


# --- choices --------------------------------------------------------------------------------------


def test_choice_has_the_smallest_mean_phi(data):
    candidates = list(sanbook.baselines.cosines(data.train, seed=0))
    chosen, _ = sanbook.baselines.choose(candidates, data.validation, shared_by=1)
    means = [sanbook.baselines.evaluate(one, data.validation)[:, 2].mean() for one in candidates]
    assert candidates[int(torch.stack(means).argmin())] == chosen


def test_choices_are_made_on_validation_only():
    places = torch.arange(64.0) + 0.5
    one_cosine = torch.cos(torch.pi / 64 * places * 5).expand(4, 64)
    noise = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))

    def candidates(train, seed):
        return [sanbook.baselines.Cosines(1), sanbook.baselines.Cosines(20)]

    data = types.SimpleNamespace(train=noise, validation=one_cosine, test=noise)
    assert sanbook.baselines.choose(candidates(noise, 0), data.test, shared_by=1)[0].k == 20
    measured = sanbook.baselines.measure(candidates, data, seed=0)
    assert measured.peer.k == measured.shared_peer.k == 1
    data.test = one_cosine
    assert sanbook.baselines.measure(candidates, data, seed=0).step == measured.step
    torch.testing.assert_close(
        measured.metrics, sanbook.baselines.evaluate(sanbook.baselines.Cosines(1), noise)
    )


def test_shared_weights_allow_more_of_them():
    x = torch.zeros(20, 32)
    x.view(20, 4, 8)[..., :3] = torch.randn(20, 4, 3, generator=torch.Generator().manual_seed(0))
    directions, mean = torch.eye(8), torch.zeros(8)
    candidates = [sanbook.baselines.Components(8, (directions[:k], mean)) for k in (1, 3)]
    alone, shared = sanbook.baselines.choose(candidates, x, shared_by=1000)
    assert (len(alone.weights[0]), len(shared.weights[0])) == (1, 3)


def test_same_seed_learns_the_same(data):
    for name in ("dictionary, OMP", "convolutional dictionary", "k-sparse autoencoder", "PCA"):
        first, again = (
            next(iter(sanbook.baselines.METHODS[name](data.train, seed=3))) for _ in range(2)
        )
        for weight, other in zip(first.weights, again.weights, strict=True):
            assert torch.equal(weight, other), name


# --- true bytes -----------------------------------------------------------------------------------


def test_every_message_is_read_bit_for_bit(data, peers):
    for name, peer in peers.items():
        code = peer.encode(data.test)
        for step in (0.01, 0.3, 5.0):
            levels = sanbook.coding.quantize(code, step).numpy()
            for one in levels:
                message = sanbook.coding.pack(one, ordered=code.ndim == 2)
                read = sanbook.coding.unpack(message, one.shape, ordered=code.ndim == 2)
                assert read.dtype == one.dtype
                assert np.array_equal(read, one), name


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(
    "levels",
    [[0, 0, 0], [1], [0], [5, -5, 0, 0, 1], [0, sanbook.coding.LONGEST, -1], [-3] * 100],
)
def test_odd_messages_are_read_bit_for_bit(levels, ordered):
    levels = np.array([levels], np.int32)
    message = sanbook.coding.pack(levels, ordered)
    assert np.array_equal(sanbook.coding.unpack(message, levels.shape, ordered), levels)


def test_too_small_a_step_is_an_error():
    with pytest.raises(ValueError, match="larger step"):
        sanbook.coding.pack(np.array([70_000], np.int32), ordered=True)


def test_message_is_about_as_long_as_its_entropy():
    generator = np.random.default_rng(0)
    kept = generator.random(20_000) < 0.1
    sign = np.where(generator.random(20_000) < 0.5, 1, -1)
    levels = (kept * sign * generator.geometric(0.2, 20_000)).astype(np.int32)
    share = kept.mean()
    of_places = -len(kept) * (share * np.log2(share) + (1 - share) * np.log2(1 - share))
    p = 0.2
    of_values = kept.sum() * (1 - (p * np.log2(p) + (1 - p) * np.log2(1 - p)) / p)
    bits = 8 * len(sanbook.coding.pack(levels, ordered=False))
    assert of_places + of_values < bits * 1.01
    assert bits < 1.05 * (of_places + of_values)


def test_kept_entries_stay_entries():
    code = torch.tensor([[[0.0, 0.001, -0.001, 7.0]]])
    assert sanbook.coding.quantize(code, step=2.0).tolist() == [[[0, 1, -1, 4]]]
    assert sanbook.coding.quantize(code[:, 0], step=2.0).tolist() == [[0, 0, 0, 4]]


def test_fine_steps_lose_nothing_more(data, peers):
    for name, peer in peers.items():
        code = peer.encode(data.test)
        step = code.abs().max().item() / 20_000
        _, x_hat = sanbook.coding.transmit(peer, code, data.test.shape[1:], step)
        expected = peer.decode(code, data.test.shape[1:])
        error = (x_hat - expected).abs().max() / expected.abs().max()
        assert error < 0.01, name  # weights are sent as 16-bit floats


def test_dead_network_sends_headers_only():
    x = torch.ones(3, 40)
    dead = sanbook.baselines.Dictionary(8, 1e9, (torch.eye(8),))
    step = sanbook.coding.choose_step(dead, x)
    length, loss, _ = sanbook.coding.evaluate_bytes(dead, x, dead.encode(x), step).unbind(dim=1)
    assert loss.tolist() == [1.0] * 3
    assert (length - 2 * dead.num_weights).max() <= 6 + 4  # one word of the range coder


def test_bytes_hold_message_and_weights(data, peers):
    for peer in peers.values():
        code, n = peer.encode(data.test), data.test[0].numel()
        step = sanbook.coding.choose_step(peer, data.validation)
        messages = [
            sanbook.coding.pack(one, ordered=code.ndim == 2)
            for one in sanbook.coding.quantize(code, step).numpy()
        ]
        length, loss, phi = sanbook.coding.evaluate_bytes(peer, data.test, code, step).unbind(dim=1)
        expected = [len(message) + 2 * peer.num_weights for message in messages]
        assert length.tolist() == expected
        raw = n * (2 if data.test.ndim == 2 else 1)
        torch.testing.assert_close(phi, torch.hypot(length / raw, loss))


def test_shared_weights_take_their_share_of_bytes(data, peers):
    for peer in peers.values():
        code = peer.encode(data.test)
        alone, shared = (
            sanbook.coding.evaluate_bytes(peer, data.test, code, 0.3, by)[:, 0] for by in (1, 4)
        )
        torch.testing.assert_close(alone - shared, torch.full_like(alone, 1.5 * peer.num_weights))


def test_measured_bytes_are_charged_both_ways(data):
    measured = sanbook.baselines.measure(sanbook.baselines.METHODS["PCA"], data, seed=0)
    peer, code = measured.shared_peer, measured.shared_peer.encode(data.test)
    step = sanbook.coding.choose_step(peer, data.validation, len(data.test))
    shared = sanbook.coding.evaluate_bytes(peer, data.test, code, step, len(data.test))
    torch.testing.assert_close(measured.shared_in_bytes, shared)
    alone = measured.peer.encode(data.test)
    torch.testing.assert_close(
        measured.in_bytes,
        sanbook.coding.evaluate_bytes(measured.peer, data.test, alone, measured.step),
    )


def test_lossless_sizes(data):
    x = torch.zeros(4, 1000) if data.test.ndim == 2 else torch.zeros(4, 28, 28)
    x[:, 0] = 1.0
    sizes = sanbook.coding.lossless_bytes(x)
    assert sizes["stored"] == (2000 if x.ndim == 2 else 784)
    assert sizes["zlib"] < 60
    assert ("FLAC" in sizes) == (x.ndim == 2)
