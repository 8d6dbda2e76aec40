"""Train Sparsely Activated Networks, one by one (`fit`) or all kernel sizes at once (`sweep`).

`fit` is the published protocol written plainly, one `san_core.SAN` at a time. `sweep` trains many
kernel sizes and seeds with the compiled loops of `sanbook.training.loops`, as many at the same time
as the page has threads, and is tested to follow `fit`. Both minimize the mean absolute
reconstruction error with Adam (article Sec. III-B; learning rate 0.01, betas 0.9 and 0.999), keep a
copy of the weights of the epoch with the smallest mean phi on validation, and return the same tidy
table.

Axes as in `san_core` (B examples, q kernels, n samples, m kernel size), and ``E``: epochs.
"""

import copy
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from san_core import (
    ACTIVATION_FUNCTIONS,
    SAN,
    inverse_compression_ratio_from_counts,
    normalized_loss,
    phi,
)
from sanbook.training import cache, kernels
from sanbook.training.files import san_of

# Entries of all activation maps that `san_core` computes at once: 8 MB in single precision.
LARGEST_BATCH = 2**21
MEASURES = ("inverse_compression_ratio", "normalized_reconstruction_loss", "phi")
INITS = ("normal", "constant", "segment")


@dataclass(frozen=True)
class Protocol:
    """How SANs are trained; the defaults are those of the PhysioNet experiment (Sec. IV-A).

    ``num_kernels`` is q, all of equal size; ``border_tolerance`` is in samples; ``init`` is
    ``"normal"`` (N(0, 0.1^2), as the article says), ``"constant"`` (0.1, as the code since 2020) or
    ``"segment"`` (`segment` of the training examples, which is not in the paper).
    """

    epochs: int = 30
    batch_size: int = 2
    num_kernels: int = 1
    border_tolerance: int = 3
    init: str = "normal"
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "num_kernels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")
        if self.init not in INITS:
            raise ValueError(f"init must be one of {', '.join(INITS)}, but is {self.init!r}")


_IMAGES = Protocol(5, 64, num_kernels=2, border_tolerance=2)

#: The protocol of each experiment: PhysioNet (Sec. IV-A), UCI-epilepsy in the batches of the
#: thesis (the article's are of 64, Sec. IV-B), MNIST and Fashion-MNIST (Sec. IV-C).
PROTOCOLS = {
    "physionet": Protocol(),
    "uci_epilepsy": replace(_IMAGES, batch_size=32),
    "mnist": _IMAGES,
    "fashion_mnist": _IMAGES,
}


@dataclass(frozen=True)
class Trained:
    """What training returns.

    ``table`` has one row for each (kernel_size, seed, epoch, split) with the means over examples of
    CR^-1, the normalized loss and phi. ``train`` rows are measured on the batches during the epoch,
    ``validation`` rows after it; ``test`` rows exist for the best epoch and for the last.
    ``best[kernel_size, seed]`` are the kernels ``(q, *(m,) * ndim)`` of the best epoch on
    validation, ``last`` those of the last; `model` makes a SAN of them.
    """

    table: pd.DataFrame
    best: dict[tuple[int, int], Tensor] = field(repr=False)
    last: dict[tuple[int, int], Tensor] = field(repr=False)
    activation: str
    protocol: Protocol

    def model(self, kernel_size: int, seed: int, rule: str = "best") -> SAN:
        """The SAN of a kernel size and a seed, of the ``"best"`` or the ``"last"`` epoch."""
        kernels = {"best": self.best, "last": self.last}[rule][kernel_size, seed]
        kernels = [kernel.clone() for kernel in kernels]
        return san_of(kernels, self.activation, self.protocol.border_tolerance)

    def select(self) -> pd.DataFrame:
        """Two test rows for each kernel size and seed, with the mean phi on validation.

        ``rule`` is ``"best"``, the epoch with the smallest mean phi on validation (the first of
        equals), or ``"last"``, the last epoch, which the published code tests.
        """
        keys = ["kernel_size", "seed"]
        validation = self.table[self.table.split == "validation"]
        best = validation.loc[validation.groupby(keys).phi.idxmin()]
        last = validation[validation.epoch == validation.epoch.max()]
        chosen = pd.concat([best.assign(rule="best"), last.assign(rule="last")])
        chosen = chosen[[*keys, "epoch", "rule", "phi"]].rename(columns={"phi": "validation_phi"})
        test = self.table[self.table.split == "test"]
        return chosen.merge(test.drop(columns="split"), on=[*keys, "epoch"])


