"""Figures of results: signals, kernels, the plane of loss and compression, phi.

Axes as in `san_core`: B examples, q kernels, n samples, m kernel size.
"""

import contextlib
from collections.abc import Iterator, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sanbook.show.names import COLORS, NAMES

STYLE = {
    "figure.constrained_layout.use": True,
    "figure.figsize": (8, 4),
    "font.size": 10,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The style of the book, for what is drawn inside, or by the function that this decorates."""
    with plt.rc_context(STYLE):
        yield


@style()
def plot_windows(splits: dict[str, np.ndarray]) -> Figure:
    """Standardized windows one after the other, one shade per split; values are ``(B, n)``."""
    figure, axes = plt.subplots(figsize=(8, 2.6))
    for split, start, end, shade in draw_windows(axes, splits):
        axes.annotate(split, ((start + end) / 2, 1.02), ha="center", color=shade,
                      xycoords=("data", "axes fraction"))  # fmt: skip
    axes.set(xlabel="sample", ylabel="standard deviations")
    return figure


def draw_windows(axes, splits: dict[str, np.ndarray]) -> list[tuple[str, int, int, str]]:
    """Windows one after the other; returns name, first sample, end and shade of each split."""
    drawn, start = [], 0
    shades = ["#000000", "#0072B2", "#D55E00"]
    for shade, (split, windows) in zip(shades, splits.items(), strict=True):
        end = start + windows.size
        axes.plot(np.arange(start, end), windows.ravel(), color=shade, linewidth=0.6)
        drawn.append((split, start, end, shade))
        start = end
    axes.set_xlim(0, start)
    return drawn


@style()
def plot_walk(models: dict, window) -> Figure:
    """What each SAN makes of a window ``(n,)``: similarity, activations, reconstruction."""
    figure, rows = plt.subplots(
        len(models), 3, figsize=(9, 1.7 * len(models)), width_ratios=[1, 3, 3], squeeze=False
    )
    x = window[None]  # (1, n)
    for axes, (activation, model) in zip(rows, models.items(), strict=True):
        similarity, a = model.similarities(x)[0, 0].detach(), model.encode(x)[0, 0].detach()
        x_hat = model.decode(a[None, None])[0].detach()
        color = COLORS[activation]
        draw_kernel(axes[0], model.kernels[0].detach(), activation)
        axes[0].set_title(f"{NAMES[activation]}\nkernel w, m = {len(model.kernels[0])}")
        axes[1].plot(similarity, color="0.7", linewidth=0.8)
        draw_stems(axes[1], a, color=color, linewidth=0.8)
        axes[1].set_title(f"similarity s (grey), {a.count_nonzero()} activations a")
        axes[2].plot(x[0], color="0.7", linewidth=1.5)
        axes[2].plot(x_hat, color=color, linewidth=0.8)
        axes[2].set_title("window x (grey), reconstruction x̂")
    for axis in rows[-1]:
        axis.set_xlabel("sample")
    return figure


@style()
def plot_events(model, window) -> Figure:
    """A window of a recording, what its events draw, and below the events themselves.

    ``model`` is a `sanbook.signals.events.EventModel`, ``window`` a
    `sanbook.signals.windows.Window`. (Pages that draw other figures need not know these rooms.)
    """
    events = model.find(window)
    (drawn,) = model.rebuild(event._replace(sample=event.sample - window.start) for event in events)
    rate = model.sampling_rate or 1
    figure, (above, below) = plt.subplots(
        2, figsize=(9, 4.2), sharex=True, height_ratios=[3, 1.4], layout="constrained"
    )
    time = (window.start + np.arange(model.window)) / rate
    above.plot(time, window.values, color="0.7", linewidth=1.5, label="signal")
    above.plot(time, drawn, color="#D55E00", linewidth=0.8, label="drawn by the events")
    above.set_ylabel("value" if model.units == "unknown" else model.units)
    above.legend(ncols=2, fontsize=8)
    below.axhline(0, color="0.85", linewidth=0.6)
    _, *of_kernels = events  # the first is the mean
    below.vlines(
        [event.sample / rate for event in of_kernels],
        0,
        [event.amplitude for event in of_kernels],
        color="#0072B2",
        linewidth=1,
    )
    below.set(
        xlabel="seconds" if model.sampling_rate else "sample", ylabel=f"{len(of_kernels)} events"
    )
    return figure


def draw_kernel(axes, kernel, activation: str) -> None:
    """A kernel as a line in the colour of its activation function."""
    marker = "." if len(kernel) < 4 else None  # a line of one sample would not be seen
    axes.plot(kernel, color=COLORS[activation], linewidth=1, marker=marker)


def draw_stems(axes, a, **style) -> None:
    """A line from zero to each activation of a map ``(n,)``; all are one path, which is short."""
    a = np.asarray(a)
    places = np.flatnonzero(a)
    ends = np.stack([np.zeros(len(places)), a[places], np.full(len(places), np.nan)])
    axes.plot(np.repeat(places, 3), ends.T.ravel(), **style)


def draw_regions(axes, limit: float) -> None:
    """Shade the regions of the plane of loss and CR^-1 that the paper names."""
    quarter = np.linspace(0, np.pi / 2)
    axes.fill_between([0, limit], 2, limit + 2, color="#D55E00", alpha=0.10, linewidth=0)
    axes.fill_between([0, limit], 1, 2, color="#E69F00", alpha=0.12, linewidth=0)
    axes.fill_between([1, limit], 0, 1, color="#0072B2", alpha=0.10, linewidth=0)
    axes.fill_between(np.cos(quarter), np.sin(quarter), color="#009E73", alpha=0.15, linewidth=0)
    texts = {"φ < 1": (0.04, 0.06), "worse than\na constant": (1.02, 0.06),
             "worse than the data": (0.04, 1.06), "not sparse": (0.04, 2.06)}  # fmt: skip
    for text, place in texts.items():
        if place[0] < limit:
            axes.annotate(text, place, fontsize=8, color="0.35")


def draw_arcs(axes, radii: Sequence[float]) -> None:
    """Lines of equal phi in the plane of loss and CR^-1."""
    quarter = np.linspace(0, np.pi / 2)
    for radius in radii:
        axes.plot(radius * np.cos(quarter), radius * np.sin(quarter), color="0.6", linewidth=0.6)


@style()
def plot_activations(s, kept: dict) -> Figure:
    """A similarity map ``(n,)``, and what each activation function keeps of it."""
    figure, panels = plt.subplots(
        len(kept), figsize=(8, 1.3 * len(kept)), sharex=True, sharey=True, squeeze=False
    )
    for axes, (activation, a) in zip(panels.flat, kept.items(), strict=True):
        color, places = COLORS[activation], np.flatnonzero(a)
        axes.plot(s, color="0.7", linewidth=1, marker="o" if len(s) < 20 else None, markersize=3)
        draw_stems(axes, a, color=color, linewidth=1)
        axes.plot(places, a[places], "o", color=color, markersize=4 if len(s) < 20 else 2)
        axes.axhline(0, color="0.85", linewidth=0.6, zorder=0)
        axes.set_title(f"{NAMES[activation]}: {len(places)} of {len(s)} entries", loc="left")
    panels[-1, 0].set_xlabel("sample")
    return figure


@style()
def plot_phi(lines: pd.DataFrame, along: str, label: str) -> Figure:
    """Mean phi of each activation function along a column, with a band if given.

    ``lines`` has the columns activation, ``along``, phi and, for a band, low and high.
    """
    figure, axes = plt.subplots(figsize=(8, 3.6))
    draw_lines(axes, lines, along, "phi")
    axes.axhline(1, color="0.6", linewidth=0.8, linestyle=":")
    axes.set(xlabel=label, ylabel="φ̄", ylim=(0, None))
    figure.legend(loc="outside upper center", ncols=5, fontsize=9)
    return figure


def draw_lines(axes, lines: pd.DataFrame, along: str, metric: str) -> None:
    """A line for each activation function, and a band between the columns low and high if any."""
    for activation in NAMES:
        line = lines[lines.activation == activation].sort_values(along)
        axes.plot(line[along], line[metric], color=COLORS[activation], label=NAMES[activation])
        if "low" in line:
            band = line[along], line.low, line.high
            axes.fill_between(*band, color=COLORS[activation], alpha=0.15, linewidth=0)


@style()
def plot_phi_and_accuracy(rows: pd.DataFrame, baseline: float, unit: str) -> Figure:
    """phi and accuracy against the kernel size: mean over seeds, band from smallest to largest.

    ``rows`` has a row for each activation, kernel_size and seed; ``baseline`` is the accuracy on
    the data themselves, in percent; ``unit`` is that of the size, "samples" or "pixels".
    """
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.8))
    labels = {"phi": "φ̄ on test", "accuracy_percent": "accuracy on test (%)"}
    for axes, (metric, label) in zip(panels, labels.items(), strict=True):
        over_seeds = rows.groupby(["activation", "kernel_size"])[metric]
        lines = over_seeds.agg(["mean", "min", "max"]).reset_index()
        lines.columns = ["activation", "kernel_size", metric, "low", "high"]
        draw_lines(axes, lines, "kernel_size", metric)
        axes.set(xlabel=f"kernel size m ({unit})", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0].set_ylim(0, None)
    panels[1].axhline(
        baseline, color="0.4", linewidth=1, linestyle="--", label="the data themselves"
    )
    handles, labels = panels[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6, fontsize=9)
    return figure


@style()
def plot_examples(x, labels, classes: Sequence[str]) -> Figure:
    """The first examples of each class, ``(B, *spatial)`` with labels ``(B,)``.

    A row for each class of signals, a column for each class of images.
    """
    if x.ndim == 2:
        figure, grid = plt.subplots(len(classes), 6, figsize=(9, len(classes)), sharey=True)
        for row, name in zip(grid, classes, strict=True):
            row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    else:
        figure, grid = plt.subplots(4, len(classes), figsize=(9, 4))
        grid = grid.T
        for column, name in zip(grid, classes, strict=True):
            column[0].set_title(name.replace("/", "/\n"), fontsize=9)
    for label, of_class in enumerate(grid):
        for axes, example in zip(of_class, x[labels == label], strict=False):
            draw(axes, example, "#000000")
    return figure


@style()
def plot_feed_forward(model, x) -> Figure:
    """Every step of a SAN for one example ``(*spatial)``: x, then w, s, a, r of each kernel, x̂."""
    s, a = model.similarities(x[None])[0].detach(), model.encode(x[None])[0].detach()  # (q, ...)
    r = model.partial_reconstructions(a[None])[0].detach()
    color, q = COLORS[model.activation], len(model.kernels)
    figure, grid = plt.subplots(
        q, 6, figsize=(8, 1.8 * q), squeeze=False, width_ratios=[3, 2, 3, 3, 3, 3]
    )
    for i, axes in enumerate(grid):
        draw(axes[1], model.kernels[i].detach(), color)
        draw(axes[2], s[i], color)
        draw(axes[3], a[i], color)
        draw(axes[4], r[i], color)
        titles = ["kernel w", "similarity s", f"{a[i].count_nonzero()} activations a", "drawn r"]
        for axis, title in zip(axes[1:5], titles, strict=True):
            axis.set_title(title, fontsize=9)
    draw(grid[0, 0], x, "#000000")
    grid[0, 0].set_title("example x", fontsize=9)
    draw(grid[0, 5], r.sum(dim=0), color)
    grid[0, 5].set_title("reconstruction x̂", fontsize=9)
    for axes in grid[1:, [0, 5]].flat:
        axes.set_axis_off()
    return figure


@style()
def plot_reconstructions(models: dict, x) -> Figure:
    """Examples ``(B, *spatial)`` and what the SAN of each activation function makes of them."""
    figure, grid = plt.subplots(
        len(x), 1 + len(models), figsize=(10, 1.4 * len(x)), squeeze=False, sharey=True
    )
    for axes, example in zip(grid, x, strict=True):
        draw(axes[0], example, "#000000")
        for axis, (activation, model) in zip(axes[1:], models.items(), strict=True):
            draw(axis, model(example[None])[0].detach(), COLORS[activation])
    grid[0, 0].set_title("data", fontsize=8)
    for axis, (activation, model) in zip(grid[0, 1:], models.items(), strict=True):
        axis.set_title(f"{NAMES[activation]}, m = {len(model.kernels[0])}", fontsize=8)
    return figure


@style()
def plot_kernels_by_size(kernels: dict[str, dict[int, Sequence]]) -> Figure:
    """The kernels ``(q, *(m,) * ndim)`` of each activation function (row) and size (column)."""
    sizes = list(next(iter(kernels.values())))
    q = len(next(iter(kernels.values()))[sizes[0]])
    figure, grid = plt.subplots(
        len(kernels), len(sizes) * q, figsize=(10, 0.9 * len(kernels)), squeeze=False
    )
    for row, (activation, of_size) in zip(grid, kernels.items(), strict=True):
        drawn = [(m, kernel) for m, pair in of_size.items() for kernel in pair]
        for axes, (_, kernel) in zip(row, drawn, strict=True):
            draw(axes, kernel, COLORS[activation])
        row[0].set_ylabel(NAMES[activation].replace(" ", "\n"), fontsize=7)
    for axes, (m, _) in zip(grid[0], drawn, strict=True):
        axes.set_title(f"m = {m}", fontsize=7)
    return figure


def draw(axes, values, color: str) -> None:
    """A signal or kernel (n,) as a line, an image (height, width) in shades around zero."""
    axes.set(xticks=[], yticks=[])
    if values.ndim == 2:
        limit = max(float(abs(values).max()), 1e-12)
        axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
        axes.spines[:].set_visible(False)
        return
    axes.plot(values, color=color, linewidth=0.8, marker="." if len(values) < 4 else None)


@style()
def plot_ledger(numbers: pd.DataFrame, metrics: dict[str, str]) -> Figure:
    """Ours against published, one panel per metric; ``numbers`` of `ledger`."""
    figure, panels = plt.subplots(1, len(metrics), figsize=(11, 3.4))
    for axes, (metric, label) in zip(panels, metrics.items(), strict=True):
        of_metric = numbers[(numbers.metric == metric) & numbers["mean"].notna()]
        for activation in NAMES:
            part = of_metric[of_metric.activation == activation]
            bars = (part[["low", "high"]].sub(part["mean"], axis=0)).abs().to_numpy().T
            style = {"fmt": "o", "markersize": 3, "alpha": 0.6, "linewidth": 0.8}
            style |= {"color": COLORS[activation], "label": NAMES[activation]}
            axes.errorbar(part.published, part["mean"], yerr=bars, **style)
        limits = [of_metric.published.min(), of_metric.published.max()]
        axes.plot(limits, limits, color="0.5", linewidth=0.8, zorder=0)
        axes.set(title=label, xlabel="published", ylabel="ours")
    panels[0].legend(fontsize=7)
    return figure
