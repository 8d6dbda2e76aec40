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


def panels(count: int, across: int, width: float, height: float, **options) -> tuple:
    """A figure with panels in rows of ``across``, ``height`` inches each; the rest is hidden."""
    down = -(-count // across)
    figure, grid = plt.subplots(
        down, across, figsize=(width, height * down), squeeze=False, **options
    )
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    return figure, grid


def draw_windows(axes, recording) -> list[tuple[str, int, int, str]]:
    """The windows of a `sanbook.data.DataSet`, one after the other.

    Returns:
        Name, first sample, end and shade of each part.
    """
    drawn, start = [], 0
    shades = {"train": "#000000", "validation": "#0072B2", "test": "#D55E00"}
    for part, shade in shades.items():
        samples = getattr(recording, part).numpy().ravel()
        end = start + samples.size
        axes.plot(np.arange(start, end), samples, color=shade, linewidth=0.6)
        drawn.append((part, start, end, shade))
        start = end
    axes.set_xlim(0, start)
    return drawn


@style()
def plot_events(model, window, origin: str = "") -> Figure:
    """A window of a recording and what its events describe; below it the events themselves.

    ``model`` is a `sanbook.signals.events.EventModel`, ``window`` a
    `sanbook.signals.windows.Window` in the units of the model, ``origin`` names file and channel.
    """
    events = model.find(window)
    moved = (event._replace(sample=event.sample - window.start) for event in events)
    (described,) = model.rebuild(moved)
    rate = model.sampling_rate or 1
    figure, (above, below) = plt.subplots(
        2, figsize=(9, 4.2), sharex=True, height_ratios=[3, 1.4], layout="constrained"
    )
    time = (window.start + np.arange(model.window)) / rate
    above.plot(time, window.values, color="0.7", linewidth=1.5, label="signal")
    above.plot(time, described, color="#D55E00", linewidth=0.8, label="sum of the events")
    units = "units unknown" if model.units == "unknown" else model.units
    _, *activations = events  # the first is the mean
    above.set(title=f"{origin}: {len(activations)} events" if origin else "")
    above.set_ylabel(f"signal\n({units})")
    above.legend(ncols=2, fontsize=8)
    below.axhline(0, color="0.85", linewidth=0.6)
    places = [event.sample / rate for event in activations]
    heights = [event.amplitude for event in activations]
    below.vlines(places, 0, heights, color="#0072B2", linewidth=1)
    below.set(
        xlabel="time (s)" if model.sampling_rate else "sample", ylabel=f"amplitude\n({units})"
    )
    return figure


def apart(values: Sequence[float], gap: float) -> np.ndarray:
    """Places for labels in the order of their values, near them, above 0 and ``gap`` apart."""
    from scipy.optimize import isotonic_regression  # takes time, and few figures have labels

    values = np.asarray(values, dtype=float)
    order, steps = np.argsort(values, kind="stable"), gap * np.arange(len(values))
    # The nearest places that far apart: what is left of the values without the gaps rises.
    rising = isotonic_regression(values[order] - steps).x
    places = np.empty_like(values)
    places[order] = np.maximum(rising, gap / 2) + steps
    return places


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
