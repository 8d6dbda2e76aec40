"""Measure how fast the book computes, side by side with the plain way, in one run.

    python tools/bench.py CSV

The plain way is the published protocol, one small network after the other: `sanbook.training.fit`,
`san_core.SAN` for reconstructions, torch's own layers for classifiers. It takes too long to be
timed whole, so it is timed on some kernel sizes or some examples, evenly spread, and scaled to all;
the column ``note`` says on how many. What takes seconds is timed once after a warm-up, the rest is
the median of several repetitions.
"""

import copy
import functools
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import NamedTuple

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

import sanbook.data
import sanbook.training.cache
from san_core import ACTIVATIONS
from sanbook.data.dataset import DataSet
from sanbook.files import write_table
from sanbook.scales import MultiscaleSAN, initial_prototypes, ladder
from sanbook.show.names import NAMES
from sanbook.training import PROTOCOLS, Protocol, evaluate, fit, sweep
from sanbook.training.classifiers import CNN, FNN, classify_reconstructions

KERNEL_SIZES = range(1, 250)
OF_IMAGES = range(1, 7)
# As the page of each data set has them: kernel sizes by batch size.
GRIDS = {"mnist": {64: OF_IMAGES}, "uci-epilepsy": {32: range(15, 23), 64: range(8, 16)}}


class Row(NamedTuple):
    """One measurement: its key, what it is in words, seconds of the book and of the plain way."""

    case: str
    what: str
    seconds: float
    reference_seconds: float | None = None
    note: str = ""


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of ``work``."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def median_seconds(work: Callable[[], object], repetitions: int) -> float:
    """Median wall time of ``work``, after one call that is not counted."""
    work()
    return statistics.median(seconds_of(work) for _ in range(repetitions))


# --- the plain way --------------------------------------------------------------------------------


def fit_each(data, activation: str, kernel_sizes, protocol: Protocol) -> None:
    """Train one SAN after the other."""
    for kernel_size in kernel_sizes:
        fit(data, activation, kernel_size, seed=0, protocol=protocol)


