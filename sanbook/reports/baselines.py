"""SANs against standard methods, by the metric of the paper and by encoded size."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

import sanbook.methods
from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.files import write_table
from sanbook.methods import ABSENT, ALL, SCALED, SIGNALS_ONLY, Measurement
from sanbook.methods.coder import lossless_bytes, raw_bytes
from sanbook.methods.networks import TrainedMultiscaleSAN
from sanbook.reports import baselines_figures as figures
from sanbook.reports import scales
from sanbook.reports.networks import PaperSANs, multiscale_sans
from sanbook.reproduction.results import write_record
from sanbook.scales import MultiscaleSAN
from sanbook.show.names import METRICS, NAMES
from sanbook.training import PROTOCOLS

SANS = {activation: f"SAN, {name}" for activation, name in NAMES.items()}
MULTISCALE = "multiscale SAN"
METHODS = [*SANS.values(), MULTISCALE, *ALL]
LABELLED_SIZES = {"uci-epilepsy": range(8, 23, 2), "mnist": range(1, 7),
                  "fashion-mnist": range(1, 7)}  # fmt: skip
EXAMPLES = {
    "paper": {"train": 1_000, "validation": 60, "test": 200},
    "quick": {"train": 200, "validation": 20, "test": 20},
}  # of labelled data
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

    Args:
        used: the data sets.
        results: folder with the results of the pages of SANs, see `sanbook.reports.networks`.
        seed: of SANs that are trained here.
        profile: "paper" or "quick".
    """

    def __init__(self, used: Mapping[str, DataSet], results: str, seed: int, profile: str) -> None:
        self.used, self.profile = used, profile
        of_images = replace(PROTOCOLS["mnist"], epochs=10, batch_size=16)
        protocols = {
            name: of_images if part.labels else PROTOCOLS["physionet"]
            for name, part in used.items()
        }
        sizes = {name: LABELLED_SIZES.get(name, range(1, 250, 12)) for name in used}
        self.sans = PaperSANs(used, results, seed, protocols, sizes)
        self.multiscale = multiscale_sans(used, results)

    def of(self, name: str) -> dict[str, Callable]:
        """The candidates of every method that can represent a data set."""
        sans = {
            label: lambda train, seed, a=activation: self.sans.candidates(name, a)
            for activation, label in SANS.items()
        }
        if self.used[name].train.ndim == 3:
            others = {method: ALL[method] for method in ALL if method not in SIGNALS_ONLY}
            return sans | others
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
        model = self.multiscale[name]

        def candidates(train, seed: int, scale_paid: bool = False) -> list:
            charged = MultiscaleSAN(model.prototypes, model.lengths, 2 + scale_paid)
            return [TrainedMultiscaleSAN(charged)]

        return candidates


