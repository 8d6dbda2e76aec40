"""Where text, tables and code differ, and how much each discrepancy matters."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

import sanbook.data
from san_core import SAN, inverse_compression_ratio_from_counts, normalized_loss
from sanbook import reports, show
from sanbook.data import DATABASES
from sanbook.data.dataset import DataSet
from sanbook.reports.labelled import QUICK, table_name
from sanbook.reproduction.criteria import NOT_RUN, Evidence, compare_numbers
from sanbook.reproduction.published import TABLES, published
from sanbook.reproduction.reference import reference
from sanbook.reproduction.results import find
from sanbook.show.names import METRICS, NAMES, over_seeds
from sanbook.training import PROTOCOLS, Protocol, Trained, sweep
from sanbook.training.classifiers import CNN, classify

LABELLED = tuple(TABLES)[1:]
# What differs, in the order of the sections: its name, text, code, what published numbers follow.
DISCREPANCIES = {
    "starts": ("initial weights", "normal, deviation 0.1", "every weight 0.1", "text"),
    "range": ("range of UCI-epilepsy", "[0, 1]", "[−1, 1]", "code"),
    "split": ("recordings on both sides", "split by rows", "split by rows", "both"),
    "weights": ("weights of an image's kernel", "q m²", "q m", "code"),
    "cells": ("Extrema-Pool of images", "every cell", "first cell (today's code)", "text"),
    "epochs": ("epoch that is tested", "best on validation", "last", "code"),
    "sizes": ("kernel size", "best on validation", "best on test", "code"),
    "counters": ("baseline's accuracy", "on test", "validation and test together", "code"),
    "tolerance": ("distance between extrema", "m", "m minus a tolerance", "code"),
}


def databases(profile: str) -> tuple[str, ...]:
    """The recordings whose epochs are compared: all of the paper, or two."""
    return {"paper": DATABASES, "quick": ("mitdb", "wrist")}[profile]


class Report:
    """The discrepancies, each measured in a section, and a table of all of them.

    A section keeps the effect that it measured for `summary`, and its sentence for `findings`.

    Args:
        profile: "paper" or "quick".
        seeds: of the runs of this page.
        data: see `sanbook.data.load`.
        directory: holds the data sets; empty: the default folder.
        results: the folder with the results of other pages, see `sanbook.reproduction.results`;
            empty: those of the last build. What no build has, this page trains itself or takes
            from the reference results, and `origin` says so.

    Attributes:
        protocol: how the SANs of UCI-epilepsy and of images are trained.
        of_recordings: how the SANs of recordings are trained.
    """

    def __init__(
        self, profile: str, seeds: list[int], *, data: str, directory: str, results: str
    ) -> None:
        self.profile, self.seeds, self.results = profile, list(seeds), results
        self.where = {"data": data, "directory": directory or None}
        self.protocol = replace(PROTOCOLS["mnist"], epochs=5 if profile == "paper" else 1)
        self.of_recordings = Protocol(epochs=30 if profile == "paper" else 4)
        self.pages = {
            table: json.loads(path.read_text())
            for table in LABELLED
            if (path := self._left(f"{table}.json"))
        }
        self.runs = {
            table: pd.DataFrame(self.pages[table]["rows"])
            if table in self.pages
            else _reference_runs(table)
            for table in LABELLED
        }
        self.effects, self.found = {}, {}

    def _left(self, name: str) -> Path | None:
        """The file that a page left; None if no build has it and no folder was named."""
        try:
            return find(name, self.results) / name
        except FileNotFoundError:
            if self.results:
                raise
            return None

    def origin(self) -> show.Shown | None:
        """What this page takes from elsewhere because no build has it, or nothing."""
        absent = [TABLES[table] for table in LABELLED if table not in self.pages]
        said = []
        if absent:
            said.append(
                f"No build has results of {reports.listed(absent)}. This page trains the networks "
                "that it compares with its own, and takes the changes between epochs from the "
                "reference results."
            )
        if self._left("physionet.csv") is None:
            said.append(
                "No build has results of all recordings. The choices of kernel sizes are those of "
                "the reference results."
            )
        return show.say(" ".join(said)) if said else None

    # --- data and networks ------------------------------------------------------------------------

    def load(self, name: str, **options) -> DataSet:
        """A data set, see `sanbook.data.load`; in the quick profile few examples of it."""
        examples = sanbook.data.load(name, **self.where, **options)
        return examples.first(**QUICK) if self.profile == "quick" and examples.labels else examples

    def classify(self, examples: DataSet) -> pd.DataFrame:
        """The baseline, the CNN on the original data: a row for each seed."""
        inputs = {
            part: getattr(examples, part).expand(len(self.seeds), -1, -1)
            for part in examples.labels
        }
        protocol = Protocol(self.protocol.epochs, self.protocol.batch_size)
        return classify(CNN, inputs, examples.labels, seeds=self.seeds, protocol=protocol).table

    @cached_property
    def baseline(self) -> pd.DataFrame:
        """The classifiers of the original data of UCI-epilepsy, a row for each seed."""
        if "uci_epilepsy" in self.pages:
            return pd.DataFrame(self.pages["uci_epilepsy"]["baseline"])
        return self.classify(self.load("uci-epilepsy"))

    def _trained(self, dataset: str, activation: str, kernel_size: int) -> Trained:
        """SANs from normal weights, in place of those that the page of a data set trains."""
        options = {"seeds": self.seeds, "protocol": self.protocol}
        return sweep(self.load(dataset), activation, [kernel_size], **options)

    def trained_san(self, dataset: str, activation: str, kernel_size: int) -> SAN:
        """The SAN with two kernels that the page of a data set trained, of its first seed."""
        table, key = table_name(dataset), (kernel_size, self.seeds[0])
        if table not in self.pages:
            return self._trained(dataset, activation, kernel_size).model(*key)
        kernels = torch.tensor(self.pages[table]["kernels"][activation][str(kernel_size)])
        trained = Trained(pd.DataFrame(), {key: kernels}, {}, activation, PROTOCOLS[table])
        return trained.model(*key)

    def _measured(self, table: str, activation: str, kernel_size: int) -> dict:
        """`means` of the runs that the page of a data set made, batches of 64."""
        if table not in self.pages:
            dataset = table.replace("_", "-")
            return means(best_epochs(self._trained(dataset, activation, kernel_size)))
        return means(
            self.runs[table].query(
                "selection == 'published_m' and batch_size == 64 and activation == @activation "
                "and kernel_size == @kernel_size"
            )
        )

    def _table(self, rows: list[dict], name: str, caption: str) -> show.Shown:
        """Rows with `means`; the column of dead networks is shown if there are any."""
        table = pd.DataFrame(rows).rename(columns=METRICS)
        table = table if table.dead.any() else table.drop(columns="dead")
        caption = f"{caption}; {over_seeds(self.seeds)}, dead networks left out."
        return show.table(table, name=name, caption=caption)

    # --- sections ---------------------------------------------------------------------------------

    def starts(self, constant: Mapping[tuple[str, str], Trained]) -> show.Shown:
        """Normal weights against 0.1: SANs of one kernel size, by table and activation function."""
        rows, apart = [], []
        for (table, a), trained in constant.items():
            (m,) = {kernel_size for kernel_size, _ in trained.last}
            first, second = trained.last[m, self.seeds[0]]
            apart.append((first - second).abs().max().item())
            printed = published(table).set_index(["kernel_size", "activation"]).phi[m, a]
            row = {"data": TABLES[table], "activation": NAMES[a], "m": m}
            row["published φ̄"] = f"{printed:.2f}"
            rows.append(row | {"start": "normal", **self._measured(table, a, m)})
            rows.append(row | {"start": "0.1", **means(best_epochs(trained))})
            rows[-1]["kernels differ by"] = f"{apart[-1]:g}"
        largest = max(apart)
        self.effects["starts"] = f"from 0.1 two kernels stay alike: they differ by {largest:g}"
        self.found["starts"] = (
            "Two kernels that start with every weight 0.1, as in today's code, differ by "
            f"{largest:g} after training. The published numbers of two kernels need the normal "
            "weights of the text."
        )
        caption = "Two kernels, started with normal weights or with weights of 0.1"
        return self._table(rows, "tab-start", caption)

    def range(self, trained: Mapping[str, Trained], accuracy: pd.Series) -> show.Shown:
        """UCI-epilepsy scaled to [−1, 1] against [0, 1].

        Args:
            trained: SANs of data from 0 to 1, m = 15, by activation function.
            accuracy: of the baseline on these data, from `classify`.
        """
        printed = published("uci_epilepsy").set_index(["kernel_size", "activation"]).phi
        rows = []
        for a, of_unit in trained.items():
            row = {"activation": NAMES[a], "published φ̄": f"{printed[15, a]:.2f}"}
            rows.append(row | {"range": "[−1, 1]", **self._measured("uci_epilepsy", a, 15)})
            rows.append(row | {"range": "[0, 1]", **means(best_epochs(of_unit))})
        unit, symmetric = accuracy.mean(), self.baseline.accuracy_percent.mean()
        self.effects["range"] = (
            f"accuracy on the original data {unit:.1f} % with [0, 1], {symmetric:.1f} % with "
            "[−1, 1]"
        )
        self.found["range"] = (
            f"On the original data of UCI-epilepsy the classifier reaches {unit:.1f} % in the "
            f"range [0, 1] of the text. It reaches {symmetric:.1f} % in the range [−1, 1] of the "
            "code."
        )
        return self._table(rows, "tab-range", "UCI-epilepsy scaled to either range, m = 15")

    def split(self, trained: Trained, accuracy: pd.Series) -> show.Shown:
        """UCI-epilepsy split by rows against a split by recordings.

        Args:
            trained: SANs with Extrema, m = 15, of data split by recordings.
            accuracy: of the baseline on these data, from `classify`.
        """
        by_rows = self.baseline.accuracy_percent
        rows = []
        for name, accuracies, found in (
            ("rows, as published", by_rows, self._measured("uci_epilepsy", "extrema", 15)),
            ("recordings", accuracy, means(best_epochs(trained))),
        ):
            row = {"split by": name, "accuracy (%)": f"{accuracies.mean():.1f}"}
            if len(self.seeds) > 1:
                row["range"] = reports.between(accuracies, "{:.1f}")
            rows.append(row | {"φ̄ of Extrema, m = 15": found["phi"], "dead": found["dead"]})
        change = accuracy.mean() - by_rows.mean()
        self.effects["split"] = (
            f"accuracy changes by {change:+z.1f} points where recordings are kept together"
        )
        caption = "Accuracy on UCI-epilepsy, its rows split in file order or by recordings"
        return self._table(rows, "tab-leak", caption)

    def weights(self, m: int, n: int) -> show.Shown:
        """Two kernels of m by m weights, counted by the text and by the code, for n values."""
        hidden = 2 * m**2 - 2 * m
        self.effects["weights"] = f"CR⁻¹ larger by {hidden / n:.3f} for m = {m}"
        return show.say(
            f"For the largest kernels, m = {m}, the count of the code leaves out {hidden} weights. "
            f"An image has {n} values, so CR⁻¹ is smaller by {hidden / n:.3f}."
        )

    def cells(self, model: SAN, images: Tensor, maps: Mapping[str, Tensor]) -> show.Shown:
        """Extrema-Pool with all its cells and with the first one.

        Args:
            model: the SAN, with two kernels.
            images: ``(B, height, width)``.
            maps: its activations, ``(B, 2, height, width)``, as "all cells" and "first cell".
        """
        m, n = model.kernels[0].shape[0], images[0].numel()
        rows = []
        for name, a in maps.items():
            loss = normalized_loss(images, model.decode(a).detach()).mean().item()
            kept = a.count_nonzero(dim=(1, 2, 3)).double().mean()
            # Weights as the published table counts them.
            inverse_cr = inverse_compression_ratio_from_counts(kept, 2 * m, n, 2).item()
            row = {"kept": name, "activations of an image": f"{kept:.1f}"}
            rows.append(row | {"CR⁻¹": inverse_cr, "L̃": loss})
        every, first = (row["L̃"] for row in rows)
        paper = published("mnist").set_index(["kernel_size", "activation"])
        paper = paper.loc[m, model.activation]
        printed = {symbol: f"{paper[metric]:.2f}" for metric, symbol in [*METRICS.items()][:2]}
        rows.append({"kept": "published", **printed})
        self.effects["cells"] = f"L̃ {first:.2f} instead of {every:.2f}"
        return show.table(
            pd.DataFrame(rows),
            name="tab-first-cell",
            caption="Extrema-Pool with all its cells and with the first cell alone, on MNIST with "
            f"m = {m}.",
        )

    def epochs(self, trained: Mapping[tuple[str, str], Trained]) -> show.Shown:
        """The change from the best epoch on validation to the last one, see `epoch_changes`."""
        changes = epoch_changes(trained, self.runs)
        groups = changes.groupby(["data", "activation"], sort=False)
        table = {
            "φ̄": groups.phi.agg(median_and_range, digits=3),
            "accuracy, in points": groups.accuracy_percent.agg(median_and_range, digits=1),
            "runs": groups.size(),
        }
        table = pd.DataFrame(table).reset_index()
        accuracy, dead = changes.accuracy_percent, changes.attrs["dead"]
        self.effects["epochs"] = (
            f"from the best to the last epoch φ̄ changes by {changes.phi.median():+z.3f} in the "
            f"median, accuracy by {accuracy.median():+z.1f} points, by {accuracy.abs().max():.1f} "
            "at most"
        )
        return show.table(
            table.assign(activation=table.activation.map(NAMES)),
            name="tab-epoch",
            caption="From the best epoch on validation to the last one: median of the change "
            f"(smallest to largest). Left out: {reports.counted(dead, 'dead network')}.",
        )

    def reference_epochs(self) -> show.Shown:
        """How many numbers of tables with labels the reference runs match, by either epoch."""
        evidence = reference()
        runs = evidence.runs[evidence.runs.table.isin(LABELLED)]
        matches = {}
        for selection in ("published_m", "published_m_last"):
            tested = runs[runs.selection == selection].assign(selection="published_m")
            numbers = compare_numbers(Evidence(tested, evidence.absent))
            numbers = numbers[numbers.verdict != NOT_RUN]
            matches[selection] = f"{numbers.mean_matches.sum()} of {len(numbers)}"
        return show.say(
            f"The mean of the reference runs matches {matches['published_m']} numbers of "
            "UCI-epilepsy and of the images. If the last epoch took the place of the best one, the "
            f"mean would match {matches['published_m_last']}."
        )

    def sizes(self) -> show.Shown:
        """φ̄ on test where the kernel size is chosen on validation or on test."""
        left = self._left("physionet.csv")
        swept = pd.read_csv(left) if left else _reference_runs("physionet")
        real = swept.data_source == "real"
        swept = swept[real] if real.any() else swept
        swept = swept.set_index(["database", "activation", "init", "seed"])
        honest, on_test = (swept[swept.selection == rule] for rule in ("validation", "test"))
        gap = honest.phi - on_test.phi
        moved = (honest.kernel_size != on_test.kernel_size).groupby("activation")
        table = {
            "φ̄ by validation, mean": honest.phi.groupby("activation").mean(),
            "by test": on_test.phi.groupby("activation").mean(),
            "largest gap": gap.groupby("activation").max(),
            "another m": moved.agg(lambda other: f"{other.sum()} of {len(other)}"),
        }
        table = pd.DataFrame(table).reindex(list(NAMES)).rename(index=NAMES)
        self.effects["sizes"] = f"φ̄ on test lower by {gap.mean():.3f} in the mean, if chosen there"
        self.found["sizes"] = (
            "If the kernel size is chosen on test, as in the code, the mean φ̄ on test is "
            f"{gap.mean():.3f} smaller than with the choice on validation, as in the text."
        )
        recordings = gap.index.unique(level="database").size
        return show.table(
            table.reset_index(),
            name="tab-choice",
            caption="φ̄ on test where the kernel size is chosen on validation or on test. Number of "
            f"recordings{' of the paper' if real.any() else ', all simulated'}: {recordings}.",
        )

    def counters(self, labels: Mapping[str, Tensor]) -> show.Shown:
        """The accuracy of the baseline, and the number that the published code prints.

        ``labels`` are the labels of UCI-epilepsy, by part.
        """
        on_test = self.baseline.accuracy_percent
        validation, test = len(labels["validation"]), len(labels["test"])
        right = self.baseline.validation_accuracy_percent * validation + on_test * test
        mixed = right / (validation + test)
        self.effects["counters"] = f"accuracy {(mixed - on_test).mean():+z.1f} points"
        table = {
            "seed": self.baseline.seed,
            "test alone (%)": on_test.map("{:.1f}".format),
            "mixed (%)": mixed.map("{:.1f}".format),
        }
        return show.table(
            pd.DataFrame(table),
            name="tab-counters",
            caption="Accuracy of the classifier on UCI-epilepsy: on test, and with validation "
            "mixed in.",
        )

    def tolerance(self, trained: Mapping[int, Trained]) -> show.Shown:
        """Extrema on mitdb, by border tolerance: SANs of 10 samples and of the published size."""
        rows = [
            {"tolerance": samples, "m": m, **means(of_size)}
            for samples, found in sorted(trained.items())
            for m, of_size in best_epochs(found).groupby("kernel_size")
        ]
        phi = {(row["tolerance"], row["m"]): row["phi"] for row in rows}
        self.effects["tolerance"] = (
            f"φ̄ of Extrema on mitdb {phi[0, 10]:.2f} without, {phi[3, 10]:.2f} with the tolerance"
        )
        caption = "Extrema on mitdb with a border tolerance and without"
        return self._table(rows, "tab-tolerance", caption)

    def relu(self) -> show.Shown:
        """The levels of CR⁻¹ at which the reference runs with ReLU end."""
        numbers = compare_numbers(reference())
        numbers = numbers.query("activation == 'relu' and metric == 'inverse_compression_ratio'")
        numbers = numbers[numbers.table.isin(LABELLED)].sort_values(["table", "kernel_size"])
        one = (numbers.runs - numbers.dead).astype(str) + numbers["mean"].map(" × {:.2f}".format)
        table = {
            "data": numbers.table.map(TABLES),
            "m": numbers.kernel_size,
            "published CR⁻¹": numbers.published.map("{:.2f}".format),
            "runs at each level": numbers.clusters.fillna(one),
            "dead": numbers.dead,
        }
        return show.table(
            pd.DataFrame(table),
            name="tab-relu",
            caption="CR⁻¹ of ReLU with two kernels: the levels at which the reference runs end.",
        )

    def summary(self) -> show.Shown:
        """All discrepancies, with the effects that the sections measured."""
        heads = ["what", "text", "code", "published", "effect"]
        rows = [(*said, self.effects[key]) for key, said in DISCREPANCIES.items()]
        return show.table(
            pd.DataFrame(rows, columns=heads),
            name="tab-differences",
            caption="Where text and code differ, what the published numbers follow, and the effect "
            "that this build measures.",
        )

    def findings(self) -> show.Shown:
        """The start, the range and the choice of the kernel size, a sentence each."""
        return show.findings(*(self.found[key] for key in ("starts", "range", "sizes")))


# --- what the sections compute --------------------------------------------------------------------


def _reference_runs(table: str) -> pd.DataFrame:
    """The reference runs of a table, as the page of its data leaves runs."""
    runs = reference().runs.query("table == @table")
    return runs.assign(batch_size=32 if table == "uci_epilepsy" else 64, data_source="real")


def with_dead(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `Trained.select`, and which networks are ``dead``: their loss is the loss of zero."""
    return rows.assign(dead=rows.normalized_reconstruction_loss == 1)


