"""What the pages of the book share: colours, figures, tables and result records.

A record is one JSON file per page. Whatever shows a number (a table, a caption, the text for those
who cannot see a figure, another page) takes it from there or from the variables it was made of.
"""

import io
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from san_core import ACTIVATIONS, SAN

# Okabe and Ito's colours, which colour-blind readers can tell apart, one per activation function.
COLORS = dict(
    zip(ACTIVATIONS, ["#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00"], strict=True)
)
NAMES = {
    "identity": "Identity",
    "relu": "ReLU",
    "top-k absolutes": "top-k absolutes",
    "extrema-pool indices": "Extrema-Pool indices",
    "extrema": "Extrema",
}
METRICS = {
    "inverse_compression_ratio": "CR⁻¹",
    "normalized_reconstruction_loss": "L̃",
    "phi": "φ̄",
}
PUBLISHED = Path(__file__).parent / "data" / "published"

plt.rcParams.update(
    {
        "figure.constrained_layout.use": True,
        "figure.figsize": (8, 4),
        "font.size": 10,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 10,
        "legend.frameon": False,
        # Opaque, so that a figure is legible in the dark theme too.
        "savefig.facecolor": "white",
        "svg.hashsalt": "san",
    }
)


# --- pages ----------------------------------------------------------------------------------------


def show(figure: Figure, *, name: str, caption: str, alt: str, simulated: bool = False) -> None:
    """Show a figure of a page as SVG, with its caption, its label and its text alternative.

    The three travel in the metadata of the output, from where ``make_book.py`` takes them to where
    Jupyter Book looks for them. A figure of simulated data is marked as such.
    """
    if simulated:
        style = {"ha": "center", "va": "center", "rotation": 20, "fontsize": 48, "zorder": 10}
        figure.text(0.5, 0.5, "simulated", color="grey", alpha=0.25, **style)
    image = io.StringIO()
    figure.savefig(image, format="svg")
    plt.close(figure)
    metadata = {"image/svg+xml": {"name": name, "caption": caption, "alt": alt}}
    display({"image/svg+xml": image.getvalue()}, raw=True, metadata=metadata)


def show_source(card) -> None:
    """Say which data a page used, loudly if they are not the paper's recording."""
    kinds = {"real": "note", "substitute": "warning", "simulated": "danger"}
    titles = {
        "real": "Data: the paper's recording",
        "substitute": "Data: a substitute recording",
        "simulated": "Data: simulated",
    }
    display(
        Markdown(
            f":::{{admonition}} {titles[card.source]}\n:class: {kinds[card.source]}\n"
            f"{card.note} ({card.signal}, {card.sampling_rate:g} samples per second.)\n:::"
        )
    )


def show_table(table: pd.DataFrame) -> None:
    """Show a table, numbers with three decimals and sentences in lines that wrap."""
    html = table.to_html(index=False, float_format="{:.3f}".format, border=0, na_rep="-")
    html = re.sub(r"<td>(?=[^<]{60})", '<td class="prose">', html)
    html = re.sub(r"<td>(?=[A-Za-z])", '<td class="text">', html)
    display(HTML(f'<div class="results-table">{html}</div>'))


def format_published(table: pd.DataFrame) -> pd.DataFrame:
    """The metrics of a published table under their symbols, with its two decimals."""
    return table[list(METRICS)].map("{:.2f}".format).rename(columns=METRICS)


