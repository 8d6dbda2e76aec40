"""Classifiers of what frozen SANs reconstruct (article Sec. IV-B, IV-C): `CNN`, `FNN`, `classify`.

Axes as in `san_core` (B examples, n samples), and ``S``: seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from san_core import normalized_loss, phi
from sanbook.training import Protocol, Trained, batches, reconstruct


class CNN(nn.Module):
    """The article's classifier of signals of 178 samples (Sec. IV-B), ``(B, n) -> (B, classes)``.

    Two convolutions of 5 samples, each with ReLU and a maximum over pairs, and three fully
    connected layers.

    >>> CNN(num_classes=3)(torch.zeros(2, 178)).shape
    torch.Size([2, 3])
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(1, 3, 5), nn.Conv1d(3, 16, 5)
        self.third, self.fourth = nn.Linear(656, 120), nn.Linear(120, 84)
        self.fifth = nn.Linear(84, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of the classes."""
        maps = F.max_pool1d(F.relu(self.first(x.unsqueeze(1))), 2)  # (B, 3, 87)
        maps = F.max_pool1d(F.relu(self.second(maps)), 2)  # (B, 16, 41)
        hidden = F.relu(self.fourth(F.relu(self.third(maps.flatten(1)))))  # (B, 84)
        return self.fifth(hidden)


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


@dataclass(frozen=True)
class Classified:
    """What training classifiers returns.

    ``table`` has a row for each seed: the epoch with the best accuracy on validation (the first of
    equals), that accuracy, and ``accuracy_percent`` on test at that epoch. ``predictions`` are the
    classes that it gives the test examples, ``(S, B)``.
    """

    table: pd.DataFrame
    predictions: Tensor = field(repr=False)


def classify(
    network: type[nn.Module],
    inputs: dict[str, Tensor],
    labels: dict[str, Tensor],
    *,
    seeds: Sequence[int],
    protocol: Protocol,
) -> Classified:
    """Train a classifier for each seed, all in one batched computation.

    Cross-entropy and Adam, with the epochs, the batch size and the learning rate of ``protocol``.
    The weights of the epoch with the best accuracy on validation are kept and tested; the
    published code tests the last epoch, and counts validation and test examples together.

    Args:
        network: `CNN` or `FNN`.
        inputs: ``train``, ``validation`` and ``test``, each ``(S, B, *spatial)``: for each seed
            reconstructions of the same examples.
        labels: of the same parts, each ``(B,)``, counted from 0.
        seeds: of the weights and of the order of the batches, S of them.
        protocol: see `Protocol`.
    """
    num_classes = 1 + max(int(part.max()) for part in labels.values())
    networks = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):  # torch's layers take no generator
            torch.manual_seed(seed)
            networks.append(network(num_classes))
    weights, _ = stack_module_state(networks)
    scores = vmap(lambda weights, x: functional_call(networks[0], weights, (x,)))
    optimizer = torch.optim.Adam(weights.values(), lr=protocol.learning_rate, fused=True)

    def predict(weights, x):
        with torch.no_grad():
            return torch.cat([scores(weights, part).argmax(-1) for part in x.split(1000, 1)], 1)

    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    of_seed = torch.arange(len(seeds))[:, None]
    best, best_epoch = {}, torch.zeros(len(seeds), dtype=torch.long)
    best_accuracy = torch.full((len(seeds),), -1.0)
    for epoch in range(1, protocol.epochs + 1):
        orders = [batches(len(labels["train"]), protocol, generator) for generator in generators]
        for batch in zip(*orders, strict=True):
            batch = torch.stack(batch)  # (S, B)
            given = scores(weights, inputs["train"][of_seed, batch])  # (S, B, classes)
            # Each seed has its own mean, so that it learns as if it were alone.
            loss = len(seeds) * F.cross_entropy(given.mT, labels["train"][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        right = predict(weights, inputs["validation"]) == labels["validation"]  # (S, B)
        accuracy = 100 * right.double().mean(dim=1)
        better = accuracy > best_accuracy
        best_accuracy = torch.where(better, accuracy, best_accuracy)
        best_epoch[better] = epoch
        for name, value in weights.items():
            best.setdefault(name, value.detach().clone())[better] = value.detach()[better]
    predictions = predict(best, inputs["test"])
    accuracy = 100 * (predictions == labels["test"]).double().mean(dim=1)
    table = pd.DataFrame(
        {
            "seed": list(seeds),
            "epoch": best_epoch.numpy(),
            "validation_accuracy_percent": best_accuracy.numpy(),
            "accuracy_percent": accuracy.numpy(),
        }
    )
    return Classified(table, predictions)


def classify_reconstructions(
    trained: Trained, data, network: type[nn.Module]
) -> tuple[pd.DataFrame, dict[tuple[int, int], Tensor]]:
    """Classifiers of what the frozen SANs of a sweep reconstruct, and how good the SANs are.

    ``data`` is as in `fit`, with ``labels``. Each SAN, of the epoch that was best on validation,
    reconstructs the data once. Returns the predictions on test by (kernel_size, seed), and a table
    with a row for each of them:

    - ``validation_phi``; on test ``inverse_compression_ratio``,
      ``normalized_reconstruction_loss`` and ``phi``;
    - ``inverse_compression_ratio_qm`` and ``phi_qm``: the same with W = q * m, as the published
      tables count weights, also those of images, where the definition says q * m * m;
    - ``dead``: whether no test example has any activation;
    - ``validation_accuracy_percent`` and ``accuracy_percent`` of the classifier.
    """
    selected = trained.select().query("rule == 'best'").set_index(["kernel_size", "seed"])
    seeds = list(dict.fromkeys(seed for _, seed in trained.best))
    tables, predictions = [], {}
    for kernel_size in dict.fromkeys(m for m, _ in trained.best):
        models = [trained.model(kernel_size, seed) for seed in seeds]
        inputs = {}
        for part in data.labels:  # test is the last one, whose CR^-1 is used below
            reconstructed = [reconstruct(model, getattr(data, part)) for model in models]
            inputs[part] = torch.stack([x_hat for x_hat, _ in reconstructed])  # (S, B, *spatial)
        classified = classify(network, inputs, data.labels, seeds=seeds, protocol=trained.protocol)
        rows = []
        for model, seed, x_hat, (_, inverse_cr) in zip(
            models, seeds, inputs["test"], reconstructed, strict=True
        ):
            surplus = model.num_weights - sum(len(kernel) for kernel in model.kernels)
            inverse_cr_qm = inverse_cr - surplus / data.test[0].numel()
            loss = normalized_loss(data.test, x_hat)
            rows.append(
                {
                    "validation_phi": selected.validation_phi[kernel_size, seed],
                    "inverse_compression_ratio": inverse_cr.mean().item(),
                    "normalized_reconstruction_loss": loss.mean().item(),
                    "phi": phi(inverse_cr, loss).mean().item(),
                    "inverse_compression_ratio_qm": inverse_cr_qm.mean().item(),
                    "phi_qm": phi(inverse_cr_qm, loss).mean().item(),
                    "dead": not x_hat.any().item(),
                }
            )
        table = classified.table.drop(columns="epoch").join(pd.DataFrame(rows))
        table.insert(0, "kernel_size", kernel_size)
        tables.append(table)
        for seed, predicted in zip(seeds, classified.predictions, strict=True):
            predictions[kernel_size, seed] = predicted
    return pd.concat(tables, ignore_index=True), predictions
