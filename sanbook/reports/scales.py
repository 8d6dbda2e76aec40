"""Multiscale SANs: what each ingredient contributes, on the recordings of the paper."""

import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

import sanbook.data
from san_core import ACTIVATIONS
from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.data.manifest import MANIFEST, data_folder
from sanbook.methods import SCALED, Measurement, measure
from sanbook.methods.base import Method, choose, evaluate, evaluate_code
from sanbook.methods.networks import TrainedNetwork
from sanbook.reports.networks import PaperSANs, multiscale_candidates
from sanbook.scales import CANDIDATES, ROUNDS, Fitted, MultiscaleSAN
from sanbook.scales.pursuit import Atoms, code_of, pursue
from sanbook.show import figures
from sanbook.show.names import METRICS, over_seeds
from sanbook.signals.formats import open_recording
from sanbook.signals.windows import windows_of

PAPER, JOINT, PURSUIT = "SAN of the paper", "joint amplitudes", "matching pursuit"
LENGTHS, LEARNED = "many lengths", "learned prototypes"
STEPS = (PAPER, JOINT, PURSUIT, LENGTHS, LEARNED)
MULTISCALE, GABOR, WAVELETS = "multiscale SAN", "Gabor atoms, OMP", "wavelets, count per example"
COSTS = {2: "2 numbers per activation", 3: "scale charged"}


def settings(profile: str) -> dict:
    """Arguments of `compare_scales`: its own, or one small candidate for as many epochs."""
    return {} if profile == "paper" else {"candidates": [CANDIDATES[0]], "rounds": [sum(ROUNDS)]}


def choose_sans(
    recordings: Mapping[str, DataSet], folder: str, seed: int
) -> tuple[dict[str, Method], show.Shown]:
    """The SAN of the paper with the smallest φ̄ on validation of each recording; their origin."""
    sans = PaperSANs(recordings, folder, seed)
    chosen = {}
    for name, recording in recordings.items():
        every = itertools.chain.from_iterable(sans.candidates(name, a) for a in ACTIVATIONS)
        chosen[name], _ = choose(every, recording.validation, 1)
    return chosen, sans.origins()


def ablation(
    san: TrainedNetwork, fit: Fitted, windows: Tensor
) -> Iterator[tuple[str, int, Tensor]]:
    """CR⁻¹, loss and φ of windows ``(B, n)`` after each step: step, cost, ``(B, 3)``.

    ``san`` has one kernel. Of many lengths there are two costs of an activation, see `COSTS`.
    """
    (kernel,), a = san.weights, san.encode(windows)
    atoms = Atoms([kernel], windows.shape[1])
    yield PAPER, 2, evaluate_code(san, windows, a)
    chosen = [activations.flatten().nonzero().flatten() for activations in a]
    yield JOINT, 2, evaluate_code(san, windows, code_of(atoms, chosen, windows))
    yield PURSUIT, 2, evaluate_code(san, windows, pursue(atoms, windows, 2, san.num_weights))
    for step, prototypes in ((LENGTHS, fit.initial), (LEARNED, fit.model.prototypes)):
        for cost in COSTS:
            model = MultiscaleSAN(prototypes, fit.model.lengths, cost)
            yield step, cost, evaluate(TrainedNetwork(model), windows)


def measure_methods(
    recordings: Mapping[str, DataSet], models: Mapping[str, MultiscaleSAN], seed: int
) -> dict[tuple[str, str, int], Measurement]:
    """The multiscale SAN, Gabor atoms and wavelets on each recording, with each cost."""
    measured = {}
    for (name, recording), cost in itertools.product(recordings.items(), COSTS):
        methods = {MULTISCALE: multiscale_candidates(models[name])}
        for method, candidates in (methods | {m: SCALED[m] for m in (GABOR, WAVELETS)}).items():
            charged = functools.partial(candidates, scale_paid=cost == 3)
            measured[name, method, cost] = measure(charged, recording, seed)
    return measured


