"""The reference results, `data/reproduced/`: our last full run on the paper's data, committed.

    python -m sanbook.reproduction.reference runs | draws | causes RESULTS

writes the runs of a full build and the comparison in README.md, or further outcomes of the
PhysioNet procedure for the ranks (`sanbook.reproduction.ranks`), or the causes of what differs
(`sanbook.reproduction.causes`).
"""

import argparse
import json
import re
import sys
from pathlib import Path

import pandas as pd

from sanbook.files import write_table
from sanbook.reproduction.criteria import (
    AT_PUBLISHED_M,
    NOT_RUN,
    RUNS,
    SELECTIONS,
    Evidence,
    compare_numbers,
    describe_shares,
    shares_in_words,
)
from sanbook.reproduction.published import LABELS, TABLES, committed

ROOT = Path(__file__).parent.parent.parent
REPRODUCED = committed("reproduced")
NOT_MADE = "its page was not made"
PROVENANCE = ["date", "commit", "uncommitted_changes", "python", "versions", "device", "seconds"]
DRAWN = ["database", "activation", "init", "seed", "kernel_size", "phi"]  # columns of draws.csv
PAGES = {table: table for table in TABLES} | {"physionet": "procedure"}  # with the runs of a table
# Further tables of the page of the procedure and of that of the starts.
FURTHER = {
    "sizes": "procedure",
    "starts": "procedure",
    "starts_classes": "starts",
    "variants": "starts",
}


def measured(results: str | Path) -> Evidence:
    """What executed pages left in a directory, without placeholder data and quick runs."""
    absent, tables = {}, [pd.DataFrame(columns=RUNS)]
    for table, page in PAGES.items():
        made = _read(f"{results}/{page}.json")
        if made is None or made["profile"] != "paper":
            absent[table] = NOT_MADE if made is None else "only a quick run"
            continue
        sources = {name: card["source"] for name, card in made["cards"].items()}
        absent |= {name: source for name, source in sources.items() if source != "real"}
        rows = pd.DataFrame(made["rows"])
        if table == "physionet":
            rows = rows[rows.init.isin(["normal", "constant"])].assign(dead=False)
        else:  # the size that is best on test is one of the published sizes
            rows = rows[rows.selection.isin(AT_PUBLISHED_M)].assign(database=made["dataset"])
        if table == "uci_epilepsy":  # the published table is the thesis', with its batches of 32
            rows = rows[rows.batch_size == 32]
        if "phi_qm" in rows:  # weights counted as in the published tables of images
            counted = {"phi": rows.phi_qm}
            counted["inverse_compression_ratio"] = rows.inverse_compression_ratio_qm
            rows = rows.assign(**counted)
        rows = rows[(rows.data_source == "real") & rows.selection.isin(SELECTIONS)]
        tables.append(rows.assign(table=table).reindex(columns=RUNS))
    return Evidence(pd.concat([table for table in tables if len(table)] or tables), absent)


def _read(path: str | Path) -> dict | None:
    return json.loads(Path(path).read_text()) if Path(path).exists() else None


def reference() -> Evidence:
    """The committed runs."""
    return Evidence(read_reference("runs"), provenance()["absent"])


def read_reference(name: str) -> pd.DataFrame:
    """A committed table: runs, draws, sizes, starts, starts_classes, variants, causes."""
    return pd.read_csv(REPRODUCED / f"{name}.csv")


def draws() -> pd.DataFrame:
    """Outcomes of the PhysioNet procedure with more seeds, to be added to those of `reference`."""
    same = {"table": "physionet", "selection": "test", "dead": False}
    return read_reference("draws").assign(**same)


def provenance() -> dict:
    """Where the `tables` of the reference results and the `draws` come from; what is `absent`."""
    return _read(REPRODUCED / "provenance.json")


def describe_reference() -> str:
    """The date and the number of seeds of the reference results in a sentence."""
    made = provenance()["tables"]
    counts = sorted({len(facts["seeds"]) for facts in made.values()})
    seeds = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    date = max(facts["date"] for facts in made.values())
    return f"Reference results of {date}, {seeds} {'seed' if seeds == '1' else 'seeds'}."


def describe_build(results: str | Path) -> str:
    """How the runs of a build differ from the reference results, and how many numbers match."""
    differences = []
    for table, facts in provenance()["tables"].items():
        made = _read(f"{results}/provenance/{PAGES[table]}.json")
        given = made["parameters"] if made else {}
        if made is None:
            differences.append(f"{TABLES[table]} was not run")
        elif given["profile"] == "quick":
            differences.append(f"{TABLES[table]} is of the quick profile")
        elif sorted(given["seeds"]) != facts["seeds"]:
            counts = f"{len(given['seeds'])} instead of {len(facts['seeds'])}"
            differences.append(f"{TABLES[table]} has {counts} seeds")
    return (
        f"This build differs from the reference results: {', '.join(differences) or 'nowhere'}. "
        f"In this build: {describe_shares(compare_numbers(measured(results)))}"
    )


