"""Why a published number differs: experiments on those that no run of the record comes near.

Such a number is *open*: it is neither strict nor lenient in `sanbook.reproduction.ledger`.
`try_experiments` trains its SAN again, and its classifier if the number is an accuracy, with
further seeds and with what text, tables and code disagree about. `explain` says which experiment
reaches the number, or that none does. The page "Why numbers differ" runs them all.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from sanbook.data.dataset import DataSet
from sanbook.reproduction.ledger import KEYS, TABLES, tolerance_of, within
from sanbook.training import PROTOCOLS, Protocol, sweep
from sanbook.training.classifiers import CNN, FNN, classify_reconstructions, table_metrics

SEED = "further seeds"
EXPLAINED, OPEN = ["cause", "tested_by"], "not explained"


def open_numbers(numbers: pd.DataFrame) -> pd.DataFrame:
    """The rows of a ledger that were run and are neither strict nor lenient."""
    return numbers[(numbers.verdict != "not run") & ~(numbers.strict | numbers.lenient)]


def experiments(table: str) -> dict[str, Protocol]:
    """The protocol of a table under the name `SEED`, then with one change under that change's.

    >>> list(experiments("uci_epilepsy"))
    ['further seeds', 'weights of 0.1 at the start', 'batches of 64']
    """
    protocol = PROTOCOLS[table]
    starts = {"normal": "weights of 0.1 at the start", "constant": "normal weights at the start"}
    other = {"normal": "constant", "constant": "normal"}[protocol.init]
    changed = {SEED: protocol, starts[protocol.init]: replace(protocol, init=other)}
    if table == "uci_epilepsy":  # the article's batches, beside the thesis'
        changed["batches of 64"] = replace(protocol, batch_size=64)
    return changed


def try_experiments(
    numbers: pd.DataFrame, data: DataSet, seeds: Sequence[int], epochs: int | None = None
) -> pd.DataFrame:
    """Runs for the open numbers of one SAN, experiment by experiment until each is reached.

    ``numbers`` are rows of a ledger that share `KEYS`. Returns a row for each run and reading:
    experiment, rule ("best" epoch on validation or "last"), seed, dead, and the published metrics,
    weights counted as in the published tables. ``epochs`` are those of the protocol if None.
    """
    (key,) = numbers[KEYS].drop_duplicates().itertuples(index=False)
    tables, left = [], numbers
    for experiment, protocol in experiments(key.table).items():
        if epochs:
            protocol = replace(protocol, epochs=epochs)
        swept = sweep(data, key.activation, [key.kernel_size], seeds=seeds, protocol=protocol)
        if "accuracy_percent" in set(left.metric):
            runs, _ = classify_reconstructions(swept, data, CNN if data.train.ndim == 2 else FNN)
        else:
            read = [(seed, rule) for seed in seeds for rule in ("best", "last")]
            models = [swept.model(key.kernel_size, *run) for run in read]
            runs = pd.DataFrame([table_metrics(model, data.test) for model in models])
            runs = pd.concat([pd.DataFrame(read, columns=["seed", "rule"]), runs], axis=1)
        runs = runs.assign(
            phi=runs.phi_qm, inverse_compression_ratio=runs.inverse_compression_ratio_qm
        )
        tables.append(runs.assign(experiment=experiment))
        left = left[reached(left, tables[-1]) == 0]
        if left.empty:
            break
    return pd.concat(tables, ignore_index=True)


def reached(numbers: pd.DataFrame, runs: pd.DataFrame) -> np.ndarray:
    """How many of the living runs come within the tolerance of each number."""
    living = runs[~runs.dead]
    return np.array(
        [
            within(living[metric].to_numpy(), published, metric).sum()
            for metric, published in zip(numbers.metric, numbers.published, strict=True)
        ],
        dtype=int,
    )


def explain(numbers: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The numbers, each with a cause and with what tested it.

    The cause is the first experiment of which a run reaches the number, the best epoch before the
    last one; "not explained" if none does.
    """
    rows = []
    for number, metric, published in zip(
        numbers.index, numbers.metric, numbers.published, strict=True
    ):
        tested, cause = [], OPEN
        for (experiment, rule), group in runs.groupby(["experiment", "rule"], sort=False):
            if metric not in group or group[metric].isna().all():
                continue
            near = reached(numbers.loc[[number]], group)[0]
            distance = (group[~group.dead][metric] - published).abs().min()
            told = f"{experiment}, {rule} epoch: {near} of {len(group)} "
            told += f"within {tolerance_of(metric):g}"
            dead = group.dead.sum()
            told += f", {dead} dead" if dead else ""
            told += "" if near or dead == len(group) else f", the nearest at {distance:.2f}"
            tested.append(told)
            if near and cause == OPEN:
                of_seed = "a rare seed" if near < 0.1 * len(group) else "the seed"
                cause = of_seed if experiment == SEED else experiment
                if rule == "last":
                    cause = "the last epoch" if experiment == SEED else f"{cause}, last epoch"
        rows.append({"cause": cause, "tested_by": "; ".join(tested)})
    return numbers.join(pd.DataFrame(rows, index=numbers.index, columns=EXPLAINED))


def groups(numbers: pd.DataFrame) -> Iterable[tuple[tuple, pd.DataFrame]]:
    """Open numbers by SAN, with `KEYS` as the name of each group, in the order of the tables."""
    by_san = list(numbers.groupby(KEYS, sort=False))
    return sorted(by_san, key=lambda group: list(TABLES).index(group[0][0]))
