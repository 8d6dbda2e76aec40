"""Measure how fast the book computes, side by side with the plain way, in one run.

    python bench.py [--quick] [--data auto|real|sample] CSV

Medians of several repetitions after a warm-up; of a single one for sweeps with ``--quick``, for an
epoch of MNIST, and for the plain way, which takes too long. That is `sanbook.training.fit` for one
kernel size after the other: the published protocol, with validation and test in batches. It is
timed on some kernel sizes, evenly spread, and scaled to all; the column ``note`` says on how many.
"""

import argparse
import functools
import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import naive
import pandas as pd
import torch

import sanbook.data
from san_core import ACTIVATIONS
from sanbook.scales import ScaleSAN, initial_mothers, ladder
from sanbook.sparse import kept
from sanbook.training import Protocol, fit, sweep

KERNEL_SIZES = range(1, 250)


def median_seconds(work: Callable[[], object], repetitions: int) -> float:
    """Median wall time of ``work``, after one call that is not counted."""
    work()
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def signals(n: int) -> SimpleNamespace:
    """Twelve windows as the experiment has them: smoothed, standardized noise."""
    noise = torch.randn(12, 1, n + 20, generator=torch.Generator().manual_seed(0))
    x = torch.nn.functional.avg_pool1d(noise, 21, stride=1)[:, 0]
    x = (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, keepdim=True)
    return SimpleNamespace(train=x[:6], validation=x[6:8], test=x[8:])


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


def measure(quick: bool, data_source: str) -> pd.DataFrame:
    """All cases, one row each; ``data_source`` is `sanbook.data.load`'s ``data`` for MNIST."""
    rows = []

    def record(case: str, seconds: float, reference: float | None = None, note: str = "") -> None:
        ratio = reference / seconds if reference else None
        rows.append((case, seconds, reference, ratio, note))
        compared = f"{reference:10.3f} s  {ratio:7.1f}x" if reference else ""
        print(f"{case:36} {seconds:10.4f} s  {compared}  {note}", flush=True)

    repetitions, step, epochs = (1, 124, 2) if quick else (3, 10, 30)
    protocol, data = Protocol(epochs=epochs), signals(1000)
    sampled = KERNEL_SIZES[::step]
    scale = len(KERNEL_SIZES) / len(sampled)
    note = f"{epochs} epochs; plain: {len(sampled)} of {len(KERNEL_SIZES)} kernel sizes, scaled"
    total = reference_total = 0.0
    for activation in ACTIVATIONS:
        work = functools.partial(sweep, data, activation, KERNEL_SIZES, protocol=protocol)
        seconds = median_seconds(work, repetitions)
        started = time.perf_counter()
        for kernel_size in sampled:
            fit(data, activation, kernel_size, seed=0, protocol=protocol)
        reference = (time.perf_counter() - started) * scale
        record(f"e1-{activation}", seconds, reference, note)
        total, reference_total = total + seconds, reference_total + reference
    record("e1-database", total, reference_total, note)
    floor, rate = floor_seconds(protocol, KERNEL_SIZES, 1000)
    record("e1-database-floor", 5 * floor, note=f"{rate / 1e9:.0f} GFLOP/s in matrix products")

    generator = torch.Generator().manual_seed(0)
    for shape, ndim in (((64, 1000), 1), ((64, 178), 1), ((64, 28, 28), 2)):
        s = torch.randn(shape, generator=generator)
        seconds = median_seconds(lambda s=s, ndim=ndim: kept(s, "extrema", 1, ndim), 50)
        few = s[:: 8 if quick else 1].numpy()
        twin = median_seconds(lambda few=few: [naive.extrema(one, 1) for one in few], 1)
        name = f"extrema-{ndim}d-" + "x".join(map(str, shape))
        record(
            name, seconds, twin * len(s) / len(few), f"random; twin: {len(few)} of {len(s)} maps"
        )

    mnist = sanbook.data.load("mnist", data=data_source)
    one_epoch = Protocol(1, 64, num_kernels=2, border_tolerance=2, init="normal")
    # The plain way is timed on a part of the images and scaled to the same number.
    count, few = (640, 64) if quick else (len(mnist.train), 6400)
    count = min(count, len(mnist.train))
    many, some = mnist.first(count, 64, 64), mnist.first(min(few, count), 64, 64)
    for activation in ACTIVATIONS:
        work = functools.partial(sweep, activation=activation, kernel_sizes=range(1, 7))
        work(some, protocol=one_epoch)
        started = time.perf_counter()
        work(many, protocol=one_epoch)
        seconds = time.perf_counter() - started
        started = time.perf_counter()
        for kernel_size in range(1, 7):
            fit(some, activation, kernel_size, seed=0, protocol=one_epoch)
        reference = (time.perf_counter() - started) * len(many.train) / len(some.train)
        note = f"{len(many.train)} images ({mnist.card.data_source}), m = 1..6"
        note += f"; plain: {len(some.train)}, scaled"
        record(f"mnist-epoch-{activation}", seconds, reference, note)

    short = Protocol(epochs=3)
    growing = () if quick else (range(1, 32), range(1, 63), range(1, 125), range(1, 250))
    for sizes in growing:
        work = functools.partial(sweep, data, "extrema", sizes, protocol=short)
        record(f"growth-sizes-{len(sizes)}", median_seconds(work, repetitions), note="3 epochs")
    for n in () if quick else (500, 1000, 2000, 4000):
        work = functools.partial(sweep, signals(n), "extrema", KERNEL_SIZES, protocol=short)
        record(f"growth-n-{n}", median_seconds(work, repetitions), note="3 epochs")

    x, model = signals(1000).train, ScaleSAN(initial_mothers(2, 7, seed=0), ladder(7, 999))
    seconds = median_seconds(lambda: model.encode(x), repetitions) / len(x)
    entries = model.encode(x).count_nonzero().item() / len(x)
    maps = len(model.kernels())
    record("pursuit-1000", seconds, note=f"a window; {maps} kernels, {entries:.0f} activations")

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of all this: {memory:.0f} MB")
    rows.append(("peak-megabytes", memory, None, None, "megabytes, not seconds"))
    return pd.DataFrame(rows, columns=["case", "seconds", "reference_seconds", "ratio", "note"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions and plain runs")
    parser.add_argument("--data", default="auto", choices=["auto", "real", "sample"])
    parser.add_argument("csv", type=Path)
    options = parser.parse_args()
    table = measure(options.quick, options.data)
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    unfinished = options.csv.with_suffix(".unfinished")
    table.to_csv(unfinished, index=False)
    os.replace(unfinished, options.csv)
