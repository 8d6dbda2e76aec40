"""Figures of the comparison with standard methods."""

from collections.abc import Iterator, Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from sanbook.data.dataset import DataSet
from sanbook.methods import METHODS, OWN_COUNT, SCALED, SIGNALS_ONLY, Measurement
from sanbook.show import figures
from sanbook.show.names import NAMES

LIMIT = 1.05  # of the planes
LEARNED = ("PCA", "dictionary, OMP", "convolutional dictionary")
FIXED = [m for m in (*METHODS, *OWN_COUNT, *SCALED) if m.startswith(("DCT", "wavelets"))]
SAMPLES = [m for m in (*METHODS, *OWN_COUNT) if "sampling" in m or "linear" in m]
KINDS = {  # marker, colour and methods
    "SANs of the paper": ("o", "#0072B2", [f"SAN, {name}" for name in NAMES.values()]),
    "fixed transforms": ("s", "#E69F00", FIXED),
    "learned": ("^", "#009E73", [m for m in METHODS if m in LEARNED]),
    "samples and lines": ("x", "#000000", SAMPLES),
    "pursuits of kernels": ("D", "#D55E00", [m for m in SCALED if m in SIGNALS_ONLY]),
    "multiscale SAN": ("*", "#CC79A7", ["multiscale SAN"]),
}


def draw_kinds(axes, rows: pd.DataFrame, x: str, y: str) -> None:
    """A point for each row of a table, one marker and colour for each kind."""
    for kind, (marker, color, methods) in KINDS.items():
        points = rows[rows.method.isin(methods)]
        axes.scatter(points[x], points[y], s=22, marker=marker, color=color, alpha=0.8, label=kind)


@figures.style()
def plot_planes(rows: pd.DataFrame, names: list[str]) -> Figure:
    """CR⁻¹ against L̃: a panel for each data set, a point for each method."""
    across = min(5, len(names))
    down = -(-len(names) // across)
    figure, panels = plt.subplots(
        down, across, figsize=(2.2 * across, 2.05 * down + 0.7), squeeze=False, sharex=True,
        sharey=True,
    )  # fmt: skip
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(panels.flat, names, strict=False):
        figures.draw_arcs(axes, (0.2, 0.4, 0.6, 0.8, 1.0))
        of_data = rows[rows.dataset == name]
        draw_kinds(axes, of_data, "normalized_reconstruction_loss", "inverse_compression_ratio")
        axes.set(title=name, xlim=(0, LIMIT), ylim=(0, LIMIT), aspect="equal")
    for axes in panels[:, 0]:
        axes.set_ylabel("CR⁻¹")
    for axes in panels.flat[max(0, len(names) - across) : len(names)]:
        axes.set_xlabel("L̃")
    legend = panels[0, 0].get_legend_handles_labels()
    figure.legend(*legend, loc="outside upper center", ncols=min(6, across + 1), fontsize=9)
    return figure


@figures.style()
def plot_bytes(rows: pd.DataFrame) -> Figure:
    """Encoded over stored size against CR⁻¹, a point for each method and data set."""
    figure, axes = plt.subplots(figsize=(8, 3.4))
    draw_kinds(axes, rows, "inverse_compression_ratio", "bytes_ratio")
    limits = [0.5 * rows.bytes_ratio.min(), 1.5 * rows.inverse_compression_ratio.max()]
    axes.plot(limits, limits, color="0.6", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="CR⁻¹", ylabel="encoded size / stored size")
    axes.legend(fontsize=8)
    return figure


@figures.style()
def plot_examples(
    shown: Mapping[str, DataSet],
    measured: Mapping[tuple[str, str], Measurement],
    phi: pd.DataFrame,
) -> Figure:
    """A panel for each data set: examples and reconstructions by the best method of each kind.

    ``phi`` has the mean φ of each method (index) on each data set (columns).
    """
    figure = plt.figure(figsize=(11, 5.2))
    panels = figure.subfigures(1, len(shown), squeeze=False)
    for panel, (name, data) in zip(panels.flat, shown.items(), strict=True):
        there = phi[name].dropna()
        of_kinds = {c: there.reindex(methods).dropna() for _, c, methods in KINDS.values()}
        methods = {values.idxmin(): color for color, values in of_kinds.items() if len(values)}
        draw = _draw_signals if data.test.ndim == 2 else _draw_images
        draw(panel, {m: (c, measured[name, m]) for m, c in methods.items()}, data)
    return figure


def _examples(found: Measurement, data: DataSet) -> Iterator[tuple]:
    """The first test example and the one with the largest φ: data, reconstruction, title."""
    for example in (0, int(found.metrics[:, 2].argmax())):
        x = data.test[example]
        x_hat = found.method.decode(found.method.encode(x[None]), x.shape)[0]
        yield x, x_hat, f"{'worst: ' if example else ''}φ {found.metrics[example, 2]:.2f}"


def _draw_signals(panel, methods: Mapping[str, tuple], data: DataSet) -> None:
    grid = panel.subplots(len(methods), 2, squeeze=False)
    for row, (method, (color, found)) in zip(grid, methods.items(), strict=True):
        for axes, (x, x_hat, title) in zip(row, _examples(found, data), strict=True):
            axes.plot(x, color="0.7", linewidth=1.2)
            figures.draw(axes, x_hat, color)
            axes.set_title(title, fontsize=9)
        style = {"fontsize": 9, "rotation": 0, "ha": "right", "va": "center"}
        row[0].set_ylabel(method.replace(" ", "\n"), **style)


def _draw_images(panel, methods: Mapping[str, tuple], data: DataSet) -> None:
    grid = panel.subplots(4, len(methods), squeeze=False)
    for column, (method, (_, found)) in zip(grid.T, methods.items(), strict=True):
        for i, (x, x_hat, title) in enumerate(_examples(found, data)):
            figures.draw(column[2 * i], x, "#000000")
            figures.draw(column[2 * i + 1], x_hat, "#000000")
            column[2 * i + 1].set_title(title, fontsize=9)
        column[0].set_title(method.replace(" ", "\n"), fontsize=9)
