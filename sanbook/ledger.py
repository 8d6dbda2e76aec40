"""The ledger: every number that the paper prints beside ours, and the record of our last full run.

    python -m sanbook.ledger RESULTS

writes the record, `data/reproduced/`, from the results of a full run on the paper's data, and the
headline table of README.md from the record.

Three verdicts stand beside each other, for each number that was run:

- *strict*: the mean of our runs lies within 0.02 of it, an accuracy within 1.5 points. These runs
  have the published kernel size, the initialisation of the protocol and one seed each.
- *lenient*: some run does. Here runs count with either initialisation, of the best epoch and of the
  last, and, in the PhysioNet experiment, at the kernel size that is best on test.
- *likely*: it lies in the 95 % prediction interval of one further run (`prediction_interval`).

Dead networks enter no mean and no verdict. Numbers of stand-ins never enter: such numbers are
*not run*.
"""

import argparse
import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import sanbook.tables
from sanbook import plots

ROOT = Path(__file__).parent.parent
REPRODUCED = ROOT / "data" / "reproduced"
CAUSES = ROOT / "data" / "causes.csv"  # why a number differs, and what showed it; by hand
VERDICTS = ("strict", "lenient", "likely")
# How the protocol of a table starts its kernels, where it is not from normal weights.
INITIALISATION = {"physionet": "constant"}
TOLERANCE = 0.02
ACCURACY_TOLERANCE = 1.5  # percentage points
METRICS = {**sanbook.tables.METRICS, "accuracy_percent": "accuracy (%)"}
TABLES = {
    "physionet": "PhysioNet",
    "uci_epilepsy": "UCI-epilepsy",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
}
SELECTIONS = ["published_m", "published_m_last", "test"]
KEYS = ["table", "database", "activation", "kernel_size"]
NOT_MADE = "its page was not made"
PROVENANCE = ["date", "commit", "uncommitted_changes", "python", "versions", "device", "seconds"]
RECORDED = [*KEYS, *METRICS, "seed", "init", "selection", "dead"]


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was measured by the paper's protocol on the paper's data.

    ``runs`` has the columns `RECORDED`: a row for each seed and initialisation at each published
    kernel size, of the best epoch on validation (selection "published_m") and of the last
    ("published_m_last"), and one for each PhysioNet database and activation function at the kernel
    size that is best on test ("test"). ``absent`` says of each table or data set without rows why.
    """

    runs: pd.DataFrame
    absent: dict[str, str]


def measured(results: str | Path) -> Evidence:
    """What executed pages recorded in a directory, stand-ins and quick runs left out."""
    absent, tables = {}, [pd.DataFrame(columns=RECORDED)]
    for table in TABLES:
        path = Path(results) / f"{_page(table)}.json"
        record = json.loads(path.read_text()) if path.exists() else None
        if record is None or record["profile"] != "paper":
            absent[table] = NOT_MADE if record is None else "only a quick run"
            continue
        rows = pd.DataFrame(record["rows"])
        cards = record["cards"]
        absent |= {name: card["source"] for name, card in cards.items() if card["source"] != "real"}
        if table == "physionet":
            swept = pd.read_csv(Path(results) / "physionet.csv")
            rows = pd.concat([rows, swept[swept.selection == "test"]]).assign(dead=False)
        else:
            # The size that is best on test is one of the published sizes.
            rows = rows[rows.selection.isin(SELECTIONS[:2])].assign(database=record["dataset"])
        if table == "uci_epilepsy":  # the published table is the thesis', with its batches of 32
            rows = rows[rows.batch_size == 32]
        if "phi_qm" in rows:  # weights counted as in the published tables of images
            rows = rows.assign(
                phi=rows.phi_qm, inverse_compression_ratio=rows.inverse_compression_ratio_qm
            )
        rows = rows[(rows.data_source == "real") & rows.selection.isin(SELECTIONS)]
        tables.append(rows.assign(table=table).reindex(columns=RECORDED))
    return Evidence(pd.concat([table for table in tables if len(table)] or tables), absent)


def _page(table: str) -> str:
    """The page with the runs of a table; those of PhysioNet are on that of many seeds."""
    return "seeds" if table == "physionet" else table


def _table(name: str) -> str:
    """The table of a data set with labels, or a name that no table has."""
    return name.replace("-", "_")


def recorded() -> Evidence:
    """What the committed record says."""
    return Evidence(pd.read_csv(REPRODUCED / "runs.csv"), provenance()["absent"])


def measured_or_recorded(results: str | Path) -> tuple[Evidence, list[str]]:
    """What was measured here; the tables that were not, from the committed record, and their names.

    PhysioNet is here if any of its databases is.
    """
    here = measured(results)
    from_record = [table for table in TABLES if table not in set(here.runs.table)]
    if not from_record:
        return here, []
    committed = recorded()
    parts = [here.runs, committed.runs[committed.runs.table.isin(from_record)]]
    runs = pd.concat([part for part in parts if len(part)])
    of_physionet = committed.absent if "physionet" in from_record else here.absent
    absent = {name: why for name, why in of_physionet.items() if _table(name) not in TABLES}
    return Evidence(runs, absent), from_record


def provenance() -> dict:
    """Where the committed record comes from: of each of its `tables`, and what is `absent`."""
    return json.loads((REPRODUCED / "provenance.json").read_text())


def published_numbers() -> pd.DataFrame:
    """Every published number, a row for each: `KEYS`, metric, published."""
    tables = []
    for table in TABLES:
        rows = sanbook.tables.published(table).assign(table=table)
        rows["database"] = rows.get("database", table.replace("_", "-"))
        metrics = [metric for metric in METRICS if metric in rows]
        tables.append(rows.melt(KEYS, metrics, var_name="metric", value_name="published"))
    return pd.concat(tables, ignore_index=True)


def levels(values: np.ndarray, gap: float) -> list[np.ndarray]:
    """Runs by the level where they end, ascending; neighbours of a level are at most ``gap`` apart.

    Training may end in one of several local minima, as with ReLU: the runs are not normal then.

    >>> [level.tolist() for level in levels(np.array([0.3, 1.2, 0.31, 1.25]), gap=0.1)]
    [[0.3, 0.31], [1.2, 1.25]]
    """
    ordered = np.sort(values)
    return np.split(ordered, np.flatnonzero(np.diff(ordered) > gap) + 1)


def prediction_interval(values: np.ndarray, rounding: float) -> tuple[float, float]:
    r"""Where one further run lies with 95 % probability, ``mean ± t s sqrt(1 + 1/N)``.

    ``N`` runs have the standard deviation ``s``, and ``t`` is Student's 97.5 % quantile with
    ``N - 1`` degrees of freedom (Geisser 1993, doi 10.1201/9780203742310). The interval is wider by
    ``rounding``, since the published number is rounded. One run says nothing of the spread: its
    interval is that of the rounding.

    >>> low, high = prediction_interval(np.array([0.50, 0.52, 0.54]), rounding=0.005)
    >>> round(low, 3), round(high, 3)
    (0.416, 0.624)
    """
    mean, count = values.mean(), len(values)
    half = 0.0
    if count > 1:
        half = stats.t.ppf(0.975, count - 1) * values.std(ddof=1) * np.sqrt(1 + 1 / count)
    return float(mean - half - rounding), float(mean + half + rounding)


def ledger(ours: Evidence) -> pd.DataFrame:
    """A row for each published number: ours, the difference, the verdicts and their reason.

    ``mean``, ``low``, ``high`` and ``runs`` are over the living runs of the strict verdict, and
    ``difference`` is that of the mean. ``levels`` says how many of them end where, if they end at
    several levels; each level has a prediction interval of its own then. ``best_m`` and
    ``at_best_m`` belong to the kernel size that is best on test. ``verdict`` is the best one:
    strict, lenient, likely, differs or not run.
    """
    by_key = dict(list(ours.runs[ours.runs.selection != "test"].groupby(KEYS)))
    best = ours.runs[ours.runs.selection == "test"].set_index(KEYS[:3])
    rows = []
    for number in published_numbers().to_dict(orient="records"):
        key = tuple(number[name] for name in KEYS)
        if key not in by_key:
            reason = ours.absent.get(key[0]) or ours.absent.get(key[1]) or "no record"
            rows.append(number | {"verdict": "not run", "reason": reason})
            continue
        accuracy = number["metric"] == "accuracy_percent"
        tolerance = ACCURACY_TOLERANCE if accuracy else TOLERANCE
        of_key = by_key[key]
        protocol = of_key[of_key.init == INITIALISATION.get(key[0], "normal")]
        protocol = protocol[protocol.selection == "published_m"]
        living = protocol[~protocol.dead.astype(bool)]
        number |= {"runs": len(protocol), "dead": len(protocol) - len(living)}
        values = living[number["metric"]].to_numpy(float)
        every = of_key[~of_key.dead.astype(bool)][number["metric"]].to_numpy(float)
        if key[:3] in best.index:
            chosen = best.loc[key[:3]]
            number |= {"best_m": chosen.kernel_size, "at_best_m": chosen[number["metric"]]}
            every = np.append(every, chosen[number["metric"]])
        number |= {
            "lenient": bool((np.abs(every - number["published"]) <= tolerance).any()),
            "strict": False,
            "likely": False,
        }
        if len(values):
            ends = levels(values, 5 * tolerance)
            intervals = [prediction_interval(end, 0.05 if accuracy else 0.005) for end in ends]
            number |= {
                "mean": values.mean(),
                "low": values.min(),
                "high": values.max(),
                "difference": values.mean() - number["published"],
                "strict": bool(abs(values.mean() - number["published"]) <= tolerance),
                "likely": any(low <= number["published"] <= high for low, high in intervals),
                "levels": "; ".join(f"{len(end)} at {end.mean():.2f}" for end in ends)
                if len(ends) > 1
                else None,
            }
        else:
            number["reason"] = "every network is dead"
        number["verdict"] = next((name for name in VERDICTS if number[name]), "differs")
        rows.append(number)
    columns = [*KEYS, "metric", "published", "mean", "low", "high", "runs", "dead", "best_m",
               "at_best_m", "difference", *VERDICTS, "levels", "verdict", "reason"]  # fmt: skip
    kinds = dict.fromkeys(["runs", "dead", "best_m"], "Int64")  # absent where not run
    kinds |= dict.fromkeys(VERDICTS, "boolean")
    return pd.DataFrame(rows).reindex(columns=columns).astype(kinds)


def shares(numbers: pd.DataFrame, by: str | list[str]) -> pd.DataFrame:
    """For each group of a ledger: how many numbers were published and run, and each verdict.

    ``either`` counts those that are lenient or likely.
    """
    run = numbers[numbers.verdict != "not run"]
    groups = run.groupby(by, sort=False)
    counted = groups[list(VERDICTS)].sum().astype(int)
    either = (run.lenient | run.likely).groupby([run[name] for name in np.atleast_1d(by)]).sum()
    return (
        pd.DataFrame(
            {
                "published": numbers.groupby(by, sort=False).size(),
                "run": groups.size(),
                **counted,
                "either": either,
            }
        )
        .fillna(0)
        .astype(int)
    )


def describe_shares(numbers: pd.DataFrame) -> str:
    """The shares in a sentence, each with its denominator, and what was not run by name.

    Wherever a share is shown, it is this sentence or `shares`, so that no page says another one.
    """
    (row,) = shares(numbers.assign(all="all"), "all").to_dict(orient="records")
    absent = numbers[numbers.verdict == "not run"].database.unique()
    said = [f"{row[name]} ({row[name] / max(row['run'], 1):.0%}) {name}" for name in VERDICTS]
    not_run = f"; not run: {', '.join(absent)}" if len(absent) else ""
    return (
        f"Of {row['published']} published numbers {row['run']} were run, of which "
        f"{', '.join(said)}, {row['either']} ({row['either'] / max(row['run'], 1):.0%}) lenient or "
        f"likely{not_run}"
    )


def headline() -> str:
    """The committed record as a table and a figure in Markdown, for README.md."""
    numbers = ledger(recorded())
    table = shares(numbers, "table")
    lines = ["| | run | " + " | ".join(VERDICTS) + " |", "| --- |" + " ---: |" * 4]
    for name, title in TABLES.items():
        row = table.loc[name]
        cells = [f"{row[verdict]} of {row.run}" for verdict in VERDICTS]
        lines.append(f"| {title} | {row.run} of {row.published} | " + " | ".join(cells) + " |")
    figure = f"![Our numbers against the published ones. {describe_shares(numbers)}.]"
    made = provenance()["tables"]
    seeds = {len(facts["seeds"]) for facts in made.values()}
    dates = sorted(facts["date"] for facts in made.values())
    says = (
        f"{describe_shares(numbers)}. The record is of {dates[-1]}, with "
        f"{' to '.join(map(str, sorted(seeds)))} seeds."
    )
    return "\n".join([*lines, "", says, "", f"{figure}(data/reproduced/ledger.svg)"])


def keep_record(results: str | Path) -> None:
    """Write `data/reproduced/` and the headline table of README.md.

    ValueError if a table was made from stand-ins or in a quick run, or if none was made. A table
    whose page was not made is absent from the record, which says so.
    """
    ours = measured(results)
    refused = [
        f"{TABLES[_table(name)]} ({why})"
        for name, why in ours.absent.items()
        if _table(name) in TABLES and why != NOT_MADE
    ]
    if refused or not len(ours.runs):
        raise ValueError(
            f"expected full runs on the paper's data in {results}, but not so: "
            f"{', '.join(refused) or 'nothing was made'}; run `make book SAN_DATA=folder` with the "
            "data in that folder"
        )
    tables = {}
    for table, rows in ours.runs.groupby("table"):
        made = json.loads((Path(results) / "provenance" / f"{_page(table)}.json").read_text())
        tables[table] = {name: made[name] for name in PROVENANCE} | {
            "seeds": sorted(int(seed) for seed in rows.seed.unique()),
            "sha256": {
                card["name"]: card["sha256"] for card in made["cards"] if card["source"] == "real"
            },
        }
    facts = {"tables": tables, "absent": ours.absent}
    REPRODUCED.mkdir(exist_ok=True)
    sanbook.tables.write_table(REPRODUCED / "runs.csv", ours.runs.round(5))
    (REPRODUCED / "provenance.json").write_text(json.dumps(facts, indent=1) + "\n")
    numbers = ledger(recorded())
    figure = plots.plot_ledger(numbers[numbers.verdict != "not run"], METRICS)
    figure.savefig(REPRODUCED / "ledger.svg", metadata={"Date": None})
    readme = ROOT / "README.md"
    text, count = re.subn(
        r"(?s)(<!-- ledger -->\n).*?(\n<!-- end of ledger -->)",
        lambda match: match[1] + headline() + match[2],
        readme.read_text(),
    )
    if count != 1:
        raise ValueError(f"expected one pair of ledger marks in {readme}, but found {count}")
    readme.write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="sanbook.ledger", description=keep_record.__doc__)
    parser.add_argument("results", help="directory of results, such as _build/results")
    try:
        keep_record(parser.parse_args().results)
    except ValueError as error:
        sys.exit(f"sanbook.ledger: {error}")
