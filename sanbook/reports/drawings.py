"""What trained SANs make of examples, as figures that two pages share. Axes as in `san_core`."""

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from san_core import SAN, inverse_compression_ratio, normalized_loss, phi
from sanbook import show
from sanbook.reports import rounded
from sanbook.show import figures
from sanbook.show.names import COLORS, NAMES, describe_activations


@figures.style()
def plot_feed_forward(model, x) -> Figure:
    """Every step of a SAN for one example ``(*spatial)``: x, then w, s, a, r of each kernel, x̂."""
    s, a = model.similarities(x[None])[0].detach(), model.encode(x[None])[0].detach()  # (q, ...)
    r = model.partial_reconstructions(a[None])[0].detach()
    color, q = COLORS[model.activation], len(model.kernels)
    figure, grid = plt.subplots(
        q, 6, figsize=(8, 1.8 * q), squeeze=False, width_ratios=[3, 2, 3, 3, 3, 3]
    )
    for i, axes in enumerate(grid):
        figures.draw(axes[1], model.kernels[i].detach(), color)
        figures.draw(axes[2], s[i], color)
        figures.draw(axes[3], a[i], color)
        figures.draw(axes[4], r[i], color)
        titles = ["kernel w", "similarity s", f"{a[i].count_nonzero()} activations a", "drawn r"]
        for axis, title in zip(axes[1:5], titles, strict=True):
            axis.set_title(title, fontsize=9)
    figures.draw(grid[0, 0], x, "#000000")
    grid[0, 0].set_title("example x", fontsize=9)
    figures.draw(grid[0, 5], r.sum(dim=0), color)
    grid[0, 5].set_title("reconstruction x̂", fontsize=9)
    for axes in grid[1:, [0, 5]].flat:
        axes.set_axis_off()
    return figure


@figures.style()
def plot_reconstructions(models: dict, x) -> Figure:
    """Examples ``(B, *spatial)`` and what the SAN of each activation function makes of them."""
    figure, grid = plt.subplots(
        len(x), 1 + len(models), figsize=(10, 1.4 * len(x)), squeeze=False, sharey=True
    )
    for axes, example in zip(grid, x, strict=True):
        figures.draw(axes[0], example, "#000000")
        for axis, (activation, model) in zip(axes[1:], models.items(), strict=True):
            figures.draw(axis, model(example[None])[0].detach(), COLORS[activation])
    grid[0, 0].set_title("data", fontsize=8)
    for axis, (activation, model) in zip(grid[0, 1:], models.items(), strict=True):
        axis.set_title(f"{NAMES[activation]}, m = {len(model.kernels[0])}", fontsize=8)
    return figure


@figures.style()
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


# --- a live figure -------------------------------------------------------------------------------


def explorer(
    label: str,
    examples: str,
    x: torch.Tensor,
    points: pd.DataFrame,
    models: dict[str, dict[int, SAN]],
    chosen: dict[str, int],
    first: str,
) -> show.Shown:
    """Any of the trained SANs on one example.

    Args:
        label: The data set: its name, a colon, and what it is.
        examples: What the data set holds, "windows" or "images".
        x: The first test example, ``(n,)`` or ``(height, width)``.
        points: Means over all test examples: activation, kernel_size and the three metrics.
        models: A SAN of each activation function and kernel size.
        chosen: The kernel size with which each activation function starts.
        first: The activation function with which the figure starts.
    """
    name = label.partition(":")[0]
    order = ["normalized_reconstruction_loss", "inverse_compression_ratio", "phi"]
    networks = {}
    for activation, of_size in models.items():
        of_activation = points[points.activation == activation].set_index("kernel_size")
        of_activation = of_activation[order].round(4)
        networks[activation] = {
            "chosen": chosen[activation],
            "kernels": {m: [rounded(w) for w in model.kernels] for m, model in of_size.items()},
            "metrics": {m: of_activation.loc[m].to_numpy() for m in of_size},
            "points": of_activation[order[:2]].to_numpy(),
        }
        if x.ndim == 2:
            networks[activation]["maps"] = {m: _maps(model, x) for m, model in of_size.items()}
    return show.live(
        "explorer",
        label=f"fig-explorer-{name}",
        caption=f"Any of the networks on the first of the test {examples}. Data: {label}. Choose "
        "an activation function and a kernel size.",
        data={
            "activations": describe_activations(),
            "border_tolerance": models[first][chosen[first]].border_tolerance,
            "label": label,
            "examples": examples,
            "example": rounded(x),
            "kernel_sizes": sorted(models[first]),
            "first": first,
            "networks": networks,
        },
    )


def _maps(model: SAN, x: torch.Tensor) -> dict:
    """What a SAN makes of one image ``(height, width)``."""
    with torch.no_grad():
        s, a = model.similarities(x[None]), model.encode(x[None])
        x_hat = model.decode(a)
    inverse_cr = inverse_compression_ratio(a, model.num_weights, ndim=2)
    loss = normalized_loss(x[None], x_hat)
    metrics = torch.cat([loss, inverse_cr, phi(inverse_cr, loss)])
    return {
        "s": rounded(s[0], 3),
        "kept": (a[0] != 0).int().numpy(),
        "activations": int(a.count_nonzero()),
        "x_hat": rounded(x_hat[0], 3),
        "metrics": rounded(metrics),
    }
