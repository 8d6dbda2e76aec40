"""Figures of the lessons."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from sanbook.show import figures
from sanbook.show.names import COLORS, NAMES


def plot_hero(model, x) -> Figure:
    """A window ``(n,)`` through a SAN with one kernel, all on one axis of time, to scale."""
    s, a = model.similarities(x[None])[0, 0].detach(), model.encode(x[None])[0, 0].detach()
    (w,), color = model.kernels, COLORS[model.activation]
    figure, grid = plt.subplot_mosaic(
        [["w", "x"], [".", "s"], [".", "x̂"]], figsize=(8.5, 3.5), width_ratios=[1, 3]
    )
    places = a.nonzero().flatten().tolist()
    grid["w"].plot(w.detach(), color=color, linewidth=1.5)
    grid["w"].set_title(f"kernel w, m = {len(w)}", loc="left")
    grid["w"].set(xlabel="sample", xlim=(0, len(w)))
    grid["x"].plot(x, color="0.3", linewidth=0.9)
    grid["x"].set_title("1. a window x of the signal", loc="left")
    grid["s"].plot(s, color="0.65", linewidth=0.9)
    figures.draw_stems(grid["s"], a, color=color, linewidth=1.5)
    grid["s"].plot(places, a[places], "o", color=color, markersize=5)
    title = f"2. similarity s (grey): {len(places)} activations a are kept of it"
    grid["s"].set_title(title, loc="left")
    x_hat = torch.zeros_like(x)
    grid["x̂"].plot(x, color="0.65", linewidth=0.9)
    for place in places:
        alone = torch.zeros_like(a)
        alone[place] = a[place]
        drawn = model.decode(alone[None, None])[0].detach()
        inside = drawn.nonzero().flatten()
        grid["x̂"].fill_between(inside, drawn[inside], color=color, alpha=0.25, linewidth=0)
        x_hat += drawn
        for name in ("s", "x̂"):
            grid[name].axvline(place, color=color, linewidth=0.6, linestyle=":")
    grid["x̂"].plot(x_hat, color=color, linewidth=1.2)
    title = "3. the kernel drawn at each (filled); the sum x̂ (line) over x (grey)"
    grid["x̂"].set_title(title, loc="left")
    for name in ("x", "s", "x̂"):
        grid[name].set(xlim=(0, len(x)))
        grid[name].axhline(0, color="0.8", linewidth=0.6, zorder=0)
    grid["x̂"].set_xlabel("sample")
    return figure


def plot_similarity(model, x) -> Figure:
    """A signal ``(n,)`` and, below, its similarity with the one kernel of a SAN."""
    figure, (above, below) = plt.subplots(2, figsize=(8, 3.6), sharex=True)
    above.plot(x, color="0.4", linewidth=1)
    above.set_title("signal x", loc="left")
    below.plot(model.similarities(x[None])[0, 0].detach(), color=COLORS[model.activation])
    below.set_title("similarity s", loc="left")
    below.set_xlabel("sample")
    return figure


def plot_mirror(kernel, drawn, place: int) -> Figure:
    """A kernel ``(m,)`` and what an activation of 1 at a place of a map draws ``(n,)``."""
    figure, (above, below) = plt.subplots(2, figsize=(8, 3.6), sharex=True, sharey=True)
    above.plot(kernel, color=COLORS["extrema"])
    above.set_title("kernel w", loc="left")
    below.axvline(place, color="0.6", linestyle=":")
    below.plot(drawn, color=COLORS["extrema"])
    below.set_title("what one activation draws", loc="left")
    below.set_xlabel("sample")
    return figure


def plot_against_wavelets(x, by_san, by_wavelets) -> Figure:
    """A window ``(n,)`` and two reconstructions of it."""
    figure, panels = plt.subplots(2, figsize=(8, 3.6), sharex=True, sharey=True)
    drawn = {"a network": by_san, "wavelets": by_wavelets}
    for axes, (name, x_hat) in zip(panels, drawn.items(), strict=True):
        axes.plot(x, color="0.7", linewidth=1.5)
        axes.plot(x_hat, color="#0072B2", linewidth=1)
        axes.set_title(name, loc="left")
    panels[-1].set_xlabel("sample")
    return figure


def plot_runs(phis: dict[str, Sequence]) -> Figure:
    """phi by epoch of several trainings ``(E,)`` of each activation function."""
    figure, panels = plt.subplots(1, len(phis), figsize=(8, 3), sharey=True)
    for axes, (activation, of_runs) in zip(panels, phis.items(), strict=True):
        axes.plot(np.transpose(of_runs), color=COLORS[activation], linewidth=1)
        axes.set(title=NAMES[activation], xlabel="epoch", ylim=(0, None))
    panels[0].set_ylabel("φ̄ on validation")
    return figure


def plot_activations_2d(s, kept: dict) -> Figure:
    """A similarity map ``(height, width)``, and what each activation function keeps of it.

    A map of up to 100 entries has its values written on it.
    """
    figure, panels = plt.subplots(2, 3, figsize=(8, 5.6))
    maps = {"similarity s": s} | {
        f"{NAMES[activation]}: {int(a.count_nonzero())}": a for activation, a in kept.items()
    }
    for axes, (title, values) in zip(panels.flat, maps.items(), strict=True):
        figures.draw(axes, values, "#000000")
        axes.set_title(title, fontsize=9)
        if values.numel() <= 100:
            for row, column in values.nonzero().tolist():
                value = values[row, column]
                shade = "white" if value.abs() > 0.6 * values.abs().max() else "black"
                axes.text(column, row, f"{value:g}", color=shade, ha="center", va="center")
    return figure
