"""Train Sparsely Activated Networks, one by one (`fit`) or all kernel sizes at once (`sweep`).

`fit` is the published protocol written plainly, one `san_core.SAN` at a time. `sweep` computes the
same thing for many kernel sizes and seeds as one batched computation and is tested to follow `fit`.
Both minimise the mean absolute reconstruction error with Adam (article Sec. III-B; learning rate
0.01, betas 0.9 and 0.999), keep a copy of the weights of the epoch with the smallest mean phi on
validation, and return the same tidy table.

Axes as in `san_core` (B examples, q kernels, n samples, m kernel size), and in a sweep also

- ``S``: seeds; ``M``: kernel sizes; ``K = M * q``: kernels of one seed; ``T``: taps, the largest m
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor
from tqdm import tqdm

from san_core import (
    ACTIVATIONS,
    SAN,
    activate,
    inverse_compression_ratio,
    is_extremum,
    normalized_loss,
    phi,
    sparsity_density,
)

# Entries of all activation maps that are evaluated at once: 8 MB in single precision.
LARGEST_BATCH = 2**21
METRICS = ("inverse_compression_ratio", "normalized_reconstruction_loss", "phi")


@dataclass(frozen=True)
class Protocol:
    """How SANs are trained; the defaults are those of the PhysioNet experiment (Sec. IV-A).

    ``num_kernels`` is q, all of equal size; ``border_tolerance`` is in samples; ``init`` is
    ``"constant"`` (0.1, as the published code) or ``"normal"`` (N(0, 0.1^2), as the article says).
    """

    epochs: int = 30
    batch_size: int = 2
    num_kernels: int = 1
    border_tolerance: int = 3
    init: str = "constant"
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "num_kernels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, but is {getattr(self, name)}")


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
        ndim = kernels.ndim - 1
        model = initial_san(kernel_size, seed, self.activation, ndim, self.protocol)
        for kernel, trained in zip(model.kernels, kernels, strict=True):
            kernel.data = trained.clone()
        return model

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


def initial_san(kernel_size: int, seed: int, activation: str, ndim: int, protocol: Protocol) -> SAN:
    """The untrained SAN of a kernel size and a seed, whatever else is trained beside it.

    Every kernel size draws its weights from a stream of its own, so that neighbouring sizes do not
    start alike.
    """
    stream = np.random.SeedSequence([seed, kernel_size]).generate_state(1)[0]
    return SAN(
        [kernel_size] * protocol.num_kernels,
        activation,
        ndim,
        protocol.border_tolerance,
        protocol.init,
        torch.Generator().manual_seed(int(stream)),
    )


def batches(count: int, protocol: Protocol, generator: torch.Generator) -> Iterator[Tensor]:
    """Indices of the batches of one epoch, shuffled."""
    yield from torch.randperm(count, generator=generator).split(protocol.batch_size)


# --- one at a time --------------------------------------------------------------------------------


def reconstruct(model: SAN, x: Tensor) -> tuple[Tensor, Tensor]:
    """Reconstructions and CR^-1 of examples, ``(B, *spatial) -> (B, *spatial), (B,)``.

    >>> x_hat, inverse_cr = reconstruct(SAN([1], "identity", init="constant"), torch.ones(2, 10))
    >>> x_hat[0, 0], inverse_cr[0]
    (tensor(0.0100), tensor(2.1000))
    """
    entries_of_one_example = len(model.kernels) * x[0].numel()
    at_once = max(1, LARGEST_BATCH // entries_of_one_example)
    x_hat, inverse_cr = torch.empty_like(x), x.new_empty(len(x))
    with torch.no_grad():
        for start in range(0, len(x), at_once):
            part = slice(start, start + at_once)
            a = model.encode(x[part])
            x_hat[part] = model.decode(a)
            inverse_cr[part] = inverse_compression_ratio(a, model.num_weights, model.ndim)
    return x_hat, inverse_cr


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
            `sanbook.data.DataSet`.
        activation: a name in `san_core.ACTIVATION_FUNCTIONS`.
        kernel_size: m, in samples.
        seed: of the weights and of the order of the batches.
        protocol: see `Protocol`.
    """
    model = initial_san(kernel_size, seed, activation, data.train.ndim - 1, protocol)
    best, best_phi = model, torch.inf
    optimizer = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for epoch in range(1, protocol.epochs + 1):
        seen = []
        for batch in batches(len(data.train), protocol, generator):
            x = data.train[batch]
            seen.append(evaluate(model, x))
            optimizer.zero_grad()
            F.l1_loss(model(x), x).backward()
            optimizer.step()
        validation = evaluate(model, data.validation).mean(dim=0)
        rows.append((epoch, "train", *torch.cat(seen).mean(dim=0).tolist()))
        rows.append((epoch, "validation", *validation.tolist()))
        if validation[-1] < best_phi:
            best, best_phi, best_epoch = copy.deepcopy(model), validation[-1], epoch
    for epoch, tested in {best_epoch: best, protocol.epochs: model}.items():
        rows.append((epoch, "test", *evaluate(tested, data.test).mean(dim=0).tolist()))
    kernels = [
        {(kernel_size, seed): torch.stack([w.detach() for w in trained.kernels])}
        for trained in (best, model)
    ]
    table = pd.DataFrame(rows, columns=["epoch", "split", *METRICS])
    table.insert(0, "kernel_size", kernel_size)
    table.insert(1, "seed", seed)
    return Trained(table, *kernels, activation, protocol)


