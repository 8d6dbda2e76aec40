"""Every published number beside the reference results, and experiments on those that differ."""

from collections.abc import Iterator, Sequence

import pandas as pd

import sanbook.data
from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.reproduction.causes import EXPLAINED, by_san
from sanbook.reproduction.criteria import (
    ACCURACY_TOLERANCE,
    CRITERIA,
    NOT_RUN,
    TOLERANCE,
    UNEXPLAINED,
    compare_numbers,
    describe_shares,
    shares,
    shares_in_words,
    unmatched,
)
from sanbook.reproduction.published import KEYS, LABELS, TABLES
from sanbook.reproduction.reference import describe_reference, read_reference, reference
from sanbook.show import figures
from sanbook.show.names import NAMES

FURTHER = 20  # seeds of the first experiment, for each seed of the others


class Comparison:
    """The reference results beside every published number."""

    def __init__(self) -> None:
        self.numbers = compare_numbers(reference())
        self.unmatched = unmatched(self.numbers)
        self.causes = read_reference("causes")

    def findings(self) -> show.Shown:
        """How many numbers match, and what the others have in common."""
        by_metric = shares(self.numbers, "metric")
        matching = (by_metric.mean_matches / by_metric.run).sort_values()
        most, least = (
            f"{LABELS[name]} ({by_metric.mean_matches[name]} of {by_metric.run[name]})"
            for name in (matching.index[-1], matching.index[0])
        )
        relu = (self.unmatched.activation == "relu").sum()
        accuracies = (self.unmatched.metric == "accuracy_percent").sum()
        left = (self.causes.cause == UNEXPLAINED).sum()
        return show.findings(
            f"{describe_shares(self.numbers)} {describe_reference()}",
            f"The mean of our runs matches most often for {most}, and least often for {least}.",
            f"No run matches {len(self.unmatched)} numbers: {relu} belong to ReLU, and "
            f"{accuracies} are accuracies. Experiments explain {len(self.causes) - left} of "
            f"{len(self.causes)} ({{doc}}`how </causes>`).",
        )

    def criteria(self) -> show.Shown:
        """The three criteria by which a number agrees."""
        return show.say(
            f"**{CRITERIA['mean_matches'].capitalize()}**: the mean of our runs differs from the "
            f"published number by at most {TOLERANCE:g}, an accuracy by at most "
            f"{ACCURACY_TOLERANCE:g} points. These runs have the published kernel size and normal "
            "weights at the start.\n\n"
            f"**{CRITERIA['run_matches'].capitalize()}**: at least one run differs by at most that "
            "much. Runs from weights of 0.1 and runs of the last epoch count too. On PhysioNet the "
            "outcomes of {doc}`the whole procedure </procedure>` count as well.\n\n"
            f"**{CRITERIA['inside_interval'].capitalize()}**: the published number lies inside the "
            "95 % prediction interval for one further run, "
            r"$\bar{y} \pm t\, s \sqrt{1 + 1/N}$. Here $\bar{y}$ and $s$ are the mean and the "
            "standard deviation of $N$ runs, and $t$ is the quantile of Student's distribution "
            "with $N - 1$ degrees of freedom. The interval is wider by half a unit of the "
            "published rounding. On PhysioNet the outcomes of the procedure have an interval too."
        )

    def shares(self) -> show.Shown:
        """How many numbers meet each criterion, by table and metric."""
        table = shares_in_words(self.numbers, ["table", "metric"]).reset_index()
        return show.table(
            table.assign(table=table.table.map(TABLES), metric=table.metric.map(LABELS)),
            name="tab-ledger-shares",
            caption="How many published numbers were recomputed, and how many meet each criterion.",
        )

    def figure(self) -> show.Shown:
        """Ours against published."""
        run = self.numbers[self.numbers.verdict != NOT_RUN]
        apart = run.difference.abs().groupby(run.metric, sort=False).median()
        return show.figure(
            figures.plot_ledger(run, LABELS),
            name="fig-ledger",
            caption="Our results against the published ones, one panel per metric. Points are "
            "means over the seeds at the published kernel size, and bars their range. On the "
            "diagonal, both agree.",
            alt="Four scatter plots of our numbers against the published ones. Median absolute "
            f"difference of our mean: {reports.scores(apart.rename(LABELS), '{:.3f}')}.",
            sources=["real"],  # nothing else enters
        )

    def differing(self) -> show.Shown:
        """The numbers that no run matches, with causes."""
        key = [*KEYS, "metric"]
        left = self.unmatched.merge(self.causes, how="left", on=key)
        return show.table(
            readable(left).assign(cause=left.cause, rate=left.rate),
            sortable=True,
            name="tab-ledger-causes",
            caption="The numbers that no run matches. Rate: how many runs of the experiment that "
            "is the cause match the number.",
        )

    def every(self) -> show.Shown:
        """All published numbers."""
        numbers = self.numbers
        runs = numbers.clusters.fillna((numbers.runs - numbers.dead).astype(str))
        runs = runs.str.cat((", " + numbers.dead.astype(str) + " dead").where(numbers.dead > 0, ""))
        runs = numbers.reason.fillna(runs)
        return show.table(
            readable(numbers).assign(runs=runs),
            sortable=True,
            name="tab-ledger",
            caption="Every published number beside ours. Ours: mean and range at the published "
            "kernel size. Procedure: range of what the whole procedure gives (PhysioNet). Runs: "
            "how many, how many end in each cluster, or why there are none.",
        )


