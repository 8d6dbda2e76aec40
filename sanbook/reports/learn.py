"""What the lessons show: a drawing for each idea, and whether a change gave the right value.

The lessons compute with `san_core` in view of the reader and hand over a SAN, a window of a
recording, or what an activation function kept. Axes as in `san_core`.
"""

import itertools
import tempfile
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from san_core import ACTIVATIONS, SAN
from sanbook import show
from sanbook.data import DataSet
from sanbook.methods import base as methods
from sanbook.methods.fixed import Wavelets
from sanbook.reports import drawings, listed, physionet, rounded, scores
from sanbook.show import figures
from sanbook.show.names import COLORS, NAMES, describe_activations
from sanbook.training import Protocol, evaluate, initial_san, orders_of_epochs, sweep
from sanbook.training import kernels as compiled


def check(what: str, value: float | Tensor, expected: float | Tensor) -> show.Shown:
    """Say whether a change gave the expected value, to a hundredth.

    >>> check("φ", 0.739, 0.93), check("φ", 0.931, 0.93)
    (φ is 0.739. After your change it should be 0.930., φ is 0.931: **right**.)
    """
    value = float(value.detach() if isinstance(value, Tensor) else value)
    if abs(value - float(expected)) <= 0.01:
        return show.say(f"{what} is {value:.3f}: **right**.")
    return show.say(f"{what} is {value:.3f}. After your change it should be {float(expected):.3f}.")


# --- the metric -----------------------------------------------------------------------------------


@figures.style()
def regions(points: Mapping[str, tuple[float, float]]) -> show.Shown:
    """Descriptions in the plane of φ: ``(CR⁻¹, L̃)`` by name."""
    described = [f"{name} at L̃ {y:.2f} and CR⁻¹ {x:.2f}" for name, (x, y) in points.items()]
    figure, axes = plt.subplots(figsize=(6, 5.4))
    figures.draw_regions(axes, 1.5)
    figures.draw_arcs(axes, np.arange(0.25, 2.6, 0.25))
    for name, (inverse_cr, loss) in points.items():
        axes.plot([0, loss], [0, inverse_cr], color="#000000", linewidth=1)
        axes.scatter([loss], [inverse_cr], color="#000000", zorder=3)
        axes.annotate(f"{name}: φ = {np.hypot(loss, inverse_cr):.2f}", (loss + 0.03, inverse_cr),
                      va="center")  # fmt: skip
    axes.set(xlabel="normalized reconstruction loss L̃", ylabel="inverse compression ratio CR⁻¹",
             xlim=(0, 1.5), ylim=(0, 2.5), aspect="equal")  # fmt: skip
    return show.figure(
        figure,
        name="fig-regions-of-phi",
        caption="The plane of loss and compression with its regions, arcs of equal φ, and the "
        "descriptions of this page.",
        alt="Plane with the normalized loss to the right and the inverse compression ratio "
        "upwards. A quarter disc around the origin is φ below 1; above CR⁻¹ = 1 it is worse than "
        "the data, right of L̃ = 1 worse than a constant, above CR⁻¹ = 2 not sparse. "
        f"{listed(described)}.",
        sources=[],  # a drawing, no data
    )


@figures.style()
def live_plane(recording: DataSet) -> show.Shown:
    """Networks of every activation function and several sizes, and wavelets, on one window."""
    x, protocol = recording.test[0], Protocol(init="constant")
    sizes = [4, 7, 10, 15, 22, 33, 50, 75, 110, 160, 229]
    swept = {a: sweep(recording, a, sizes, seeds=[0], protocol=protocol) for a in ACTIVATIONS}
    networks = [
        {"activation": a, "kernel": rounded(swept[a].best[m, 0][0])} for a in swept for m in sizes
    ]
    counts = [k for k in methods.kept_counts(len(x), ndim=1) if k <= 400][::2]
    points, drawn = [], []
    for k in counts:
        wavelets = Wavelets(wavelet="sym4", level=5, k=k)
        drawn.append(rounded(wavelets.decode(wavelets.encode(x[None]), x.shape)[0], 2))
        inverse_cr, loss, _ = methods.evaluate(wavelets, x[None])[0].tolist()
        points.append([loss, inverse_cr])
    with torch.no_grad():
        x_hat = swept["extrema"].model(sizes[-1], 0)(x[None])[0]
    figure, panels = plt.subplots(2, figsize=(8, 3.6), sharex=True, sharey=True)
    shown = {"a network": x_hat, "wavelets": drawn[4]}
    for axes, (name, values) in zip(panels, shown.items(), strict=True):
        axes.plot(x, color="0.7", linewidth=1.5)
        axes.plot(values, color="#0072B2", linewidth=1)
        axes.set_title(name, loc="left")
    panels[-1].set_xlabel("sample")
    return show.live(
        "plane",
        {
            "x": rounded(x, 4),
            "networks": networks,
            "wavelets": {"name": "sym4", "counts": counts, "points": points, "x_hat": drawn},
            "activations": describe_activations(),
            "border_tolerance": protocol.border_tolerance,
        },
        label="fig-plane-input",
        caption="Choose a length and an error by dragging the cross: the trained network and the "
        "wavelets that come nearest to both, on one window.",
        still=figure,
        alt=f"A window of {recording.card.name}, its reconstruction by a network, and by "
        f"{counts[4]} coefficients of wavelets.",
        sources=[recording.card.source],
    )


