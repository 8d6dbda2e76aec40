"""The ledger: every number that the paper prints beside ours, and the record of our last full run.

    python -m sanbook.ledger RESULTS

writes the record, `data/reproduced/`, from the results of a full run on the paper's data, and the
headline table of README.md from the record.

A published number is *reproduced* if ours comes within 0.02 of it: at the published kernel size
with any seed and either initialisation, or, in the PhysioNet experiment, at the kernel size that
is best on test, by which the published code chooses. An accuracy is reproduced if it lies within
the range of our seeds or 1.5 points of it. It *differs* otherwise, and is *not run* where the
paper's data were not at hand: numbers of stand-ins never enter.
"""

import argparse
import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

import sanbook.tables
from sanbook import plots

ROOT = Path(__file__).parent.parent
REPRODUCED = ROOT / "data" / "reproduced"
CAUSES = ROOT / "data" / "causes.csv"  # why a number differs, and what showed it; by hand
TOLERANCE = 0.02
ACCURACY_TOLERANCE = 1.5  # percentage points
METRICS = {**sanbook.tables.METRICS, "accuracy_percent": "accuracy (%)"}
TABLES = {
    "physionet": "PhysioNet",
    "uci_epilepsy": "UCI-epilepsy",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
}
KEYS = ["table", "database", "activation", "kernel_size"]
NOT_MADE = "its page was not made"
PROVENANCE = ["date", "commit", "uncommitted_changes", "python", "versions", "device", "seconds"]
RECORDED = [*KEYS, *METRICS, "seed", "init", "selection", "dead"]


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was measured by the paper's protocol on the paper's data.

    ``runs`` has the columns `RECORDED`: a row for each seed and initialisation at each published
    kernel size (selection "published_m"), and one for each PhysioNet database and activation
    function at the kernel size that is best on test (selection "test"). ``absent`` says of each
    table or data set without rows why.
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
            rows = rows[rows.selection == "published_m"].assign(database=record["dataset"])
        if table == "uci_epilepsy":  # the published table is the thesis', with its batches of 32
            rows = rows[rows.batch_size == 32]
        if "phi_qm" in rows:  # weights counted as in the published tables of images
            rows = rows.assign(
                phi=rows.phi_qm, inverse_compression_ratio=rows.inverse_compression_ratio_qm
            )
        rows = rows[(rows.data_source == "real") & rows.selection.isin(["published_m", "test"])]
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


def ledger(ours: Evidence) -> pd.DataFrame:
    """A row for each published number: ours, the difference, the verdict and its reason.

    ``mean``, ``low`` and ``high`` are over the runs at the published kernel size whose networks
    live; ``best_m`` and ``at_best_m`` belong to the kernel size that is best on test;
    ``difference`` is to the published number from the nearest of all these runs.
    """
    at_published_m = ours.runs[ours.runs.selection == "published_m"]
    by_key = dict(list(at_published_m.groupby(KEYS)))
    best = ours.runs[ours.runs.selection == "test"].set_index(KEYS[:3])
    rows = []
    for number in published_numbers().to_dict(orient="records"):
        key = tuple(number[name] for name in KEYS)
        if key not in by_key:
            reason = ours.absent.get(key[0]) or ours.absent.get(key[1]) or "no record"
            rows.append(number | {"verdict": "not run", "reason": reason})
            continue
        living = by_key[key][~by_key[key].dead.astype(bool)]
        number |= {"runs": len(by_key[key]), "dead": len(by_key[key]) - len(living)}
        values = living[number["metric"]].to_numpy(float)
        if not len(values):
            rows.append(number | {"verdict": "differs", "reason": "every network is dead"})
            continue
        number |= {"mean": values.mean(), "low": values.min(), "high": values.max()}
        if key[:3] in best.index:
            chosen = best.loc[key[:3]]
            number |= {"best_m": chosen.kernel_size, "at_best_m": chosen[number["metric"]]}
            values = np.append(values, chosen[number["metric"]])
        differences = values - number["published"]
        difference = differences[np.abs(differences).argmin()]
        if number["metric"] == "accuracy_percent":
            low, high = number["low"] - ACCURACY_TOLERANCE, number["high"] + ACCURACY_TOLERANCE
            agrees = low <= number["published"] <= high
        else:
            agrees = abs(difference) <= TOLERANCE
        verdict = "reproduced" if agrees else "differs"
        rows.append(number | {"difference": difference, "verdict": verdict})
    columns = [*KEYS, "metric", "published", "mean", "low", "high", "runs", "dead", "best_m",
               "at_best_m", "difference", "verdict", "reason"]  # fmt: skip
    counts = dict.fromkeys(["runs", "dead", "best_m"], "Int64")  # integers, absent where not run
    return pd.DataFrame(rows).reindex(columns=columns).astype(counts)


def shares(numbers: pd.DataFrame) -> pd.DataFrame:
    """For each table and metric of a ledger: how many numbers were run, and reproduced."""
    verdicts = pd.crosstab([numbers.table, numbers.metric], numbers.verdict)
    verdicts = verdicts.reindex(columns=["reproduced", "differs", "not run"], fill_value=0)
    order = [key for key in pd.MultiIndex.from_product([TABLES, METRICS]) if key in verdicts.index]
    verdicts = verdicts.loc[order]
    run = verdicts.reproduced + verdicts.differs
    return (
        verdicts.assign(share=(verdicts.reproduced / run).where(run > 0))
        .reset_index()
        .rename_axis(columns=None)
    )


def headline() -> str:
    """The committed record as a table and a figure in Markdown, for README.md."""
    numbers = ledger(recorded())
    table = shares(numbers).set_index(["table", "metric"])
    lines = ["| | " + " | ".join(METRICS.values()) + " |", "| --- |" + " ---: |" * len(METRICS)]
    for name, title in TABLES.items():
        cells = []
        for metric in METRICS:
            if (name, metric) not in table.index:
                cells.append("")
                continue
            row = table.loc[name, metric]
            run = row.reproduced + row.differs
            cells.append(f"{row.reproduced:.0f} of {run:.0f}" if run else "not run")
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    run = numbers[numbers.verdict != "not run"]
    agreement = f"{(run.verdict == 'reproduced').mean():.0%} of {len(run)} numbers are reproduced"
    figure = f"![Our numbers against the published ones: {agreement}.](data/reproduced/ledger.svg)"
    return "\n".join([*lines, "", figure])


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