class Causes:
    """Which numbers need a cause, and what this build's experiments say of them."""

    def __init__(
        self, profile: str, seeds: Sequence[int], data: str, directory: str | None
    ) -> None:
        self.quick, self.where = profile == "quick", {"data": data, "directory": directory}
        self.epochs = 1 if self.quick else None
        count = len(seeds) * (1 if self.quick else FURTHER)
        self.further = range(seeds[0], seeds[0] + count)
        self.numbers = compare_numbers(reference())
        self.unmatched = unmatched(self.numbers)
        self.cards, self.explained, self.labels = {}, [], None

    def findings(self) -> show.Shown:
        """How many numbers no run matches, and which experiments reach them."""
        run = (self.numbers.verdict != NOT_RUN).sum()
        causes = read_reference("causes").cause.value_counts()
        left = causes.pop(UNEXPLAINED) if UNEXPLAINED in causes else 0
        reached = "; ".join(f"{cause} ({count})" for cause, count in causes.items())
        return show.findings(
            f"No reference run matches {len(self.unmatched)} of {run} numbers. "
            f"{describe_reference()}",
            f"Causes, with the numbers that each explains: {reached or 'none'}.",
            f"No experiment explains {left} numbers.",
        )

    def groups(self) -> Iterator[tuple[pd.DataFrame, DataSet]]:
        """The unmatched numbers of each SAN, and the data set; few of both in the quick profile."""
        shown, examples = set(), None
        for (table, database, *_), numbers in by_san(self.unmatched):
            if self.quick and table in shown:
                continue
            shown.add(table)
            if database not in self.cards:
                examples = None  # two data sets are never in memory together
                examples = sanbook.data.load(database, **self.where)
                self.cards[database] = vars(examples.card)
                if self.quick and examples.labels:
                    examples = examples.first(train=500, validation=100, test=100)
            self.labels = examples.labels and examples.labels["test"]
            yield numbers, examples

    def add(self, explained: pd.DataFrame) -> None:
        """Keep the numbers of one SAN with their causes."""
        self.explained.append(explained)

    def data_line(self) -> show.Shown:
        """Which data the experiments used."""
        if self.quick:
            return show.quick("few examples, seeds and epochs, one SAN of each table")
        return show.data_line(list(self.cards.values()))

    def table(self) -> show.Shown:
        """What each experiment reaches."""
        rows = pd.concat(self.explained, ignore_index=True)
        # The quick profile has too few runs to name a cause.
        causes = rows[["tested_by"] if self.quick else EXPLAINED]
        return show.table(
            readable(rows)[["database", "metric", "activation", "m", "paper"]].join(
                causes.rename(columns={"tested_by": "tested by"})
            ),
            sortable=True,
            name="tab-causes",
            caption="The numbers that no reference run matches, and which experiments reach them.",
        )

    def write_results(self, results: str) -> None:
        """Leave causes.json for the reference results; nothing without a folder."""
        rows = pd.concat(self.explained, ignore_index=True)[[*KEYS, "metric", *EXPLAINED]]
        profile = "quick" if self.quick else "paper"
        reports.leave(results, "causes", {"profile": profile, "cards": self.cards, "rows": rows})


def readable(numbers: pd.DataFrame) -> pd.DataFrame:
    """The columns that a reader sees of rows of `compare_numbers`."""
    digits = numbers.metric.eq("accuracy_percent").map({True: 1, False: 2})

    def ranged(columns: list[str], form: str) -> list[str | None]:
        return [
            None if any(map(pd.isna, values)) else form.format(*values, d=places)
            for *values, places in zip(*(numbers[name] for name in columns), digits, strict=True)
        ]

    return pd.DataFrame(
        {
            "database": numbers.database,
            "metric": numbers.metric.map(LABELS),
            "verdict": numbers.verdict,
            "activation": numbers.activation.map(NAMES),
            "m": numbers.kernel_size,
            "paper": ranged(["published"], "{:.{d}f}"),
            "ours": ranged(["mean", "low", "high"], "{:.{d}f} ({:.{d}f}–{:.{d}f})"),
            "procedure": ranged(["chosen_low", "chosen_high"], "{:.{d}f}–{:.{d}f}"),
        }
    )