# --- the activation functions ---------------------------------------------------------------------


def kept(s: Tensor, of: Mapping[str, Tensor], *, name: str, caption: str) -> show.Shown:
    """Similarities ``(n,)`` or ``(height, width)``, and what each activation function keeps."""
    draw = plot_activations if s.ndim == 1 else plot_activations_2d
    return show.figure(
        draw(s, of),
        name=name,
        caption=caption,
        alt=f"The similarities and what is kept of their {s.numel()} entries: {_counts(of)}.",
        sources=[],  # numbers made up for the lesson
    )


def live_suppression(s: Tensor, distance: int, of: Tensor, source: str) -> show.Shown:
    """How Extrema thins out its candidates on a similarity map ``(n,)``, step by step."""
    return show.live(
        "suppression",
        {"s": rounded(s, 4), "distance": distance, "color": COLORS["extrema"]},
        label="fig-suppression",
        caption="Extrema thins its candidates out: the strongest is kept and suppresses those "
        "within the minimum distance, then the strongest of the rest, and so on.",
        still=plot_activations(s, {"extrema": of}),
        alt=f"A similarity map of {len(s)} samples; Extrema keeps {int(of.count_nonzero())}.",
        sources=[source],
    )


def live_densities(
    s: Tensor, size: int, border_tolerance: int, of: Mapping[str, Tensor], source: str
) -> show.Shown:
    """The five activation functions on one similarity map, with a slider for the kernel size."""
    return show.live(
        "densities",
        {
            "s": rounded(s, 4),
            "size": size,
            "border_tolerance": border_tolerance,
            "activations": describe_activations(),
        },
        label="fig-densities",
        caption="The five activation functions on one similarity map. The slider sets the kernel "
        "size, and with it the density of all.",
        still=plot_activations(s, of),
        alt=f"Five plots of the same similarity. Kept of {len(s)} at m = {size}: {_counts(of)}.",
        sources=[source],
    )


def _counts(of: Mapping[str, Tensor]) -> str:
    return scores({a: int(kept.count_nonzero()) for a, kept in of.items()}, "{}")


@figures.style()
def plot_activations(s, kept: dict) -> Figure:
    """A similarity map ``(n,)``, and what each activation function keeps of it."""
    figure, panels = plt.subplots(
        len(kept), figsize=(8, 1.3 * len(kept)), sharex=True, sharey=True, squeeze=False
    )
    for axes, (activation, a) in zip(panels.flat, kept.items(), strict=True):
        color, places = COLORS[activation], np.flatnonzero(a)
        axes.plot(s, color="0.7", linewidth=1, marker="o" if len(s) < 20 else None, markersize=3)
        figures.draw_stems(axes, a, color=color, linewidth=1)
        axes.plot(places, a[places], "o", color=color, markersize=4 if len(s) < 20 else 2)
        axes.axhline(0, color="0.85", linewidth=0.6, zorder=0)
        axes.set_title(f"{NAMES[activation]}: {len(places)} of {len(s)} entries", loc="left")
    panels[-1, 0].set_xlabel("sample")
    return figure


@figures.style()
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


# --- the network ----------------------------------------------------------------------------------


