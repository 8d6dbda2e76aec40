"""The ledger: every number that the paper prints beside ours, and the record of our last full run.

    python -m sanbook.reproduction.ledger record | causes RESULTS

writes the record, `data/reproduced/`, from the results of a full run on the paper's data, and the
headline table of README.md from the record; or the causes of what differs
(`sanbook.reproduction.causes`).

Three verdicts stand beside each other, for each number that was run:

- *strict*: the mean of our runs lies within 0.02 of it, an accuracy within 1.5 points. These runs
  have the published kernel size, the initialisation of the protocol and one seed each.
- *lenient*: some run does. Here runs count with either initialisation, of the best epoch and of the
  last, and, in the PhysioNet experiment, at the kernel size that is best on test.
- *likely*: it lies in the 95 % prediction interval of one further run (`prediction_interval`).

Dead networks enter no mean and no verdict. Numbers of placeholder data never enter: such numbers
are *not run*.
"""

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import sanbook.files
import sanbook.reproduction.results
import sanbook.show.names
from sanbook.show import figures as plots

ROOT = Path(__file__).parent.parent.parent
REPRODUCED = ROOT / "data" / "reproduced"
CAUSES = REPRODUCED / "causes.csv"  # why a number differs, from `sanbook.reproduction.causes`
VERDICTS = ("strict", "lenient", "likely")
# How the protocol of a table starts its kernels, where it is not from normal weights.
INITIALISATION = {"physionet": "constant"}
TOLERANCE = 0.02
ACCURACY_TOLERANCE = 1.5  # percentage points
LABELS = {**sanbook.show.names.METRICS, "accuracy_percent": "accuracy (%)"}
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
RECORDED = [*KEYS, *LABELS, "seed", "init", "selection", "dead"]


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
    """What executed pages recorded in a directory, placeholder data and quick runs left out."""
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


def provenance() -> dict:
    """Where the committed record comes from: of each of its `tables`, and what is `absent`."""
    return json.loads((REPRODUCED / "provenance.json").read_text())


def published_numbers() -> pd.DataFrame:
    """Every published number, a row for each: `KEYS`, metric, published."""
    tables = []
    for table in TABLES:
        rows = sanbook.reproduction.results.published(table).assign(table=table)
        rows["database"] = rows.get("database", table.replace("_", "-"))
        metrics = [metric for metric in LABELS if metric in rows]
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


def within(values: np.ndarray, published: float, metric: str) -> np.ndarray:
    """Which values come within the tolerance of a published number, the tolerance included.

    >>> within(np.array([0.52, 0.53]), 0.5, "phi").tolist()
    [True, False]
    """
    # 0.52 - 0.5 is a little more than 0.02.
    return np.abs(values - published).round(9) <= tolerance_of(metric)


