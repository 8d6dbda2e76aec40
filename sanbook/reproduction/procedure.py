"""The published PhysioNet procedure as a whole: train every kernel size, choose one.

A published row of the PhysioNet table is the smallest of 249 draws: the published code trains a
network for every kernel size, tests each after its last epoch, and prints the one with the smallest
mean phi on test. One run at the published kernel size is not such a draw, so it ends higher in the
mean (the winner's curse). `choose` repeats the choice as the code does, and as the text says.
"""

import pandas as pd

from sanbook.training import MEASURES, Trained

KERNEL_SIZES = range(1, 250)
COLUMNS = ["kernel_size", *MEASURES, "validation_phi", "seed"]


def choose(swept: Trained, published_m: int) -> pd.DataFrame:
    """The rows that the rules choose from a sweep over the kernel sizes, for each of its seeds.

    Returns:
        The columns `COLUMNS` and ``selection``: "test" (smallest mean phi on test after the last
        epoch, as the code), "validation" (smallest mean phi on validation, at its best epoch, as
        the text), "published_m" and "published_m_last" (the published kernel size after its best
        and after its last epoch). The first three metrics are means over the test examples.
    """
    rows = swept.select()
    best, last = rows[rows.rule == "best"], rows[rows.rule == "last"]
    chosen = {
        "test": last.loc[last.groupby("seed").phi.idxmin()],
        "validation": best.loc[best.groupby("seed").validation_phi.idxmin()],
        "published_m": best[best.kernel_size == published_m],
        "published_m_last": last[last.kernel_size == published_m],
    }
    return pd.concat(
        [part[COLUMNS].assign(selection=selection) for selection, part in chosen.items()],
        ignore_index=True,
    )


def sizes_after_last_epoch(swept: Trained) -> pd.DataFrame:
    """Mean phi on test after the last epoch: a row for each kernel size, a column for each seed."""
    rows = swept.select().query("rule == 'last'")
    return rows.pivot(index="kernel_size", columns="seed", values="phi").add_prefix("seed_")


def best_of(chosen: pd.DataFrame, count: int) -> pd.DataFrame:
    """The best of ``count`` restarts by validation, from rows of ``selection`` "validation".

    ``chosen`` has one row for each seed of each group (database, activation, init). The seeds are
    split into teams of ``count`` neighbours; of each team the row with the smallest
    ``validation_phi`` is returned. Seeds that fill no team are left out.
    """
    keys = ["database", "activation", "init"]
    place = chosen.sort_values("seed").groupby(keys).cumcount()
    teams = chosen.assign(team=place // count).groupby([*keys, "team"])
    best = chosen.loc[teams.validation_phi.idxmin()]
    return best[teams.seed.transform("size").loc[best.index] == count]