# --- all at once ----------------------------------------------------------------------------------


def sweep(
    data,
    activation: str,
    kernel_sizes: Sequence[int],
    *,
    seeds: Sequence[int] = (1,),
    protocol: Protocol = Protocol(),
) -> Trained:
    """Train one SAN for each kernel size and seed, all in one batched computation.

    Gives what `fit` gives for each of them, up to rounding. Similarities are one matrix product of
    the unfolded examples with all kernels, laid zero-padded around a common centre; decoding and
    its gradients are products of Fourier transforms; Adam on the padded bank with masked gradients
    is Adam on each kernel. A progress bar shows in a terminal only.

    Args:
        data: as in `fit`.
        activation: a name in `san_core.ACTIVATION_FUNCTIONS`.
        kernel_sizes: every m to train, each from 1 to the shortest side of an example.
        seeds: one SAN for each of them and each kernel size.
        protocol: see `Protocol`.

    Raises:
        ValueError: a kernel size is out of range, an example is zero everywhere, a training
            diverged, or an activation function that is not the paper's changes what it keeps.
    """
    spatial = data.train.shape[1:]
    bank = _Bank(activation, kernel_sizes, seeds, spatial, protocol)
    splits = (data.train, data.validation, data.test)
    train, validation, test = splits
    for split in (train, validation, test):
        normalized_loss(split, split)  # complains about examples that are zero everywhere
    optimizer = torch.optim.Adam([bank.weights], lr=protocol.learning_rate)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    best_weights = bank.weights.clone()
    best_phi = torch.full((len(seeds), len(bank.kernel_sizes)), torch.inf)
    best_epoch = torch.zeros_like(best_phi, dtype=torch.long)
    tables = []
    for epoch in tqdm(range(1, protocol.epochs + 1), desc=activation, leave=False, disable=None):
        orders = [batches(len(train), protocol, generator) for generator in generators]
        seen = 0.0
        for batch in zip(*orders, strict=True):
            x = train[torch.stack(batch)]  # (S, B, *spatial)
            bank.weights.grad, metrics = bank.gradient(x)
            optimizer.step()
            seen = seen + metrics.sum(dim=2)  # (S, M, 3)
        tables.append(bank.table(seen / len(train), epoch, "train"))
        means = bank.evaluate(validation, bank.weights)
        tables.append(bank.table(means, epoch, "validation"))
        mean_phi = means[..., -1]  # (S, M)
        better = mean_phi < best_phi
        best_phi[better], best_epoch[better] = mean_phi[better], epoch
        best_weights[better] = bank.weights[better]
    tables.append(bank.table(bank.evaluate(test, bank.weights), protocol.epochs, "test"))
    best_test = bank.table(bank.evaluate(test, best_weights), best_epoch, "test")
    tables.append(best_test[best_test.epoch != protocol.epochs])
    table = pd.concat(tables, ignore_index=True)
    kernels = bank.kernels(best_weights), bank.kernels(bank.weights)
    return Trained(table, *kernels, activation, protocol)


