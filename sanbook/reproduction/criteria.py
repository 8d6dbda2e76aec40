"""Does a published number agree with our runs? Three criteria stand beside each other.

- *mean matches*: the mean of our runs lies within 0.02 of the number, an accuracy within 1.5
  points. These runs have the published kernel size, normal weights at the start, the best epoch on
  validation, and one seed each.
- *a run matches*: some run does. Runs from weights of 0.1 count too, and runs of the last epoch; in
  the PhysioNet experiment also the outcomes of the whole procedure
  (`sanbook.reproduction.procedure`), which chooses the kernel size on test.
- *inside the prediction interval*: the number lies where one further run lies with 95 %
  probability (`prediction_interval`), at the published kernel size or, in the PhysioNet experiment,
  by the whole procedure.

Dead networks enter no mean and no criterion. Placeholder data never enter: their numbers are *not
run*.
"""

import dataclasses

import numpy as np
import pandas as pd
from scipy import stats

from sanbook.reproduction.published import KEYS, LABELS, published_numbers, rounding_of

CRITERIA = {
    "mean_matches": "mean matches",
    "run_matches": "a run matches",
    "inside_interval": "inside the prediction interval",
}
EITHER = "a run matches or inside"
DIFFERS, NOT_RUN = "differs", "not run"
UNEXPLAINED = "not explained"  # no experiment of `sanbook.reproduction.causes` reaches the number
TOLERANCE = 0.02
ACCURACY_TOLERANCE = 1.5  # percentage points
AT_PUBLISHED_M = ["published_m", "published_m_last"]
SELECTIONS = [*AT_PUBLISHED_M, "test", "validation"]
RUNS = [*KEYS, *LABELS, "seed", "init", "selection", "dead"]
COLUMNS = [*KEYS, "metric", "published", "mean", "low", "high", "runs", "dead", "chosen_low",
           "chosen_high", "m_chosen", "difference", *CRITERIA, "clusters", "verdict",
           "reason"]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What was measured by the paper's protocols on the paper's data.

    ``runs`` has the columns `RUNS`. Each seed and start has two rows at each published kernel size:
    of the best epoch on validation (selection "published_m") and of the last ("published_m_last").
    Each seed and start of the PhysioNet procedure has two rows more: the kernel size chosen on test
    after the last epoch ("test", as the published code does), and the kernel size chosen on
    validation after the best epoch ("validation", as the text says). ``absent`` has the reason why
    a table or data set has no rows.
    """

    runs: pd.DataFrame
    absent: dict[str, str]


def tolerance_of(metric: str) -> float:
    """How far a number of ours may be from a published one: 0.02, accuracies 1.5 points."""
    return ACCURACY_TOLERANCE if metric == "accuracy_percent" else TOLERANCE


def within(values: np.ndarray, published: float, metric: str) -> np.ndarray:
    """Which values come within the tolerance of a published number, the tolerance included.

    >>> within(np.array([0.52, 0.53]), 0.5, "phi").tolist()
    [True, False]
    """
    # 0.52 - 0.5 is a little more than 0.02.
    return np.abs(values - published).round(9) <= tolerance_of(metric)


def clusters_of(values: np.ndarray, gap: float) -> list[np.ndarray]:
    """Values by the local minimum where training ends, ascending.

    Neighbours in a cluster are at most ``gap`` apart. Training may end in one of several local
    minima, as with ReLU: the runs are not normal then.

    >>> [cluster.tolist() for cluster in clusters_of(np.array([0.3, 1.2, 0.31, 1.25]), gap=0.1)]
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


def inside(values: np.ndarray, published: float, metric: str) -> bool:
    """Whether a published number lies in the prediction interval of a cluster of our runs."""
    if not len(values):
        return False
    intervals = [
        prediction_interval(cluster, rounding_of(metric))
        for cluster in clusters_of(values, 5 * tolerance_of(metric))
    ]
    return any(round(low, 9) <= published <= round(high, 9) for low, high in intervals)


def compare_numbers(ours: Evidence) -> pd.DataFrame:
    """Compare every published number with our runs.

    Args:
        ours: the runs, from `sanbook.reproduction.reference`.

    Returns:
        One row per published number, with the `CRITERIA`. ``runs`` counts the runs whose mean is
        compared and ``dead`` those among them whose network is dead; ``mean``, ``low`` and ``high``
        summarize the others, and ``difference`` is ``mean`` minus ``published``. ``clusters`` lists
        the clusters of runs if there are several. ``chosen_low``, ``chosen_high`` are the range of
        what the whole procedure gives from normal weights, and ``m_chosen`` counts the seeds of
        which it chooses the published kernel size. ``verdict`` is the first criterion that is met,
        otherwise "differs" or "not run". ``reason`` says why a number was not run, or that every
        network is dead.
    """
    at_m = ours.runs[ours.runs.selection.isin(AT_PUBLISHED_M)]
    at_published_m = dict(list(at_m.groupby(KEYS)))
    chosen = dict(list(ours.runs[ours.runs.selection == "test"].groupby(KEYS[:3])))
    rows = []
    for number in published_numbers().to_dict(orient="records"):
        key = tuple(number[name] for name in KEYS)
        if key in at_published_m:
            rows.append(number | _compare(number, at_published_m[key], chosen.get(key[:3])))
        else:
            reason = ours.absent.get(key[0]) or ours.absent.get(key[1]) or "no runs"
            rows.append(number | {"verdict": NOT_RUN, "reason": reason})
    kinds = dict.fromkeys(["runs", "dead", "m_chosen"], "Int64")  # absent where not run
    kinds |= dict.fromkeys(CRITERIA, "boolean")
    return pd.DataFrame(rows).reindex(columns=COLUMNS).astype(kinds)