def later_windows(name: str, recording: DataSet, directory: str) -> Tensor | None:
    """Up to twelve standardized windows that follow the twelve of the paper, or None."""
    if recording.card.source == "simulated":
        return None
    folder = data_folder(directory or None) / MANIFEST[name].folder
    cuts = windows_of(open_recording(folder / f"{recording.card.record}.hea", 0), 1000)
    start, stop = sanbook.data.SAMPLES, 2 * sanbook.data.SAMPLES
    until = itertools.takewhile(lambda cut: cut.start < stop, cuts)
    usable = [cut.standardized for cut in until if cut.start >= start and not cut.fault]
    return torch.stack(usable) if usable else None


@dataclass
class Report(reports.Page):
    """What multiscale SANs give on the recordings, step by step and beside other methods.

    Attributes:
        ablation: dataset, seed, step, cost, phi on the test windows.
        compared: the rows of the results file.
    """

    recordings: Mapping[str, DataSet]
    fitted: Mapping[tuple[str, int], Fitted]  # of each (name, seed), see `compare_scales`
    sans: Mapping[str, TrainedNetwork]  # of the paper, see `choose_sans`
    measured: Mapping[tuple[str, str, int], Measurement]  # see `measure_methods`
    data_directory: str  # of the windows after those of the paper
    profile: str

    def __post_init__(self) -> None:
        self.cards = reports.cards(self.recordings)
        self.seeds = list(dict.fromkeys(seed for _, seed in self.fitted))
        self.shown = {name: self.fitted[name, self.seeds[0]] for name in self.recordings}
        rows = [
            (name, seed, step, cost, found[:, 2].mean().item())
            for (name, seed), fit in self.fitted.items()
            for step, cost, found in ablation(self.sans[name], fit, self.recordings[name].test)
        ]
        self.ablation = pd.DataFrame(rows, columns=["dataset", "seed", "step", "cost", "phi"])
        self.compared = pd.DataFrame([self._row(*key) for key in self.measured])
        later = {
            n: later_windows(n, part, self.data_directory) for n, part in self.recordings.items()
        }
        self.later = {name: windows for name, windows in later.items() if windows is not None}
        rows = [
            (*key, evaluate(found.method, self.later[key[0]])[:, 2].mean().item())
            for key, found in self.measured.items()
            if key[0] in self.later
        ]
        self.confirmed = pd.DataFrame(rows, columns=["dataset", "method", "cost", "phi"])
        by_step = self.ablation[self.ablation.cost == 2].groupby("step").phi.mean()
        self.by_step = by_step.loc[list(STEPS)]

    def _row(self, name: str, method: str, cost: int) -> dict:
        found = self.measured[name, method, cost]
        return {
            "dataset": name,
            "method": method,
            "cost": cost,
            **dict(zip(METRICS, found.metrics.mean(dim=0).tolist(), strict=True)),
            "num_weights": found.method.num_weights,
            "activations": found.entries.mean().item(),
            "bytes": found.in_bytes[:, 0].mean().item(),
            "bytes_phi": found.in_bytes[:, 2].mean().item(),
            "seconds_encode": found.seconds_encode,
            "data_source": self.recordings[name].card.data_source,
        }

    def findings(self) -> show.Shown:
        """How far φ̄ falls, and how multiscale SANs compare with other methods."""
        weights = [fit.model.num_weights for fit in self.shown.values()]
        in_bytes = self.compared[self.compared.cost == 2].groupby("method").bytes_phi.mean()
        (first, *others), count = self.recordings, len(self.recordings)
        over = f"mean φ̄ over {count} recordings" if others else f"φ̄ on {first}"
        return show.findings(
            f"**The multiscale SAN reduces the {over} from {self.by_step[PAPER]:.3f} to "
            f"{self.by_step[LEARNED]:.3f}**, compared with the best SAN of the paper. It has "
            f"{reports.between(weights, '{}')} weights.",
            compare(self.compared, 2),
            compare(self.compared, 3),
            f"**Encoded size:** φ̄ computed from bytes is {scores_of(in_bytes)}.",
        )

    def steps(self) -> show.Shown:
        """φ̄ after each step, for each recording."""
        others = self.compared[self.compared.method != MULTISCALE]
        steps = with_costs(self.ablation, "step").loc[list(STEPS)]
        table = pd.concat([steps, with_costs(others, "method")])
        over = over_seeds(self.seeds)
        return show.table(
            table.T.rename_axis("recording").reset_index(),
            name="tab-scales-ladder",
            caption="φ̄ on the test windows after each of the five steps, and of two other "
            "methods, with two numbers per activation; in brackets with the scale charged. "
            f"{over[0].upper()}{over[1:]}.",
        )

    @figures.style()
    def plot_steps(self) -> show.Shown:
        """The same as lines."""
        figure, axes = plt.subplots(figsize=(8, 4))
        free = self.ablation[self.ablation.cost == 2]
        wide = free.pivot_table("phi", "step", "dataset").loc[list(STEPS)]
        for _, line in wide.items():
            axes.plot(line, color="0.7", linewidth=0.9)
        ends = wide.iloc[-1]
        for (name, end), place in zip(
            ends.items(), figures.apart(ends, 0.037 * wide.max(axis=None)), strict=True
        ):
            axes.plot([4, 4.15], [end, place], color="0.7", linewidth=0.5)
            axes.annotate(name, (4.18, place), fontsize=7, va="center")
        axes.plot(wide.mean(axis=1), color="#D55E00", linewidth=2.5, label="mean")
        for method, style in ((GABOR, "--"), (WAVELETS, ":")):
            of_method = self.compared[(self.compared.method == method) & (self.compared.cost == 2)]
            axes.hlines(of_method.phi.mean(), -0.1, 4, color="0.2", linestyle=style, label=method)
        axes.set(ylabel="φ̄ on test", ylim=(0, None), xlim=(-0.1, 4.8))
        axes.legend()
        return self.figure_of(
            "fig-scales-ladder",
            figure,
            "φ̄ on the test windows after each step, with two numbers per activation: each "
            "recording in grey, their mean in orange. Horizontal lines are the means of two other "
            "methods.",
            f"Line plot of φ̄ over five steps. Means: {reports.scores(self.by_step, '{:.3f}')}.",
        )

    def effect_of_seed(self) -> show.Shown:
        """How much φ̄ of a multiscale SAN depends on the seed."""
        if len(self.seeds) == 1:
            return show.say("One seed was run, so this build cannot show the effect of the seed.")
        rows = self.ablation[(self.ablation.step == LEARNED) & (self.ablation.cost == 2)]
        spread = rows.groupby("dataset").phi.agg(np.ptp)
        return show.say(
            f"Over {len(self.seeds)} seeds, the largest and the smallest φ̄ of a recording differ "
            f"by {spread.median():.3f} in the median and by at most {spread.max():.3f}."
        )

    def encoded_size(self) -> show.Shown:
        """Bytes of a window, and φ̄ computed from them."""
        table = self.compared.pivot_table(["bytes", "bytes_phi"], ["method", "cost"], sort=False)
        table = table.reset_index()
        table = table.assign(cost=table.cost.map(COSTS), bytes=table.bytes.map("{:.0f}".format))
        names = {"cost": "stopping rule", "bytes": "bytes per window",
                 "bytes_phi": "φ̄ from bytes"}  # fmt: skip
        return show.table(
            table.rename(columns=names),
            name="tab-scales-bytes",
            caption="Encoded size of a window and φ̄ computed from it, means over the recordings. "
            "The pursuit stops where φ is smallest, with either cost of an activation.",
        )

    def later_windows(self) -> show.Shown:
        """φ̄ on windows that played no part in any choice."""
        if not self.later:
            return show.say("No recording of this build continues after sample 12,000.")
        table = self.confirmed.pivot_table("phi", "method", "cost", sort=False)
        free = self.confirmed[self.confirmed.cost == 2]
        best = free.loc[free.groupby("dataset").phi.idxmin()].method.value_counts()
        table = table.rename(columns={cost: f"φ̄, {label}" for cost, label in COSTS.items()})
        table["recordings where best (2 numbers)"] = best.reindex(table.index, fill_value=0)
        windows = sum(map(len, self.later.values()))
        return show.table(
            table.reset_index(),
            name="tab-scales-later",
            caption=f"φ̄ on {reports.counted(windows, 'later window')} of "
            f"{reports.counted(len(self.later), 'recording')}, mean over the recordings.",
        )

    @figures.style()
    def prototypes(self) -> show.Shown:
        """The prototypes before and after learning."""
        sizes = [(name, *fit.initial.shape) for name, fit in self.shown.items()]
        each = reports.listed([f"{name} {q} of {m} weights" for name, q, m in sizes])
        rows, columns = max(len(fit.initial) for fit in self.shown.values()), len(self.shown)
        size = 1.3 * columns + 1, 1.3 * rows + 0.4
        figure, grid = plt.subplots(rows, columns, figsize=size, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for column, (name, fit) in zip(grid.T, self.shown.items(), strict=True):
            column[0].set_title(name, fontsize=8)
            learned = fit.model.prototypes.detach()
            for axes, before, after in zip(column, fit.initial, learned, strict=False):
                axes.axhline(0, color="0.85", linewidth=0.6)
                axes.plot(before, color="0.6", linewidth=1)
                axes.plot(after, color="#D55E00", marker=".", linewidth=1.2)
        return self.figure_of(
            "fig-scales-prototypes",
            figure,
            "Prototypes before (grey) and after learning (orange). Their number and their number "
            "of weights were selected on validation.",
            f"Small line plots of the prototypes of each recording: {each}.",
        )

    def kernels(self) -> show.Shown:
        """The activations of one window, each as the kernel that it adds."""
        name, x, model = self._first()
        a = model.encode(x)
        inverse_cr, loss, score = model.metrics(x, a)[0].tolist()
        lengths = model.atoms(x.shape[1]).lengths[a.flatten().nonzero().flatten() // x.shape[1]]
        activations = reports.counted(len(lengths), "activation")
        return show.figure(
            plot_kernels(model, x),
            name="fig-scales-kernels",
            caption=f"Above, a window of {name} (grey) and its reconstruction from {activations} "
            "(orange). Below, each kernel at its position and length. CR⁻¹ is "
            f"{inverse_cr:.3f}, L̃ {loss:.3f} and φ {score:.3f}.",
            alt=f"A window of {name}, its reconstruction, and {activations} drawn as kernels of "
            f"{reports.between(lengths.tolist(), '{}')} samples.",
            sources=self.sources[:1],
        )

    def pursuit(self) -> show.Shown:
        """A live figure: the pursuit of the same window, step by step."""
        name, x, model = self._first()
        exact = MultiscaleSAN(model.prototypes.double(), model.lengths)
        (path,), kernels = exact.follow(x), exact.kernels()
        maps, signal = (path.chosen // x.shape[1]).tolist(), x[0].double().numpy()
        drawn = exact.atoms(x.shape[1]).draw(path.chosen).numpy().T  # (n, k)
        steps = range(len(maps) + 1)
        fitted = [np.linalg.lstsq(drawn[:, :k], signal)[0].round(5) for k in steps]
        return show.live(
            "pursuit",
            {
                "x": signal.round(4),
                "places": (path.chosen % x.shape[1]).tolist(),
                "maps": maps,
                "kernels": {i: kernels[i].detach().numpy().round(6) for i in set(maps)},
                "amplitudes": fitted,
                "losses": path.losses.numpy().round(5),
                "num_weights": model.num_weights,
                "cost": model.cost,
                "color": "#D55E00",
            },
            label="fig-scales-pursuit",
            caption=f"The pursuit of a window of {name}, one activation at a time.",
            still=plot_kernels(model, x),
            alt="The window, its reconstruction and the kernels at their positions, as above.",
            sources=self.sources[:1],
        )

    def _first(self) -> tuple[str, Tensor, MultiscaleSAN]:
        name = next(iter(self.recordings))
        return name, self.recordings[name].test[:1], self.shown[name].model

    def cost_of_encoding(self) -> show.Shown:
        """Candidates, epochs and the time of an encoding."""
        seconds = self.compared[self.compared.method == MULTISCALE].seconds_encode.median()
        candidates = reports.listed([f"{q} × {m}" for q, m in CANDIDATES])
        return show.say(
            f"A full run compares {len(CANDIDATES)} candidates (prototypes × weights): "
            f"{candidates}, for up to {sum(ROUNDS)} epochs. Encoding a window of 1,000 samples "
            f"takes {1000 * seconds:.0f} ms, in the median over the recordings."
        )

    def write_results(self, directory: str) -> None:
        """Leave ``scales.csv`` and ``scales.json``; nothing without a directory."""
        history = [
            fit.history.assign(dataset=name, seed=seed) for (name, seed), fit in self.fitted.items()
        ]
        self.leave(
            directory,
            "scales",
            self.compared,
            seeds=self.seeds,
            ablation=self.ablation,
            confirmed=self.confirmed,
            networks={name: as_facts(fit.model) for name, fit in self.shown.items()},
            history=pd.concat(history).fillna(-1),
        )


def as_facts(model: MultiscaleSAN) -> dict:
    """A multiscale SAN as the results files of pages have it."""
    return {"prototypes": model.prototypes.detach().numpy(), "lengths": model.lengths}


def scores_of(phi: pd.Series) -> str:
    """Means by method, the smallest first."""
    smallest_first = phi.sort_values().items()
    return reports.listed([f"{value:.3f} for *{method}*" for method, value in smallest_first])


def compare(compared: pd.DataFrame, cost: int) -> str:
    """Mean φ̄ of each method, and on how many recordings it is the smallest.

    >>> rows = pd.DataFrame({"dataset": "a", "method": ["x", "y"], "cost": 2, "phi": [0.1, 0.2]})
    >>> compare(rows, 2)
    '**2 numbers per activation:** φ̄ is 0.100 for *x* and 0.200 for *y*.'
    """
    table = compared[compared.cost == cost].pivot(index="method", columns="dataset", values="phi")
    scores, wins = scores_of(table.mean(axis=1)), table.idxmin().value_counts()
    label = COSTS[cost][0].upper() + COSTS[cost][1:]
    if table.shape[1] == 1:
        return f"**{label}:** φ̄ is {scores}."
    best = reports.listed([f"*{method}* on {count}" for method, count in wins.items()])
    return f"**{label}:** mean φ̄ is {scores}. The smallest φ̄ of a recording comes from {best}."


def with_costs(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """Mean φ̄ with 2 numbers per activation and, in brackets, with the scale charged."""
    means = table.groupby([by, "dataset", "cost"], sort=False).phi.mean()
    wide = means.unstack("dataset")[list(dict.fromkeys(table.dataset))]
    if len(wide.columns) > 1:
        wide.insert(0, "mean", wide.mean(axis=1))
    free = wide.xs(2, level="cost").map("{:.3f}".format)
    charged = wide.xs(3, level="cost").map(" ({:.3f})".format)
    return free + charged.reindex(free.index).fillna("")


@figures.style()
def plot_kernels(model: MultiscaleSAN, x: Tensor) -> Figure:
    """A window ``(1, n)`` and its reconstruction over its kernels, the longest on top."""
    a = model.encode(x)
    atoms = model.atoms(x.shape[1])
    numbers = a.flatten().nonzero().flatten()
    drawn = atoms.draw(numbers).float() * a.flatten()[numbers, None]
    figure, (above, below) = plt.subplots(2, figsize=(8, 5), height_ratios=[2, 3], sharex=True)
    above.plot(x[0], color="0.7", linewidth=1.5)
    above.plot(model.decode(a)[0].detach(), color="#D55E00", linewidth=0.9)
    lengths = atoms.lengths[numbers // x.shape[1]]
    for kernel, length in zip(drawn, lengths, strict=True):
        inside = kernel.nonzero().flatten()
        scaled = 0.8 * kernel[inside] / drawn.abs().max()
        below.plot(inside, np.log2(float(length)) + scaled, color="#0072B2", linewidth=0.7)
    above.set(ylabel="standard deviations")
    below.set(xlabel="sample", ylabel="length (samples)")
    below.set_yticks(range(1, 10, 2), [f"{2**tick}" for tick in range(1, 10, 2)])
    return figure
