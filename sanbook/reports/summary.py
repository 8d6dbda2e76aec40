"""The page of the fifteen databases together."""

import functools
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from sanbook import show
from sanbook.files import write_table
from sanbook.reproduction.criteria import compare_numbers, describe_shares
from sanbook.reproduction.published import published
from sanbook.reproduction.reference import describe_reference, reference
from sanbook.reproduction.results import find, read_records
from sanbook.show import figures
from sanbook.show.names import NAMES


def of_all_sizes(section: Callable) -> Callable:
    """A section that needs the pages of the databases, or one sentence that says so."""

    @functools.wraps(section)
    def shown(self: "Summary") -> show.Shown:
        if self.records:
            return section(self)
        return show.say(
            "This figure has every kernel size of every database, which no committed file has: "
            "`make pages` computes them."
        )

    return shown


class Summary:
    """Table I of the paper beside ours, and the article's figures over all databases.

    Args:
        results: The folder with what the pages of the databases left, as in
            `sanbook.reproduction.results.find`. Where they left nothing, the table has the
            reference results.
    """

    def __init__(self, results: str = "") -> None:
        self.published = published("physionet")
        self.reference = reference().runs.query("table == 'physionet'")
        try:
            folder = find("physionet", results)
            self.where = f"the results in `{'/'.join(folder.parts[-3:])}`"
            self.records = read_records(folder / "physionet")
            self.cards = {name: c for record in self.records for name, c in record["cards"].items()}
            self.rows = pd.concat([pd.DataFrame(record["rows"]) for record in self.records])
        except FileNotFoundError as error:
            self.where = (
                f"the committed reference results, since there are none of a build: {error}"
            )
            self.records, self.cards = [], {}
            self.rows = self.reference.assign(data_source="real")
        self.source = dict.fromkeys(self.rows.database, "real") | {
            name: card["source"] for name, card in self.cards.items()
        }
        self.order = [name for name in self.published.database.unique() if name in self.source]
        columns = [*self.published.columns, "seed", "init", "selection", "data_source"]
        keys = ["database", "selection", "init", "seed"]
        self.rows = self.rows[columns].sort_values(keys, kind="stable")
        self.kinds = {
            kind: [name for name in self.order if self.source[name] == kind]
            for kind in ("real", "substitute", "simulated")
        }
        others = {"Simulated": self.kinds["simulated"], "Substitutes": self.kinds["substitute"]}
        self.others = "".join(
            f" {kind}: {', '.join(names)}." for kind, names in others.items() if names
        )

    def write_results(self, results: str) -> None:
        """Leave the runs of all databases as one table."""
        if results:
            write_table(Path(results) / "physionet.csv", self.rows)

    def findings(self) -> show.Shown:
        """What the reference results say of the whole table."""
        runs = self.reference.query("selection == 'published_m'")
        mean = runs.query("init == 'normal'").groupby(["database", "activation"]).phi.mean()
        smallest = mean.unstack().idxmin(axis=1).value_counts()
        printed = self.published.pivot(index="database", columns="activation", values="phi")
        printed = printed.loc[mean.index.unique(level=0)].idxmin(axis=1).value_counts()
        best = "; ".join(
            f"{NAMES[a]} {smallest.get(a, 0)} (published: {printed.get(a, 0)})"
            for a in NAMES
            if smallest.get(a, 0) + printed.get(a, 0)
        )
        below = (runs.phi < 1).groupby(runs.activation).agg(["sum", "size"])
        below = "; ".join(f"{NAMES[a]} {below['sum'][a]} of {below['size'][a]}" for a in NAMES)
        numbers = compare_numbers(reference()).query("table == 'physionet'")
        return show.findings(
            f"{describe_shares(numbers)} {describe_reference()}",
            f"On {mean.index.unique(level=0).size} recordings the smallest φ̄ at the published "
            f"sizes, from normal weights, has: {best}.",
            f"φ̄ is below 1, better than the data themselves or zeros, in these runs: {below}.",
        )

    def about(self) -> list[show.Shown]:
        """Which results and which data the page shows."""
        said = show.say(
            f"This page shows {self.where}. {len(self.kinds['real'])} databases are the paper's "
            f"own recordings, {len(self.kinds['substitute'])} are substitutes and "
            f"{len(self.kinds['simulated'])} are simulated. Only the first are compared with the "
            "paper."
        )
        shown = [said]
        if self.cards:
            shown.append(show.data_line([self.cards[name] for name in self.order]))
        if any(record["profile"] == "quick" for record in self.records):
            shown.append(show.quick("few kernel sizes and few epochs"))
        return shown

    def table(self) -> show.Shown:
        """Table I, published and ours."""
        present = self.published[self.published.database.isin(self.order)].reset_index(drop=True)
        names = {
            "database": present.database,
            "data": present.database.map(self.source),
            "activation": present.activation.map(NAMES),
            "m": present.kernel_size,
            "paper's φ̄": present.phi.map("{:.2f}".format),
        }
        ours = pd.DataFrame([self._ours(row) for row in present.itertuples()])
        return show.table(
            pd.DataFrame(names).join(ours),
            name="tab-physionet",
            caption="φ̄ of Table I of the paper and ours.",
            sortable=True,
        )

    def _ours(self, row) -> dict:
        """Our numbers for one row of the published table."""
        rows, real = self.rows, self.source[row.database] == "real"
        mine = rows[(rows.database == row.database) & (rows.activation == row.activation)]
        same_m = mine[mine.selection == "published_m"]
        normal = mine[mine.init == "normal"]
        at = {rule: normal[normal.selection == rule][:1] for rule in ("validation", "test")}
        apart = pd.concat([same_m.phi, at["test"].phi]) - row.phi
        mean = same_m[same_m.init == "normal"].phi.mean()
        columns = {
            "ours": f"{mean:.2f} ({same_m.phi.min():.2f}–{same_m.phi.max():.2f})",
            "mean": f"{mean - row.phi:+z.2f}" if real else None,
            "nearest": f"{min(apart, key=abs):+z.2f}" if real else None,
        }
        for rule, chosen in at.items():
            columns[f"m by {rule}"] = chosen.kernel_size.iloc[0] if len(chosen) else None
            columns[f"φ̄ by {rule}"] = f"{chosen.phi.iloc[0]:.2f}" if len(chosen) else None
        return columns

    def _of_records(self, part: str) -> pd.DataFrame:
        tables = [pd.DataFrame(r[part]).assign(database=r["database"]) for r in self.records]
        return pd.concat(tables)

    @of_all_sizes
    def density(self) -> show.Shown:
        """Every kernel size of every database in the plane of loss and compression."""
        points = self._of_records("points")
        share = points.assign(small=points.phi < 1).groupby("activation").small.mean()
        return show.figure(
            plot_density(points),
            name="fig-density",
            caption=f"{len(points):,} trainings of {len(self.order)} databases in the plane of L̃ "
            f"and CR⁻¹; the stronger the colour, the denser.{self.others}",
            alt="Five density plots of CR⁻¹ against L̃, one per activation function. Share of "
            f"trainings with φ̄ below 1: {'; '.join(f'{NAMES[a]} {share[a]:.0%}' for a in NAMES)}.",
            sources=self.source.values(),
        )

    @of_all_sizes
    def epochs(self) -> show.Shown:
        """φ̄ on validation after each epoch, at the kernel size chosen on validation."""
        lines = mean_and_band(self._of_records("epochs"), "epoch")
        ends = lines[lines.epoch == lines.epoch.max()].set_index("activation").phi
        described = "; ".join(f"{NAMES[a]} {ends[a]:.2f}" for a in NAMES)
        return show.figure(
            figures.plot_phi(lines, "epoch", "epoch"),
            name="fig-phi-epochs",
            caption="φ̄ on validation against the epoch, mean ± one standard deviation over "
            f"{len(self.order)} databases.{self.others}",
            alt=f"Line plot of mean φ̄ against epoch with bands. After the last epoch: {described}.",
            sources=self.source.values(),
        )

    @of_all_sizes
    def sizes(self) -> show.Shown:
        """φ̄ on the test windows against the kernel size."""
        lines = mean_and_band(self._of_records("points"), "kernel_size")
        lowest = lines.loc[lines.groupby("activation").phi.idxmin()].set_index("activation")
        described = "; ".join(
            f"{NAMES[a]} {lowest.phi[a]:.2f} at m = {lowest.kernel_size[a]}" for a in NAMES
        )
        return show.figure(
            figures.plot_phi(lines, "kernel_size", "kernel size m (samples)"),
            name="fig-phi-sizes",
            caption="φ̄ on the test windows against the kernel size, mean ± one standard deviation "
            f"over {len(self.order)} databases.{self.others}",
            alt=f"Line plot of mean φ̄ against kernel size with bands. Lowest: {described}.",
            sources=self.source.values(),
        )

    @of_all_sizes
    def kernels(self) -> show.Shown:
        """The kernel of each database and activation function at the size chosen on validation."""
        of_database = {record["database"]: record["kernels"] for record in self.records}
        kernels = {name: of_database[name] for name in self.order}
        sizes = pd.DataFrame({a: [len(k[a]) for k in kernels.values()] for a in NAMES}).median()
        return show.figure(
            plot_kernels(kernels, self.source),
            name="fig-kernels",
            caption=f"The kernels chosen on validation.{self.others}",
            alt=f"Grid of kernels, five activation functions by {len(self.order)} databases. "
            f"Median kernel sizes: {'; '.join(f'{NAMES[a]} {int(sizes[a])}' for a in NAMES)}.",
            sources=self.source.values(),
        )


