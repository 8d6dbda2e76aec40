"""Classifiers of what frozen SANs reconstruct (article Sec. IV-B, IV-C): `CNN`, `FNN`, `classify`.

The networks are written with torch's layers. They are trained by compiled loops, one network after
the other: its weights and moments then stay in the cache of a core.

Axes as in `san_core` (B examples, n samples), and ``K``: classifiers; ``P``: weights of one; ``c``,
``o``: channels or units that a layer reads and writes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from san_core import SAN, inverse_compression_ratio_from_counts, normalized_loss, phi
from sanbook.training import (
    Protocol,
    Trained,
    in_threads,
    loops,
    orders_of_epochs,
    reconstruct_here,
)
from sanbook.training.cache import cached
from sanbook.training.loops import TAPS

LARGEST_INPUT = 2**18  # samples that one classifier predicts at once


# --- the networks ---------------------------------------------------------------------------------


class CNN(nn.Module):
    """The article's classifier of signals of 178 samples (Sec. IV-B), ``(B, n) -> (B, classes)``.

    Two convolutions of 5 samples, each with ReLU and a maximum over pairs, and three fully
    connected layers.

    >>> CNN(num_classes=3)(torch.zeros(2, 178)).shape
    torch.Size([2, 3])
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(1, 3, TAPS), nn.Conv1d(3, 16, TAPS)
        self.fc1, self.fc2 = nn.Linear(656, 120), nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes."""
        maps = x[:, None]  # (B, 1, 178)
        for conv in (self.conv1, self.conv2):  # to (B, 3, 87), to (B, 16, 41)
            maps = F.max_pool1d(F.relu(conv(maps)), 2)
        hidden = F.relu(self.fc2(F.relu(self.fc1(maps.flatten(1)))))  # (B, 84)
        return self.fc3(hidden)


class FNN(nn.Module):
    """The article's classifier of images (Sec. IV-C), one layer, ``(B, 28, 28) -> (B, classes)``.

    >>> FNN(num_classes=10)(torch.zeros(2, 28, 28)).shape
    torch.Size([2, 10])
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(28 * 28, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes."""
        return self.layer(x.flatten(1))


# --- training -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Classified:
    """What training classifiers returns.

    ``table`` has a row for each classifier: its seed, the epoch with the best accuracy on
    validation (the first of equals), that accuracy, and ``accuracy_percent`` on test at that epoch;
    ``last_validation_accuracy_percent`` and ``last_accuracy_percent`` are those of the last epoch.
    ``predictions`` are the classes that the best epoch gives the test examples, ``(K, B)``.
    """

    table: pd.DataFrame
    predictions: Tensor = field(repr=False)


@cached
def classify(
    network: type[nn.Module],
    inputs: dict[str, Tensor],
    labels: dict[str, Tensor],
    *,
    seeds: Sequence[int],
    protocol: Protocol,
) -> Classified:
    """Train a classifier for each seed.

    Cross-entropy and Adam, with the epochs, the batch size and the learning rate of ``protocol``.
    The weights of the epoch with the best accuracy on validation are kept and tested; the
    published code tests the last epoch, and counts validation and test examples together.

    Args:
        network: `CNN` or `FNN`.
        inputs: ``train``, ``validation`` and ``test``, each ``(K, B, *spatial)``: for each seed
            its own view of the same examples.
        labels: of the same parts, each ``(B,)``, counted from 0.
        seeds: of the weights and of the order of the batches, K of them.
        protocol: see `Protocol`.
    """

    return _classify(
        network, lambda k: {part: x[k] for part, x in inputs.items()}, labels, seeds, protocol
    )


def _classify(
    network: type[nn.Module],
    inputs_of: Callable[[int], dict[str, Tensor]],
    labels: dict[str, Tensor],
    seeds: Sequence[int],
    protocol: Protocol,
) -> Classified:
    """Train a classifier for each of K seeds, which need not differ.

    Its inputs, ``(B, *spatial)`` of each part, are made when its training begins and leave with it:
    those of all classifiers would be K times as large as the data themselves.
    """
    num_classes = 1 + max(int(part.max()) for part in labels.values())
    of_seed = {seed: orders_of_epochs(len(labels["train"]), seed, protocol) for seed in set(seeds)}

    def train(k):
        return _classify_one(models[k], inputs_of(k), labels, of_seed[seeds[k]], protocol)

    models = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):  # torch's layers take no generator
            torch.manual_seed(seed)
            models.append(network(num_classes))
    with threadpool_limits(1, user_api="blas"):  # each network has one thread
        results = list(in_threads(train, range(len(seeds))))
    columns = [
        "epoch", "validation_accuracy_percent", "accuracy_percent",
        "last_validation_accuracy_percent", "last_accuracy_percent",
    ]  # fmt: skip
    table = pd.DataFrame([row for row, _ in results], columns=columns)
    table.insert(0, "seed", list(seeds))
    return Classified(table, torch.stack([predictions for _, predictions in results]))


def shapes_of(model: nn.Module) -> tuple[np.ndarray, np.ndarray]:
    """Channels that each convolution of a network writes and reads, then units of dense layers."""
    weights = list(model.parameters())
    return tuple(
        np.array([w.shape[:2] for w in weights if w.ndim == ndim], np.int64).reshape(-1, 2)
        for ndim in (3, 2)
    )


def _classify_one(
    model: nn.Module,
    inputs: dict[str, Tensor],
    labels: dict[str, Tensor],
    orders: Tensor,
    protocol: Protocol,
) -> tuple[tuple, Tensor]:
    """Train one classifier; a row of `Classified` without its seed, and the predictions ``(B,)``.

    ``orders`` ``(E, B)`` are the training examples of each epoch.
    """
    x = {part: of_part.flatten(1).contiguous().numpy() for part, of_part in inputs.items()}
    y = {part: of_part.numpy() for part, of_part in labels.items()}
    convolutions, dense = shapes_of(model)
    values = nn.utils.parameters_to_vector(model.parameters()).detach().numpy()
    gradient, mean, square, step = *(np.zeros_like(values) for _ in range(3)), 0
    # Adam wants kernels (q, R, m): all weights are one of a single row. It also wants a place for
    # the kernels after its step, which here is where they are.
    kernel, *moments = (part.reshape(1, 1, -1) for part in (values, gradient, mean, square))

    def predict(part, *networks):
        """Predictions of networks, and their accuracies in percent."""
        predictions = np.empty((len(networks), len(y[part])), np.int64)
        at_once = max(1, LARGEST_INPUT // x[part].shape[1])
        for first in range(0, len(y[part]), at_once):
            chunk = slice(first, first + at_once)
            for predicted, network in zip(predictions, networks, strict=True):
                loops.predict(x[part][chunk], network, convolutions, dense, predicted[chunk])
        return predictions, 100 * (predictions == y[part]).mean(axis=1)

    best_accuracy = -1.0
    for epoch, order in enumerate(orders.numpy(), start=1):
        for first in range(0, len(order), protocol.batch_size):
            batch = order[first : first + protocol.batch_size]
            examples, classes = x["train"][batch], y["train"][batch]
            loops.differentiate(examples, classes, values, gradient, convolutions, dense)
            step += 1
            loops.adam(kernel, *moments, step, protocol.learning_rate, kernel)
        _, (last_accuracy,) = predict("validation", values)
        if last_accuracy > best_accuracy:
            best, best_epoch, best_accuracy = values.copy(), epoch, last_accuracy
    predictions, (accuracy, accuracy_of_last) = predict("test", best, values)
    row = best_epoch, best_accuracy, accuracy, last_accuracy, accuracy_of_last
    return row, torch.from_numpy(predictions[0])


@cached
def classify_reconstructions(
    trained: Trained, data, network: type[nn.Module]
) -> tuple[pd.DataFrame, dict[tuple[int, int], Tensor]]:
    """Classifiers of what the frozen SANs of a sweep reconstruct, and how good the SANs are.

    ``data`` is as in `fit`, with ``labels``. Every run is read in two ways, ``rule``: ``"best"`` is
    the SAN of the epoch with the smallest phi on validation, and its classifier of the epoch with
    the best accuracy on validation; ``"last"`` is both of their last epoch, which the published
    code tests. Returns a table with a row for each (kernel_size, seed, rule), and the predictions
    on test of the best by (kernel_size, seed). The columns:

    - ``validation_phi``; on test ``inverse_compression_ratio``,
      ``normalized_reconstruction_loss`` and ``phi``;
    - ``inverse_compression_ratio_qm`` and ``phi_qm``: the same with W = q * m, as the published
      tables count weights, also those of images, where the definition says q * m * m;
    - ``dead``: whether no test example has any activation;
    - ``validation_accuracy_percent`` and ``accuracy_percent`` of the classifier.
    """
    run = ["kernel_size", "seed", "epoch"]
    selected = trained.select()
    # Where the best epoch is the last one, one SAN and one training of a classifier serve both.
    runs = selected.drop_duplicates(run).reset_index(drop=True)
    models = [trained.model(of.kernel_size, of.seed, of.rule) for of in runs.itertuples()]

    def inputs_of(k):
        return {part: reconstruct_here(models[k], getattr(data, part))[0] for part in data.labels}

    classified = _classify(network, inputs_of, data.labels, runs.seed.tolist(), trained.protocol)
    measured = pd.DataFrame(in_threads(lambda model: table_metrics(model, data.test), models))
    accuracies = classified.table.drop(columns=["seed", "epoch"])
    of_run = pd.concat([runs[run], measured, accuracies], axis=1)
    table = selected[[*run, "rule", "validation_phi"]].merge(of_run, on=run)
    for name in ("validation_accuracy_percent", "accuracy_percent"):
        table[name] = table[name].where(table.rule == "best", table.pop(f"last_{name}"))
    table = table.drop(columns="epoch").sort_values(["kernel_size", "seed", "rule"])
    predictions = {
        (of.kernel_size, of.seed): predicted
        for of, predicted in zip(runs.itertuples(), classified.predictions, strict=True)
        if of.rule == "best"
    }
    return table.reset_index(drop=True), predictions


def table_metrics(model: SAN, x: Tensor) -> dict[str, float | bool]:
    """How good a SAN is on test examples, with the weights counted in both ways."""
    x_hat, counts = reconstruct_here(model, x)
    losses = normalized_loss(x, x_hat)
    inverse_cr, inverse_cr_qm = (
        inverse_compression_ratio_from_counts(counts, num_weights, x[0].numel(), model.ndim)
        for num_weights in (model.num_weights, sum(len(kernel) for kernel in model.kernels))
    )
    return {
        "inverse_compression_ratio": inverse_cr.mean().item(),
        "normalized_reconstruction_loss": losses.mean().item(),
        "phi": phi(inverse_cr, losses).mean().item(),
        "inverse_compression_ratio_qm": inverse_cr_qm.mean().item(),
        "phi_qm": phi(inverse_cr_qm, losses).mean().item(),
        "dead": not x_hat.any().item(),
    }