def best_epochs(trained: Trained) -> pd.DataFrame:
    """The rows of the best epochs on validation, see `with_dead`."""
    return with_dead(trained.select()).query("rule == 'best'")


def means(rows: pd.DataFrame) -> dict:
    """Means on test of CR⁻¹, the normalized loss and φ of living networks, and how many are dead.

    >>> rows = pd.DataFrame(dict.fromkeys(METRICS, [0.25, 1.0]) | {"dead": [False, True]})
    >>> float(means(rows)["phi"]), means(rows)["dead"]
    (0.25, 1)
    """
    return {**rows[~rows.dead][list(METRICS)].mean(), "dead": int(rows.dead.sum())}


def epoch_changes(
    trained: Mapping[tuple[str, str], Trained], runs: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """The last epoch minus the best one on validation: phi and accuracy_percent of each run.

    Dead networks are left out, and ``attrs["dead"]`` says how many. Recordings have no accuracy.

    Args:
        trained: SANs of one kernel size and one seed, by recording and activation function.
        runs: by table, the rows that the page of a data set left.
    """
    tables = [
        with_dead(found.select()).assign(table="physionet", activation=activation, database=name)
        for (name, activation), found in trained.items()
    ]
    rules = {"published_m": "best", "published_m_last": "last"}
    for table, rows in runs.items():
        tables.append(rows.assign(table=table, rule=rows.selection.map(rules), database=table))
    keys = ["table", "database", "kernel_size", "activation", "seed", "batch_size"]
    rows = pd.concat(tables).set_index(keys)
    best, last = (rows[rows.rule == rule] for rule in ("best", "last"))
    metrics, dead = ["phi", "accuracy_percent"], best.dead | last.dead
    changes = (last[metrics] - best[metrics])[~dead].reset_index()
    changes.attrs["dead"] = int(dead.sum())
    return changes.assign(data=changes.table.map(TABLES))[["data", "activation", *metrics]]


def median_and_range(values: pd.Series, digits: int) -> str | None:
    """Changes in words, nothing if there are none.

    >>> median_and_range(pd.Series([-0.26, 0.0, 1.0]), 1)
    '+0.0 (-0.3 to +1.0)'
    """
    if values.isna().all():
        return None
    each = (f"{number:+z.{digits}f}" for number in values.quantile([0.5, 0, 1]))
    return "{} ({} to {})".format(*each)