def tolerance_of(metric: str) -> float:
    """How far a number of ours may be from a published one: 0.02, accuracies 1.5 points."""
    return ACCURACY_TOLERANCE if metric == "accuracy_percent" else TOLERANCE


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
            "lenient": bool(within(every, number["published"], number["metric"]).any()),
            "strict": False,
            "likely": False,
        }
        if len(values):
            ends = levels(values, 5 * tolerance_of(number["metric"]))
            intervals = [prediction_interval(end, 0.05 if accuracy else 0.005) for end in ends]
            number |= {
                "mean": values.mean(),
                "low": values.min(),
                "high": values.max(),
                "difference": values.mean() - number["published"],
                "strict": bool(within(values.mean(), number["published"], number["metric"])),
                "likely": any(
                    round(low, 9) <= number["published"] <= round(high, 9)
                    for low, high in intervals
                ),
                "levels": ", ".join(f"{len(end)} × {end.mean():.2f}" for end in ends)
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
    published = numbers.groupby(by, sort=False).size()
    counts = {"published": published, "run": groups.size(), **counted, "either": either}
    return pd.DataFrame(counts).reindex(published.index).fillna(0).astype(int)


def shares_in_words(numbers: pd.DataFrame, by: str | list[str]) -> pd.DataFrame:
    """`shares`, each with its denominator, such as "97 of 135 (72 %)"."""
    counts = shares(numbers, by)
    words = {"run": [f"{row.run} of {row.published}" for row in counts.itertuples()]}
    for name, title in {**dict.fromkeys(VERDICTS), "either": "lenient or likely"}.items():
        words[title or name] = [
            f"{count} of {run} ({100 * count / run:.0f} %)" if run else "none was run"
            for count, run in zip(counts[name], counts.run, strict=True)
        ]
    return pd.DataFrame(words, index=counts.index)


def describe_shares(numbers: pd.DataFrame) -> str:
    """The shares in a sentence, each with its denominator, and what was not run by name.

    Wherever a share is shown, it is this sentence or `shares_in_words`, so that no page says
    another one.
    """
    (row,) = shares_in_words(numbers.assign(all="all"), "all").to_dict(orient="records")
    run = row.pop("run").split()[0]
    absent = numbers[numbers.verdict == "not run"].database.unique()
    not_run = f"; not run: {', '.join(absent)}" if len(absent) else ""
    said = ", ".join(f"{share} {verdict}" for verdict, share in row.items()) if int(run) else "none"
    return f"Of {len(numbers)} published numbers {run} were run: {said}{not_run}"


def describe_seeds(seeds: Sequence[int]) -> str:
    """Seeds in words.

    >>> describe_seeds([0, 1, 2]), describe_seeds([4]), describe_seeds([1, 5])
    ('the seeds 0 to 2', 'the seed 4', 'the seeds 1, 5')
    """
    seeds = sorted(seeds)
    if len(seeds) == 1:
        return f"the seed {seeds[0]}"
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"the seeds {seeds[0]} to {seeds[-1]}"
    return f"the seeds {', '.join(map(str, seeds))}"


def describe_record() -> str:
    """The date and the seeds of the committed record in a sentence."""
    made = provenance()["tables"]
    of_seeds: dict[str, list[str]] = {}
    for table in filter(made.__contains__, TABLES):
        of_seeds.setdefault(describe_seeds(made[table]["seeds"]), []).append(TABLES[table])
    each = [f"{seeds} ({', '.join(names)})" for seeds, names in of_seeds.items()]
    seeds = " and ".join(each) if len(of_seeds) > 1 else next(iter(of_seeds))
    date = max(facts["date"] for facts in made.values())
    return f"The record is of {date}, with {seeds}"


def describe_difference(table: str, profile: str, seeds: Sequence[int], cards: dict) -> str:
    """What a build's runs of a table have that the record's have not; empty if that is nothing.

    ``cards`` are those of its data, by name.
    """
    facts = provenance()["tables"][table]
    said = ["the quick profile"] if profile == "quick" else []
    if sorted(seeds) != facts["seeds"]:
        of_record = describe_seeds(facts["seeds"])
        said.append(f"{describe_seeds(seeds)} instead of {of_record}")
    for source in ("substitute", "simulated", "unverified"):
        names = [name for name in facts["sha256"] if cards[name]["source"] == source]
        said += [f"{source} data of {', '.join(names)}"] if names else []
    return ", ".join(said)


def describe_build(results: str | Path) -> str:
    """How a build's own runs differ from the record's, and what they give, in a paragraph."""
    differences, made_here = [], False
    for table in filter(provenance()["tables"].__contains__, TABLES):
        path = Path(results) / "provenance" / f"{_page(table)}.json"
        if path.exists():
            made_here, made = True, json.loads(path.read_text())
            cards = {card["name"]: card for card in made["cards"]}
            given = made["parameters"]
            said = describe_difference(table, given["profile"], given["seeds"], cards)
            differences += [f"{TABLES[table]} has {said}"] if said else []
    said = f"differs from the record: {'; '.join(differences)}" if differences else ""
    said = said or ("has the seeds and the data of the record" if made_here else "ran none of it")
    numbers = ledger(measured(results))
    if (numbers.verdict == "not run").all():
        return f"This build {said}."
    return f"This build {said}. This build's own runs give: {describe_shares(numbers)}."


def headline() -> str:
    """The committed record as a table and a figure in Markdown, for README.md."""
    numbers = ledger(recorded())
    table = shares_in_words(numbers, "table")
    lines = ["| | " + " | ".join(table) + " |", "| --- |" + " ---: |" * len(table.columns)]
    for name, title in TABLES.items():
        lines.append(f"| {title} | " + " | ".join(table.loc[name]) + " |")
    says = describe_shares(numbers)
    figure = f"![Our numbers against the published ones. {says}.](data/reproduced/ledger.svg)"
    return "\n".join([*lines, "", f"{says}. {describe_record()}.", "", figure])


def keep_record(results: str | Path) -> None:
    """Write `data/reproduced/` and the headline table of README.md.

    ValueError if a table was made from placeholder data or in a quick run, or if none was made. A
    table whose page was not made is absent from the record, which says so.
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
    sanbook.files.write_table(REPRODUCED / "runs.csv", ours.runs.round(5))
    (REPRODUCED / "provenance.json").write_text(json.dumps(facts, indent=1) + "\n")
    numbers = ledger(recorded())
    figure = plots.plot_ledger(numbers[numbers.verdict != "not run"], LABELS)
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


def keep_causes(results: str | Path) -> None:
    """Write `data/reproduced/causes.csv` from the page of causes, made after `keep_record`.

    ValueError if it was made from placeholder data or in a quick run.
    """
    record = json.loads((Path(results) / "causes.json").read_text())
    sources = {name: card["source"] for name, card in record["cards"].items()}
    if record["profile"] != "paper" or set(sources.values()) != {"real"}:
        raise ValueError(
            f"expected causes from full runs on the paper's data in {results}, but they are of the "
            f"{record['profile']} profile, from {sources}"
        )
    sanbook.files.write_table(CAUSES, pd.DataFrame(record["rows"]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="sanbook.reproduction.ledger", description=__doc__)
    parser.add_argument("what", choices=["record", "causes"], help="what to keep")
    parser.add_argument("results", help="directory of results, such as _build/paper/results")
    given = parser.parse_args()
    try:
        {"record": keep_record, "causes": keep_causes}[given.what](given.results)
    except ValueError as error:
        sys.exit(f"sanbook.reproduction.ledger: {error}")
