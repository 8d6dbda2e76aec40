"""Tests of the classifiers."""

import copy
import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

import sanbook.training
import sanbook.training.classifiers
from san_core import inverse_compression_ratio, normalized_loss, phi
from sanbook.training import Protocol, evaluate, loops, reconstruct, sweep
from sanbook.training.classifiers import CNN, FNN, classify, classify_reconstructions

SPATIAL = {CNN: (178,), FNN: (28, 28)}
each_network = pytest.mark.parametrize("network", [CNN, FNN])


def examples(network, counts=(40, 20, 30), classes=3, seeds=1, strength=2.0):
    """Noisy copies of one random pattern for each class, and their labels."""
    generator = torch.Generator().manual_seed(1)
    patterns = torch.randn(classes, *SPATIAL[network], generator=generator)
    inputs, labels = {}, {}
    for part, count in zip(("train", "validation", "test"), counts, strict=True):
        labels[part] = torch.randint(classes, (count,), generator=generator)
        labels[part][:classes] = torch.arange(classes)
        noise = torch.randn(seeds, count, *SPATIAL[network], generator=generator)
        inputs[part] = patterns[labels[part]] + strength * noise
    return inputs, labels


def classify_one(network, inputs, labels, seed, protocol):
    """One classifier, plainly.

    Returns its best epoch, the accuracies in percent on validation and test of this epoch and of
    the last one, and the predictions of the best.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = network(3)
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)
    generator = torch.Generator().manual_seed(seed)

    def accuracy(model, part):
        predicted = model(inputs[part]).argmax(dim=1)
        return 100 * (predicted == labels[part]).double().mean().item()

    best_accuracy = -1.0
    for epoch in range(1, protocol.epochs + 1):
        order = torch.randperm(len(labels["train"]), generator=generator)
        for batch in order.split(protocol.batch_size):
            loss = F.cross_entropy(model(inputs["train"][batch]), labels["train"][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if accuracy(model, "validation") > best_accuracy:
            best, best_epoch = copy.deepcopy(model), epoch
            best_accuracy = accuracy(model, "validation")
    accuracies = [accuracy(m, part) for m in (best, model) for part in ("validation", "test")]
    return best_epoch, accuracies, best(inputs["test"]).argmax(dim=1)


ACCURACIES = [f"{last}{of}accuracy_percent" for last in ("", "last_") for of in ("validation_", "")]


@each_network
def test_classify_gives_what_each_classifier_gives_alone(network):
    protocol = Protocol(epochs=4, batch_size=16)
    inputs, labels = examples(network, seeds=2)
    seeds = [3, 8]
    classified = classify(network, inputs, labels, seeds=seeds, protocol=protocol)
    for i, seed in enumerate(seeds):
        own = {part: x[i] for part, x in inputs.items()}
        epoch, accuracies, predicted = classify_one(network, own, labels, seed, protocol)
        row = classified.table.iloc[i]
        assert (row.seed, row.epoch) == (seed, epoch)
        assert row[ACCURACIES].tolist() == pytest.approx(accuracies)
        assert torch.equal(classified.predictions[i], predicted)


@each_network
def test_classes_far_apart_are_told_apart(network):
    inputs, labels = examples(network, strength=0.3)
    table = classify(network, inputs, labels, seeds=[0], protocol=Protocol(10, 8)).table
    assert table.accuracy_percent[0] == 100


def test_the_kept_epoch_is_the_best_on_validation_and_not_the_last():
    inputs, labels = examples(FNN)
    labels["validation"] = torch.tensor([2, 1, 0])[labels["validation"]]  # learning makes it worse
    protocol = Protocol(epochs=6, batch_size=8)
    classified = classify(FNN, inputs, labels, seeds=[0], protocol=protocol)
    epoch, _, predicted = classify_one(
        FNN, {part: x[0] for part, x in inputs.items()}, labels, 0, protocol
    )
    assert classified.table.epoch[0] == epoch < protocol.epochs
    assert torch.equal(classified.predictions[0], predicted)


def test_classify_leaves_the_global_random_state_alone():
    inputs, labels = examples(FNN)
    before = torch.random.get_rng_state()
    classify(FNN, inputs, labels, seeds=[0], protocol=Protocol(1, 8))
    assert torch.equal(torch.random.get_rng_state(), before)


@each_network
def test_compiled_gradients_and_predictions_are_those_of_torch(network):
    x = examples(network)[0]["train"][0]
    x[::2] *= torch.rand(x[::2].shape, generator=torch.Generator().manual_seed(0)) > 0.9
    x[0] = 0  # mostly zeros, as reconstructions are: neighbours are equal
    labels = torch.arange(len(x)) % 3
    model = network(3)
    weights = list(model.parameters())
    plain = torch.autograd.grad(F.cross_entropy(model(x), labels), weights)
    values = torch.nn.utils.parameters_to_vector(weights).detach().numpy()
    shapes = sanbook.training.classifiers.shapes_of(model)
    gradient, predicted = np.full_like(values, np.nan), np.zeros(len(x), np.int64)
    flat = x.flatten(1).numpy()
    loops.differentiate(flat, labels.numpy(), values, gradient, *shapes)
    loops.predict(flat, values, *shapes, predicted)
    expected = torch.cat([part.flatten() for part in plain])
    torch.testing.assert_close(torch.from_numpy(gradient), expected, rtol=1e-4, atol=1e-6)
    assert (predicted == model(x).argmax(dim=1).numpy()).all()


def test_layers_are_those_of_the_article():
    shapes = [tuple(weights.shape) for weights in CNN(3).parameters()]
    assert shapes == [(3, 1, 5), (3,), (16, 3, 5), (16,), (120, 656), (120,), (84, 120), (84,),
                      (3, 84), (3,)]  # fmt: skip
    assert [tuple(weights.shape) for weights in FNN(10).parameters()] == [(10, 784), (10,)]


# --- reconstructions ------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[1, 2])
def swept(request):
    """A short sweep of signals or images with labels."""
    network = {1: CNN, 2: FNN}[request.param]
    inputs, labels = examples(network, counts=(24, 12, 10))
    data = SimpleNamespace(**{part: x[0].abs() for part, x in inputs.items()}, labels=labels)
    protocol = Protocol(epochs=2, batch_size=8, num_kernels=2, border_tolerance=2, init="normal")
    trained = sweep(data, "extrema-pool indices", [2, 5], seeds=[0, 4], protocol=protocol)
    return trained, data, network


def test_reconstruct_is_decode_of_encode(swept):
    trained, data, _ = swept
    model = trained.model(5, 4)
    x_hat, inverse_cr = reconstruct(model, data.test)
    assert torch.allclose(x_hat, model(data.test), atol=1e-6)
    a = model.encode(data.test)
    expected = inverse_compression_ratio(a, model.num_weights, model.ndim)
    assert torch.allclose(inverse_cr, expected)


def test_classify_reconstructions_has_the_metrics_of_each_model(swept):
    trained, data, network = swept
    table, predictions = classify_reconstructions(trained, data, network)
    keys = [(m, seed, rule) for m in (2, 5) for seed in (0, 4) for rule in ("best", "last")]
    assert list(zip(table.kernel_size, table.seed, table.rule, strict=True)) == keys
    assert set(predictions) == {(2, 0), (2, 4), (5, 0), (5, 4)}
    selected = trained.select().set_index(["kernel_size", "seed", "rule"])
    for row in table.itertuples():
        model = trained.model(row.kernel_size, row.seed, row.rule)
        expected = evaluate(model, data.test).mean(dim=0)
        ours = [getattr(row, metric) for metric in sanbook.training.MEASURES]
        assert ours == pytest.approx(expected.tolist(), abs=1e-6)
        key = row.kernel_size, row.seed, row.rule
        assert row.validation_phi == selected.validation_phi[key]
        x_hat, inverse_cr = reconstruct(model, data.test)
        n, ndim = data.test[0].numel(), data.test.ndim - 1
        counted = inverse_cr - 2 * (row.kernel_size**ndim - row.kernel_size) / n
        assert row.inverse_compression_ratio_qm == pytest.approx(counted.mean().item(), abs=1e-6)
        published_way = phi(counted, normalized_loss(data.test, x_hat)).mean().item()
        assert row.phi_qm == pytest.approx(published_way, abs=1e-6)
        assert not row.dead
    assert not table.filter(like="last_").columns.any()


def test_both_rules_test_their_own_san_and_classifier(swept):
    trained, data, network = swept
    first = {key: 1.01 * kernels for key, kernels in trained.best.items() if key == (5, 4)}
    trained = dataclasses.replace(trained, best={**trained.best, **first})
    validation = (trained.table.split == "validation") & (trained.table.epoch == 1)
    changed = validation & (trained.table.kernel_size == 5) & (trained.table.seed == 4)
    table = trained.table.assign(phi=trained.table.phi.where(~changed, 0.0))  # the best epoch
    test = table[(table.split == "test") & (table.kernel_size == 5) & (table.seed == 4)]
    table = pd.concat([table, test.assign(epoch=1)]).drop_duplicates(
        ["kernel_size", "seed", "epoch", "split"]
    )
    trained = dataclasses.replace(trained, table=table)
    rows, predictions = classify_reconstructions(trained, data, network)
    for rule in ("best", "last"):
        model = trained.model(5, 4, rule)
        inputs = {part: model(getattr(data, part)).detach()[None] for part in data.labels}
        alone = classify(network, inputs, data.labels, seeds=[4], protocol=trained.protocol)
        row = rows[(rows.kernel_size == 5) & (rows.seed == 4) & (rows.rule == rule)].iloc[0]
        prefix = "" if rule == "best" else "last_"
        assert row.accuracy_percent == alone.table[f"{prefix}accuracy_percent"][0]
        assert (
            row.validation_accuracy_percent
            == alone.table[f"{prefix}validation_accuracy_percent"][0]
        )
        if rule == "best":
            assert torch.equal(predictions[5, 4], alone.predictions[0])


def test_predictions_in_parts_are_those_of_all_at_once(swept, monkeypatch):
    trained, data, network = swept
    together, _ = classify_reconstructions(trained, data, network)
    monkeypatch.setattr(sanbook.training.classifiers, "LARGEST_INPUT", 1)  # one at a time
    pd.testing.assert_frame_equal(classify_reconstructions(trained, data, network)[0], together)


def test_a_network_without_activations_is_dead(swept):
    trained, data, network = swept
    # On positive data a negative kernel has no positive similarity.
    best = {key: -kernels.abs() for key, kernels in trained.best.items()}
    table, _ = classify_reconstructions(
        dataclasses.replace(trained, activation="relu", best=best, last=best), data, network
    )
    assert table.dead.all()
    weights = 2 * table.kernel_size ** (data.test.ndim - 1)
    assert np.allclose(table.inverse_compression_ratio, weights / data.test[0].numel())
    assert (table.normalized_reconstruction_loss == 1).all()
