"""SANs against standard methods, by the metric of the paper and by encoded size."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd

import sanbook.methods
from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.methods import ABSENT, ALL, SCALED, SIGNALS_ONLY, Measurement
from sanbook.methods.coder import lossless_bytes, raw_bytes
from sanbook.reports import scales
from sanbook.reports.networks import PaperSANs, multiscale_candidates, multiscale_sans
from sanbook.show import figures
from sanbook.show.names import METRICS, NAMES

SANS = {activation: f"SAN, {name}" for activation, name in NAMES.items()}
MULTISCALE = "multiscale SAN"
METHODS = [*SANS.values(), MULTISCALE, *ALL]
EXAMPLES = {"paper": {"train": 1_000, "validation": 60, "test": 200},
            "quick": {"train": 200, "validation": 20, "test": 20}}  # of labelled data  # fmt: skip
LIMIT = 1.05  # of the planes
FIXED = [m for m in ALL if m.startswith(("DCT", "wavelets"))]
SAMPLES = [m for m in ALL if "sampling" in m or "linear" in m]
KINDS = {  # marker, colour and methods
    "SANs of the paper": ("o", "#0072B2", list(SANS.values())),
    "fixed transforms": ("s", "#E69F00", FIXED),
    "learned": ("^", "#009E73", ["PCA", "dictionary, OMP", "convolutional dictionary"]),
    "samples and lines": ("x", "#000000", SAMPLES),
    "pursuits of kernels": ("D", "#D55E00", [m for m in SCALED if m in SIGNALS_ONLY]),
    "multiscale SAN": ("*", "#CC79A7", [MULTISCALE]),
}
#: Each mean of a method in a table: the column of the results file and its label.
COUNTS = {
    "phi": "φ̄",
    "scale_charged_phi": "φ̄, scale charged",
    "shared_phi": "φ̄, W shared",
    "bytes_phi": "φ̄ from bytes",
}


def load(names: list[str], data: str, directory: str, profile: str) -> dict[str, DataSet]:
    """The data sets that are not simulated, or all; of labelled data the first examples."""
    used = reports.load(names, data, directory, sources=("real", "substitute", "unverified"))
    return {
        name: part.first(**EXAMPLES[profile]) if part.labels else part
        for name, part in used.items()
    }


class Candidates:
    """What each method offers on each data set: functions of training examples and a seed.

    ``results`` is the folder of the pages of SANs, see `sanbook.reports.networks`; ``seed`` is that
    of SANs that are trained here.
    """

    def __init__(self, used: Mapping[str, DataSet], results: str, seed: int, profile: str) -> None:
        self.used, self.profile = used, profile
        self.sans = PaperSANs(used, results, seed)
        self.multiscale = multiscale_sans(used, results)

    def of(self, name: str) -> dict[str, Callable]:
        """The candidates of every method that can represent a data set."""
        sans = {
            label: lambda train, seed, a=activation: self.sans.candidates(name, a)
            for activation, label in SANS.items()
        }
        if self.used[name].train.ndim == 3:
            return sans | {method: ALL[method] for method in ALL if method not in SIGNALS_ONLY}
        return sans | {MULTISCALE: self._multiscale(name)} | ALL

    def with_scale_charged(self, name: str) -> dict[str, Callable]:
        """The same of the methods whose shapes have several scales, each charged its scale."""
        return {
            method: functools.partial(candidates, scale_paid=True)
            for method, candidates in self.of(name).items()
            if method in (*SCALED, MULTISCALE)
        }

    def _multiscale(self, name: str) -> Callable:
        if name not in self.multiscale:
            settings = scales.settings(self.profile)
            return sanbook.methods.multiscale_sans(self.used[name].validation, **settings)
        return multiscale_candidates(self.multiscale[name])


@dataclass
class Report(reports.Page):
    """What every method gives on every data set.

    Attributes:
        rows: the rows of the results file.
        phi: φ̄ of methods that are not dead, method × data set; ``others`` of those without SANs.
    """

    used: Mapping[str, DataSet]
    measured: Mapping[tuple[str, str], Measurement]  # of each (data set, method)
    charged: Mapping[tuple[str, str], Measurement]  # of methods that pay for each scale
    profile: str
    seed: int  # of everything that is learned

    def __post_init__(self) -> None:
        self.cards = reports.cards(self.used)
        self.rows = pd.DataFrame([self._row(*key) for key in self.measured])
        self.living = self.rows[~self.rows.dead]
        self.phi = self._matrix("phi")
        self.best_san = self.phi.loc[list(SANS.values())].min()
        self.signals = [name for name, part in self.used.items() if part.test.ndim == 2]
        self.others = self.phi.drop(index=[*SANS.values(), MULTISCALE])
        lossless = {name: lossless_bytes(part.test) for name, part in self.used.items()}
        self.lossless_bytes = pd.DataFrame(lossless).rename_axis("compressor")

    def _row(self, name: str, method: str) -> dict:
        """The means over the test examples of a data set."""
        found = self.measured[name, method]
        paying = self.charged.get((name, method), found)  # without scales there is none to charge
        size, _, bytes_phi = found.in_bytes.mean(dim=0).tolist()
        settings = {k: v for k, v in vars(found.method).items() if isinstance(v, int | float | str)}
        return {
            "dataset": name,
            "method": method,
            **dict(zip(METRICS, found.metrics.mean(dim=0).tolist(), strict=True)),
            "num_weights": found.method.num_weights,
            "coefficients": found.entries.mean().item(),
            "dead": found.dead,
            "scale_charged_phi": paying.metrics[:, 2].mean().item(),
            "shared_phi": found.shared_metrics[:, 2].mean().item(),
            "bytes": size,
            "bytes_ratio": size / raw_bytes(self.used[name].test.shape[1:]),
            "bytes_phi": bytes_phi,
            "seconds_fit": found.seconds_fit,
            "seconds_encode": found.seconds_encode,
            "settings": ", ".join(f"{setting}: {value}" for setting, value in settings.items()),
            "data_source": self.used[name].card.data_source,
        }

    def _matrix(self, column: str) -> pd.DataFrame:
        """A column of the rows that are not dead, method × data set."""
        table = self.living.pivot(index="method", columns="dataset", values=column)
        return table.reindex(index=METHODS, columns=list(self.used)).rename_axis(columns=None)

    def findings(self) -> show.Shown:
        """Whether a SAN of the paper is the best method, which method is, and by which count."""
        best_other = self.others.min()
        wins, count = (self.best_san < best_other).sum(), len(self.used)
        first = f"A SAN of the paper is the best method on {wins} of {count} data sets."
        if count == 1:
            first = f"On {self.phi.columns[0]}, a SAN of the paper is "
            first += f"{'' if wins else 'not '}the best method."
        chosen = self.signals or list(self.used)
        means = {count: self._matrix(count)[chosen].mean(axis=1) for count in COUNTS}
        found = [
            f"**{first}** The φ̄ of the best SAN is {(self.best_san / best_other).median():.1f} "
            f"times the φ̄ of the best other method{', in the median' if count > 1 else ''}.",
            f"**Smallest mean φ̄ on the {'signals' if self.signals else 'images'}:** "
            + describe_smallest(means["phi"], means["scale_charged_phi"], means["bytes_phi"]),
        ]
        if self.signals:
            ours = [means[count][MULTISCALE] for count in ("phi", "scale_charged_phi")]
            found.append(
                f"**The multiscale SAN**, which goes beyond the paper, scores {ours[0]:.3f} on the "
                f"signals, and {ours[1]:.3f} with the scale charged. The best SAN of the paper "
                f"on each signal scores {self.best_san[chosen].mean():.3f} in the mean."
            )
        return show.findings(*found)

    def phi_table(self) -> show.Shown:
        """φ̄ of every method on every data set."""
        shown = self.phi.map("{:.2f}".format, na_action="ignore")
        for row in self.rows[self.rows.dead].itertuples():
            shown.loc[row.method, row.dataset] = "dead"
        shown.insert(0, "mean", self.phi.mean(axis=1))
        shown.insert(1, "mean rank", self.phi.rank().mean(axis=1).map("{:.1f}".format))
        return show.table(
            shown.reset_index(),
            sortable=True,
            name="tab-baselines-phi",
            caption=f"φ̄ on the test examples: {reports.counted(len(METHODS), 'method')} on "
            f"{reports.counted(len(self.used), 'data set')}."
            + "".join(f" Without {method}: {why}." for method, why in ABSENT.items()),
        )

    def against_the_best_san(self) -> show.Shown:
        """Some methods beside the best SAN of each data set."""
        some = [m for m in ("wavelets", "down-sampling", "convolutional dictionary") if m in ALL]
        compared = self.phi.loc[some].T
        compared.insert(0, "best SAN of the paper", self.best_san)
        compared["best method that is no SAN"] = self.others.min()
        better = compared.lt(self.best_san, axis=0).sum()
        table = {
            "method": compared.columns,
            "mean φ̄": compared.mean().array,
            "better than the best SAN": [f"{count} of {len(compared)}" for count in better],
        }
        return show.table(
            pd.DataFrame(table),
            name="tab-baselines-best",
            caption="Methods beside the best SAN of the paper, and the number of data sets on "
            "which their φ̄ is smaller.",
        )

    def counts_table(self) -> show.Shown:
        """Means over the data sets by each way to count, and the ranks by φ̄ and by bytes."""
        means = {label: self._matrix(column).mean(axis=1) for column, label in COUNTS.items()}
        ranks = {
            label: self._matrix(column).rank().mean(axis=1).map("{:.1f}".format)
            for column, label in (("phi", "rank by φ̄"), ("bytes_phi", "rank by bytes"))
        }
        coefficients = self._matrix("coefficients").mean(axis=1).map("{:.0f}".format)
        table = pd.DataFrame({**means, **ranks, "coefficients": coefficients})
        return show.table(
            table.rename_axis("method").reset_index(),
            sortable=True,
            name="tab-baselines-counts",
            caption="φ̄ by four ways to count, mean over the data sets: with two numbers per "
            "coefficient and the weights W charged to every example; with one number more for the "
            "scale; with W shared by the test examples; and from bytes.",
        )

    @figures.style()
    def planes(self) -> show.Shown:
        """Every method in the plane of loss and compression."""
        outside = int((self.rows.inverse_compression_ratio > LIMIT).sum())
        means = self.phi.mean(axis=1).sort_values()
        names = list(self.used)
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
            of_data = self.living[self.living.dataset == name]
            draw_kinds(axes, of_data, "normalized_reconstruction_loss", "inverse_compression_ratio")
            axes.set(title=name, xlim=(0, LIMIT), ylim=(0, LIMIT), aspect="equal")
        for axes in panels[:, 0]:
            axes.set_ylabel("CR⁻¹")
        for axes in panels.flat[max(0, len(names) - across) : len(names)]:
            axes.set_xlabel("L̃")
        legend = panels[0, 0].get_legend_handles_labels()
        figure.legend(*legend, loc="outside upper center", ncols=min(6, across + 1), fontsize=9)
        return self.figure_of(
            "fig-baselines-plane",
            figure,
            f"CR⁻¹ against L̃ of {reports.counted(len(METHODS), 'method')}, one panel for "
            f"each data set. Arcs have equal φ. {reports.counted(outside, 'point')} with CR⁻¹ "
            f"above {LIMIT} {'is' if outside == 1 else 'are'} not shown.",
            f"Scatter plots of CR⁻¹ against L̃. Mean φ̄: {reports.scores(means)}.",
        )

    @figures.style()
    def examples(self) -> show.Shown:
        """Reconstructions of a signal and of an image by the best method of each kind."""
        images = [name for name in self.used if name not in self.signals]
        shown = {names[0]: self.used[names[0]] for names in (self.signals, images) if names}
        figure = plt.figure(figsize=(11, 5.2))
        panels = figure.subfigures(1, len(shown), squeeze=False)
        for panel, (name, data) in zip(panels.flat, shown.items(), strict=True):
            there = self.phi[name].dropna()
            of_kinds = {c: there.reindex(methods).dropna() for _, c, methods in KINDS.values()}
            methods = {values.idxmin(): color for color, values in of_kinds.items() if len(values)}
            draw = _draw_signals if data.test.ndim == 2 else _draw_images
            draw(panel, {m: (c, self.measured[name, m]) for m, c in methods.items()}, data)
        return show.figure(
            figure,
            name="fig-baselines-examples",
            caption=f"Test examples of {reports.listed(list(shown))} (grey, or above) and their "
            "reconstructions by the best method of each kind: the first example, and the example "
            "with the largest φ of the method.",
            alt=f"Reconstructions of {reports.listed(list(shown))}; each panel says its φ.",
            sources=[data.card.source for data in shown.values()],
        )

    def lossless(self) -> show.Shown:
        """What a general compressor without loss makes of the examples."""
        return show.table(
            self.lossless_bytes.map("{:.0f}".format, na_action="ignore").reset_index(),
            name="tab-baselines-lossless",
            caption="Bytes of an example as stored and after lossless compression, mean over the "
            "test examples.",
        )

    @figures.style()
    def encoded_size(self) -> show.Shown:
        """Bytes against CR⁻¹."""
        size, ratio = self.living.bytes_ratio, self.living.inverse_compression_ratio
        share = (size / ratio).groupby(self.living.method).median()
        figure, axes = plt.subplots(figsize=(8, 3.4))
        draw_kinds(axes, self.living, "inverse_compression_ratio", "bytes_ratio")
        limits = [0.5 * size.min(), 1.5 * ratio.max()]
        axes.plot(limits, limits, color="0.6", linewidth=0.8)
        axes.set(xscale="log", yscale="log", xlabel="CR⁻¹", ylabel="encoded size / stored size")
        axes.legend(fontsize=8)
        return self.figure_of(
            "fig-baselines-bytes",
            figure,
            "Encoded size, relative to the stored size, against CR⁻¹; on the line both "
            f"agree. The correlation is {size.corr(ratio):.2f}, the rank correlation "
            f"{size.corr(ratio, method='spearman'):.2f}. The encoded size is "
            f"{(size / ratio).median():.2f} times CR⁻¹ in the median, from {share.min():.2f} times "
            f"for {share.idxmin()} to {share.max():.2f} times for {share.idxmax()}.",
            f"Scatter plot of encoded size against CR⁻¹ for {len(self.living)} pairs of method "
            "and data set.",
        )

    def write_results(self, directory: str) -> None:
        """Leave ``baselines.csv`` and ``baselines.json``; nothing without a directory."""
        parts = {
            name: [len(part.train), len(part.validation), len(part.test)]
            for name, part in self.used.items()
        }
        self.leave(directory, "baselines", self.rows, seed=self.seed, examples=parts)


def describe_smallest(phi: pd.Series, charged: pd.Series, coded: pd.Series) -> str:
    """Which method has the smallest mean φ̄ by each of three counts.

    >>> phi = pd.Series({"DCT": 0.4, "wavelets": 0.2})
    >>> describe_smallest(phi, phi + 0.1, phi)
    '*wavelets*, 0.200. It is also first with the scale charged (0.300) and from bytes (0.200).'
    >>> describe_smallest(phi, phi, 1 - phi)
    '*wavelets*, 0.200; with the scale charged *wavelets*, 0.200; from bytes *DCT*, 0.600.'
    """
    names = [count.idxmin() for count in (phi, charged, coded)]
    values = [count.min() for count in (phi, charged, coded)]
    form = "*{0}*, {3:.3f}; with the scale charged *{1}*, {4:.3f}; from bytes *{2}*, {5:.3f}."
    if len(set(names)) == 1:
        form = "*{0}*, {3:.3f}. It is also first with the scale charged ({4:.3f}) and from bytes "
        form += "({5:.3f})."
    return form.format(*names, *values)


# --- figures --------------------------------------------------------------------------------------


def draw_kinds(axes, rows: pd.DataFrame, x: str, y: str) -> None:
    """A point for each row of a table, one marker and colour for each kind."""
    for kind, (marker, color, methods) in KINDS.items():
        points = rows[rows.method.isin(methods)]
        axes.scatter(points[x], points[y], s=22, marker=marker, color=color, alpha=0.8, label=kind)


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
