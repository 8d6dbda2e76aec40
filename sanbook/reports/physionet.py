"""One PhysioNet recording: five activation functions, every kernel size (article Sec. IV-A)."""

from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.reports import drawings
from sanbook.reproduction.criteria import TOLERANCE, within
from sanbook.reproduction.procedure import KERNEL_SIZES
from sanbook.reproduction.published import published as published_table
from sanbook.show import figures
from sanbook.show.names import COLORS, METRICS, NAMES
from sanbook.training import Trained

COLUMNS = ["activation", "kernel_size", *METRICS, "seed", "init", "selection"]


def published(database: str) -> pd.DataFrame:
    """The rows of Table I of one database, one for each activation function."""
    return published_table("physionet").query("database == @database")


def kernel_sizes(database: str, profile: str, step: int = 24) -> list[int]:
    """The kernel sizes to train, in samples: 1 to 249, or each ``step`` and the published ones.

    >>> kernel_sizes("mitdb", "quick")[:5], len(kernel_sizes("mitdb", "paper"))
    ([1, 7, 10, 25, 49], 249)
    """
    if profile == "paper":
        return list(KERNEL_SIZES)
    return sorted({*KERNEL_SIZES[::step], *published(database).kernel_size})


@figures.style()
def signal(recording: DataSet, name: str = "") -> show.Shown:
    """The windows of a recording, in the order of time; ``name`` is the label of the figure."""
    card = recording.card
    six, two, four = map(len, (recording.train, recording.validation, recording.test))
    figure, axes = plt.subplots(figsize=(8, 2.6))
    for part, start, end, shade in figures.draw_windows(axes, recording):
        axes.annotate(part, ((start + end) / 2, 1.02), ha="center", color=shade,
                      xycoords=("data", "axes fraction"))  # fmt: skip
    axes.set(xlabel="sample", ylabel="standard deviations")
    return show.figure(
        figure,
        name=name or f"fig-signal-{card.name}",
        caption=f"The first {end:,} samples of {card.name} ({card.signal}), cut into "
        f"{six + two + four} standardized windows: {six} for training, {two} for validation and "
        f"{four} for testing.",
        alt=f"Line plot of {card.name}, {card.signal}. Values of the test windows lie between "
        f"{recording.test.min():.1f} and {recording.test.max():.1f} standard deviations.",
        sources=[card.source],
    )


