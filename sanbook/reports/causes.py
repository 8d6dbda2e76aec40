"""The experiments on the numbers that no reference run matches."""

from collections.abc import Iterator

import pandas as pd
from torch import Tensor

import sanbook.data
from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.reports.comparison import readable
from sanbook.reproduction.causes import EXPLAINED
from sanbook.reproduction.criteria import NOT_RUN, UNEXPLAINED, compare_numbers, unmatched
from sanbook.reproduction.published import KEYS
from sanbook.reproduction.reference import describe_reference, read_reference, reference


class Causes(reports.Page):
    """Which numbers need a cause, and what this build's experiments say of them."""

    def __init__(self, profile: str, data: str, directory: str | None) -> None:
        self.profile, self.quick = profile, profile == "quick"
        self.where = {"data": data, "directory": directory}
        self.epochs = 1 if self.quick else None
        self.numbers = compare_numbers(reference())
        self.unmatched = unmatched(self.numbers)
        self.cards, self.explained = {}, []
        self.examples: DataSet | None = None

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
            f"No experiment explains {reports.counted(left, 'number')}."
            if left
            else "An experiment explains each of these numbers.",
        )

    def groups(self) -> Iterator[pd.DataFrame]:
        """The unmatched numbers of each SAN; `examples` is the data set of the SAN meanwhile.

        The quick profile takes one SAN of each table, and few examples.
        """
        shown = set()
        for (table, database, *_), numbers in self.unmatched.groupby(KEYS, sort=False):
            if self.quick and table in shown:
                continue
            shown.add(table)
            if database not in self.cards:
                self.examples = None  # two data sets are never in memory together
                self.examples = sanbook.data.load(database, **self.where)
                self.cards[database] = vars(self.examples.card)
                if self.quick and self.examples.labels:
                    self.examples = self.examples.first(train=500, validation=100, test=100)
            yield numbers

    @property
    def labels(self) -> Tensor | None:
        """The labels of the test examples."""
        return self.examples.labels and self.examples.labels["test"]

    def add(self, explained: pd.DataFrame) -> None:
        """Keep the numbers of one SAN with their causes."""
        self.explained.append(explained)

    def table(self) -> show.Shown:
        """What each experiment reaches."""
        rows = pd.concat(self.explained, ignore_index=True)
        # The quick profile has too few runs to name a cause.
        causes = rows[["tested_by"] if self.quick else EXPLAINED]
        return show.table(
            readable(rows)[["database", "metric", "activation", "m", "published"]].join(
                causes.rename(columns={"tested_by": "tested by"})
            ),
            sortable=True,
            name="tab-causes",
            caption="The numbers that no reference run matches, and which experiments reach them.",
        )

    def write_results(self, results: str) -> None:
        """Leave causes.json for the reference results; nothing without a folder."""
        rows = pd.concat(self.explained, ignore_index=True)[[*KEYS, "metric", *EXPLAINED]]
        self.leave(results, "causes", rows=rows)