@dataclass(frozen=True)
class Run:
    """The training of one SAN: means of `MEASURES`, and the kernels of two epochs.

    ``train`` and ``validation`` are ``(E, 3)``. ``test`` are the means at ``best_epoch`` and at the
    last epoch, ``(2, 3)``. ``seconds`` is the processor time of the training.
    """

    train: list[list[float]]
    validation: list[list[float]]
    test: list[list[float]]
    best_epoch: int
    best: Tensor
    last: Tensor
    seconds: float


def initial_san(
    kernel_size: int, seed: int, activation: str, train: Tensor, protocol: Protocol
) -> SAN:
    """The untrained SAN of a kernel size and a seed, whatever else is trained beside it.

    Every kernel size draws its weights from a stream of its own, so that neighbouring sizes do not
    start alike. ``train``, ``(B, *spatial)``, gives the segments and the number of axes.
    """
    stream = np.random.SeedSequence([seed, kernel_size]).generate_state(1)[0]
    count, tolerance = protocol.num_kernels, protocol.border_tolerance
    if protocol.init == "segment":
        generator = np.random.default_rng(stream)
        segments = [segment(train, kernel_size, generator) for _ in range(count)]
        return san_of(segments, activation, tolerance)
    generator = torch.Generator().manual_seed(int(stream))
    sizes, ndim = [kernel_size] * count, train.ndim - 1
    return SAN(sizes, activation, ndim, tolerance, protocol.init, generator)