@dataclass
class Report(reports.Page):
    """What the SANs of a recording give, beside Table I.

    Attributes:
        runs: the rows of the results file. ``selection`` is how the kernel size was chosen:
            "published_m"; "validation", the smallest φ̄ on validation; "test", the smallest φ̄ on
            test after the last epoch, as in the published code.
        chosen: the rows selected on validation, by activation function.
        models: the SAN of each of these rows.
        winner: the activation function of the row with the smallest φ̄ on test; `best_model` is its
            SAN.
    """

    recording: DataSet
    trained: Mapping[str, Trained]  # of each activation function, all kernel sizes, one seed
    # Of each (activation function, initialization) at the published kernel size, all seeds.
    at_published_size: Mapping[tuple[str, str], Trained]
    profile: str

    def __post_init__(self) -> None:
        card = self.recording.card
        self.database, self.cards = card.name, {card.name: vars(card)}
        self.activations = list(self.trained)
        table = published(self.database).set_index("activation", drop=False)
        self.published = table.loc[self.activations]
        self.seed = next(iter(self.trained.values())).table.seed.iloc[0]
        swept = {a: t.select().assign(init=t.protocol.init) for a, t in self.trained.items()}
        swept = pd.concat(swept, names=["activation"]).reset_index("activation")
        self.best = swept.query("rule == 'best'").reset_index(drop=True)
        last = swept.query("rule == 'last'").reset_index(drop=True)
        by_validation = self.best.loc[self.best.groupby("activation").validation_phi.idxmin()]
        by_test = last.loc[last.groupby("activation").phi.idxmin()]
        at_published_m = [
            t.select().query("rule == 'best'").assign(activation=a, init=init)
            for (a, init), t in self.at_published_size.items()
            if a in self.trained
        ]
        self.same_m = pd.concat(at_published_m).assign(selection="published_m")
        rows = [by_validation.assign(selection="validation"), by_test.assign(selection="test")]
        self.runs = pd.concat([*rows, self.same_m], ignore_index=True)[COLUMNS]
        self.runs = self.runs.assign(database=self.database, data_source=card.data_source)
        self.by_test = by_test.set_index("activation")
        self.chosen = by_validation.set_index("activation").loc[self.activations]
        sizes = self.chosen.kernel_size
        self.models = {a: of_a.model(sizes[a], self.seed) for a, of_a in self.trained.items()}
        self.winner = self.chosen.phi.idxmin()
        self.best_model = self.models[self.winner]
        self.medians = self.same_m.groupby(["activation", "init"]).phi.median().unstack()

    def findings(self) -> show.Shown:
        """Which function scores best, what the initialization changes, what agrees."""
        row = self.chosen.loc[self.winner]
        best = (
            f"**{NAMES[self.winner]} scores best.** With m = {row.kernel_size}, selected on "
            f"validation, it reaches φ̄ = {row.phi:.3f} on test: its representation takes "
            f"{100 * row.inverse_compression_ratio:.0f} % as many numbers as the signal, and its "
            f"error is {100 * row.normalized_reconstruction_loss:.0f} % of the error of predicting "
            "zero."
        )
        a = (self.medians.constant - self.medians.normal).abs().idxmax()
        start, paper = self.medians.loc[a], self.published.loc[a]
        effect_of_start = (
            f"**The initialization matters most for {NAMES[a]}** (m = {paper.kernel_size}): "
            f"the median φ̄ is {start.normal:.3f} with normal and {start.constant:.3f} with "
            f"constant weights. The published value is {paper.phi:.2f}."
        )
        return show.findings(best, effect_of_start, self._agreement())

    def _agreement(self) -> str:
        source = self.recording.card.source
        if source != "real":
            return f"**No comparison with the paper:** the data on this page are {source}."
        protocol = next(iter(self.trained.values())).protocol
        rows, printed = self.same_m, self.published.phi
        means = rows.query("init == @protocol.init").groupby("activation").phi.mean()
        near = within(rows.phi, rows.activation.map(printed), "phi")
        seeds = rows.seed.nunique()
        mean = "the run" if seeds == 1 else f"the mean over {seeds} seeds"
        return (
            f"**Agreement with the paper:** {mean} with {protocol.init} initialization matches "
            f"{within(means, printed, 'phi').sum()} of the {len(printed)} published φ̄ within "
            f"{TOLERANCE:g}, and at least one run matches "
            f"{near.groupby(rows.activation).any().sum()} of them."
        )

    def published_and_ours(self) -> show.Shown:
        """Table I and our runs side by side."""
        spread = self.same_m.groupby("activation").phi
        seeds = self.same_m.seed.nunique()
        table = pd.DataFrame(
            {
                "activation": self.published.activation.map(NAMES),
                "published m": self.published.kernel_size,
                **{
                    f"published {symbol}": self.published[metric].map("{:.2f}".format)
                    for metric, symbol in METRICS.items()
                },
                "φ̄, normal init.": self.medians.normal,
                "φ̄, constant init.": self.medians.constant,
                "φ̄, range": spread.agg(reports.between),
                "m (validation)": self.chosen.kernel_size,
                "φ̄ (validation m)": self.chosen.phi,
                "m (test)": self.by_test.kernel_size,
                "φ̄ (test m)": self.by_test.phi,
            },
            index=self.activations,
        )
        return show.table(
            table,
            name=f"tab-{self.database}",
            caption=f"SANs on {self.database}: published results, and ours on the test windows "
            f"({reports.counted(seeds, 'seed')} and two initializations at the published m; seed "
            f"{self.seed} elsewhere).",
        )

    @figures.style()
    def walk(self) -> show.Shown:
        """The first test window through the SAN of each activation function."""
        x, count = self.recording.test[:1], len(self.models)
        figure, rows = plt.subplots(
            count, 3, figsize=(9, 1.7 * count), width_ratios=[1, 3, 3], squeeze=False
        )
        for axes, (activation, model) in zip(rows, self.models.items(), strict=True):
            similarity, a = model.similarities(x)[0, 0].detach(), model.encode(x)[0, 0].detach()
            x_hat = model.decode(a[None, None])[0].detach()
            color = COLORS[activation]
            figures.draw_kernel(axes[0], model.kernels[0].detach(), activation)
            axes[0].set_title(f"{NAMES[activation]}\nkernel w, m = {len(model.kernels[0])}")
            axes[1].plot(similarity, color="0.7", linewidth=0.8)
            figures.draw_stems(axes[1], a, color=color, linewidth=0.8)
            axes[1].set_title(f"similarity s (grey), {a.count_nonzero()} activations a")
            axes[2].plot(x[0], color="0.7", linewidth=1.5)
            axes[2].plot(x_hat, color=color, linewidth=0.8)
            axes[2].set_title("window x (grey), reconstruction x̂")
        for axis in rows[-1]:
            axis.set_xlabel("sample")
        return self.figure_of(
            f"fig-walk-{self.database}",
            figure,
            f"The first test window of {self.database} in the SAN of each activation function, "
            "with the kernel size selected on validation. From left to right: the kernel; the "
            "similarity (grey) and the activations; the window (grey) and its reconstruction.",
            "One row for each activation function. Kernel sizes in samples: "
            f"{reports.scores(self.chosen.kernel_size, '{}')}.",
        )

    @figures.style()
    def plane(self) -> show.Shown:
        """Every SAN in the plane of loss and compression."""
        phi = self.best.phi
        figure = plt.figure(figsize=(9, 5))
        grid = figure.add_gridspec(len(self.models), 2, width_ratios=[4, 1])
        axes = figure.add_subplot(grid[:, 0])
        limit = max(1.2, 1.05 * self.best.normalized_reconstruction_loss.max())
        figures.draw_regions(axes, limit)
        for row, (activation, model) in enumerate(self.models.items()):
            of_activation = self.best[self.best.activation == activation]
            best = of_activation[of_activation.kernel_size == len(model.kernels[0])]
            color = COLORS[activation]
            dots = {"s": 8, "alpha": 0.5, "label": NAMES[activation]}
            star = {"s": 90, "marker": "*", "edgecolor": "white", "zorder": 3}
            for rows, style in ((of_activation, dots), (best, star)):
                x, y = rows.normalized_reconstruction_loss, rows.inverse_compression_ratio
                axes.scatter(x, y, color=color, **style)
            inset = figure.add_subplot(grid[row, 1])
            figures.draw_kernel(inset, model.kernels[0].detach(), activation)
            inset.set_title(f"{NAMES[activation]}, m = {len(model.kernels[0])}", fontsize=8)
            inset.tick_params(labelsize=7)
        top = max(2.5, 1.05 * self.best.inverse_compression_ratio.max())
        axes.set(xlabel="normalized reconstruction loss L̃", ylabel="inverse compression ratio CR⁻¹",
                 xlim=(0, limit), ylim=(0, top))  # fmt: skip
        figure.legend(loc="outside upper center", ncols=5, fontsize=9)
        return self.figure_of(
            f"fig-plane-{self.database}",
            figure,
            f"CR⁻¹ against L̃ on the test windows of {self.database}, one point for each kernel "
            "size. Stars mark the kernel size selected on validation, and the kernels on the right "
            f"belong to them. {100 * (phi < 1).mean():.0f} % of the points score φ̄ below 1.",
            f"Scatter plot of CR⁻¹ against L̃ for {self.best.kernel_size.nunique()} kernel sizes. "
            f"φ̄ on test lies between {phi.min():.2f} and {phi.max():.2f}.",
        )

    def by_size(self) -> show.Shown:
        """φ̄ over the kernel sizes."""
        smallest = self.best.groupby("activation").phi.min()[self.activations]
        return self.figure_of(
            f"fig-phi-{self.database}",
            figures.plot_phi(self.best, "kernel_size", "kernel size m (samples)"),
            f"φ̄ on the test windows of {self.database} against the kernel size, one line for each "
            "activation function. Below the dotted line a representation is useful.",
            f"Line plot of φ̄ against kernel size. Smallest values: {reports.scores(smallest)}.",
        )

    def explorer(self) -> show.Shown:
        """A live figure: any of the SANs on the first test window."""
        card = self.recording.card
        sizes = np.geomspace(1, 249, 25).round().astype(int).tolist()
        offered = sorted({*sizes, *self.chosen.kernel_size} & set(self.best.kernel_size))
        networks = {a: {m: t.model(m, self.seed) for m in offered} for a, t in self.trained.items()}
        return drawings.explorer(
            f"{self.database}: {card.signal}, {card.source}",
            "windows",
            self.recording.test[0],
            self.best,
            networks,
            self.chosen.kernel_size,
            self.winner,
        )

    def write_results(self, directory: str) -> None:
        """Leave ``physionet/<database>.json``; nothing without a directory."""
        epochs = pd.concat([t.table.assign(activation=a) for a, t in self.trained.items()])
        of_chosen = epochs.kernel_size == epochs.activation.map(self.chosen.kernel_size)
        epochs = epochs[(epochs.split == "validation") & of_chosen]
        self.leave(
            directory,
            f"physionet/{self.database}",
            database=self.database,
            rows=self.runs,
            points=self.best[["activation", "kernel_size", *METRICS]],
            epochs=epochs[["activation", "epoch", *METRICS]],
            kernels={a: m.kernels[0].detach().numpy() for a, m in self.models.items()},
        )
