"""Classifiers of what frozen SANs reconstruct (article Sec. IV-B, IV-C): `CNN`, `FNN`, `classify`.

Axes as in `san_core` (B examples, n samples), and ``K``: classifiers that are trained together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numba
import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.optim.adam import adam  # the class imports torch's compiler: 160 MB and seconds

from san_core import SAN, inverse_compression_ratio_from_counts, normalized_loss, phi
from sanbook.training import (
    Protocol,
    Trained,
    in_threads,
    orders_of_epochs,
    reconstruct_into,
)

# Samples of the inputs of all classifiers that are held at once: 8 MB in single precision.
LARGEST_INPUT = 2**21
EXAMPLES = 1000  # that a SAN is measured on at once
TAPS = 5  # of the kernels of the convolutions


# --- the networks ---------------------------------------------------------------------------------

# Sums may be fused and reordered, so that several are added at once.
_compiled = numba.njit(
    cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"}
)


@_compiled
def _convolve(x, kernels, bias, pooled, second):
    """Write the ReLU of the larger of each two neighbours of convolutions, and which it is.

    ``x`` is (B, c, n), ``kernels`` (o, c, TAPS), ``bias`` (o,); ``pooled`` and ``second``, whether
    the larger one is the second, are (B, o, (n - TAPS + 1) // 2).
    """
    similarities = np.empty(x.shape[2] - TAPS + 1, np.float32)
    for b in range(len(x)):
        for o in range(len(kernels)):
            similarities[:] = bias[o]
            for c in range(x.shape[1]):
                samples, w = x[b, c], kernels[o, c]
                for p in range(len(similarities)):
                    total = similarities[p]
                    for t in range(TAPS):
                        total += w[t] * samples[p + t]
                    similarities[p] = total
            for p in range(pooled.shape[2]):
                first, other = similarities[2 * p], similarities[2 * p + 1]
                second[b, o, p] = other > first
                larger = other if other > first else first
                pooled[b, o, p] = np.float32(0) if larger < 0 else larger


@_compiled
def _add_gradients(gradient, x, kernels, pooled, second, of_x, of_kernels, of_bias):
    """Add the gradients of what `_convolve` reads, given that of ``pooled``.

    ``of_x`` may be empty: the gradient of the data themselves is of no use.
    """
    similarities = np.zeros(x.shape[2] - TAPS + 1, np.float32)  # their gradients
    for b in range(len(x)):
        for o in range(len(kernels)):
            total = np.float32(0)
            for p in range(gradient.shape[2]):
                g = gradient[b, o, p] if pooled[b, o, p] > 0 else np.float32(0)
                total += g
                similarities[2 * p] = np.float32(0) if second[b, o, p] else g
                similarities[2 * p + 1] = g if second[b, o, p] else np.float32(0)
            of_bias[o] += total
            for c in range(x.shape[1]):
                for t in range(TAPS):
                    samples, total = x[b, c, t:], np.float32(0)
                    for p in range(len(similarities)):
                        total += similarities[p] * samples[p]
                    of_kernels[o, c, t] += total
                    if len(of_x):
                        of_samples, w = of_x[b, c, t:], kernels[o, c, t]
                        for p in range(len(similarities)):
                            of_samples[p] += w * similarities[p]


class _ConvolveAndPool(torch.autograd.Function):
    """Convolutions of K networks, the larger of each two neighbours, ReLU: in one compiled loop.

    ``x`` is ``(K, B, c, n)``, ``kernels`` ``(K, o, c, TAPS)`` and ``bias`` ``(K, o)``; returns
    ``(K, B, o, (n - TAPS + 1) // 2)`` and what `backward` needs. As operations of torch the same
    takes several times as long: each of them passes over maps that no cache holds.
    """

    @staticmethod
    def forward(x, kernels, bias):
        (num_networks, batch, _, n), o = x.shape, kernels.shape[1]
        pooled = torch.empty(num_networks, batch, o, (n - TAPS + 1) // 2)
        second = torch.empty(pooled.shape, dtype=torch.bool)
        _for_each_network(_convolve, x, kernels, bias, pooled, second)
        return pooled, second

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, *output)
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, gradient, _):
        x, kernels, bias, pooled, second = ctx.saved_tensors
        wanted = ctx.needs_input_grad[0]
        of_x = torch.zeros_like(x) if wanted else x.new_zeros(len(x), 0, *x.shape[2:])
        of_kernels, of_bias = torch.zeros_like(kernels), torch.zeros_like(bias)
        tensors = gradient, x, kernels, pooled, second, of_x, of_kernels, of_bias
        _for_each_network(_add_gradients, *tensors)
        return of_x if wanted else None, of_kernels, of_bias

    @staticmethod
    def vmap(info, in_dims, x, kernels, bias):
        """All K networks at once: each comes with a leading axis of one."""
        pooled, second = _ConvolveAndPool.apply(x[:, 0], kernels[:, 0], bias[:, 0])
        return (pooled[:, None], second[:, None]), (0, 0)


def _for_each_network(compiled: Callable, *tensors: Tensor) -> None:
    """Call a compiled loop with the arrays of each network, in threads."""
    arrays = [tensor.detach().contiguous().numpy() for tensor in tensors]
    for _ in in_threads(lambda of: compiled(*of), zip(*arrays, strict=True)):
        pass


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
        maps = x[None, :, None]  # (1, B, 1, 178), of one network
        for conv in (self.conv1, self.conv2):  # to (1, B, 3, 87), to (1, B, 16, 41)
            maps, _ = _ConvolveAndPool.apply(maps, conv.weight[None], conv.bias[None])
        hidden = F.relu(self.fc2(F.relu(self.fc1(maps[0].flatten(1)))))  # (B, 84)
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
        # The same as `self.layer(x)`; in this order the products of small matrices are fast.
        return (self.layer.weight @ x.flatten(1).T).T + self.layer.bias


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
        inputs: ``train``, ``validation`` and ``test``, each ``(K, B, *spatial)``: for each seed
            its own view of the same examples.
        labels: of the same parts, each ``(B,)``, counted from 0.
        seeds: of the weights and of the order of the batches, K of them.
        protocol: see `Protocol`.
    """
    of_seed = torch.arange(len(seeds))[:, None]

    def supply(part, which):
        return inputs[part][of_seed, which]

    return _classify(network, supply, inputs["train"][0, 0].numel(), labels, seeds, protocol)


def _classify(
    network: type[nn.Module],
    supply: Callable[[str, Tensor], Tensor],
    n: int,
    labels: dict[str, Tensor],
    seeds: Sequence[int],
    protocol: Protocol,
) -> Classified:
    """Train a classifier for each of K seeds, which need not differ.

    ``supply(part, which)`` gives the examples ``which``, ``(K, B)``, of a part as each classifier
    sees them, ``(K, B, *spatial)``. They are asked for some batches ahead: in memory the inputs of
    all classifiers would be larger than the data themselves, K times.
    """
    num_classes = 1 + max(int(part.max()) for part in labels.values())
    networks = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):  # torch's layers take no generator
            torch.manual_seed(seed)
            networks.append(network(num_classes))
    weights, _ = stack_module_state(networks)
    scores = vmap(lambda weights, x: functional_call(networks[0], weights, (x,)))
    values = list(weights.values())
    means, squares = ([torch.zeros_like(value) for value in values] for _ in range(2))
    steps = [torch.tensor(0.0) for _ in values]
    batches_ahead = max(1, LARGEST_INPUT // (len(seeds) * n * protocol.batch_size))
    ahead = batches_ahead * protocol.batch_size

    def predict(weights, part):
        everything = torch.arange(len(labels[part])).expand(len(seeds), -1)
        with torch.no_grad():
            return torch.cat(
                [
                    scores(weights, supply(part, which)).argmax(-1)
                    for which in everything.split(ahead, dim=1)
                ],
                dim=1,
            )

    def accuracy(predictions, part):
        return 100 * (predictions == labels[part]).double().mean(dim=1)  # (K,)

    of_seed = {seed: orders_of_epochs(len(labels["train"]), seed, protocol) for seed in set(seeds)}
    best, best_epoch = {}, torch.zeros(len(seeds), dtype=torch.long)
    best_accuracy = torch.full((len(seeds),), -1.0, dtype=torch.double)
    for epoch in range(1, protocol.epochs + 1):
        orders = torch.stack([of_seed[seed][epoch - 1] for seed in seeds])  # (K, B)
        for which_ahead in orders.split(ahead, dim=1):
            inputs = supply("train", which_ahead).split(protocol.batch_size, dim=1)
            for x, which in zip(inputs, which_ahead.split(protocol.batch_size, dim=1), strict=True):
                given = scores(weights, x)  # (K, B, classes)
                # Each classifier has its own mean, so that it learns as if it were alone.
                loss = F.cross_entropy(
                    given.flatten(0, 1), labels["train"][which].flatten(), reduction="sum"
                )
                gradients = torch.autograd.grad(loss / which.shape[1], values)
                # Fused, it takes entries as they lie in memory, and some gradients are transposed.
                gradients = [gradient.contiguous() for gradient in gradients]
                with torch.no_grad():
                    adam(
                        values, gradients, means, squares, [], steps, fused=True, amsgrad=False,
                        beta1=0.9, beta2=0.999, lr=protocol.learning_rate, weight_decay=0.0,
                        eps=1e-8, maximize=False,
                    )  # fmt: skip
        last_accuracy = accuracy(predict(weights, "validation"), "validation")
        better = last_accuracy > best_accuracy
        best_accuracy = torch.where(better, last_accuracy, best_accuracy)
        best_epoch[better] = epoch
        for name, value in weights.items():
            best.setdefault(name, value.detach().clone())[better] = value.detach()[better]
    predictions = predict(best, "test")
    table = pd.DataFrame(
        {
            "seed": list(seeds),
            "epoch": best_epoch.numpy(),
            "validation_accuracy_percent": best_accuracy.numpy(),
            "accuracy_percent": accuracy(predictions, "test").numpy(),
            "last_validation_accuracy_percent": last_accuracy.numpy(),
            "last_accuracy_percent": accuracy(predict(weights, "test"), "test").numpy(),
        }
    )
    return Classified(table, predictions)


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

    def supply(part, which):
        examples = getattr(data, part)
        x_hat = torch.empty(*which.shape, *examples.shape[1:])
        counts = torch.empty(which.shape, dtype=torch.long)

        def reconstruct_one(model, of, *written):
            reconstruct_into(model, examples[of], *written)

        tasks = zip(models, which, x_hat, counts, strict=True)
        for _ in in_threads(lambda task: reconstruct_one(*task), tasks):
            pass
        return x_hat

    n, seeds = data.test[0].numel(), runs.seed.tolist()
    classified = _classify(network, supply, n, data.labels, seeds, trained.protocol)
    measured = pd.DataFrame(in_threads(lambda model: measure(model, data.test), models))
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


def measure(model: SAN, x: Tensor) -> dict[str, float | bool]:
    """How good a SAN is on test examples, with the weights counted in both ways."""
    counts, losses = torch.empty(len(x), dtype=torch.long), torch.empty(len(x))
    dead = True
    for examples, part in zip(x.split(EXAMPLES), torch.arange(len(x)).split(EXAMPLES), strict=True):
        x_hat, of_part = torch.empty_like(examples), torch.empty(len(part), dtype=torch.long)
        reconstruct_into(model, examples, x_hat, of_part)
        counts[part], losses[part] = of_part, normalized_loss(examples, x_hat)
        dead = dead and not x_hat.any()
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
        "dead": dead,
    }
