"""Are the published numbers plausible draws of our procedure? Their ranks among ours.

If a published number and ours are draws of the same distribution, its rank among ours is uniform,
whatever that distribution is. This is the idea of simulation-based calibration (Talts et al. 2018,
arXiv 1804.06788). A rank near 0 says that the published number is smaller than nearly all of ours.
"""

import numpy as np
import pandas as pd
from scipy.stats import kstest

from sanbook.reproduction.published import KEYS, published_numbers, rounding_of

BINS, ORDERS = 5, 99
# What the published code prints of each table: in PhysioNet the kernel size is chosen on test.
PRINTED = {"physionet": "test"}


def rank(published: float, ours: np.ndarray, rounding: float) -> tuple[float, float]:
    """The rank of a published number among ours, from 0 (below all of ours) to 1: its bounds.

    Ours that would be printed like the published number are ties. A number drawn at random between
    the bounds breaks them. It is uniform on [0, 1] if all numbers are draws of one distribution.

    >>> rank(0.5, np.array([0.1, 0.2, 0.8]), 0.005), rank(0.5, np.array([0.1, 0.5, 0.8]), 0.005)
    ((0.5, 0.75), (0.25, 0.75))
    """
    below = np.sum(ours < published - rounding)
    ties = np.sum(np.abs(ours - published) <= rounding)
    return float(below / (len(ours) + 1)), float((below + ties + 1) / (len(ours) + 1))


def published_ranks(runs: pd.DataFrame, init: str) -> pd.DataFrame:
    """Ranks of the published phi and accuracies among our runs from one start.

    Args:
        runs: of `sanbook.reproduction.criteria.Evidence`. Of PhysioNet the outcomes of the whole
            procedure count, of the other tables the runs at each kernel size, all after the last
            epoch, which the published code tests. Dead networks are draws too.
        init: "normal" or "constant".

    Returns:
        A row for each published number with ``low`` and ``high``, the bounds of its `rank`, and
        ``draws``, how many runs it is ranked among. Identity is left out: its phi is all rounding.
    """
    rows = []
    numbers = published_numbers().query("metric in ('phi', 'accuracy_percent')")
    printed = runs.table.map(PRINTED).fillna("published_m_last")
    drawn = dict(list(runs[(runs.selection == printed) & (runs.init == init)].groupby(KEYS[:3])))
    for number in numbers[numbers.activation != "identity"].to_dict(orient="records"):
        key = tuple(number[name] for name in KEYS[:3])
        ours = drawn.get(key, runs[:0])
        if number["table"] not in PRINTED:
            ours = ours[ours.kernel_size == number["kernel_size"]]
        if len(ours):
            values, rounding = ours[number["metric"]].to_numpy(float), rounding_of(number["metric"])
            low, high = rank(number["published"], values, rounding)
            rows.append(number | {"low": low, "high": high, "draws": len(ours)})
    return pd.DataFrame(rows)


def break_ties(ranks: pd.DataFrame, seed: int = 0) -> np.ndarray:
    """A rank at random between the bounds of each, ``ORDERS`` times: (orders, ranks)."""
    random = np.random.default_rng(seed)
    return random.uniform(ranks.low, ranks.high, size=(ORDERS, len(ranks)))


def uniformity(ranks: pd.DataFrame) -> float:
    """The p-value of Kolmogorov and Smirnov's test of ranks against the uniform distribution.

    It depends on how ties are broken, so it is the median over `break_ties`. Ranks of one recording
    hang together, which the test does not know.

    >>> low = np.arange(40) / 40
    >>> alike, spread = np.full(40, 0.01), pd.DataFrame({"low": low, "high": low + 1 / 40})
    >>> uniformity(pd.DataFrame({"low": alike, "high": alike})) < 1e-6, uniformity(spread) > 0.9
    (True, True)
    """
    return float(np.median([kstest(each, "uniform").pvalue for each in break_ties(ranks)]))


def counts(ranks: pd.DataFrame) -> list[int]:
    """How many ranks lie in each fifth of [0, 1], with ties broken once.

    >>> places = np.array([0.1, 0.15, 0.5, 0.99])
    >>> counts(pd.DataFrame({"low": places, "high": places}))
    [2, 0, 1, 0, 1]
    """
    return np.histogram(break_ties(ranks)[0], bins=BINS, range=(0, 1))[0].tolist()