def classify_plainly(san: nn.Module, data: DataSet, network: nn.Module, protocol: Protocol) -> None:
    """Train a classifier of what a SAN reconstructs, batch by batch, and test its best epoch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=protocol.learning_rate)
    best_accuracy = -1.0

    def predict(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x_hat = san(x)
        return network(x_hat)

    for _ in range(protocol.epochs):
        for batch in torch.randperm(len(data.train)).split(protocol.batch_size):
            loss = F.cross_entropy(predict(data.train[batch]), data.labels["train"][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        right = predict(data.validation).argmax(dim=1) == data.labels["validation"]
        if right.double().mean() > best_accuracy:
            best_accuracy, best = right.double().mean(), copy.deepcopy(network.state_dict())
    network.load_state_dict(best)
    predict(data.test)


def page_plainly(data: DataSet, grids: dict[int, range], epochs: int) -> None:
    """What the page of a data set with labels computes, one network after the other."""
    for protocol, sizes in protocols_of(grids, epochs):
        for activation in ACTIVATIONS:
            for kernel_size in sizes:
                trained = fit(data, activation, kernel_size, seed=0, protocol=protocol)
                for san in {epoch: trained.model(kernel_size, 0, rule)
                            for epoch, rule in trained.select()[["epoch", "rule"]].to_numpy()
                            }.values():  # fmt: skip
                    network = classifier_of(data)(len(data.card.classes))
                    classify_plainly(san, data, network, protocol)
                    evaluate(san, data.test)


# --- the cases ------------------------------------------------------------------------------------


def signals(n: int) -> SimpleNamespace:
    """Twelve windows as the experiment has them: smoothed, standardized noise."""
    noise = torch.randn(12, 1, n + 20, generator=torch.Generator().manual_seed(0))
    x = F.avg_pool1d(noise, 21, stride=1)[:, 0]
    x = (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True)
    return SimpleNamespace(train=x[:6], validation=x[6:8], test=x[8:])


def part_of(data: DataSet, share: int) -> DataSet:
    """The first examples of each part, one in ``share``."""
    return data.first(*(max(1, len(x) // share) for x in (data.train, data.validation, data.test)))


def classifier_of(data: DataSet) -> type[nn.Module]:
    """The classifier of such data."""
    return CNN if data.train.ndim == 2 else FNN


def protocols_of(grids: dict[int, range], epochs: int) -> Iterator[tuple[Protocol, range]]:
    """The protocols of a page with labels, and their kernel sizes."""
    for batch_size, sizes in grids.items():
        yield replace(PROTOCOLS["mnist"], epochs=epochs, batch_size=batch_size), sizes


def floor_seconds(protocol: Protocol, sizes: range, n: int) -> tuple[float, float]:
    """Time of one sweep if every operation ran at the machine's rate of matrix products.

    Five correlations for each training step (two forward, and the gradients of the activations, of
    the decoder and of the encoder), two for each evaluation; a correlation of n samples with m
    taps takes 2 n m operations. Returns (seconds, operations per second).
    """
    a, b = torch.randn(2000, 249), torch.randn(249, 249)
    rate = 2 * 2000 * 249 * 249 / median_seconds(lambda: a @ b, 50)
    correlations = protocol.epochs * (6 * 5 + 2 * 2) + 2 * 4 * 2
    return correlations * sum(2 * n * m for m in sizes) / rate, rate


def database() -> Iterator[Row]:
    """The PhysioNet experiment on one database: every kernel size, each activation function."""
    protocol, data = Protocol(), signals(1000)
    sampled = KERNEL_SIZES[::10]
    scale = len(KERNEL_SIZES) / len(sampled)
    note = f"{protocol.epochs} epochs; plain: {len(sampled)} of {len(KERNEL_SIZES)} kernel sizes, "
    note += "scaled"
    fit_each(data, "relu", sampled[:1], protocol)  # the first call of all is slower
    total = reference_total = 0.0
    for activation in ACTIVATIONS:
        work = functools.partial(sweep, data, activation, KERNEL_SIZES, protocol=protocol)
        seconds = median_seconds(work, 3)
        reference = scale * seconds_of(lambda a=activation: fit_each(data, a, sampled, protocol))
        what = f"a database, all kernel sizes, {NAMES[activation]}"
        yield Row(f"e1-{activation}", what, seconds, reference, note)
        total, reference_total = total + seconds, reference_total + reference
    yield Row("e1-database", "a database, all five", total, reference_total, note)
    floor, rate = floor_seconds(protocol, KERNEL_SIZES, 1000)
    what = "the same, if all maps were dense and all operations matrix products"
    note = f"{rate / 1e9:.0f} GFLOP/s in matrix products"
    yield Row("e1-database-floor", what, 5 * floor, note=note)


def epoch_of_images() -> Iterator[Row]:
    """An epoch of MNIST with six kernel sizes."""
    mnist = sanbook.data.load("mnist")
    ((protocol, sizes),) = protocols_of(GRIDS["mnist"], 1)
    many, some = mnist.first(len(mnist.train), 64, 64), mnist.first(6400, 64, 64)
    for activation in ACTIVATIONS:
        work = functools.partial(sweep, activation=activation, kernel_sizes=sizes)
        work(some, protocol=protocol)
        seconds = seconds_of(functools.partial(work, many, protocol=protocol))
        reference = seconds_of(lambda a=activation: fit_each(some, a, sizes, protocol))
        note = f"{len(many.train)} images ({mnist.card.data_source}), m = 1..6"
        note += f"; plain: {len(some.train)}, scaled"
        what = f"an epoch of MNIST, {NAMES[activation]}"
        scaled = reference * len(many.train) / len(some.train)
        yield Row(f"mnist-epoch-{activation}", what, seconds, scaled, note)


def whole_page(name: str, share: int) -> Iterator[Row]:
    """All that the page of a data set with labels computes, with one seed."""
    data = sanbook.data.load(name)
    epochs, few = 5, part_of(data, share)

    def compute(data: DataSet) -> None:
        for protocol, sizes in protocols_of(GRIDS[name], epochs):
            for activation in ACTIVATIONS:
                swept = sweep(data, activation, sizes, seeds=[0], protocol=protocol)
                classify_reconstructions(swept, data, classifier_of(data))

    compute(few)
    key = name.partition("-")[0]
    yield Row(
        f"{key}-all",
        f"{name}: SANs of five activation functions and their classifiers",
        seconds_of(lambda: compute(data)),
        share * seconds_of(lambda: page_plainly(few, GRIDS[name], epochs)),
        f"{len(data.train)} examples ({data.card.data_source}), {epochs} epochs, one seed; "
        f"plain: one in {share} examples, scaled",
    )


def pursuit() -> Iterator[Row]:
    """A window through a multiscale SAN."""
    x, model = signals(1000).train, MultiscaleSAN(initial_prototypes(1, 9, seed=0), ladder(9, 999))
    seconds = median_seconds(lambda: model.encode(x), 5) / len(x)
    entries = model.encode(x).count_nonzero().item() / len(x)
    note = f"{len(model.kernels())} kernels, {entries:.0f} activations"
    yield Row("pursuit-1000", "a window of 1000 samples, multiscale SAN", seconds, note=note)


def measure() -> pd.DataFrame:
    """All cases, one row each."""
    rows = []
    for work in (
        database,
        epoch_of_images,
        pursuit,
        functools.partial(whole_page, "mnist", 50),
        functools.partial(whole_page, "uci-epilepsy", 20),
    ):
        for row in work():
            rows.append(row)
            compared = f"{row.reference_seconds:10.3f} s" if row.reference_seconds else ""
            print(f"{row.case:36} {row.seconds:10.4f} s  {compared:14}{row.note}", flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    note = f"megabytes, not seconds; {os.cpu_count()} processors"
    rows.append(Row("peak-megabytes", "peak memory of all this", memory, note=note))
    table = pd.DataFrame(rows)
    table.insert(4, "ratio", table.reference_seconds / table.seconds)
    return table


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/bench.py CSV")
    sanbook.training.cache.FOLDER = None  # what is timed is computed
    write_table(sys.argv[1], measure().round(4))