class _Bank:
    """The kernels of a sweep in one tensor, and what a training step does to all of them.

    ``weights`` is ``(S, M, q, *taps)``: each kernel lies zero-padded around a common centre, so
    that the same unfolded examples serve every kernel size.
    """

    def __init__(self, activation, kernel_sizes, seeds, spatial, protocol):
        self.kernel_sizes, self.seeds = sorted(set(kernel_sizes)), list(seeds)
        if not self.kernel_sizes or not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(
                "a sweep needs kernel sizes and different seeds, but got kernel sizes "
                f"{self.kernel_sizes} and seeds {self.seeds}"
            )
        self.activation, self.protocol, self.spatial = activation, protocol, tuple(spatial)
        self.ndim, self.n = len(spatial), math.prod(spatial)
        self.axes = tuple(range(-self.ndim, 0))
        smallest, largest = self.kernel_sizes[0], self.kernel_sizes[-1]
        if smallest < 1 or largest > min(spatial):
            raise ValueError(
                f"kernel sizes must lie in 1..{min(spatial)}, the shortest side of an example, "
                f"but are {smallest}..{largest}"
            )
        self.taps, self.centre = largest, (largest - 1) // 2
        # From this length on, correlation on a circle is the one with zeros beyond the borders.
        # Lengths that are multiples of 32 were measured to transform up to 3 times faster.
        shortest = [side + largest // 2 for side in spatial]
        self.circle = [32 * next_fast_len(-(-length // 32)) for length in shortest]
        members = (len(self.seeds), len(self.kernel_sizes), protocol.num_kernels)
        weights = torch.zeros(*members, *[self.taps] * self.ndim)
        mask = torch.zeros_like(weights)
        for i, seed in enumerate(self.seeds):
            for j, m in enumerate(self.kernel_sizes):
                model = initial_san(m, seed, activation, self.ndim, protocol)
                place = (i, j, slice(None), *self._place(m))
                weights[place] = torch.stack(list(model.kernels)).detach()
                mask[place] = 1.0
        self.weights, self.mask = weights, mask
        self.num_weights = self.mask.sum(dim=(2, *self.axes))[0]  # (M,)

    def _place(self, kernel_size: int) -> list[slice]:
        """Where a kernel lies among the taps: centred as `san_core` pads it."""
        first = self.centre - (kernel_size - 1) // 2
        return [slice(first, first + kernel_size)] * self.ndim

    def kernels(self, weights: Tensor) -> dict[tuple[int, int], Tensor]:
        """The kernels without their padding, by (kernel size, seed)."""
        return {
            (m, seed): weights[(i, j, slice(None), *self._place(m))].clone()
            for i, seed in enumerate(self.seeds)
            for j, m in enumerate(self.kernel_sizes)
        }

    def encode(self, x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Unfolded examples ``(S, taps, B * n)``, similarities and what is kept of them.

        ``x`` is ``(S, B, *spatial)``; similarities and kept are ``(S, M, q, B, *spatial)``.
        """
        unfolded = F.pad(x, [self.centre, self.taps - 1 - self.centre] * self.ndim)
        for axis in range(2, 2 + self.ndim):
            unfolded = unfolded.unfold(axis, self.taps, 1)
        # Taps first: what is copied then are whole rows of examples.
        unfolded = unfolded.movedim(self.axes, tuple(range(1, 1 + self.ndim)))
        unfolded = unfolded.reshape(len(x), self.taps**self.ndim, -1)
        s = weights.flatten(3).flatten(1, 2) @ unfolded  # (S, M * q, B * n)
        s = s.view(*weights.shape[:3], *x.shape[1:])
        tolerance = self.protocol.border_tolerance
        return unfolded, s, kept_entries(s, self.activation, self.kernel_sizes, tolerance)

    def transform(self, maps: Tensor) -> Tensor:
        """Fourier transform of maps, on a circle with room for the largest kernel."""
        return torch.fft.rfftn(maps, s=self.circle, dim=self.axes)

    def restore(self, transformed: Tensor) -> Tensor:
        """Inverse of `transform`, the whole circle."""
        return torch.fft.irfftn(transformed, s=self.circle, dim=self.axes)

    def transform_kernels(self, weights: Tensor) -> Tensor:
        """Fourier transform of the kernels, their centre at the origin: ``(S, M, q, 1, *f)``."""
        room = [k for side in reversed(self.circle) for k in (0, side - self.taps)]
        circular = F.pad(weights, room).roll([-self.centre] * self.ndim, self.axes)
        return self.transform(circular).unsqueeze(3)

    def example(self, maps: Tensor) -> Tensor:
        """The part of a circle that is an example."""
        return maps[(..., *[slice(side) for side in self.spatial])]

    def metrics(self, x: Tensor, a: Tensor, residual: Tensor) -> Tensor:
        """CR^-1, normalized loss and phi of each example, ``(S, M, B, 3)``."""
        # Counted in floating point, exact below 2^24: count_nonzero takes four times as long.
        nonzero = a.sign().abs().sum(dim=(2, *self.axes))  # (S, M, B)
        inverse_cr = (self.num_weights[:, None] + (self.ndim + 1) * nonzero) / self.n
        scale = x.abs().sum(dim=self.axes)[:, None]  # (S, 1, B)
        loss = residual.abs().sum(dim=self.axes) / scale
        return torch.stack([inverse_cr, loss, phi(inverse_cr, loss)], dim=-1)

    def gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient of the mean absolute errors, and the metrics; ``x`` is ``(S, B, *spatial)``.

        Written out rather than left to autograd, so that each transform is computed once.
        """
        unfolded, s, kept = self.encode(x, self.weights)
        a = s * kept
        kernels_f, a_f = self.transform_kernels(self.weights), self.transform(a)
        x_hat = self.example(self.restore((a_f * kernels_f.conj()).sum(dim=2)))
        residual = x_hat - x[:, None]  # (S, M, B, *spatial)
        error_f = self.transform(residual.sign() / (x.shape[1] * self.n)).unsqueeze(2)
        # As weights of the decoder: correlation of the error with the activations.
        decoder = self.restore((a_f * error_f.conj()).sum(dim=3))  # (S, M, q, *circle)
        decoder = decoder.roll([self.centre] * self.ndim, self.axes)
        decoder = decoder[(..., *[slice(self.taps)] * self.ndim)]
        # As weights of the encoder: through the kept activations to the unfolded examples.
        s_error = self.example(self.restore(error_f * kernels_f)) * kept
        encoder = s_error.flatten(1, 2).flatten(2) @ unfolded.mT  # (S, M * q, taps)
        gradient = (decoder + encoder.view_as(decoder)) * self.mask
        return gradient, self.metrics(x, a, residual)

    def evaluate(self, x: Tensor, weights: Tensor) -> Tensor:
        """Mean metrics ``(S, M, 3)`` of examples ``(B, *spatial)``, some at a time."""
        kernels_f = self.transform_kernels(weights)
        entries_of_one_example = math.prod(weights.shape[:3]) * self.n
        total = 0.0
        for batch in x.split(max(1, LARGEST_BATCH // entries_of_one_example)):
            batch = batch.expand(len(self.seeds), *batch.shape)
            _, s, kept = self.encode(batch, weights)
            a = s * kept
            x_hat = self.example(self.restore((self.transform(a) * kernels_f.conj()).sum(dim=2)))
            total = total + self.metrics(batch, a, x_hat - batch[:, None]).sum(dim=2)
        return total / len(x)

    def table(self, means: Tensor, epoch: int | Tensor, split: str) -> pd.DataFrame:
        """Means over examples ``(S, M, 3)`` as rows (kernel_size, seed, epoch, split)."""
        if not means.isfinite().all():
            i, j = (~means.isfinite()).nonzero()[0, :2].tolist()
            raise ValueError(
                f"the loss must be finite, but training with {self.activation} diverged at kernel "
                f"size {self.kernel_sizes[j]}, seed {self.seeds[i]}; use a smaller learning rate"
            )
        table = pd.DataFrame(means.flatten(0, 1).numpy(), columns=METRICS)
        table.insert(0, "kernel_size", self.kernel_sizes * len(self.seeds))
        table.insert(1, "seed", np.repeat(self.seeds, len(self.kernel_sizes)))
        table.insert(2, "epoch", np.broadcast_to(torch.as_tensor(epoch).flatten(), len(table)))
        table.insert(3, "split", split)
        return table


# --- the activation functions of many kernel sizes ------------------------------------------------


def kept_entries(
    s: Tensor, activation: str, kernel_sizes: Sequence[int], border_tolerance: int
) -> Tensor:
    """What `san_core.activate` keeps, for many kernel sizes at once.

    ``s`` is ``(S, M, q, B, *spatial)``, kernel sizes ascend along M. Returns 1 where an entry is
    kept and 0 elsewhere, same shape and dtype.
    """
    if activation == "identity":
        return torch.ones_like(s)
    if activation == "relu":
        return (s > 0).to(s.dtype)
    if activation == "top-k absolutes":
        spatial = s.shape[4:]
        counts = [math.prod(side // m for side in spatial) for m in kernel_sizes]
        return _kept_by_topk(s.abs().flatten(4), counts).view_as(s)
    signals = s.ndim == 5
    if signals and activation == "extrema-pool indices":
        return _kept_by_pooling(s.abs(), kernel_sizes)
    if signals and activation == "extrema":
        return _kept_by_extrema(s, [max(m - border_tolerance, 1) for m in kernel_sizes])
    return _kept_by_activate(s, activation, kernel_sizes, border_tolerance)


def _kept_by_activate(
    s: Tensor, activation: str, kernel_sizes: Sequence[int], border_tolerance: int
) -> Tensor:
    """Marks what is kept one kernel size after the other, with any activation function.

    Images have few kernel sizes, so there the loop over them costs little.
    """
    kept = []
    for maps, m in zip(s.unbind(dim=1), kernel_sizes, strict=True):
        d = sparsity_density(activation, m, s.shape[4:], border_tolerance)
        a = activate(maps, activation, d, ndim=s.ndim - 4)
        kept.append(a != 0)
        # The paper's five are tested not to.
        if activation not in ACTIVATIONS and (kept[-1] & ((a - maps).abs() > 0)).any():
            raise ValueError(
                "a sweep needs an activation function that keeps entries as they are or makes them "
                f"0, but {activation!r} changes them; train it with `fit`"
            )
    return torch.stack(kept, dim=1).to(s.dtype)


def _kept_by_topk(magnitude: Tensor, counts: Sequence[int]) -> Tensor:
    """Marks the largest entries of each map; ``counts`` descend along M of (S, M, q, B, n)."""
    counts = torch.tensor(counts)[:, None, None, None]  # (M, 1, 1, 1)
    # Finding more than is needed costs time: counts that differ by less than 2 go together.
    _, together = counts.log2().int().unique_consecutive(return_counts=True)
    thresholds = []
    for maps, count in zip(
        magnitude.split(together.tolist(), dim=1), counts.split(together.tolist()), strict=True
    ):
        largest = maps.topk(int(count[0]), dim=-1).values
        thresholds.append(largest.gather(-1, (count - 1).expand(*maps.shape[:-1], 1)))
    threshold = torch.cat(thresholds, dim=1)  # (S, M, q, B, 1)
    kept = (magnitude >= threshold).to(magnitude.dtype)
    surplus = kept.sum(dim=-1, keepdim=True) - counts
    ambiguous = surplus[..., 0] > 0  # maps with ties at the threshold: the last ones have to go
    tied = magnitude[ambiguous] == threshold[ambiguous]
    ties_from_here_on = tied.flip(-1).cumsum(dim=-1).flip(-1)
    kept[ambiguous] *= ~tied | (ties_from_here_on > surplus[ambiguous])
    return kept


def _kept_by_pooling(magnitude: Tensor, cells: Sequence[int]) -> Tensor:
    """Marks the largest entry of each cell; ``magnitude`` is (S, M, q, B, n)."""
    by_size, n = magnitude.transpose(0, 1), magnitude.shape[-1]  # (M, S, q, B, n)
    largest = [
        maps[..., : n // cell * cell].unflatten(-1, (-1, cell)).argmax(dim=-1).flatten()
        for maps, cell in zip(by_size, cells, strict=True)
    ]
    # Cells are numbered map by map: the map and the first sample of each.
    cell = torch.tensor(cells).repeat_interleave(by_size[0, ..., 0].numel())
    count = n // cell
    of_map = torch.arange(len(cell)).repeat_interleave(count)
    number = torch.arange(len(of_map)) - (count.cumsum(0) - count)[of_map]
    kept = torch.zeros_like(by_size, memory_format=torch.contiguous_format)
    kept.view(-1)[of_map * n + number * cell[of_map] + torch.cat(largest)] = 1.0
    return kept.transpose(0, 1)


def _kept_by_extrema(s: Tensor, distances: Sequence[int]) -> Tensor:
    """Marks the extrema that stay, each map with its own distance; ``s`` is (S, M, q, B, n).

    Follows `san_core.extrema`, on the list of all extrema rather than on all samples: in each
    round those stay that no living one in reach comes before in the order.
    """
    seeds, _, kernels, examples, n = s.shape
    extrema = is_extremum(s).flatten().nonzero().flatten()
    magnitude = s.abs().flatten()[extrema]
    of_map = extrema // n
    reach = torch.tensor(distances).repeat_interleave(kernels * examples)
    reach = reach.repeat(seeds)[of_map]
    position = extrema + of_map * max(distances)  # on one line, maps further apart than any reach
    kept = torch.zeros_like(s).flatten()
    while len(extrema):
        own = torch.arange(len(extrema))
        first = torch.searchsorted(position, position - reach)
        end = torch.searchsorted(position, position + reach, right=True)
        table = _maxima_of_powers_of_two(magnitude, int((end - first).max()))
        stays = magnitude > _range_maximum(table, first, own - first)
        stays &= magnitude >= _range_maximum(table, own + 1, end - own - 1)
        kept[extrema[stays]] = 1.0
        stayed = F.pad(stays.cumsum(dim=0), (1, 0))
        living = (stayed[end] == stayed[first]).nonzero().flatten()
        extrema, magnitude = extrema[living], magnitude[living]
        position, reach = position[living], reach[living]
    return kept.view_as(s)


def _maxima_of_powers_of_two(values: Tensor, widest: int) -> Tensor:
    """Row p holds the maxima of 2^p values from each position on, ``(N,) -> (levels, N)``.

    Where fewer values are left the row is not filled: nobody asks there.
    """
    table = values.new_empty(max(widest, 1).bit_length(), len(values))
    table[0] = values
    for level in range(1, len(table)):
        width = 1 << (level - 1)  # of the windows one row up, of which each new one joins two
        joined = len(values) - 2 * width + 1
        left, right = table[level - 1, :joined], table[level - 1, width : width + joined]
        torch.maximum(left, right, out=table[level, :joined])
    return table


def _range_maximum(table: Tensor, start: Tensor, width: Tensor) -> Tensor:
    """Maxima of ``width`` values from ``start`` on, -1 where the width is 0."""
    level = (torch.frexp(width.float()).exponent - 1).clamp(min=0).long()
    row = level * table.shape[1]
    last = (start + width - (1 << level)).clamp(min=0)
    values = table.flatten()
    maxima = torch.maximum(values[row + start.clamp(max=table.shape[1] - 1)], values[row + last])
    return torch.where(width > 0, maxima, -1.0)