def segment(train: Tensor, kernel_size: int, generator: np.random.Generator) -> Tensor:
    """A piece of a training example as a kernel, ``(B, *spatial) -> (m,) * ndim``.

    The piece lies around a sample that is drawn with its energy as probability. It is added to its
    mirror image, because `san_core.SAN` draws the mirror image of what it matches, and has unit
    norm, so that a lone activation already has the amplitude of the least squares.

    >>> segment(torch.tensor([[0.0, 0.0, 2.0, 0.0, 0.0]]), 3, np.random.default_rng(0))
    tensor([0., 1., 0.])
    """
    example = train[int(generator.integers(len(train)))]
    normalized_loss(example[None], example[None])  # complains about an example of zeros
    energy = example.double().numpy() ** 2
    strong = generator.choice(energy.size, p=energy.ravel() / energy.sum())
    # Sample (m - 1) // 2 of a kernel lies on its activation, as torch's "same" pads.
    first = [at - (kernel_size - 1) // 2 for at in np.unravel_index(strong, energy.shape)]
    padded = np.pad(example.numpy(), kernel_size)
    piece = padded[tuple(slice(at + kernel_size, at + 2 * kernel_size) for at in first)]
    symmetric = piece + np.flip(piece)
    kernel = symmetric if symmetric.any() else piece  # the mirror image may be the negative
    return torch.tensor(kernel / np.linalg.norm(kernel))


def orders_of_epochs(count: int, seed: int, protocol: Protocol) -> Tensor:
    """Indices of the examples in the order of each epoch, ``(E, B)``; batches follow each other."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randperm(count, generator=generator) for _ in range(protocol.epochs)])


# --- one at a time --------------------------------------------------------------------------------


def reconstruct(model: SAN, x: Tensor) -> tuple[Tensor, Tensor]:
    """Reconstructions and CR^-1 of examples, ``(B, *spatial) -> (B, *spatial), (B,)``.

    >>> x_hat, inverse_cr = reconstruct(SAN([1], "identity", init="constant"), torch.ones(2, 10))
    >>> x_hat[0, 0], inverse_cr[0]
    (tensor(0.0100), tensor(2.1000))
    """
    model.similarities(x[:1])  # complains about the axes of x and about kernels larger than it
    share = max(1, -(-len(x) // torch.get_num_threads()))
    parts = in_threads(lambda part: reconstruct_here(model, part), x.split(share))
    x_hat, counts = map(torch.cat, zip(*parts, strict=True))
    inverse_cr = inverse_compression_ratio_from_counts(
        counts, model.num_weights, x[0].numel(), model.ndim
    )
    return x_hat, inverse_cr


def reconstruct_here(model: SAN, x: Tensor) -> tuple[Tensor, Tensor]:
    """Reconstructions, as `reconstruct` gives them, and the counts of activations, ``(B,)``.

    All is done in the calling thread; by the compiled loops, unless the activation function is not
    one of the paper's or the examples are not in single precision.
    """
    if kernels.kind_of(model.activation) is not None and x.dtype == torch.float32:
        x_hat = torch.empty(x.shape)
        (counts,), _ = kernels.code(model, kernels.as_images(x), x_hat=kernels.as_images(x_hat))
        return x_hat, counts
    parts = []
    for part in x.split(max(1, LARGEST_BATCH // (len(model.kernels) * x[0].numel()))):
        with torch.no_grad():
            a = model.encode(part)
            parts.append((model.decode(a), a.flatten(1).count_nonzero(dim=1)))
    return tuple(map(torch.cat, zip(*parts, strict=True)))


def evaluate(model: SAN, x: Tensor) -> Tensor:
    """CR^-1, normalized loss and phi of each example, ``(B, *spatial) -> (B, 3)``.

    >>> evaluate(SAN([1], "identity", init="constant"), torch.ones(2, 10))[0]
    tensor([2.1000, 0.9900, 2.3217])
    """
    x_hat, inverse_cr = reconstruct(model, x)
    loss = normalized_loss(x, x_hat)
    return torch.stack([inverse_cr, loss, phi(inverse_cr, loss)], dim=-1)


def fit(
    data, activation: str, kernel_size: int, *, seed: int, protocol: Protocol = Protocol()
) -> Trained:
    """Train one SAN as published, plainly.

    Args:
        data: has ``train``, ``validation`` and ``test``, each ``(B, *spatial)``, such as
            `sanbook.data.dataset.DataSet`.
        activation: a name in `san_core.ACTIVATION_FUNCTIONS`.
        kernel_size: m, in samples.
        seed: of the weights and of the order of the batches.
        protocol: see `Protocol`.
    """
    run = _fit(data, activation, kernel_size, seed, protocol)
    return _trained({(kernel_size, seed): run}, activation, protocol)


def _fit(data, activation, kernel_size, seed, protocol) -> Run:
    started = time.thread_time()
    model = initial_san(kernel_size, seed, activation, data.train, protocol)
    best, best_phi = model, torch.inf
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)
    trained, validated = [], []
    for epoch, order in enumerate(orders_of_epochs(len(data.train), seed, protocol), start=1):
        seen = []
        for batch in order.split(protocol.batch_size):
            x = data.train[batch]
            seen.append(evaluate(model, x))
            optimizer.zero_grad()
            F.l1_loss(model(x), x).backward()
            optimizer.step()
        trained.append(torch.cat(seen).mean(dim=0).tolist())
        validated.append(evaluate(model, data.validation).mean(dim=0).tolist())
        if validated[-1][-1] < best_phi:
            best, best_phi, best_epoch = copy.deepcopy(model), validated[-1][-1], epoch
    tested = [evaluate(one, data.test).mean(dim=0).tolist() for one in (best, model)]
    best, last = (torch.stack([w.detach() for w in one.kernels]) for one in (best, model))
    seconds = time.thread_time() - started
    return Run(trained, validated, tested, best_epoch, best, last, seconds)


def _trained(runs: dict[tuple[int, int], Run], activation, protocol) -> Trained:
    """What training returns, of the runs by (kernel_size, seed)."""
    rows = []
    for key, run in runs.items():
        for epoch, means in enumerate(zip(run.train, run.validation, strict=True), start=1):
            rows += [(*key, epoch, "train", *means[0]), (*key, epoch, "validation", *means[1])]
        of_test = dict(zip((run.best_epoch, len(run.train)), run.test, strict=True))
        rows += [(*key, epoch, "test", *of_test[epoch]) for epoch in sorted(of_test)]
    table = pd.DataFrame(rows, columns=["kernel_size", "seed", "epoch", "split", *MEASURES])
    best, last = ({key: getattr(run, at) for key, run in runs.items()} for at in ("best", "last"))
    return Trained(table, best, last, activation, protocol)


# --- all at once ----------------------------------------------------------------------------------


def in_threads(work: Callable, tasks: Iterable) -> Iterator:
    """Results of ``work`` on each task, in their order, in as many threads as torch may use."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        yield from pool.map(work, tasks)


def sweep(
    data,
    activation: str,
    kernel_sizes: Sequence[int],
    *,
    seeds: Sequence[int] = (1,),
    protocol: Protocol = Protocol(),
) -> Trained:
    """Train one SAN for each kernel size and seed.

    Gives what `fit` gives for each of them, up to rounding. Each SAN is trained from the first
    epoch to the last in one thread, so it depends neither on the others nor on how many threads
    there are, and what it needs stays in the cache of one core. Activation functions that are not
    the paper's are trained with `fit`. A progress bar shows in a terminal and in `make lab`.

    Args:
        data: as in `fit`.
        activation: a name in `san_core.ACTIVATION_FUNCTIONS`.
        kernel_sizes: every m to train, each from 1 to the shortest side of an example.
        seeds: one SAN for each of them and each kernel size.
        protocol: see `Protocol`.

    Raises:
        ValueError: a kernel size is out of range, an example is zero everywhere, or a training
            diverged.
    """
    kernel_sizes, seeds = sorted(set(kernel_sizes)), list(seeds)
    if not kernel_sizes or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(
            "a sweep needs kernel sizes and different seeds, but got kernel sizes "
            f"{kernel_sizes} and seeds {seeds}"
        )
    shortest = min(data.train.shape[1:])
    if kernel_sizes[0] < 1 or kernel_sizes[-1] > shortest:
        raise ValueError(
            f"kernel sizes must lie in 1..{shortest}, the shortest side of an example, "
            f"but are {kernel_sizes[0]}..{kernel_sizes[-1]}"
        )
    splits = [data.train, data.validation, data.test]
    for split in splits:
        if not split.flatten(1).any(dim=1).all():
            normalized_loss(split, split)  # complains: it costs memory, so only then
    orders = {seed: orders_of_epochs(len(data.train), seed, protocol).numpy() for seed in seeds}
    images = [kernels.as_images(split) for split in splits]
    # The activation function itself is an argument, as another may be registered under its name.
    function = ACTIVATION_FUNCTIONS.get(activation)
    entries = {
        seed: cache.Entry(sweep, *splits, activation, function, protocol, seed) for seed in seeds
    }

    def train(kernel_size_and_seed) -> Run:
        kernel_size, seed = kernel_size_and_seed
        if kernels.kind_of(activation) is None:
            return _fit(data, activation, kernel_size, seed, protocol)
        model = initial_san(kernel_size, seed, activation, data.train, protocol)
        try:
            return _train(model, *images, orders[seed], protocol)
        except FloatingPointError as error:
            raise ValueError(
                f"the loss must be finite, but training with {activation} diverged at kernel size "
                f"{kernel_size}, seed {seed}; use a smaller learning rate"
            ) from error

    # The largest kernels take longest: they start first, so that no thread waits for them alone.
    tasks = [(m, seed) for m in reversed(kernel_sizes) for seed in seeds]
    tasks = [(m, seed) for m, seed in tasks if m not in entries[seed].found]
    progress, terminal_only = tqdm, None
    # `make lab`: a person looks at the notebook, but nobody at a process that it started.
    if "SAN_PROGRESS" in os.environ and "ipykernel" in sys.modules:
        from tqdm.notebook import tqdm as progress

        terminal_only = False
    options = {"leave": False, "disable": terminal_only}
    bar = progress(in_threads(train, tasks), activation, len(tasks), **options)
    computed = dict(zip(tasks, bar, strict=True))
    runs = {}
    for seed, entry in entries.items():
        further = {m: run for (m, of_seed), run in computed.items() if of_seed == seed}
        seconds = sum(run.seconds for run in further.values())
        of_sizes = entry.complete(further, seconds, kernel_sizes)
        runs |= {(m, seed): run for m, run in zip(kernel_sizes, of_sizes, strict=True)}
    return _trained(runs, activation, protocol)


def _train(model: SAN, train, validation, test, orders, protocol: Protocol) -> Run:
    """Train one SAN on images ``(B, H, W)``. FloatingPointError if a loss is not finite."""
    started = time.thread_time()
    after_epoch, *seen = kernels.train(
        model, train, orders, protocol.batch_size, protocol.learning_rate
    )

    def means_on(images, of_epochs):
        return _mean_metrics(model, n, *kernels.code(model, images, of_epochs))

    n = train[0].size
    trained, validated = _mean_metrics(model, n, *seen), means_on(validation, after_epoch)
    phis = [means[-1] for means in validated]
    best, last = phis.index(min(phis)), len(phis) - 1
    tested = means_on(test, after_epoch[sorted({best, last})])
    tested = [tested[0], tested[-1]]
    best_and_last = after_epoch[best].clone(), after_epoch[last].clone()
    seconds = time.thread_time() - started
    return Run(trained, validated, tested, best + 1, *best_and_last, seconds)


def _mean_metrics(model: SAN, n: int, counts: Tensor, losses: Tensor) -> list[list[float]]:
    """Means over examples of CR^-1, normalized loss and phi, E times, from ``(E, B)``."""
    losses = losses.double()
    if not losses.isfinite().all():
        raise FloatingPointError("a loss is not finite")
    inverse_cr = inverse_compression_ratio_from_counts(
        counts.double(), model.num_weights, n, model.ndim
    )
    metrics = torch.stack([inverse_cr, losses, phi(inverse_cr, losses)])  # (3, E, B)
    return metrics.mean(dim=2).T.tolist()
