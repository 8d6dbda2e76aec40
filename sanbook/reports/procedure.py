"""The published PhysioNet procedure repeated: what its single numbers are draws of."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binomtest

from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.methods.coder import choose_step, evaluate_bytes
from sanbook.methods.networks import TrainedNetwork
from sanbook.reproduction.criteria import TOLERANCE
from sanbook.reproduction.procedure import choose, sizes_after_last_epoch
from sanbook.reproduction.published import TABLES, published
from sanbook.reproduction.ranks import BINS, counts, published_ranks, uniformity
from sanbook.reproduction.reference import describe_reference, draws, read_reference, reference
from sanbook.show import figures
from sanbook.show.names import COLORS, METRICS, NAMES, START_WORDS
from sanbook.training import Trained

PAIR = ["database", "activation"]
TITLES = {"normal": "normal", "constant": "0.1"}  # the starts of the published runs
FUNCTIONS = [name for name in NAMES if name != "identity"]  # whose phi is not all rounding
SPARSE = FUNCTIONS[1:]
DRAWN = ("apnea-ecg", "mitdb")  # the recordings of the figure of all kernel sizes
MOST_DRAWN = 10  # seeds in this figure
APART = 0.01  # two distances to a published phi differ if by more than this


class Runs(reports.Page):
    """What this build's own sweeps choose, collected for the results file."""

    def __init__(self, profile: str, seeds: Sequence[int]) -> None:
        self.profile, self.seeds, self.cards = profile, list(seeds), {}
        self.rows, self.sizes, self.starts = [], [], []

    def add(self, recording: DataSet, swept: Trained) -> None:
        """Keep what the rules choose from a sweep over the kernel sizes of a recording."""
        card, activation, init = recording.card, swept.activation, swept.protocol.init
        self.cards[card.name] = vars(card)
        table = published("physionet").set_index(["database", "activation"])
        chosen = choose(swept, table.kernel_size[card.name, activation])
        named = {"database": card.name, "activation": activation, "init": init}
        chosen = chosen.assign(**named, data_source=card.data_source)
        self.rows.append(chosen)
        if activation in FUNCTIONS:
            honest = chosen[chosen.selection == "validation"].drop(columns="selection")
            models = (swept.model(row.kernel_size, row.seed) for row in honest.itertuples())
            self.starts.append(honest.assign(bytes=[bytes_of(m, recording) for m in models]))
        if card.name in DRAWN and init == "normal" and activation in SPARSE:
            of_sizes = sizes_after_last_epoch(swept).iloc[:, :MOST_DRAWN].round(4)
            self.sizes.append(of_sizes.reset_index().assign(**named))

    def chosen(self) -> show.Shown:
        """What this build's sweeps choose, on test and on validation."""
        names = {"init": "start", "selection": "chosen on", "kernel_size": "m", **METRICS}
        columns = ["database", "activation", "init", "selection", "seed", "kernel_size", *METRICS]
        rows = pd.concat(self.rows, ignore_index=True)
        rows = rows[rows.selection.isin(["test", "validation"])]
        rows = rows.assign(activation=rows.activation.map(NAMES))
        return show.table(
            rows[columns].rename(columns=names),
            sortable=True,
            name="tab-procedure-build",
            caption="What the sweeps of this build choose.",
        )

    def write_results(self, results: str) -> None:
        """Leave procedure.json and procedure.csv; nothing without a folder."""
        rows, starts = pd.concat(self.rows), pd.concat(self.starts, ignore_index=True).round(5)
        sizes = pd.concat(self.sizes, ignore_index=True) if self.sizes else pd.DataFrame()
        tables = {"rows": rows, "starts": starts, "sizes": sizes}
        self.leave(results, "procedure", rows, seeds=self.seeds, **tables)