class Report:
    """What every method gives on every data set.

    Args:
        used: the data sets.
        measured: of each (data set, method), see `sanbook.methods.measure`.
        charged: the same of the methods that are charged the scale of each coefficient.
        profile: "paper" or "quick".
        seed: of everything that is learned.

    Attributes:
        rows: the rows of the results file.
        phi: φ̄ of networks that are not dead, method × data set.
    """

    def __init__(
        self,
        used: Mapping[str, DataSet],
        measured: Mapping[tuple[str, str], Measurement],
        charged: Mapping[tuple[str, str], Measurement],
        *,
        profile: str,
        seed: int,
    ) -> None:
        self.used, self.measured, self.charged = used, measured, charged
        self.profile, self.seed = profile, seed
        self.sources = [part.card.source for part in used.values()]
        self.rows = pd.DataFrame([self._row(*key) for key in measured])
        self.living = self.rows[~self.rows.dead]
        self.phi = self._matrix("phi")
        self.best_san = self.phi.loc[list(SANS.values())].min()
        self.signals = [name for name, part in used.items() if part.test.ndim == 2]

    def _row(self, name: str, method: str) -> dict:
        """The means over the test examples of a data set."""
        found = self.measured[name, method]
        paying = self.charged.get((name, method), found)  # without scales there is none to charge
        size, _, bytes_phi = found.in_bytes.mean(dim=0).tolist()
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
            "data_source": self.used[name].card.data_source,
        }

    def _matrix(self, column: str) -> pd.DataFrame:
        """A column of the rows of living networks, method × data set."""
        table = self.living.pivot(index="method", columns="dataset", values=column)
        return table.reindex(index=METHODS, columns=list(self.used)).rename_axis(columns=None)

    def findings(self) -> show.Shown:
        """Whether a SAN of the paper is the best method, which method is, and by which count."""
        ratio = (self.best_san / self._others().min()).median()
        kind = "signals" if self.signals else "images"
        chosen = self.signals or list(self.used)
        means = {count: self._matrix(count)[chosen].mean(axis=1) for count in COUNTS}
        verdicts = [
            f"**{self._where_sans_win()}** The φ̄ of the best SAN is {ratio:.1f} times the φ̄ of the "
            f"best other method{', in the median' if len(self.used) > 1 else ''}.",
            f"**Smallest mean φ̄ on the {kind}:** "
            + describe_smallest(means["phi"], means["scale_charged_phi"], means["bytes_phi"]),
        ]
        if self.signals:
            ours = [means[count][MULTISCALE] for count in ("phi", "scale_charged_phi")]
            verdicts.append(
                f"**The multiscale SAN**, which goes beyond the paper, scores {ours[0]:.3f} on the "
                f"signals, and {ours[1]:.3f} with the scale charged. The best SAN of the paper "
                f"scores {self.best_san[chosen].mean():.3f}."
            )
        return show.findings(*verdicts)

    def _where_sans_win(self) -> str:
        wins, count = (self.best_san < self._others().min()).sum(), len(self.used)
        if count == 1:
            (name,) = self.used
            return f"On {name}, a SAN of the paper is {'' if wins else 'not '}the best method."
        return f"A SAN of the paper is the best method on {wins} of {count} data sets."

    def _others(self) -> pd.DataFrame:
        """φ̄ of the methods that are no SANs."""
        return self.phi.drop(index=[*SANS.values(), MULTISCALE])

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
        compared = {"best SAN of the paper": self.best_san}
        compared |= {
            method: self.phi.loc[method]
            for method in ("wavelets", "down-sampling", "convolutional dictionary")
        }
        compared["best method that is no SAN"] = self._others().min()
        table = pd.DataFrame(
            {
                "method": list(compared),
                "mean φ̄": [phis.mean() for phis in compared.values()],
                "better than the best SAN": [
                    f"{(phis < self.best_san).sum()} of {len(self.used)}"
                    for phis in compared.values()
                ],
            }
        )
        return show.table(
            table,
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

    def planes(self) -> show.Shown:
        """Every method in the plane of loss and compression."""
        outside = int((self.rows.inverse_compression_ratio > figures.LIMIT).sum())
        means = self.phi.mean(axis=1).sort_values()
        scores = "; ".join(f"{method} {value:.2f}" for method, value in means.items())
        return show.figure(
            figures.plot_planes(self.living, list(self.used)),
            name="fig-baselines-plane",
            caption=f"CR⁻¹ against L̃ of {reports.counted(len(METHODS), 'method')}, one panel for "
            f"each data set. Arcs have equal φ. {reports.counted(outside, 'point')} with CR⁻¹ "
            f"above {figures.LIMIT} {'is' if outside == 1 else 'are'} not shown.",
            alt=f"Scatter plots of CR⁻¹ against L̃. Mean φ̄: {scores}.",
            sources=self.sources,
        )

    def examples(self) -> show.Shown:
        """Reconstructions of a signal and of an image by the best method of each kind."""
        images = [name for name in self.used if name not in self.signals]
        shown = [names[0] for names in (self.signals, images) if names]
        return show.figure(
            figures.plot_examples(
                {name: self.used[name] for name in shown}, self.measured, self.phi
            ),
            name="fig-baselines-examples",
            caption=f"Test examples of {reports.listed(shown)} (grey, or above) and their "
            "reconstructions by the best method of each kind: the first example, and the example "
            "with the largest φ of the method.",
            alt=f"Reconstructions of {reports.listed(shown)}; each panel says its φ.",
            sources=[self.used[name].card.source for name in shown],
        )

    def lossless(self) -> show.Shown:
        """What a general compressor without loss makes of the examples."""
        return show.table(
            self._lossless().map("{:.0f}".format, na_action="ignore").reset_index(),
            name="tab-baselines-lossless",
            caption="Bytes of an example as stored and after lossless compression, mean over the "
            "test examples.",
        )

    def _lossless(self) -> pd.DataFrame:
        sizes = {name: lossless_bytes(part.test) for name, part in self.used.items()}
        return pd.DataFrame(sizes).rename_axis("compressor")

    def encoded_size(self) -> show.Shown:
        """Bytes against CR⁻¹."""
        size, ratio = self.living.bytes_ratio, self.living.inverse_compression_ratio
        share = (size / ratio).groupby(self.living.method).median()
        return show.figure(
            figures.plot_bytes(self.living),
            name="fig-baselines-bytes",
            caption="Encoded size, relative to the stored size, against CR⁻¹; on the line both "
            f"agree. The correlation is {size.corr(ratio):.2f}, the rank correlation "
            f"{size.corr(ratio, method='spearman'):.2f}. The encoded size is "
            f"{(size / ratio).median():.2f} times CR⁻¹ in the median, from {share.min():.2f} times "
            f"for {share.idxmin()} to {share.max():.2f} times for {share.idxmax()}.",
            alt=f"Scatter plot of encoded size against CR⁻¹ for {len(self.living)} pairs of method "
            "and data set.",
            sources=self.sources,
        )

    def write_results(self, directory: str) -> None:
        """Write ``baselines.csv`` and ``baselines.json``; nothing if ``directory`` is empty."""
        if not directory:
            return
        write_table(f"{directory}/baselines.csv", self.rows)
        chosen = [
            {
                "dataset": name,
                "method": method,
                "settings": {
                    key: value
                    for key, value in vars(found.method).items()
                    if isinstance(value, int | float | str)
                },
                "weights": [list(weight.shape) for weight in found.method.weights],
                "step": found.step,
            }
            for (name, method), found in self.measured.items()
        ]
        record = {
            "profile": self.profile,
            "seed": self.seed,
            "examples": {
                name: [len(part.train), len(part.validation), len(part.test)]
                for name, part in self.used.items()
            },
            "cards": {name: vars(part.card) for name, part in self.used.items()},
            "rows": self.rows,
            "chosen": pd.DataFrame(chosen),
            "lossless": self._lossless().T.reset_index().astype(object).replace(np.nan, None),
        }
        write_record(f"{directory}/baselines.json", record)


def describe_smallest(phi: pd.Series, charged: pd.Series, coded: pd.Series) -> str:
    """Which method has the smallest mean φ̄ by each of three counts.

    >>> phi = pd.Series({"DCT": 0.4, "wavelets": 0.2})
    >>> describe_smallest(phi, phi + 0.1, phi)
    '*wavelets*, 0.200; also with the scale charged, 0.300, and from bytes, 0.200.'
    >>> describe_smallest(phi, phi, 1 - phi)
    '*wavelets*, 0.200; with the scale charged *wavelets*, 0.200; from bytes *DCT*, 0.600.'
    """
    first, second, third = phi.idxmin(), charged.idxmin(), coded.idxmin()
    if first == second == third:
        return (
            f"*{first}*, {phi.min():.3f}; also with the scale charged, {charged.min():.3f}, and "
            f"from bytes, {coded.min():.3f}."
        )
    return (
        f"*{first}*, {phi.min():.3f}; with the scale charged *{second}*, {charged.min():.3f}; "
        f"from bytes *{third}*, {coded.min():.3f}."
    )
