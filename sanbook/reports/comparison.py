"""Every published number beside the reference results, and why some differ."""

import pandas as pd

from sanbook import reports, show
from sanbook.reproduction.criteria import (
    NOT_RUN,
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


class Comparison(reports.Page):
    """The reference results beside every published number."""

    sources = ("real",)  # nothing else enters

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
        return self.figure_of(
            "fig-ledger",
            figures.plot_ledger(run, LABELS),
            "Our results against the published ones, one panel per metric. Points are "
            "means over the seeds at the published kernel size, and bars their range. On the "
            "diagonal, both agree.",
            "Four scatter plots of our numbers against the published ones. Median absolute "
            f"difference of our mean: {reports.scores(apart.rename(LABELS), '{:.3f}')}.",
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
            "published": ranged(["published"], "{:.{d}f}"),
            "ours": ranged(["mean", "low", "high"], "{:.{d}f} ({:.{d}f}–{:.{d}f})"),
            "procedure": ranged(["chosen_low", "chosen_high"], "{:.{d}f}–{:.{d}f}"),
        }
    )
