"""The page of the fifteen databases together."""

from collections import Counter

import matplotlib.pyplot as plt
import pandas as pd

from sanbook import reports, show
from sanbook.files import write_table
from sanbook.reproduction.criteria import compare_numbers, describe_shares
from sanbook.reproduction.published import published
from sanbook.reproduction.reference import describe_reference, reference
from sanbook.reproduction.results import find, read_records
from sanbook.show import figures
from sanbook.show.names import NAMES

NOT_BUILT = (
    "This figure has every kernel size of every database, which no committed file has: "
    "`make pages` computes them."
)


class Summary(reports.Page):
    """Table I of the paper beside ours, and the article's figures over all databases.

    Args:
        results: The folder with the results of the pages of the databases, see
            `sanbook.reproduction.results.find`. Without results the table has the reference
            results.
    """

    def __init__(self, results: str = "") -> None:
        self.published = published("physionet")
        self.reference = reference().runs.query("table == 'physionet'")
        try:
            folder = find("physionet", results)
            self.where = f"the results in `{'/'.join(folder.parts[-3:])}`"
            self.records = read_records(folder / "physionet")
            rows = pd.concat([pd.DataFrame(record["rows"]) for record in self.records])
        except FileNotFoundError as error:
            self.where = f"the committed reference results, since a build has none: {error}"
            self.records, rows = [], self.reference.assign(data_source="real")
        self.cards = {name: card for page in self.records for name, card in page["cards"].items()}
        self.source = dict.fromkeys(rows.database, "real")
        self.source |= {name: card["source"] for name, card in self.cards.items()}
        self.order = [name for name in self.published.database.unique() if name in self.source]
        columns = [*self.published.columns, "seed", "init", "selection", "data_source"]
        keys = ["database", "selection", "init", "seed"]
        self.rows = rows[columns].sort_values(keys, kind="stable")
        kinds = {"simulated": "Simulated", "substitute": "Substitutes"}
        self.others = "".join(
            f" {title}: {', '.join(names)}."
            for kind, title in kinds.items()
            if (names := [name for name in self.order if self.source[name] == kind])
        )

    def write_results(self, results: str) -> None:
        """Leave the runs of all databases as one table."""
        if results:
            write_table(f"{results}/physionet.csv", self.rows)

    def findings(self) -> show.Shown:
        """What the reference results say of the whole table."""
        runs = self.reference.query("selection == 'published_m'")
        mean = runs.query("init == 'normal'").groupby(["database", "activation"]).phi.mean()
        ours = mean.unstack()
        printed = self.published.pivot(index="database", columns="activation", values="phi")
        smallest, of_paper = (
            table.loc[ours.index].idxmin(axis=1).value_counts().reindex(list(NAMES), fill_value=0)
            for table in (ours, printed)
        )
        best = "; ".join(
            f"{NAMES[a]} {smallest[a]} (published: {of_paper[a]})"
            for a in NAMES
            if smallest[a] + of_paper[a]
        )
        below = (runs.phi < 1).groupby(runs.activation).agg(["sum", "size"])
        below = "; ".join(f"{NAMES[a]} {below['sum'][a]} of {below['size'][a]}" for a in NAMES)
        numbers = compare_numbers(reference()).query("table == 'physionet'")
        return show.findings(
            f"{describe_shares(numbers)} {describe_reference()}",
            f"On {len(ours)} recordings the smallest φ̄ at the published sizes, from normal "
            f"weights, has: {best}.",
            f"φ̄ is below 1, better than the data themselves or zeros, in these runs: {below}.",
        )

    def about(self) -> list[show.Shown]:
        """Which results and which data the page shows."""
        count = Counter(self.source[name] for name in self.order)
        said = show.say(
            f"This page shows {self.where}. {count['real']} databases are the paper's own "
            f"recordings, {count['substitute']} are substitutes and {count['simulated']} are "
            "simulated. Only the first are compared with the paper."
        )
        line = show.data_line([self.cards[name] for name in self.order]) if self.cards else None
        quick = any(record["profile"] == "quick" for record in self.records)
        warning = show.quick("few kernel sizes and few epochs") if quick else None
        return [shown for shown in (said, line, warning) if shown]

    def table(self) -> show.Shown:
        """Table I, published and ours."""
        present = self.published[self.published.database.isin(self.order)]
        return show.table(
            pd.DataFrame([self._beside(row) for row in present.itertuples()]),
            name="tab-physionet",
            caption="φ̄ of Table I of the paper and ours.",
            sortable=True,
        )

    def _beside(self, row) -> dict:
        """A row of the published table and our numbers."""
        rows, source = self.rows, self.source[row.database]
        mine = rows[(rows.database == row.database) & (rows.activation == row.activation)]
        same_m = mine[mine.selection == "published_m"]
        normal = mine[mine.init == "normal"]
        at = {rule: normal[normal.selection == rule][:1] for rule in ("validation", "test")}
        apart = pd.concat([same_m.phi, at["test"].phi]) - row.phi
        mean = same_m[same_m.init == "normal"].phi.mean()
        columns = {
            "database": row.database,
            "data": source,
            "activation": NAMES[row.activation],
            "m": row.kernel_size,
            "paper's φ̄": f"{row.phi:.2f}",
            "ours": f"{mean:.2f} ({same_m.phi.min():.2f}–{same_m.phi.max():.2f})",
            "mean": f"{mean - row.phi:+z.2f}" if source == "real" else None,
            "nearest": f"{min(apart, key=abs):+z.2f}" if source == "real" else None,
        }
        for rule, chosen in at.items():
            columns[f"m by {rule}"] = chosen.kernel_size.iloc[0] if len(chosen) else None
            columns[f"φ̄ by {rule}"] = f"{chosen.phi.iloc[0]:.2f}" if len(chosen) else None
        return columns

    def _of_records(self, part: str) -> pd.DataFrame:
        tables = [pd.DataFrame(r[part]).assign(database=r["database"]) for r in self.records]
        return pd.concat(tables)

    @figures.style()
    def density(self) -> show.Shown:
        """Every kernel size of every database in the plane of loss and compression."""
        if not self.records:
            return show.say(NOT_BUILT)
        points = self._of_records("points")
        share = (points.phi < 1).groupby(points.activation).mean()[list(NAMES)]
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
        return self.figure_of(
            "fig-density",
            figure,
            f"{len(points):,} trainings of {len(self.order)} databases in the plane of L̃ and CR⁻¹; "
            f"the stronger the colour, the denser.{self.others}",
            "Five density plots of CR⁻¹ against L̃, one per activation function. Share of trainings "
            f"with φ̄ below 1: {reports.scores(share, '{:.0%}')}.",
        )

    def epochs(self) -> show.Shown:
        """φ̄ on validation after each epoch, at the kernel size chosen on validation."""
        return self._lines("epochs", "epoch", "epoch", "φ̄ on validation against the epoch")

    def sizes(self) -> show.Shown:
        """φ̄ on the test windows against the kernel size."""
        caption = "φ̄ on the test windows against the kernel size"
        return self._lines("points", "kernel_size", "kernel size m (samples)", caption)

    def _lines(self, part: str, along: str, label: str, caption: str) -> show.Shown:
        if not self.records:
            return show.say(NOT_BUILT)
        lines = mean_and_band(self._of_records(part), along)
        lowest = lines.groupby("activation").phi.min()[list(NAMES)]
        return self.figure_of(
            f"fig-phi-{part.replace('points', 'sizes')}",
            figures.plot_phi(lines, along, label),
            f"{caption}, mean ± one standard deviation over {len(self.order)} databases."
            f"{self.others}",
            f"Line plot of mean φ̄ with bands. Lowest: {reports.scores(lowest)}.",
        )

    @figures.style()
    def kernels(self) -> show.Shown:
        """The kernel of each database and activation function at the size chosen on validation."""
        if not self.records:
            return show.say(NOT_BUILT)
        of_database = {record["database"]: record["kernels"] for record in self.records}
        kernels = {name: of_database[name] for name in self.order}
        sizes = pd.DataFrame({a: [len(k[a]) for k in kernels.values()] for a in NAMES}).median()
        figure, grid = plt.subplots(
            len(kernels), len(NAMES), figsize=(8, 0.9 * len(kernels)), squeeze=False
        )
        for row, (database, of_activation) in zip(grid, kernels.items(), strict=True):
            for axes, activation in zip(row, NAMES, strict=True):
                kernel = of_activation[activation]
                figures.draw_kernel(axes, kernel, activation)
                axes.set(xticks=[], yticks=[])
                axes.annotate(f"m = {len(kernel)}", (0.97, 0.95), fontsize=8, color="0.4",
                              ha="right", va="top", xycoords="axes fraction")  # fmt: skip
            source = self.source[database]
            title = database if source == "real" else f"{database}\n({source})"
            row[0].set_ylabel(title, rotation=0, ha="right", va="center")
        for axes, activation in zip(grid[0], NAMES, strict=True):
            axes.set_title(NAMES[activation])
        return self.figure_of(
            "fig-kernels",
            figure,
            f"The kernels chosen on validation.{self.others}",
            f"Grid of kernels, five activation functions by {len(self.order)} databases. Median "
            f"kernel sizes: {reports.scores(sizes, '{:.0f}')}.",
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