def bytes_of(model, recording: DataSet) -> float:
    """Mean bytes of a test window and of the kernel, as on the page of other methods."""
    method = TrainedNetwork(model)
    step = choose_step(method, recording.validation)
    code = method.encode(recording.test)
    return evaluate_bytes(method, recording.test, code, step)[:, 0].mean().item()


class Procedure(reports.Page):
    """The reference results of the procedure beside the published PhysioNet table."""

    sources = ("real",)  # nothing else enters

    def __init__(self) -> None:
        every_run = reference().runs
        self.runs = every_run.query("table == 'physionet'")
        self.recordings = list(self.runs[self.runs.selection == "validation"].database.unique())
        pairs = pd.MultiIndex.from_product([self.recordings, FUNCTIONS], names=PAIR)
        self.table = published("physionet").set_index(PAIR).loc[pairs]
        self.seeds = self.chosen("normal").seed.nunique()
        more = draws()
        self.printed = pd.concat([self.chosen("normal"), more])
        self.ranks = {init: published_ranks(pd.concat([every_run, more]), init) for init in TITLES}

    def chosen(self, init: str, selection: str = "test") -> pd.DataFrame:
        """The runs of a start and a selection."""
        return self.runs[(self.runs.init == init) & (self.runs.selection == selection)]

    def within_range(self, chosen: pd.DataFrame) -> int:
        """Of how many pairs the published phi lies in the range of ours, widened by 0.02."""
        drawn = chosen.groupby(PAIR).phi.agg(["min", "max"]).loc[self.table.index]
        low, high = drawn["min"] - TOLERANCE, drawn["max"] + TOLERANCE
        return int(self.table.phi.between(low, high).sum())

    def sizes_chosen(self, chosen: pd.DataFrame) -> int:
        """Of how many pairs some seed chooses the published kernel size."""
        drawn = chosen.set_index(PAIR).kernel_size
        met = drawn == self.table.kernel_size.reindex(drawn.index)
        return int(met.groupby(PAIR).any().loc[self.table.index].sum())

    def nearer(self) -> tuple[int, int, float]:
        """Pairs whose starts differ in their distance to the published phi, and the nearer start.

        Returns:
            How many pairs differ by more than 0.01 in the mean over the seeds, in how many of them
            normal weights are nearer, and the p-value of the sign test.
        """
        distance = {}
        for init in TITLES:
            phi = self.chosen(init).set_index(PAIR).phi
            apart = (phi - self.table.phi.reindex(phi.index)).abs()
            distance[init] = apart.groupby(PAIR).mean().loc[self.table.index]
        gain = distance["constant"] - distance["normal"]
        differ, normal = int((gain.abs() > APART).sum()), int((gain > APART).sum())
        return differ, normal, binomtest(normal, differ).pvalue if differ else 1.0

    def findings(self) -> show.Shown:
        """Which start the published table was made from, and whether it is a plausible draw."""
        starts = [self.chosen(init) for init in TITLES]
        within, constant_within = map(self.within_range, starts)
        sizes, constant_sizes = map(self.sizes_chosen, starts)
        p, constant_p = (uniformity(r[r.table == "physionet"]) for r in self.ranks.values())
        differ, nearer, sign = self.nearer()
        return show.findings(
            f"The published φ̄ lies within the range of our {self.seeds} seeds (± {TOLERANCE:g}) "
            f"for {within} of {len(self.table)} pairs of recording and function from normal "
            f"weights, and for {constant_within} from weights of 0.1. At least one seed "
            f"chooses the published kernel size for {sizes} pairs from normal weights, and for "
            f"{constant_sizes} from weights of 0.1. "
            f"{describe_reference()}",
            f"With {self.printed.seed.nunique()} seeds from normal weights, "
            f"{self.within_range(self.printed)} published φ̄ lie within the range, and some seed "
            f"chooses {self.sizes_chosen(self.printed)} of the published kernel sizes. The ranks "
            f"of the published φ̄ among these seeds have p = {p:.2g} against a uniform "
            f"distribution. Among the {self.seeds} seeds from weights of 0.1, they have "
            f"p = {constant_p:.2g}.",
            "The mean distances of the two starts to the published φ̄ differ by more than "
            f"{APART:g} for {differ} pairs. Normal weights are nearer for {nearer} of them (sign "
            f"test, p = {sign:.2g}).",
        )

    @figures.style()
    def all_sizes(self) -> show.Shown:
        """Every kernel size of two recordings, and the smallest phi of each sweep."""
        sizes, table = read_reference("sizes"), published("physionet").set_index(PAIR)
        sparse = self.chosen("normal").query("activation in @SPARSE")
        lowest = sparse.groupby("database").phi.min()[list(DRAWN)]
        seeds = [name for name in sizes if name.startswith("seed_")]
        figure, grid = plt.subplots(len(DRAWN), len(SPARSE), figsize=(10, 5.5), sharey="row")
        for panels, database in zip(grid, DRAWN, strict=True):
            for axes, activation in zip(panels, SPARSE, strict=True):
                part = sizes[(sizes.database == database) & (sizes.activation == activation)]
                values, m = part[seeds].to_numpy(), part.kernel_size.to_numpy()
                axes.plot(m, values, ".", color="0.6", markersize=1, rasterized=True)
                best = values.argmin(axis=0)
                color = COLORS[activation]
                axes.plot(m[best], values.min(axis=0), "o", color=color, markersize=4)
                row = table.loc[(database, activation)]
                style = {"markersize": 9, "markerfacecolor": "none", "color": "black"}
                axes.plot(row.kernel_size, row.phi, "o", **style)
                axes.set(title=f"{database}, {NAMES[activation]}", ylim=(0, 1.6))
            panels[0].set_ylabel("φ̄")
        for axes in grid[-1]:
            axes.set_xlabel("kernel size m (samples)")
        return self.figure_of(
            "fig-procedure",
            figure,
            f"φ̄ on test after the last epoch for every kernel size and "
            f"{len(seeds)} seeds from normal weights (dots). "
            "Filled: the smallest φ̄ of each sweep, which the procedure prints. Hollow: the "
            "published number.",
            "Six scatter plots of φ̄ against the kernel size, two recordings by three "
            f"functions. The smallest φ̄ of all sweeps: {reports.scores(lowest)}. The published "
            "numbers lie among the smallest of each sweep.",
        )

    def curse(self) -> show.Shown:
        """One run at the published kernel size beside the procedure, by function."""
        columns = {"published": self.table.phi.groupby("activation").mean()}
        names = {
            "test": "whole procedure, choice on test",
            "published_m_last": "one run at the published m, last epoch",
            "published_m": "one run at the published m, best epoch",
            "validation": "whole procedure, choice on validation",
        }
        for selection, name in names.items():
            columns[name] = self.chosen("normal", selection).groupby("activation").phi.mean()
        table = pd.DataFrame(columns).loc[FUNCTIONS].rename(index=NAMES).rename_axis("function")
        return show.table(
            table.reset_index(),
            name="tab-curse",
            caption=f"Mean φ̄ over {len(self.recordings)} recordings and {self.seeds} seeds from "
            "normal weights.",
        )

    @figures.style()
    def histograms(self) -> show.Shown:
        """The ranks of each table and start."""
        parts = {
            (init, *key): part
            for init, ranks in self.ranks.items()
            for key, part in ranks.groupby(["table", "metric"], sort=False)
        }
        fifths = [f"{describe_part(*key)}: {counts(part)}" for key, part in parts.items()]
        figure, grid = figures.panels(len(parts), across=4, width=10, height=2.4)
        for axes, (key, part) in zip(grid.flat, parts.items(), strict=False):
            of_fifths = counts(part)
            color = "#0072B2" if key[0] == "normal" else "#D55E00"
            axes.bar(np.arange(BINS) + 0.5, of_fifths, width=0.9, color=color)
            axes.axhline(len(part) / BINS, color="0.3", linestyle="--", linewidth=0.8)
            title, _, start = describe_part(*key).rpartition(", ")
            axes.set_title(f"{title}\n{start}", fontsize=9)
            p = uniformity(part)
            axes.annotate(f"{len(part)} numbers, p = {p:.2g}", (0.5, 0.94), ha="center", fontsize=8,
                          xycoords="axes fraction")  # fmt: skip
            axes.set(xticks=[0, BINS], xticklabels=["0", "1"], ylim=(0, 1.35 * max(of_fifths)))
        return self.figure_of(
            "fig-ranks",
            figure,
            "Ranks of the published numbers among ours, in fifths. If the published "
            "numbers and ours are draws of the same distribution, each fifth has about as many "
            "(dashed). Left: the published number is smaller than most of ours. p: test of "
            "Kolmogorov and Smirnov against the uniform distribution, the median over orders of "
            "ties.",
            f"Histograms of ranks in fifths. {'; '.join(fifths)}.",
        )

    def beside(self) -> show.Shown:
        """The published table beside the distribution of what the procedure gives."""
        rows = []
        for (database, activation), row in self.table.iterrows():
            cells = {
                "database": database,
                "activation": NAMES[activation],
                "paper's m": row.kernel_size,
                **{f"paper's {symbol}": f"{row[name]:.2f}" for name, symbol in METRICS.items()},
            }
            for init, title in TITLES.items():
                drawn = self.chosen(init).query(
                    "database == @database and activation == @activation"
                )
                met = int((drawn.kernel_size == row.kernel_size).sum())
                cells[f"{title}: m chosen"] = f"{met} of {len(drawn)}"
                for name, symbol in METRICS.items():
                    median, low, high = drawn[name].quantile([0.5, 0, 1])
                    cells[f"{title}: {symbol}"] = f"{median:.2f} ({low:.2f}–{high:.2f})"
            rows.append(cells)
        return show.table(
            pd.DataFrame(rows),
            sortable=True,
            name="tab-procedure",
            caption="What the whole procedure gives from each start: how many seeds choose the "
            f"published kernel size, and median and range over {self.seeds} seeds.",
        )

    def rankings(self) -> show.Shown:
        """Which functions are better than which, in every run at the published kernel size."""
        at_m = self.runs[self.runs.selection == "published_m"]
        phi = at_m.pivot_table("phi", ["database", "init", "seed"], "activation")
        paper = published("physionet").pivot_table("phi", "database", "activation")
        paper, count, rows = paper.loc[self.recordings], len(self.recordings), []
        for better, worse in (
            ("relu", "identity"),
            *((function, "relu") for function in SPARSE),
            ("extrema-pool indices", "top-k absolutes"),
            ("extrema", "top-k absolutes"),
            ("extrema", "extrema-pool indices"),
        ):
            holds = phi[better] < phi[worse]
            rows.append(
                {
                    "φ̄": f"{NAMES[better]} < {NAMES[worse]}",
                    "published": f"{(paper[better] < paper[worse]).sum()} of {count}",
                    "every run": f"{holds.groupby('database').all().sum()} of {count}",
                    "runs": f"{holds.sum()} of {len(holds)}",
                }
            )
        return show.table(
            pd.DataFrame(rows),
            name="tab-conclusions",
            caption="Rankings of the functions. Published: recordings on which the published table "
            "shows the ranking. Every run: recordings on which all our runs at the published "
            "kernel size show it, for every seed and both starts. Runs: single runs.",
        )


def describe_part(init: str, table: str, metric: str) -> str:
    """A table, a metric and a start in words."""
    metric = {"accuracy_percent": "accuracy", "phi": "φ̄"}[metric]
    return f"{TABLES[table]}, {metric}, {START_WORDS[init]}"
