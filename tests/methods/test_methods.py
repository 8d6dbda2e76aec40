"""The methods beside the SAN: what they are charged, how they are chosen, what is measured."""

import types

import pytest
import torch
from every_method import Data

import san_core
from sanbook import methods
from sanbook.methods import base, networks
from sanbook.methods import coder as coding
from sanbook.methods.fixed import DCT, one_count
from sanbook.methods.learned import PrincipalComponents

IN_ORDER = ("PCA", "down-sampling")
LEARNED = {"SAN", "PCA", "dictionary, OMP", "convolutional dictionary"}


def test_every_method_is_there(data, every):
    absent = methods.SIGNALS_ONLY if data.train.ndim == 3 else set()
    assert set(every) == {"SAN", *methods.ALL} - absent


# --- what is charged ------------------------------------------------------------------------------


def test_a_san_costs_what_the_core_says(data, every):
    model = every["SAN"].model
    a = model.encode(data.test)
    inverse_cr = san_core.inverse_compression_ratio(a, model.num_weights, model.ndim)
    loss = san_core.normalized_loss(data.test, model.decode(a))
    expected = torch.stack([inverse_cr, loss, san_core.phi(inverse_cr, loss)], dim=-1)
    torch.testing.assert_close(base.evaluate(every["SAN"], data.test), expected.detach())


def test_every_method_is_charged_for_its_entries_and_weights(data, every):
    n, ndim = data.test[0].numel(), data.test.ndim - 1
    for name, method in every.items():
        code = method.encode(data.test)
        x_hat = method.decode(code, data.test.shape[1:])
        assert x_hat.shape == data.test.shape, name
        assert x_hat.dtype == data.test.dtype, name
        coordinates = code.ndim - 2
        assert coordinates == (0 if name in IN_ORDER else ndim), name
        metrics = base.evaluate(method, data.test)
        for i, one in enumerate(code):
            entries = sum(value != 0 for value in one.flatten().tolist())
            paid = one.numel() if coordinates == 0 else entries
            weights = sum(len(weight.flatten()) for weight in method.weights)
            expected = (weights + (1 + coordinates) * paid) / n
            torch.testing.assert_close(metrics[i, 0].item(), expected)
        torch.testing.assert_close(metrics[:, 2], torch.hypot(metrics[:, 0], metrics[:, 1]))


def test_only_what_is_learned_has_weights(every):
    assert {name for name, method in every.items() if method.num_weights} == LEARNED


def test_shared_weights_cost_their_share(data, every):
    for method in every.values():
        alone, shared = (base.evaluate(method, data.test, by)[:, 0] for by in (1, 4))
        saved = 0.75 * method.num_weights / data.test[0].numel()
        torch.testing.assert_close(alone - shared, torch.full_like(alone, saved))


@pytest.mark.parametrize("name", sorted(methods.SCALED))
def test_scale_is_one_number_more_of_each_entry(name):
    x, fit = Data(1).test, methods.SCALED[name]
    free, paid = (next(iter(fit(x, seed=0, scale_paid=paid))) for paid in (False, True))
    for method, cost in ((free, 2), (paid, 3)):
        code = method.encode(x)
        expected = cost * base.entries(code) / x.shape[1]
        torch.testing.assert_close(base.evaluate(method, x)[:, 0], expected)


def test_a_san_with_scales_costs_what_it_says():
    data, settings = Data(1), {"candidates": [(1, 3)], "rounds": [1]}
    fit = methods.multiscale_sans(data.validation[:2], **settings)
    for paid in (False, True):
        (method,) = fit(data.train[:2], seed=0, scale_paid=paid)
        code = method.encode(data.test)
        expected = method.model.metrics(data.test, code).detach()
        torch.testing.assert_close(base.evaluate_code(method, data.test, code), expected)
        assert method.model.cost == 2 + paid
        assert method.num_weights == 3
        same = method.with_weights(method.weights)
        assert torch.equal(same.decode(code, data.test.shape[1:]), method.model.decode(code))


# --- choices --------------------------------------------------------------------------------------