def write_record(path: str | Path, record: dict) -> None:
    """Write the record of a page, whole or not at all; tables are stored as columns."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(record, default=_plain, allow_nan=False))
    os.replace(unfinished, path)


def _plain(value):
    """JSON of tables, arrays and their numbers."""
    if isinstance(value, pd.DataFrame):
        return value.to_dict(orient="list")
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a record holds tables, arrays, numbers and text, but not {type(value)}")


def read_records(directory: str | Path) -> list[dict]:
    """The records of all pages in a directory, by name."""
    paths = sorted(Path(directory).glob("*.json"))
    if not paths:
        raise FileNotFoundError(
            f"expected the records of executed pages in {directory}, but there are none; "
            "run `make book`, or open a database's notebook with `results` set to this directory"
        )
    return [json.loads(path.read_text()) for path in paths]


def published(name: str) -> pd.DataFrame:
    """A table of the paper: physionet, uci_epilepsy, mnist, fashion_mnist."""
    return pd.read_csv(PUBLISHED / f"{name}.csv")


# --- figures --------------------------------------------------------------------------------------


def plot_windows(splits: dict[str, np.ndarray]) -> Figure:
    """Standardized windows one after the other, one shade per split; values are ``(B, n)``."""
    figure, axes = plt.subplots(figsize=(8, 2.6))
    start = 0
    shades = ["#000000", "#0072B2", "#D55E00"]
    for shade, (split, windows) in zip(shades, splits.items(), strict=True):
        samples = np.arange(start, start + windows.size)
        axes.plot(samples, windows.ravel(), color=shade, linewidth=0.6)
        axes.annotate(split, ((samples[0] + samples[-1]) / 2, 1.02), ha="center", color=shade,
                      xycoords=("data", "axes fraction"))  # fmt: skip
        start += windows.size
    axes.set(xlabel="sample", ylabel="standard deviations", xlim=(0, start))
    return figure


def plot_walk(models: dict[str, SAN], window) -> Figure:
    """What each SAN makes of a window ``(n,)``: similarity, activations, reconstruction."""
    figure, rows = plt.subplots(
        len(models), 3, figsize=(9, 1.7 * len(models)), width_ratios=[1, 3, 3], squeeze=False
    )
    x = window[None]  # (1, n)
    for axes, (activation, model) in zip(rows, models.items(), strict=True):
        similarity, a = model.similarities(x)[0, 0].detach(), model.encode(x)[0, 0].detach()
        x_hat = model.decode(a[None, None])[0].detach()
        color, kept = COLORS[activation], a.nonzero().flatten()
        draw_kernel(axes[0], model.kernels[0].detach(), activation)
        axes[0].set_title(f"{NAMES[activation]}\nkernel w, m = {len(model.kernels[0])}")
        axes[1].plot(similarity, color="0.7", linewidth=0.8)
        axes[1].vlines(kept, 0, a[kept], color=color, linewidth=0.8)
        axes[1].set_title(f"similarity s (grey), {len(kept)} activations a")
        axes[2].plot(x[0], color="0.7", linewidth=1.5)
        axes[2].plot(x_hat, color=color, linewidth=0.8)
        axes[2].set_title("window x (grey), reconstruction x̂")
    for axis in rows[-1]:
        axis.set_xlabel("sample")
    return figure


def draw_kernel(axes, kernel, activation: str) -> None:
    """A kernel as a line in the colour of its activation function."""
    marker = "." if len(kernel) < 4 else None  # a line of one sample would not be seen
    axes.plot(kernel, color=COLORS[activation], linewidth=1, marker=marker)


def draw_regions(axes, limit: float) -> None:
    """Shade the regions of the plane of loss and CR^-1 that the paper names."""
    quarter = np.linspace(0, np.pi / 2)
    axes.fill_between([0, limit], 2, limit + 2, color="#D55E00", alpha=0.10, linewidth=0)
    axes.fill_between([0, limit], 1, 2, color="#E69F00", alpha=0.12, linewidth=0)
    axes.fill_between([1, limit], 0, 1, color="#0072B2", alpha=0.10, linewidth=0)
    axes.fill_between(np.cos(quarter), np.sin(quarter), color="#009E73", alpha=0.15, linewidth=0)
    texts = {"φ < 1": (0.04, 0.06), "worse than a constant": (1.02, 0.06),
             "worse than the data": (0.04, 1.06), "not sparse": (0.04, 2.06)}  # fmt: skip
    for text, place in texts.items():
        if place[0] < limit:
            axes.annotate(text, place, fontsize=8, color="0.35")


def plot_plane(table: pd.DataFrame, chosen: dict[str, SAN]) -> Figure:
    """CR^-1 against loss for every kernel size, the chosen kernels beside it.

    ``table`` has a row for each activation and kernel size; ``chosen`` the SAN of each activation.
    """
    figure = plt.figure(figsize=(9, 5))
    grid = figure.add_gridspec(len(chosen), 2, width_ratios=[4, 1])
    axes = figure.add_subplot(grid[:, 0])
    limit = max(1.2, 1.05 * table.normalized_reconstruction_loss.max())
    draw_regions(axes, limit)
    for row, (activation, model) in enumerate(chosen.items()):
        points = table[table.activation == activation]
        xy = points.normalized_reconstruction_loss, points.inverse_compression_ratio
        axes.scatter(*xy, s=8, alpha=0.5, color=COLORS[activation], label=NAMES[activation])
        best = points[points.kernel_size == len(model.kernels[0])]
        xy = best.normalized_reconstruction_loss, best.inverse_compression_ratio
        axes.scatter(*xy, s=90, marker="*", color=COLORS[activation], edgecolor="white", zorder=3)
        inset = figure.add_subplot(grid[row, 1])
        draw_kernel(inset, model.kernels[0].detach(), activation)
        inset.set_title(f"{NAMES[activation]}, m = {len(model.kernels[0])}", fontsize=8)
        inset.tick_params(labelsize=7)
    top = max(2.5, 1.05 * table.inverse_compression_ratio.max())
    axes.set(xlabel="normalized reconstruction loss L̃", ylabel="inverse compression ratio CR⁻¹",
             xlim=(0, limit), ylim=(0, top))  # fmt: skip
    axes.legend(loc="upper right")
    return figure


def plot_phi(lines: pd.DataFrame, along: str, label: str) -> Figure:
    """Mean phi of each activation function along a column, with a band of one deviation if given.

    ``lines`` has the columns activation, ``along``, phi and, for a band, deviation.
    """
    figure, axes = plt.subplots(figsize=(8, 3.6))
    for activation in ACTIVATIONS:
        line = lines[lines.activation == activation].sort_values(along)
        axes.plot(line[along], line.phi, color=COLORS[activation], label=NAMES[activation])
        if "deviation" in line:
            low, high = line.phi - line.deviation, line.phi + line.deviation
            axes.fill_between(line[along], low, high, color=COLORS[activation], alpha=0.12)
    axes.axhline(1, color="0.6", linewidth=0.8, linestyle=":")
    axes.set(xlabel=label, ylabel="φ̄", ylim=(0, None))
    axes.legend(ncols=3, fontsize=8)
    return figure


def plot_density(points: pd.DataFrame) -> Figure:
    """Where the trainings of all databases lie in the plane, one panel per activation function."""
    figure, panels = plt.subplots(1, len(ACTIVATIONS), figsize=(11, 3.2), sharex=True, sharey=True)
    for axes, activation in zip(panels, ACTIVATIONS, strict=True):
        draw_regions(axes, 2.0)
        chosen = points[points.activation == activation]
        xy = chosen.normalized_reconstruction_loss, chosen.inverse_compression_ratio
        axes.hexbin(*xy, gridsize=28, extent=(0, 2, 0, 2.5), mincnt=1, bins="log", cmap="viridis")
        axes.set(title=NAMES[activation], xlabel="L̃", xlim=(0, 2), ylim=(0, 2.5))
    panels[0].set_ylabel("CR⁻¹")
    return figure


def plot_kernels(kernels: dict[str, dict[str, Sequence[float]]], simulated: set[str]) -> Figure:
    """The kernel of each activation function (row) and database (column)."""
    figure, grid = plt.subplots(
        len(ACTIVATIONS), len(kernels), figsize=(0.95 * len(kernels), 5), squeeze=False
    )
    for column, (database, of_activation) in zip(grid.T, kernels.items(), strict=True):
        for axes, activation in zip(column, ACTIVATIONS, strict=True):
            kernel = of_activation[activation]
            draw_kernel(axes, kernel, activation)
            axes.set(xticks=[], yticks=[])
            axes.annotate(len(kernel), (0.97, 0.95), fontsize=7, color="0.4", ha="right", va="top",
                          xycoords="axes fraction")  # fmt: skip
        title = f"{database}\n(simulated)" if database in simulated else database
        column[0].set_title(title, fontsize=7)
    for axes, activation in zip(grid[:, 0], ACTIVATIONS, strict=True):
        axes.set_ylabel(NAMES[activation], fontsize=7)
    return figure


def plot_speed(cases: pd.DataFrame) -> Figure:
    """Seconds of each case, and of its reference, as bars; rows as in the results of bench.py."""
    figure, axes = plt.subplots(figsize=(8, 3))
    names = [case.removeprefix("e1-") for case in cases.index]
    axes.barh(names, cases.reference_seconds, color="0.85", label="one by one")
    axes.barh(names, cases.seconds, color=[COLORS[name] for name in names], label="batched sweep")
    axes.set(xscale="log", xlabel="seconds")
    axes.invert_yaxis()
    axes.legend()
    return figure