def mean_and_band(rows: pd.DataFrame, along: str) -> pd.DataFrame:
    """Mean phi over databases and one standard deviation around it, where all databases have one.

    Args:
        rows: activation, phi and the column ``along``, a row for each database.
        along: "epoch" or "kernel_size".
    """
    of_all = rows.groupby(["activation", along]).phi.agg(["mean", "std", "size"]).reset_index()
    of_all = of_all[of_all["size"] == of_all["size"].max()].fillna(0)
    low, high = of_all["mean"] - of_all["std"], of_all["mean"] + of_all["std"]
    return of_all.rename(columns={"mean": "phi"}).assign(low=low, high=high)


@figures.style()
def plot_density(points: pd.DataFrame) -> Figure:
    """Where the trainings of all databases lie in the plane, one panel per activation function."""
    figure, panels = plt.subplots(1, len(NAMES), figsize=(11, 3.2), sharex=True, sharey=True)
    for axes, activation in zip(panels, NAMES, strict=True):
        figures.draw_regions(axes, 2.0)
        of_one = points[points.activation == activation]
        axes.hexbin(
            of_one.normalized_reconstruction_loss,
            of_one.inverse_compression_ratio,
            gridsize=28,
            extent=(0, 2, 0, 2.5),
            mincnt=1,
            bins="log",
            cmap="Blues",
            vmin=0.3,
        )
        axes.set(title=NAMES[activation], xlabel="L̃", xlim=(0, 2), ylim=(0, 2.5))
    panels[0].set_ylabel("CR⁻¹")
    return figure


@figures.style()
def plot_kernels(kernels: dict[str, dict[str, list[float]]], source: dict[str, str]) -> Figure:
    """The kernel of each database (row, its source named) and activation function (column)."""
    figure, grid = plt.subplots(
        len(kernels), len(NAMES), figsize=(8, 0.9 * len(kernels)), squeeze=False
    )
    for row, (database, of_activation) in zip(grid, kernels.items(), strict=True):
        for axes, activation in zip(row, NAMES, strict=True):
            kernel = of_activation[activation]
            figures.draw_kernel(axes, kernel, activation)
            axes.set(xticks=[], yticks=[])
            axes.annotate(f"m = {len(kernel)}", (0.97, 0.95), fontsize=8, color="0.4", ha="right",
                          va="top", xycoords="axes fraction")  # fmt: skip
        title = database if source[database] == "real" else f"{database}\n({source[database]})"
        row[0].set_ylabel(title, rotation=0, ha="right", va="center")
    for axes, activation in zip(grid[0], NAMES, strict=True):
        axes.set_title(NAMES[activation])
    return figure
