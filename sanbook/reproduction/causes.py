"""Why a published number differs: experiments on the numbers that no reference run matches.

`try_experiments` trains the SAN of such a number again, and its classifier if the number is an
accuracy: with further seeds, and with what text, tables and code disagree about. `explain` says
which experiment reaches the number, at which rate, or that none does.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from torch import Tensor

from sanbook.data.dataset import DataSet
from sanbook.reproduction.criteria import UNEXPLAINED, tolerance_of, within
from sanbook.reproduction.published import KEYS, rounding_of
from sanbook.training import PROTOCOLS, Protocol, in_threads, sweep
from sanbook.training.classifiers import CNN, FNN, classify_reconstructions, table_metrics

SEED = "further seeds"
ONE_CLASS = "a classifier that predicts one class"
EXPLAINED = ["cause", "rate", "tested_by"]


def experiments(table: str) -> dict[str, Protocol]:
    """Protocols to try, in order: the table's own (key `SEED`), then one change each, by its name.

    >>> list(experiments("uci_epilepsy"))
    ['further seeds', 'weights of 0.1 at the start', 'batches of 64']
    """
    protocol = PROTOCOLS[table]
    changed = {SEED: protocol, "weights of 0.1 at the start": replace(protocol, init="constant")}
    if table == "uci_epilepsy":  # the article's batches, beside the thesis'
        changed["batches of 64"] = replace(protocol, batch_size=64)
    return changed


def try_experiments(
    numbers: pd.DataFrame,
    data: DataSet,
    further: Sequence[int],
    seeds: Sequence[int],
    epochs: int | None = None,
) -> pd.DataFrame:
    """Train the SAN of some unmatched numbers, experiment by experiment until each is reached.

    Args:
        numbers: rows of `sanbook.reproduction.criteria.compare_numbers` that share `KEYS`.
        data: the data set of the numbers.
        further: the seeds of the first experiment, which needs many to measure a small rate. Where
            a number is an accuracy, each run trains a classifier too, and ``seeds`` are used.
        seeds: the seeds of the other experiments.
        epochs: those of the protocol if None.

    Returns:
        A row for each run and reading: experiment, rule ("best" epoch on validation or "last"),
        seed, dead, and the published metrics, weights counted as in the published tables.
    """
    (key,) = numbers[KEYS].drop_duplicates().itertuples(index=False)
    tables, left = [], numbers
    for experiment, protocol in experiments(key.table).items():
        if epochs:
            protocol = replace(protocol, epochs=epochs)
        classified = "accuracy_percent" in set(left.metric)
        used = further if experiment == SEED and not classified else seeds
        swept = sweep(data, key.activation, [key.kernel_size], seeds=used, protocol=protocol)
        if classified:
            runs, _ = classify_reconstructions(swept, data, CNN if data.train.ndim == 2 else FNN)
        else:
            read = [(seed, rule) for seed in used for rule in ("best", "last")]
            models = (swept.model(key.kernel_size, *run) for run in read)
            runs = pd.DataFrame(in_threads(lambda model: table_metrics(model, data.test), models))
            runs[["seed", "rule"]] = read
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
    living, pairs = runs[~runs.dead], zip(numbers.metric, numbers.published, strict=True)
    near = [within(living[metric].to_numpy(), published, metric) for metric, published in pairs]
    return np.array([of_number.sum() for of_number in near], dtype=int)


def class_of(published: float, labels: Tensor) -> int | None:
    """The class whose share of the labels in percent is printed as an accuracy, if there is one.

    A classifier that predicts this class for every example has this accuracy.

    >>> import torch
    >>> class_of(66.7, torch.tensor([0, 1, 1])), class_of(70.0, torch.tensor([0, 1, 1]))
    (1, None)
    """
    shares = 100 * labels.bincount().double() / len(labels)
    near = (shares - published).abs() <= rounding_of("accuracy_percent")
    return int(near.nonzero()[0]) if near.any() else None


def explain(numbers: pd.DataFrame, runs: pd.DataFrame, labels: Tensor | None) -> pd.DataFrame:
    """The numbers, each with a cause, with its rate, and with what tested it.

    The cause is `ONE_CLASS` where an accuracy is a share of the test ``labels``. Otherwise it is
    the first experiment of which a run reaches the number, the best epoch before the last one, or
    "not explained". ``rate`` says how many of its runs reach the number.
    """
    rows = []
    for number in numbers.itertuples():
        metric, tested, cause, rate = number.metric, [], UNEXPLAINED, ""
        if metric == "accuracy_percent" and (of := class_of(number.published, labels)) is not None:
            share = 100 * (labels == of).double().mean().item()
            cause = ONE_CLASS
            tested.append(f"{share:.2f} % of the {len(labels)} test examples are of class {of}")
        for (experiment, rule), group in runs.groupby(["experiment", "rule"], sort=False):
            if metric not in group or group[metric].isna().all():
                continue
            (near,) = reached(numbers.loc[[number.Index]], group)
            distance = (group[~group.dead][metric] - number.published).abs().min()
            dead, reach = group.dead.sum(), f"{near} of {len(group)}"
            said = f"{experiment}, {rule} epoch: {reach} within {tolerance_of(metric):g}"
            said += f", {dead} dead" if dead else ""
            said += "" if near or dead == len(group) else f", the nearest at {distance:.2f}"
            tested.append(said)
            if near and cause == UNEXPLAINED:
                cause, rate = "the seed" if experiment == SEED else experiment, reach
                cause += ", last epoch" if rule == "last" else ""
        rows.append({"cause": cause, "rate": rate, "tested_by": "; ".join(tested)})
    return numbers.join(pd.DataFrame(rows, index=numbers.index, columns=EXPLAINED))
