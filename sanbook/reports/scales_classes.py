"""How much class information multiscale SANs keep: UCI-epilepsy (article Sec. IV-B)."""

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import Tensor

from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.reports.scales import as_facts
from sanbook.reproduction.reference import reference
from sanbook.scales import MultiscaleSAN
from sanbook.show import figures
from sanbook.show.names import COLORS, METRICS, NAMES

LEARNED_FROM, CHOSEN_ON = 30, 60  # segments
QUICK = {"train": 2000, "validation": 300, "test": 300}  # segments
ORIGINAL = "original segments"
OURS = {2: "multiscale SAN", 3: "multiscale SAN, scale charged"}  # by the cost of an activation
OUR_COLORS = ("#CC79A7", "#882255")
COLUMNS = ["batch_size", "network", "seed", *METRICS, "accuracy_percent"]


@torch.no_grad()
def reconstruct(model: MultiscaleSAN, x: Tensor, at_once: int = 500) -> tuple[Tensor, Tensor]:
    """Reconstructions of segments ``(B, n)`` and their CR⁻¹, loss and φ, ``(B, 3)``."""
    drawn, metrics = [], []
    for part in x.split(at_once):  # maps take much memory
        a = model.encode(part)
        drawn.append(model.decode(a))
        metrics.append(model.metrics(part, a))
    return torch.cat(drawn), torch.cat(metrics)


def functions(results: str) -> tuple[pd.DataFrame, str]:
    """SANs of the paper on UCI-epilepsy: the best kernel size of each function, and their origin.

    The kernel size has the smallest φ̄ on validation. The reference results have no validation:
    there the kernel size has the smallest φ̄ on test.
    """
    keys = ["batch_size", "activation", "seed"]
    found = reports.find_results("uci_epilepsy", results)
    if found:
        rows, by = pd.DataFrame(found.results["rows"]), "validation_phi"
        origin = found.origin
    else:
        rows, by = reference().runs.query("table == 'uci_epilepsy' and init == 'normal'"), "phi"
        rows = rows.assign(batch_size=32)
        origin = "the committed reference results of the whole data set, with the kernel size "
        origin += "selected on test"
    living = rows[(rows.selection == "published_m") & ~rows.dead.astype(bool)]
    return living.loc[living.groupby(keys, sort=False)[by].idxmin()], origin


