"""Reconstruct, then classify: a data set with labels (article Sec. IV-B and IV-C)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import matplotlib.pyplot as plt
import pandas as pd
from torch import Tensor

from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.reports import drawings
from sanbook.reports.labelled_tables import (
    compare_accuracy,
    compare_phi,
    describe_dead,
    select_kernel_sizes,
)
from sanbook.reproduction.published import PUBLISHED, published
from sanbook.show import figures
from sanbook.show.names import COLORS, NAMES, over_seeds
from sanbook.training import Trained

GRIDS = {
    # Kernel sizes by batch size; the first grid is that of the published table.
    "uci-epilepsy": {32: range(15, 23), 64: range(8, 16)},
    "mnist": {64: range(1, 7)},
    "fashion-mnist": {64: range(1, 7)},
}
QUICK = {"train": 2000, "validation": 300, "test": 300}  # examples


class Run(NamedTuple):
    """SANs of a batch size and activation function, and what `classify_reconstructions` gives."""

    trained: Trained
    table: pd.DataFrame
    predictions: dict[tuple[int, int], Tensor]


def grids(dataset: str, profile: str) -> dict[int, list[int]]:
    """Kernel sizes to train, by batch size: those of the paper, or the smallest and the largest.

    >>> grids("mnist", "quick"), grids("mnist", "paper")
    ({64: [1, 6]}, {64: [1, 2, 3, 4, 5, 6]})
    """
    step = {"paper": lambda sizes: 1, "quick": lambda sizes: len(sizes) - 1}[profile]
    return {batch: list(sizes[:: step(sizes)]) for batch, sizes in GRIDS[dataset].items()}


def table_name(dataset: str) -> str:
    """The name of the published table and of the results files of a data set."""
    return dataset.replace("-", "_")


def preparation(examples: DataSet) -> show.Shown:
    """How the examples were scaled and split."""
    if examples.train.ndim == 3:
        return show.say("28 by 28 grey values, scaled to 0 to 1.")
    card = examples.card
    return show.say(
        f"Each segment has {examples.train.shape[1]} samples at {card.sampling_rate:g} samples "
        "per second. The smallest and the largest value of the whole file become −1 and 1; single "
        "segments are not scaled. We merge the five classes of the file to three. The parts follow "
        "the order of the file, so the same recording provides training and test segments "
        "({doc}`what this means </experiment>`). The thesis uses kernels of 15 to 22 samples "
        "and batches of 32; the article uses kernels of 8 to 15 samples and batches of 64. We run "
        "both."
    )


def parts(examples: DataSet) -> show.Shown:
    """How many examples each part has, by class, and how many are in the training part too."""
    card, rows = examples.card, []
    training = {hash(example.numpy().tobytes()) for example in examples.train}
    for part, labels in examples.labels.items():
        inputs = [example.numpy().tobytes() for example in getattr(examples, part)]
        duplicates = sum(hash(example) in training for example in inputs)
        counts = labels.bincount(minlength=len(card.classes)).tolist()
        rows.append(
            {"part": part, **dict(zip(card.classes, counts, strict=True)), "all": len(labels)}
            | {"all zero, excluded": card.blank[part]}
            | {"exact duplicates of training": None if part == "train" else duplicates}
        )
    return show.table(
        pd.DataFrame(rows).astype({"exact duplicates of training": "Int64"}),
        name=f"tab-parts-{card.name}",
        caption=f"{card.name}: number of {things(examples)} of each class in each part.",
    )


@figures.style()
def some_examples(examples: DataSet) -> show.Shown:
    """The first test examples of each class: a row of signals, a column of images."""
    card, kind = examples.card, things(examples)
    if examples.test.ndim == 2:
        figure, grid = plt.subplots(
            len(card.classes), 6, figsize=(9, len(card.classes)), sharey=True
        )
        for row, name in zip(grid, card.classes, strict=True):
            row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    else:
        figure, grid = plt.subplots(4, len(card.classes), figsize=(9, 4))
        grid = grid.T
        for column, name in zip(grid, card.classes, strict=True):
            column[0].set_title(name.replace("/", "/\n"), fontsize=9)
    for label, of_class in enumerate(grid):
        drawn = examples.test[examples.labels["test"] == label]
        for axes, example in zip(of_class, drawn, strict=False):
            figures.draw(axes, example, "#000000")
    return show.figure(
        figure,
        name=f"fig-examples-{card.name}",
        caption=f"The first test {kind} of each class of {card.name} ({card.signal}), on one "
        "scale.",
        alt=f"Grid of {kind} of {len(card.classes)} classes: {reports.listed(card.classes)}. Mean "
        f"absolute value of the test {kind}: {examples.test.abs().mean():.2f}.",
        sources=[card.source],
    )


def things(examples: DataSet) -> str:
    """What a data set holds: "segments" or "images"."""
    return "segments" if examples.train.ndim == 2 else "images"


@dataclass
class Report(reports.Page):
    """What SANs and classifiers give on a data set, beside the published table.

    Attributes:
        rows: all SANs, both readings (``rule``).
        main: SANs of the first batch size, from the best epoch on validation.
        models: the SAN of each activation function with the smallest φ̄ on validation, among the
            networks that are not dead.
        winner: the activation function of the smallest φ̄ on validation; `best_model` is its SAN.
        original: the mean accuracy on the original data, in percent.
    """

    examples: DataSet
    # Of each (batch size, activation function); the first batch size is the published table's.
    runs: Mapping[tuple[int, str], Run]
    baseline: pd.DataFrame  # the classifiers of the original data, see `classify`
    profile: str

    def __post_init__(self) -> None:
        self.card, self.things = self.examples.card, things(self.examples)
        self.name, self.cards = self.card.name, {self.card.name: vars(self.card)}
        self.published = published(table_name(self.name))
        tables = [run.table.assign(activation=a, batch_size=b) for (b, a), run in self.runs.items()]
        self.rows = pd.concat(tables)
        self.rows = self.rows.sort_values("kernel_size", kind="stable", ignore_index=True)
        self.batch_sizes = list(dict.fromkeys(batch_size for batch_size, _ in self.runs))
        self.activations = list(dict.fromkeys(activation for _, activation in self.runs))
        self.ours = self.rows[self.rows.rule == "best"].drop(columns="rule")
        self.main = self.ours[self.ours.batch_size == self.batch_sizes[0]]
        self.living = self.main[~self.main.dead]
        self.seeds = self.main.seed.unique().tolist()
        best = self.living.loc[self.living.groupby("activation").validation_phi.idxmin()]
        self.best = best.set_index("activation").reindex(self.activations).dropna(how="all")
        self.best = self.best.astype({"kernel_size": int, "seed": int})
        self.models = {
            a: self._trained(a).model(row.kernel_size, row.seed) for a, row in self.best.iterrows()
        }
        self.winner = self.best.validation_phi.idxmin()
        self.best_model = self.models[self.winner]
        self.original = self.baseline.accuracy_percent.mean()

    def _trained(self, activation: str) -> Trained:
        return self.runs[self.batch_sizes[0], activation].trained

    def _of_first_seed(self, of_size: Callable) -> dict[str, dict]:
        """What SANs of the first seed give, by activation function and kernel size."""
        sizes = self.main.kernel_size.unique().tolist()
        return {
            a: {m: of_size(self._trained(a), m, self.seeds[0]) for m in sizes}
            for a in self.activations
        }

    def findings(self) -> show.Shown:
        """Which function scores best, which classifier is most accurate, which SANs are dead."""
        of_winner = self.living[self.living.activation == self.winner]
        of_winner = of_winner.groupby("kernel_size")[["phi", "accuracy_percent"]].mean()
        at_size = of_winner.phi.idxmin()
        means = self.living.groupby(["activation", "kernel_size"]).accuracy_percent.mean()
        best_activation, best_size = means.idxmax()
        gain = round(means.max() - self.original, 1)
        difference = f"{abs(gain):.1f} points {'above' if gain > 0 else 'below'}"
        difference = difference if gain else "as much as"
        return show.findings(
            f"**{NAMES[self.winner]} scores best.** With m = {at_size} it reaches φ̄ = "
            f"{of_winner.phi[at_size]:.3f}, and a classifier trained on its reconstructions "
            f"reaches {of_winner.accuracy_percent[at_size]:.1f} %.",
            f"**The most accurate classifier** sees reconstructions by {NAMES[best_activation]} "
            f"with m = {best_size}. It reaches {means.max():.1f} %, {difference} the baseline on "
            f"the original data ({self.original:.1f} %).",
            describe_dead(self.ours),
        )

    def phi_table(self) -> show.Shown:
        """CR⁻¹, L̃ and φ̄, published and ours."""
        return show.table(
            compare_phi(self.main, self.published),
            name=f"tab-{self.name}",
            caption=f"SANs on {self.name}: published results, and ours on the test {self.things} "
            f"({over_seeds(self.seeds)}).",
        )

    def accuracy_table(self) -> show.Shown:
        """Accuracies, published and ours."""
        return show.table(
            compare_accuracy(self.main, self.published, self.original),
            name=f"tab-{self.name}-accuracy",
            caption=f"Accuracy on {self.name} after reconstruction: published results, and ours on "
            f"the test {self.things} ({over_seeds(self.seeds)}).",
        )

    def article_table(self) -> show.Shown | None:
        """Our results with the kernel sizes of the article, if they are other ones."""
        if len(self.batch_sizes) == 1:
            return None
        article = self.ours[self.ours.batch_size == self.batch_sizes[1]]
        accuracy = compare_accuracy(article, self.published.iloc[:0], self.original)
        table = compare_phi(article, self.published.iloc[:0])
        table = table.join(accuracy.drop(columns=["activation", "m"]))
        return show.table(
            table[[name for name in table if not name.startswith("published")]],
            name=f"tab-{self.name}-article",
            caption="Our results with the kernel sizes and the batch size of the article. The "
            "published table repeats the thesis, so these have no published counterpart.",
        )

    def original_data(self) -> show.Shown:
        """The accuracy on the original data."""
        ours = self.baseline.accuracy_percent
        of_paper = pd.read_csv(PUBLISHED / "supervised_baselines.csv")
        printed = of_paper.set_index("dataset").accuracy_percent[self.name]
        spread = f" ({reports.between(ours, '{:.1f}')})" if len(ours) > 1 else ""
        return show.say(
            f"On the original data the classifier reaches {ours.mean():.1f} %{spread}. The "
            f"published value is {printed:.1f} %."
        )

    @figures.style()
    def by_size(self) -> show.Shown:
        """φ̄ and accuracy over the kernel sizes."""
        band = ", with a band from the smallest to the largest" if len(self.seeds) > 1 else ""
        unit = "samples" if self.things == "segments" else "pixels"
        figure, panels = plt.subplots(1, 2, figsize=(10, 3.8))
        labels = {"phi": "φ̄ on test", "accuracy_percent": "accuracy on test (%)"}
        for axes, (metric, label) in zip(panels, labels.items(), strict=True):
            of_seeds = self.living.groupby(["activation", "kernel_size"])[metric]
            lines = of_seeds.agg(["mean", "min", "max"]).reset_index()
            lines.columns = ["activation", "kernel_size", metric, "low", "high"]
            figures.draw_lines(axes, lines, "kernel_size", metric)
            axes.set(xlabel=f"kernel size m ({unit})", ylabel=label)
            axes.xaxis.get_major_locator().set_params(integer=True)
        panels[0].set_ylim(0, None)
        line = {"color": "0.4", "linewidth": 1, "linestyle": "--", "label": "the data themselves"}
        panels[1].axhline(self.original, **line)
        legend = panels[1].get_legend_handles_labels()
        figure.legend(*legend, loc="outside upper center", ncols=6, fontsize=9)
        return self.figure_of(
            f"fig-phi-{self.name}",
            figure,
            f"φ̄ and accuracy on the test {self.things} of {self.name} against the kernel size "
            f"({over_seeds(self.seeds)}{band}). Dead networks are not shown.",
            "Two line plots against the kernel size. Selected on validation: φ̄ "
            f"{reports.scores(self.best.phi)}; accuracy "
            f"{reports.scores(self.best.accuracy_percent, '{:.1f} %')}. The original data give "
            f"{self.original:.1f} %.",
        )

    def feed_forward(self) -> show.Shown:
        """The first test example through the best SAN, step by step."""
        example = self.examples.test[0]
        kept = int(self.best_model.encode(example[None]).count_nonzero())
        label = self.card.classes[self.examples.labels["test"][0]]
        return self.figure_of(
            f"fig-feed-forward-{self.name}",
            drawings.plot_feed_forward(self.best_model, example),
            f"The first of the test {self.things} in the SAN with {NAMES[self.winner]} and "
            f"m = {self.best.kernel_size[self.winner]}, one row for each kernel.",
            f"Six columns: the example, of class {label}; the two kernels; their similarities; "
            f"{reports.counted(kept, 'activation')} in all; the two partial reconstructions; their "
            "sum.",
        )

    @figures.style()
    def kernels(self) -> show.Shown:
        """The kernels of every SAN of the first seed."""
        of_seed = self.main[self.main.seed == self.seeds[0]]
        kernels = self._of_first_seed(lambda found, *key: found.best[key])
        drawn = {a: [(m, w) for m in of for w in of[m]] for a, of in kernels.items()}
        shape = len(drawn), len(drawn[self.winner])
        figure, grid = plt.subplots(*shape, figsize=(10, 0.9 * len(drawn)), squeeze=False)
        for row, (activation, of_sizes) in zip(grid, drawn.items(), strict=True):
            for axes, (_, kernel) in zip(row, of_sizes, strict=True):
                figures.draw(axes, kernel, COLORS[activation])
            row[0].set_ylabel(NAMES[activation].replace(" ", "\n"), fontsize=7)
        for axes, (m, _) in zip(grid[0], of_sizes, strict=True):
            axes.set_title(f"m = {m}", fontsize=7)
        return self.figure_of(
            f"fig-kernels-{self.name}",
            figure,
            f"The two kernels of each SAN trained on {self.name}, seed {self.seeds[0]}.",
            f"Grid of kernels, {len(self.activations)} activation functions by "
            f"{reports.counted(of_seed.kernel_size.nunique(), 'size')}. "
            f"{reports.counted(int(of_seed.dead.sum()), 'network')} of this seed without "
            "activations.",
        )

    def reconstructions(self) -> show.Shown:
        """The first test examples and their reconstructions."""
        return self.figure_of(
            f"fig-reconstructions-{self.name}",
            drawings.plot_reconstructions(self.models, self.examples.test[:3]),
            f"Three test {self.things} of {self.name} (left) and their reconstructions by "
            "the SAN of each activation function, with the kernel size selected on validation.",
            f"Three rows of {self.things}. L̃ on test: "
            f"{reports.scores(self.best.normalized_reconstruction_loss)}.",
        )

    def explorer(self) -> show.Shown:
        """A live figure: any of the SANs of the first seed on the first test example."""
        of_seed = self.main[self.main.seed == self.seeds[0]]
        smallest = of_seed.loc[of_seed.groupby("activation").validation_phi.idxmin()]
        return drawings.explorer(
            f"{self.name}: {self.card.signal}, {self.card.source}",
            self.things,
            self.examples.test[0],
            of_seed,
            self._of_first_seed(Trained.model),
            smallest.set_index("activation").kernel_size,
            self.winner,
        )

    @figures.style()
    def confusion(self) -> show.Shown:
        """True and predicted classes of the classifier with the best accuracy on validation."""
        # Only here, as it takes 80 MB: by now the memory of training is free.
        from sklearn.metrics import ConfusionMatrixDisplay

        top = self.ours.loc[self.ours.validation_accuracy_percent.idxmax()]
        run = self.runs[top.batch_size, top.activation]
        classes = self.card.classes
        figure, axes = plt.subplots(figsize=(3 + 0.45 * len(classes), 2 + 0.4 * len(classes)))
        ConfusionMatrixDisplay.from_predictions(
            self.examples.labels["test"],
            run.predictions[top.kernel_size, top.seed],
            labels=range(len(classes)),
            display_labels=classes,
            cmap="Blues",
            colorbar=False,
            xticks_rotation=45,
            ax=axes,
        )
        return self.figure_of(
            f"fig-confusion-{self.name}",
            figure,
            f"True and predicted classes of the test {self.things} of {self.name}, classified "
            f"after reconstruction by {NAMES[top.activation]} with m = {top.kernel_size}. "
            f"{top.accuracy_percent:.1f} % are right.",
            f"Table of counts of true and predicted classes; {top.accuracy_percent:.1f} % of the "
            f"{self.things} lie on the diagonal.",
        )

    def write_results(self, directory: str) -> None:
        """Leave ``<table>.csv`` and ``<table>.json``; nothing without a directory."""
        columns = [*self.published.columns, "seed", "init", "selection", "data_source",
                   "batch_size", "dead", "validation_phi", "inverse_compression_ratio_qm",
                   "phi_qm"]  # fmt: skip
        selected = [
            select_kernel_sizes(self.rows[self.rows.batch_size == size])
            for size in self.batch_sizes
        ]
        init = self._trained(self.winner).protocol.init
        table = pd.concat(selected).assign(init=init, data_source=self.card.data_source)[columns]
        self.leave(
            directory,
            table_name(self.name),
            table,
            dataset=self.name,
            baseline=self.baseline,
            rows=table,
            kernels=self._of_first_seed(lambda found, *key: found.best[key].numpy()),
        )


# --- tables and sentences ------------------------------------------------------------------------