def test_choice_has_the_smallest_mean_phi(data):
    candidates = [DCT(k) for k in base.kept_counts(data.train[0].numel(), data.train.ndim - 1)]
    chosen, _ = base.choose(candidates, data.validation, shared_by=1)
    means = [base.evaluate(one, data.validation)[:, 2].mean() for one in candidates]
    assert candidates[int(torch.stack(means).argmin())] == chosen


def test_what_is_tried_together_is_what_is_tried_alone(data):
    x = data.validation[:3]
    for name, fit in methods.METHODS.items():
        for candidate, _ in zip(fit(data.train[:4], seed=0), range(2), strict=False):
            for method, *tried in candidate.try_on(x):
                alone = base.evaluate(method, x)[:, :2]
                together = torch.stack(tried, dim=-1).to(alone.dtype)
                torch.testing.assert_close(together, alone, atol=2e-6, rtol=1e-5, msg=name)


def test_choices_are_made_on_validation_only():
    places = torch.arange(64.0) + 0.5
    one_cosine = torch.cos(torch.pi / 64 * places * 5).expand(4, 64)
    noise = torch.randn(4, 64, generator=torch.Generator().manual_seed(0))

    def candidates(train, seed):
        return [DCT(1), DCT(20)]

    data = types.SimpleNamespace(train=noise, validation=one_cosine, test=noise)
    assert base.choose(candidates(noise, 0), data.test, shared_by=1)[0].k == 20
    measured = methods.measure(candidates, data, seed=0)
    assert measured.method.k == measured.shared_method.k == 1
    data.test = one_cosine
    assert methods.measure(candidates, data, seed=0).step == measured.step
    torch.testing.assert_close(measured.metrics, base.evaluate(DCT(1), noise))


def test_shared_weights_allow_more_of_them():
    x = torch.zeros(20, 32)
    x.view(20, 4, 8)[..., :3] = torch.randn(20, 4, 3, generator=torch.Generator().manual_seed(0))
    directions, mean = torch.eye(8), torch.zeros(8)
    candidates = [PrincipalComponents(8, (directions[:k], mean)) for k in (1, 3)]
    alone, shared = base.choose(candidates, x, shared_by=1000)
    assert (len(alone.weights[0]), len(shared.weights[0])) == (1, 3)


def test_nothing_to_choose_from_is_an_error(data):
    with pytest.raises(ValueError, match="candidates: none has"):
        base.choose([], data.validation, shared_by=1)


# --- what is measured -----------------------------------------------------------------------------


def test_measured_bytes_are_charged_both_ways(data):
    measured = methods.measure(methods.METHODS["PCA"], data, seed=0)
    shared_by, method = len(data.test), measured.shared_method
    step = coding.choose_step(method, data.validation, shared_by)
    code = method.encode(data.test)
    shared = coding.evaluate_bytes(method, data.test, code, step, shared_by)
    torch.testing.assert_close(measured.shared_in_bytes, shared)
    alone = measured.method.encode(data.test)
    torch.testing.assert_close(
        measured.in_bytes,
        coding.evaluate_bytes(measured.method, data.test, alone, measured.step),
    )


def test_network_without_any_activation_is_dead(data):
    model = san_core.SAN([3], "relu", data.train.ndim - 1, init="constant")
    living = networks.TrainedNetwork(model)
    dead = living.with_weights(tuple(torch.zeros_like(weight) for weight in living.weights))
    for method, expected in ((living, False), (dead, True)):
        measured = methods.measure(lambda train, seed, one=method: [one], data, seed=0)
        assert measured.dead is expected
    assert measured.metrics[:, 1].tolist() == [1.0] * len(data.test)


def test_same_seed_measures_the_same(data):
    for name in ("dictionary, OMP", "convolutional dictionary", "PCA"):
        fit = methods.METHODS[name]
        first, again = (next(iter(next(iter(fit(data.train, 3))).try_on(data.test))) for _ in "ab")
        for weight, other in zip(first[0].weights, again[0].weights, strict=True):
            assert torch.equal(weight, other), name


def test_counts_are_tried_up_to_the_length_of_the_data(data):
    n, ndim = data.train[0].numel(), data.train.ndim - 1
    (family,) = one_count(lambda train: [DCT()])(data.train, 0)
    assert max(family.counts) * (ndim + 1) <= n