@dataclass
class Report(reports.Page):
    """Multiscale SANs beside the SANs of the paper, by φ̄ and by accuracy.

    Attributes:
        compared: the rows of the results file.
    """

    segments: DataSet
    models: Mapping[int, MultiscaleSAN]  # by seed
    # Of each (cost, seed), parts of the data as ``(B, n)``.
    reconstructions: Mapping[tuple[int, int], Mapping[str, Tensor]]
    metrics: Mapping[tuple[int, int], Tensor]  # of each (cost, seed), of test, ``(B, 3)``
    # Of classifiers: batch_size, cost (0 for the original segments), seed, accuracy_percent.
    accuracies: pd.DataFrame
    results: str  # folder with the results of the page of UCI-epilepsy
    profile: str

    def __post_init__(self) -> None:
        card = self.segments.card
        self.cards, self.seeds = {card.name: vars(card)}, list(self.models)
        ours = pd.DataFrame(
            [(*key, *of_test.mean(dim=0).tolist()) for key, of_test in self.metrics.items()],
            columns=["cost", "seed", *METRICS],
        )
        ours = self.accuracies.merge(ours, how="left", on=["cost", "seed"])
        ours["network"] = ours.cost.map(OURS).fillna(ORIGINAL)
        theirs, self.origin = functions(self.results)
        theirs = theirs.assign(network=theirs.activation.map(NAMES))
        self.compared = pd.concat([theirs, ours])[COLUMNS]
        self.groups = self.compared.groupby(["batch_size", "network"])
        self.means = self.groups.mean(numeric_only=True).drop(columns="seed")

    def findings(self) -> show.Shown:
        """φ̄ and accuracy of multiscale SANs, of the best SAN of the paper and of the original."""
        table = self.means.loc[32]
        best = table.loc[[name for name in NAMES.values() if name in table.index]]
        nearest, most = best.loc[best.phi.idxmin()], best.loc[best.accuracy_percent.idxmax()]
        free, charged = (table.loc[name] for name in OURS.values())
        return show.findings(
            f"**Multiscale SANs score φ̄ = {free.phi:.3f}**, and {charged.phi:.3f} with the scale "
            f"charged. The best SAN of the paper, {nearest.name}, scores {nearest.phi:.3f}.",
            f"**A classifier** reaches {free.accuracy_percent:.1f} % after reconstruction by "
            f"multiscale SANs ({charged.accuracy_percent:.1f} % with the scale charged), and "
            f"{nearest.accuracy_percent:.1f} % after reconstruction by {nearest.name}.",
            f"**The most accurate classifier of a reconstruction by a SAN of the paper** reaches "
            f"{most.accuracy_percent:.1f} % ({most.name}, φ̄ = {most.phi:.3f}). On the original "
            f"segments a classifier reaches {table.accuracy_percent[ORIGINAL]:.1f} %.",
        )

    def about(self) -> show.Shown:
        """Where the SANs of the paper come from."""
        return show.say(f"The results of the SANs of the paper come from {self.origin}.")

    def table(self) -> show.Shown:
        """φ̄ and accuracy of every network."""
        order = [*NAMES.values(), *OURS.values(), ORIGINAL]
        table = self.means.rename(columns={**METRICS, "accuracy_percent": "accuracy (%)"})
        table["accuracy (%)"] = table["accuracy (%)"].map("{:.1f}".format)
        table["φ̄, range"] = self.groups.phi.agg(reports.between)
        accuracies = self.groups.accuracy_percent
        table["accuracy, range (%)"] = accuracies.agg(reports.between, form="{:.1f}")
        table = table.reindex(order, level="network").sort_index(level=0, sort_remaining=False)
        return show.table(
            table.reset_index().rename(columns={"batch_size": "batch size"}),
            name="tab-scales-classes",
            caption="φ̄ on the test segments of UCI-epilepsy and accuracy after reconstruction "
            f"({reports.counted(len(self.seeds), 'seed')} of the multiscale SANs).",
        )

    @figures.style()
    def plane(self) -> show.Shown:
        """Accuracy against φ̄."""
        means = self.means.loc[32].drop(ORIGINAL)
        colors = {NAMES[activation]: color for activation, color in COLORS.items()}
        colors |= dict(zip(OURS.values(), OUR_COLORS, strict=True))
        sizes = self.means.index.unique("batch_size")
        figure, panels = plt.subplots(1, len(sizes), figsize=(10, 4.2), sharey=True, squeeze=False)
        for axes, batch_size in zip(panels.flat, sizes, strict=True):
            of_batch = self.compared[self.compared.batch_size == batch_size]
            for network, color in colors.items():
                runs = of_batch[of_batch.network == network]
                if runs.empty:
                    continue
                marker = "*" if network in OURS.values() else "o"
                style = {"color": color, "marker": marker, "linestyle": "none"}
                axes.plot(runs.phi, runs.accuracy_percent, alpha=0.35, markersize=4, **style)
                mean, size = self.means.loc[(batch_size, network)], 15 if marker == "*" else 9
                axes.plot(mean.phi, mean.accuracy_percent, markersize=size, label=network, **style)
            original = self.means.accuracy_percent[batch_size, ORIGINAL]
            axes.axhline(original, color="0.4", linestyle="--", linewidth=1, label=ORIGINAL)
            axes.set(xlabel="φ̄ on test", title=f"batches of {batch_size}", xscale="log")
            axes.set_xticks([0.2, 0.5, 1, 2, 4], ["0.2", "0.5", "1", "2", "4"])
            axes.minorticks_off()
        panels[0, 0].set_ylabel("accuracy on test (%)")
        legend = panels[0, 0].get_legend_handles_labels()
        figure.legend(*legend, loc="outside lower center", ncols=4)
        return self.figure_of(
            "fig-scales-classes",
            figure,
            "Accuracy after reconstruction against φ̄ on the test segments. Large marks are "
            "means, small marks single seeds; the dashed line is the accuracy on the original "
            "segments. Networks on the upper left are best.",
            "Two scatter plots of accuracy against φ̄. In batches of 32: φ̄ "
            f"{reports.scores(means.phi)}; accuracy "
            f"{reports.scores(means.accuracy_percent, '{:.1f} %')}.",
        )

    @figures.style()
    def examples(self) -> show.Shown:
        """A test segment of each class and its reconstructions."""
        drawn = [self.reconstructions[cost, self.seeds[0]]["test"] for cost in OURS]
        classes, labels = self.segments.card.classes, self.segments.labels["test"]
        figure, panels = plt.subplots(len(classes), 1, figsize=(8, 5), sharex=True)
        for label, (axes, name) in enumerate(zip(panels, classes, strict=True)):
            first = int((labels == label).nonzero()[0])
            axes.plot(self.segments.test[first], color="0.7", linewidth=1.5)
            for x_hat, color in zip(drawn, OUR_COLORS, strict=True):
                axes.plot(x_hat[first], color=color, linewidth=0.9)
            axes.set_title(name, fontsize=9, loc="left")
        panels[-1].set_xlabel("sample")
        return self.figure_of(
            "fig-scales-segments",
            figure,
            "The first test segment of each class (grey) and its reconstruction by a "
            "multiscale SAN, with two numbers per activation (light) and with the scale charged "
            "(dark).",
            f"Line plots, one for each of {reports.listed(classes)}; both "
            "reconstructions follow the segments and leave out fast, small waves.",
        )

    def write_results(self, directory: str) -> None:
        """Leave the two ``scales_classes`` files; nothing without a directory."""
        networks = {seed: as_facts(model) for seed, model in self.models.items()}
        self.leave(directory, "scales_classes", self.compared, seeds=self.seeds, networks=networks)
