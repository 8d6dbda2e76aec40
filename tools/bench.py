"""Measure how fast the book computes, side by side with the plain way, in one run.

    python bench.py [--quick] [--data auto|real|sample] [--only CASE] CSV

The plain way is the published protocol, one small network after the other: `sanbook.training.fit`,
`san_core.SAN` for reconstructions, torch's own layers for classifiers. It takes too long to be
timed whole, so it is timed on some kernel sizes or some examples, evenly spread, and scaled to all;
the column ``note`` says on how many. What takes seconds is timed once after a warm-up, the rest is
the median of several repetitions. ``--only`` measures what begins with CASE, and what is measured
together with it; the table then has no other rows.
"""

import argparse
import copy
import functools
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import naive
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

import sanbook.data
from san_core import ACTIVATIONS
from sanbook.data.dataset import DataSet
from sanbook.files import write_table
from sanbook.scales import MultiscaleSAN, initial_prototypes, ladder
from sanbook.show.names import NAMES
from sanbook.training import PROTOCOLS, Protocol, evaluate, fit, initial_san, reconstruct, sweep
from sanbook.training.classifiers import CNN, FNN, classify_reconstructions
from sanbook.training.loops import kept

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


class PlainCNN(nn.Sequential):
    """The classifier of signals, of torch's layers."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(
            *(nn.Conv1d(1, 3, 5), nn.ReLU(), nn.MaxPool1d(2)),
            *(nn.Conv1d(3, 16, 5), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten()),
            *(nn.Linear(656, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
            nn.Linear(84, num_classes),
        )


def classify_plainly(san: nn.Module, data: DataSet, network: nn.Module, protocol: Protocol) -> None:
    """Train a classifier of what a SAN reconstructs, batch by batch, and test its best epoch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=protocol.learning_rate)
    best_accuracy = -1.0

    def predict(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            x_hat = san(x)
        return network(x_hat[:, None] if x.ndim == 2 else x_hat.flatten(1))

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
                    classes = len(data.card.classes)
                    signals = data.train.ndim == 2
                    network = PlainCNN(classes) if signals else nn.Linear(28 * 28, classes)
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


def database(quick: bool, _) -> Iterator[Row]:
    """The PhysioNet experiment on one database: every kernel size, each activation function."""
    repetitions, step, epochs = (1, 124, 2) if quick else (3, 10, 30)
    protocol, data = Protocol(epochs=epochs), signals(1000)
    sampled = KERNEL_SIZES[::step]
    scale = len(KERNEL_SIZES) / len(sampled)
    note = f"{epochs} epochs; plain: {len(sampled)} of {len(KERNEL_SIZES)} kernel sizes, scaled"
    total = reference_total = 0.0
    for activation in ACTIVATIONS:
        work = functools.partial(sweep, data, activation, KERNEL_SIZES, protocol=protocol)
        seconds = median_seconds(work, repetitions)
        reference = scale * seconds_of(lambda a=activation: fit_each(data, a, sampled, protocol))
        what = f"a database, all kernel sizes, {NAMES[activation]}"
        yield Row(f"e1-{activation}", what, seconds, reference, note)
        total, reference_total = total + seconds, reference_total + reference
    yield Row("e1-database", "a database, all five", total, reference_total, note)
    floor, rate = floor_seconds(protocol, KERNEL_SIZES, 1000)
    what = "the same, if all maps were dense and all operations matrix products"
    note = f"{rate / 1e9:.0f} GFLOP/s in matrix products"
    yield Row("e1-database-floor", what, 5 * floor, note=note)


def maps(quick: bool, _) -> Iterator[Row]:
    """Extrema of random maps, beside the definition as loops of Python."""
    generator = torch.Generator().manual_seed(0)
    for shape, ndim in (((64, 1000), 1), ((64, 178), 1), ((64, 28, 28), 2)):
        s = torch.randn(shape, generator=generator)
        seconds = median_seconds(lambda s=s, ndim=ndim: kept(s, "extrema", 1, ndim), 50)
        few = s[:: 8 if quick else 1].numpy()
        twin = seconds_of(lambda few=few: [naive.extrema(one, 1) for one in few])
        size = " x ".join(map(str, shape[1:]))
        yield Row(
            f"extrema-{ndim}d-" + "x".join(map(str, shape)),
            f"extrema of {len(s)} maps of {size}",
            seconds,
            twin * len(s) / len(few),
            f"random; plain: loops of Python, {len(few)} of {len(s)} maps, scaled",
        )


def epoch_of_images(quick: bool, data_source: str) -> Iterator[Row]:
    """An epoch of MNIST with six kernel sizes."""
    mnist = sanbook.data.load("mnist", data=data_source)
    ((protocol, sizes),) = protocols_of(GRIDS["mnist"], 1)
    count, few = (640, 64) if quick else (len(mnist.train), 6400)
    many, some = mnist.first(count, 64, 64), mnist.first(few, 64, 64)
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


def whole_page(name: str, share: int, quick: bool, data_source: str) -> Iterator[Row]:
    """All that the page of a data set with labels computes, with one seed."""
    data = sanbook.data.load(name, data=data_source)
    epochs, few = 5, part_of(data, share)
    network = CNN if data.train.ndim == 2 else FNN

    def compute(data: DataSet) -> None:
        for protocol, sizes in protocols_of(GRIDS[name], epochs):
            for activation in ACTIVATIONS:
                swept = sweep(data, activation, sizes, seeds=[0], protocol=protocol)
                classify_reconstructions(swept, data, network)

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


def reconstruct_all(quick: bool, data_source: str) -> Iterator[Row]:
    """All images of MNIST through one SAN."""
    mnist = sanbook.data.load("mnist", data=data_source)
    parts = mnist.train, mnist.validation, mnist.test
    count, few = sum(map(len, parts)), mnist.test[:2000]
    ((protocol, _),) = protocols_of(GRIDS["mnist"], 1)
    san = initial_san(3, 0, "extrema", few, protocol)
    with torch.no_grad():
        plain = median_seconds(lambda: [san(x) for x in few.split(500)], 3)
    yield Row(
        "reconstruct-70000",
        "reconstruct all images of MNIST, Extrema",
        median_seconds(lambda: [reconstruct(san, x) for x in parts], 3),
        plain * count / len(few),
        f"{count} images ({mnist.card.data_source}), m = 3; plain: {len(few)}, scaled",
    )


def pursuit(quick: bool, _) -> Iterator[Row]:
    """A window through a multiscale SAN."""
    x, model = signals(1000).train, MultiscaleSAN(initial_prototypes(1, 9, seed=0), ladder(9, 999))
    seconds = median_seconds(lambda: model.encode(x), 1 if quick else 5) / len(x)
    entries = model.encode(x).count_nonzero().item() / len(x)
    note = f"{len(model.kernels())} kernels, {entries:.0f} activations"
    yield Row("pursuit-1000", "a window of 1000 samples, multiscale SAN", seconds, note=note)


def growth(quick: bool, data_source: str) -> Iterator[Row]:
    """How the time of Extrema grows with kernel sizes, samples and images."""
    short = Protocol(epochs=3)
    data = signals(1000)
    for sizes in (range(1, 32), range(1, 63), range(1, 125), range(1, 250)):
        work = functools.partial(sweep, data, "extrema", sizes, protocol=short)
        what = f"{len(sizes)} kernel sizes, 1000 samples"
        yield Row(f"growth-sizes-{len(sizes)}", what, median_seconds(work, 3), note="3 epochs")
    for n in (500, 1000, 2000, 4000):
        work = functools.partial(sweep, signals(n), "extrema", KERNEL_SIZES, protocol=short)
        what = f"249 kernel sizes, {n} samples"
        yield Row(f"growth-n-{n}", what, median_seconds(work, 3), note="3 epochs")
    mnist = sanbook.data.load("mnist", data=data_source)
    ((protocol, sizes),) = protocols_of(GRIDS["mnist"], 1)
    some = mnist.first(640, 64, 64)
    plain = seconds_of(lambda: fit_each(some, "extrema", sizes, protocol)) / len(some.train)
    for count in (6250, 12500, 25000, 50000):
        many = mnist.first(count, 64, 64)
        work = functools.partial(sweep, many, "extrema", sizes, protocol=protocol)
        yield Row(
            f"growth-images-{count}",
            f"an epoch of {count} images, six kernel sizes",
            median_seconds(work, 3),
            plain * len(many.train),
            f"{len(many.train)} images ({mnist.card.data_source}); "
            f"plain: {len(some.train)}, scaled",
        )


# What begins with a key is measured by its function; the quick bench leaves out what is long.
SHORT = {"e1": database, "extrema": maps, "mnist-epoch": epoch_of_images, "pursuit": pursuit}
LONG = {
    "mnist-all": functools.partial(whole_page, "mnist", 50),
    "uci-all": functools.partial(whole_page, "uci-epilepsy", 20),
    "reconstruct": reconstruct_all,
    "growth": growth,
}


def measure(quick: bool, data_source: str, only: str) -> pd.DataFrame:
    """All cases, one row each; ``data_source`` is `sanbook.data.load`'s ``data``."""
    cases = SHORT if quick else SHORT | LONG
    chosen = [work for key, work in cases.items() if key.startswith(only) or only.startswith(key)]
    if not chosen:
        raise SystemExit(f"no case begins with {only!r}: expected one of {', '.join(cases)}")
    rows = []
    for work in chosen:
        for row in work(quick, data_source):
            rows.append(row)
            compared = f"{row.reference_seconds:10.3f} s" if row.reference_seconds else ""
            print(f"{row.case:36} {row.seconds:10.4f} s  {compared:14}{row.note}", flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of all this: {memory:.0f} MB")
    note = "megabytes, not seconds"
    rows.append(Row("peak-megabytes", "peak memory of all this", memory, note=note))
    table = pd.DataFrame(rows)
    table.insert(4, "ratio", table.reference_seconds / table.seconds)
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, nothing long")
    parser.add_argument("--data", default="auto", choices=["auto", "real", "sample"])
    parser.add_argument("--only", default="", metavar="CASE", help="what begins with CASE")
    parser.add_argument("csv", type=Path)
    options = parser.parse_args()
    table = measure(options.quick, options.data, options.only)
    write_table(options.csv, table)