def headline() -> str:
    """The reference results as a table and a figure in Markdown, for README.md."""
    numbers = compare_numbers(reference())
    table = shares_in_words(numbers, "table")
    lines = ["| | " + " | ".join(table) + " |", "| --- |" + " ---: |" * len(table.columns)]
    for name, title in TABLES.items():
        lines.append(f"| {title} | " + " | ".join(table.loc[name]) + " |")
    says = describe_shares(numbers)
    figure = f"![Our numbers against the published ones. {says}](data/reproduced/ledger.svg)"
    return "\n".join([*lines, "", f"{says} {describe_reference()}", "", figure])


def write_runs(results: str | Path) -> None:
    """Write the runs of a full build to `data/reproduced/`, and the comparison to README.md.

    A table whose page was not made is absent from the reference results, which say so.

    Raises:
        ValueError: a table was made from placeholder data or in a quick run, or none was made.
    """
    ours = measured(results)
    absent = {name.replace("-", "_"): why for name, why in ours.absent.items() if why != NOT_MADE}
    refused = [f"{TABLES[name]} ({why})" for name, why in absent.items() if name in TABLES]
    if refused or not len(ours.runs):
        raise ValueError(
            f"{results}: these are not full runs on the paper's data: "
            f"{', '.join(refused) or 'nothing was made'}. Run `make record SAN_DATA=folder` with "
            "the paper's data in that folder."
        )
    tables = {}
    for table, rows in ours.runs.groupby("table"):
        tables[table] = _origin(results, PAGES[table], rows)
    REPRODUCED.mkdir(exist_ok=True)
    write_table(REPRODUCED / "runs.csv", ours.runs.round(5))
    for name, page in FURTHER.items():
        made = _read(f"{results}/{page}.json")
        if made is not None and made["profile"] == "paper" and name in made:
            write_table(REPRODUCED / f"{name}.csv", pd.DataFrame(made[name]))
    _write_provenance(tables=tables, absent=ours.absent)
    write_comparison()


def _origin(results: str | Path, page: str, rows: pd.DataFrame) -> dict:
    """Where the rows of a page come from."""
    made = _read(f"{results}/provenance/{page}.json")
    real = [card for card in made["cards"] if card["source"] == "real"]
    return {name: made[name] for name in PROVENANCE} | {
        "seeds": sorted(int(seed) for seed in rows.seed.unique()),
        "sha256": {card["name"]: card["sha256"] for card in real},
    }


def _write_provenance(**changed: dict) -> None:
    facts = (_read(REPRODUCED / "provenance.json") or {}) | changed
    (REPRODUCED / "provenance.json").write_text(json.dumps(facts, indent=1) + "\n")


def write_comparison() -> None:
    """Write the figure and the table of the reference results that README.md shows."""
    from sanbook.show import figures  # draws: only here

    numbers = compare_numbers(reference())
    figure = figures.plot_ledger(numbers[numbers.verdict != NOT_RUN], LABELS)
    figure.savefig(REPRODUCED / "ledger.svg", metadata={"Date": None})
    readme = ROOT / "README.md"
    text, count = re.subn(
        r"(?s)(<!-- ledger -->\n).*?(\n<!-- end of ledger -->)",
        lambda match: match[1] + headline() + match[2],
        readme.read_text(),
    )
    if count != 1:
        raise ValueError(f"{readme}: has {count} pairs of ledger marks, not one. Mend the marks.")
    readme.write_text(text)


def write_causes(results: str | Path) -> None:
    """Write `data/reproduced/causes.csv` from the page of causes, made after `write_runs`.

    Raises:
        ValueError: the page was made from placeholder data or in a quick run.
    """
    write_table(REPRODUCED / "causes.csv", pd.DataFrame(_full_run(results, "causes")["rows"]))


def write_draws(results: str | Path) -> None:
    """Write `data/reproduced/draws.csv` from the page of the procedure, made with more seeds.

    Raises:
        ValueError: the page was made from placeholder data or in a quick run.
    """
    rows = pd.DataFrame(_full_run(results, "procedure")["rows"])
    rows = rows[(rows.selection == "test") & (rows.init == "normal")]
    write_table(REPRODUCED / "draws.csv", rows[DRAWN].round(5))
    _write_provenance(draws=_origin(results, "procedure", rows))


def _full_run(results: str | Path, page: str) -> dict:
    """The results of a page, which must be a full run on the paper's data."""
    made = _read(f"{results}/{page}.json")
    sources = {name: card["source"] for name, card in made["cards"].items()}
    if made["profile"] != "paper" or set(sources.values()) - {"real"}:
        raise ValueError(
            f"{results}: {page}.json is of the {made['profile']} profile, from {sources}, and not "
            "of a full run on the paper's data. Run `make record`."
        )
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="sanbook.reproduction.reference", description=__doc__)
    keep = {"runs": write_runs, "draws": write_draws, "causes": write_causes}
    parser.add_argument("what", choices=list(keep), help="what to keep")
    parser.add_argument("results", help="directory of results, such as _build/paper/results")
    given = parser.parse_args()
    try:
        keep[given.what](given.results)
    except ValueError as error:
        sys.exit(f"sanbook.reproduction.reference: {error}")