def _compare(number: dict, runs: pd.DataFrame, chosen: pd.DataFrame | None) -> dict:
    """The columns of `compare_numbers` of one published number."""
    metric, published = number["metric"], number["published"]
    protocol = runs[(runs.init == "normal") & (runs.selection == "published_m")]
    living = protocol[~protocol.dead.astype(bool)]
    values = living[metric].to_numpy(float)
    every = runs[~runs.dead.astype(bool)][metric].to_numpy(float)
    row = {"runs": len(protocol), "dead": len(protocol) - len(living), "mean_matches": False}
    row["inside_interval"] = inside(values, published, metric)
    if chosen is not None:
        every = np.append(every, chosen[metric].to_numpy(float))
        normal = chosen[chosen.init == "normal"]
        drawn = normal[metric].to_numpy(float)
        row["chosen_low"], row["chosen_high"] = normal[metric].min(), normal[metric].max()
        row["m_chosen"] = int((normal.kernel_size == number["kernel_size"]).sum())
        row["inside_interval"] |= inside(drawn, published, metric)
    row["run_matches"] = bool(within(every, published, metric).any())
    if len(values):
        mean, clusters = values.mean(), clusters_of(values, 5 * tolerance_of(metric))
        of_clusters = ", ".join(f"{len(each)} × {each.mean():.2f}" for each in clusters)
        row |= {
            "mean": mean,
            "low": values.min(),
            "high": values.max(),
            "difference": mean - published,
            "mean_matches": bool(within(mean, published, metric)),
            "clusters": of_clusters if len(clusters) > 1 else None,
        }
    else:
        row["reason"] = "every network is dead"
    row["verdict"] = next((words for name, words in CRITERIA.items() if row[name]), DIFFERS)
    return row


def unmatched(numbers: pd.DataFrame) -> pd.DataFrame:
    """The numbers that were run and that neither the mean nor any run matches."""
    return numbers[(numbers.verdict != NOT_RUN) & ~(numbers.mean_matches | numbers.run_matches)]


def shares(numbers: pd.DataFrame, by: str | list[str]) -> pd.DataFrame:
    """For each group of `compare_numbers`: how many numbers were published and run, and match.

    ``either`` counts the numbers that a run matches or that lie inside the interval.
    """
    run = numbers[numbers.verdict != NOT_RUN]
    run = run.assign(either=run.run_matches | run.inside_interval)
    groups = run.groupby(by, sort=False)
    published = numbers.groupby(by, sort=False).size()
    counts = {"published": published, "run": groups.size()}
    counts |= dict(groups[[*CRITERIA, "either"]].sum().items())
    return pd.DataFrame(counts).reindex(published.index).fillna(0).astype(int)


def shares_in_words(numbers: pd.DataFrame, by: str | list[str]) -> pd.DataFrame:
    """`shares`, each with its denominator, such as "97 of 135 (72 %)"."""
    counts = shares(numbers, by)
    words = {"run": [f"{row.run} of {row.published}" for row in counts.itertuples()]}
    for name, title in {**CRITERIA, "either": EITHER}.items():
        words[title] = [
            f"{count} of {run} ({100 * count / run:.0f} %)" if run else "none was run"
            for count, run in zip(counts[name], counts.run, strict=True)
        ]
    return pd.DataFrame(words, index=counts.index)


def describe_shares(numbers: pd.DataFrame) -> str:
    """Say in full sentences how many published numbers were recomputed and how many match."""
    (count,) = shares(numbers.assign(all="all"), "all").itertuples()
    if not count.run:
        return f"None of the {count.published} published numbers was recomputed."
    absent = numbers[numbers.verdict == NOT_RUN].database.unique()
    missing = f" Not recomputed: {', '.join(absent)}." if len(absent) else ""
    mean, some, either = (
        f"{share} of {count.run} ({100 * share / count.run:.0f} %)"
        for share in (count.mean_matches, count.run_matches, count.either)
    )
    return (
        f"We recomputed {count.run} of the {count.published} published numbers. The mean of our "
        f"runs matches {mean}. At least one run matches {some}. For {either} a run matches or the "
        f"number lies inside the prediction interval.{missing}"
    )