@figures.style()
def live_slide(model: SAN, x: Tensor, source: str) -> show.Shown:
    """A kernel that slides along a window ``(n,)``."""
    with torch.no_grad():
        s = model.similarities(x[None])[0, 0]
    (kernel,), color = model.kernels, COLORS[model.activation]
    figure, (above, below) = plt.subplots(2, figsize=(8, 3.6), sharex=True)
    above.plot(x, color="0.4", linewidth=1)
    above.set_title("signal x", loc="left")
    below.plot(s, color=color)
    below.set_title("similarity s", loc="left")
    below.set_xlabel("sample")
    return show.live(
        "slide",
        {"x": rounded(x, 3), "kernel": rounded(kernel), "color": color},
        label="fig-slide",
        caption="A kernel slides along a recording; underneath grows the similarity. Drag the "
        "kernel, or move the slider with the arrow keys.",
        still=figure,
        alt=f"Above {len(x)} samples, below their similarity with a kernel of {len(kernel)} "
        f"samples, largest at sample {int(s.argmax())}.",
        sources=[source],
    )


@figures.style()
def live_mirror(model: SAN, source: str) -> show.Shown:
    """What one activation of a SAN draws."""
    (kernel,), n = model.kernels, 400
    one = torch.zeros(1, 1, n)
    one[..., n // 2] = 1
    with torch.no_grad():
        drawn = model.decode(one)[0]
    figure, (above, below) = plt.subplots(2, figsize=(8, 3.6), sharex=True, sharey=True)
    above.plot(kernel.detach(), color=COLORS["extrema"])
    above.set_title("kernel w", loc="left")
    below.axvline(n // 2, color="0.6", linestyle=":")
    below.plot(drawn, color=COLORS["extrema"])
    below.set_title("what one activation draws", loc="left")
    below.set_xlabel("sample")
    return show.live(
        "mirror",
        {"kernel": rounded(kernel), "n": n, "color": COLORS[model.activation]},
        label="fig-mirror",
        caption="One activation draws the mirror image of the kernel. Draw it sample by sample, "
        "or move the activation.",
        still=figure,
        alt=f"Above a kernel of {len(kernel)} samples, below the same shape reversed around the "
        "place of an activation.",
        sources=[source],
    )


def steps(model: SAN, x: Tensor, *, name: str, caption: str, source: str) -> show.Shown:
    """Every step of a SAN for one example: ``(n,)`` on one axis of time, or an image."""
    with torch.no_grad():
        counts = [int(a.count_nonzero()) for a in model.encode(x[None])[0]]
    sizes = " and ".join(str(len(kernel)) for kernel in model.kernels)
    what = f"{len(x)} samples" if x.ndim == 1 else f"{x.shape[0]} by {x.shape[1]} pixels"
    return show.figure(
        drawings.plot_hero(model, x) if x.ndim == 1 else drawings.plot_feed_forward(model, x),
        name=name,
        caption=caption,
        alt=f"An example of {what}, kernels of size {sizes}, the similarities with "
        f"{' and '.join(map(str, counts))} activations, what is drawn at them, and the sum.",
        sources=[source],
    )


# --- training -------------------------------------------------------------------------------------


@figures.style()
def live_training(recording: DataSet, size: int = 100) -> show.Shown:
    """Trainings from normal weights that differ in their seed alone, epoch by epoch."""
    protocol, runs = Protocol(init="normal"), {"relu": [], "extrema": []}
    images = compiled.as_images(recording.train)
    for a, seed in itertools.product(runs, range(8)):
        model = initial_san(size, seed, a, recording.train, protocol)
        orders = orders_of_epochs(len(images), seed, protocol).numpy()
        rates = protocol.batch_size, protocol.learning_rate
        after_epoch, *_ = compiled.train(model, images, orders, *rates)
        kernels, measured = [model.kernels[0].detach().clone(), *after_epoch[:, 0]], []
        for kernel in kernels:
            model.kernels[0].data = kernel
            measured.append(evaluate(model, recording.validation).mean(dim=0).numpy().round(4))
        _, loss, phis = np.transpose(measured)
        runs[a].append({"kernels": [rounded(k, 3) for k in kernels], "loss": loss, "phi": phis})
    ends = {a: sorted(round(float(run["phi"][-1]), 2) for run in runs[a]) for a in runs}
    figure, panels = plt.subplots(1, len(runs), figsize=(8, 3), sharey=True)
    for axes, (activation, of) in zip(panels, runs.items(), strict=True):
        phis = np.transpose([run["phi"] for run in of])
        axes.plot(phis, color=COLORS[activation], linewidth=1)
        axes.set(title=NAMES[activation], xlabel="epoch", ylim=(0, None))
    panels[0].set_ylabel("φ̄ on validation")
    return show.live(
        "training",
        {
            "x": rounded(recording.test[0], 4),
            "runs": runs,
            "activations": describe_activations(),
            "border_tolerance": protocol.border_tolerance,
        },
        label="fig-training",
        caption=f"Recorded trainings with eight seeds, m = {size}. After {protocol.epochs} epochs "
        f"φ̄ on validation is {ends['relu'][0]} to {ends['relu'][-1]} with ReLU, "
        f"{ends['extrema'][0]} to {ends['extrema'][-1]} with Extrema.",
        still=figure,
        alt="φ̄ on validation by epoch, a line for each of eight seeds, with ReLU and with Extrema.",
        sources=[recording.card.source],
    )


# --- a recording, images --------------------------------------------------------------------------


def windows(recording: DataSet) -> show.Shown:
    """The windows of a recording, one after the other."""
    return physionet.signal(recording, "fig-windows")


def sizes(chosen: pd.DataFrame, recording: DataSet) -> show.Shown:
    """φ̄ on validation by kernel size, of networks with Extrema."""
    lines = chosen.assign(activation="extrema", phi=chosen.validation_phi)
    best = lines.loc[lines.phi.idxmin()]
    return show.figure(
        figures.plot_phi(lines, "kernel_size", "kernel size m (samples)"),
        name="fig-sizes",
        caption="φ̄ on the validation windows against the kernel size.",
        alt=f"A line over {len(lines)} kernel sizes; its smallest φ̄ is {best.phi:.2f} at m = "
        f"{best.kernel_size}.",
        sources=[recording.card.source],
    )


def places(samples: Tensor, amplitudes: Tensor, rate: float | None) -> show.Shown:
    """The events of a window as a table: where they are, and how strong."""
    table = pd.DataFrame({"sample": samples.numpy(), "amplitude": amplitudes.numpy()})
    if rate:
        table.insert(0, "seconds", table["sample"] / rate)
    return show.table(table, name="tab-events", caption=f"The {len(samples)} events.")


def reconstructions(models: Mapping[str, SAN], x: Tensor, source: str) -> show.Shown:
    """Examples ``(B, *spatial)`` and what the SAN of each activation function makes of them."""
    return show.figure(
        drawings.plot_reconstructions(models, x),
        name="fig-reconstructed-digits",
        caption="The data, and what each network makes of them.",
        alt=f"{len(x)} rows: an example, then its reconstructions by {', '.join(models)}.",
        sources=[source],
    )


# --- a signal of your own -------------------------------------------------------------------------


def pulses(seconds: int, rate: int, seed: int) -> str:
    """Write a recording of pulses in noise, about one a second, into a folder of its own.

    Returns:
        The path of the file, text with one column.
    """
    random = np.random.default_rng(seed)
    seconds_of = np.arange(seconds * rate) / rate
    beats = np.arange(0.5, seconds) + random.normal(scale=0.05, size=seconds)
    strengths = random.uniform(0.8, 1.2, size=seconds)
    apart = (seconds_of[:, None] - beats) / 0.05  # in widths of a pulse, which dips afterwards
    signal = (strengths * np.exp(-(apart**2) / 2) * (1 - apart)).sum(axis=1)
    signal += random.normal(scale=0.05, size=len(signal))
    path = Path(tempfile.mkdtemp(prefix="san-")) / "pulses.csv"
    pd.DataFrame({"pulse": signal}).to_csv(path, index=False)
    return str(path)


def table_of(events) -> show.Shown:
    """The events of a recording as a table, without the means of the windows."""
    table = pd.DataFrame([event for event in events if event.kernel not in ("mean", "gap")])
    table = table.drop(columns=["kernel", "length"])
    caption = f"The {len(table)} events of the recording."
    return show.table(table, name="tab-lesson-events", caption=caption)


def events(model, window) -> show.Shown:
    """A window of a recording and the events of an `sanbook.signals.EventModel` in it."""
    count = len(model.find(window)) - 1  # the first is the mean
    return show.figure(
        figures.plot_events(model, window),
        name="fig-events",
        caption="A window, what its events draw, and the events.",
        alt=f"A window of {model.window} samples and, below, its {count} events.",
        sources=["own"],
    )
