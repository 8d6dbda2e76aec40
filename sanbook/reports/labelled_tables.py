"""Tables of the pages of data sets with labels: published and ours, and the dead networks."""

import pandas as pd

from sanbook import reports
from sanbook.show.names import METRICS, NAMES


def describe_dead(rows: pd.DataFrame) -> str:
    """A sentence about the networks that have no activation on any test example.

    >>> rows = pd.DataFrame({"activation": ["relu", "relu", "extrema"], "dead": False})
    >>> describe_dead(rows)
    '**Dead networks:** none of the 3 networks.'
    >>> describe_dead(rows.assign(dead=[True, False, False]))
    '**Dead networks:** 1 of 3 networks has no activation on any test example (1 with ReLU).'
    """
    by_function = rows[rows.dead].activation.map(NAMES).value_counts()
    dead, size = by_function.sum(), len(rows)
    if not dead:
        return f"**Dead networks:** none of the {reports.counted(size, 'network')}."
    who = reports.listed([f"{count} with {name}" for name, count in by_function.items()])
    return (
        f"**Dead networks:** {dead} of {reports.counted(size, 'network')} "
        f"{'has' if dead == 1 else 'have'} no activation on any test example ({who})."
    )


def _over_seeds(rows: pd.DataFrame, published: pd.DataFrame, metric: str, form: str) -> tuple:
    """Labels, published rows, and means and ranges of a metric of living networks, by one index."""
    keys = ["kernel_size", "activation"]
    order = rows.groupby(keys, sort=False).size().index
    m, activation = order.get_level_values(0), order.get_level_values(1)
    labels = pd.DataFrame({"activation": activation.map(NAMES), "m": m}, index=order)
    living = rows[~rows.dead].groupby(keys)
    ranges = living[metric].agg(reports.between, form=form)
    return labels, published.set_index(keys), living.mean(numeric_only=True), ranges


def compare_phi(rows: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Published and our CR⁻¹, L̃ and φ̄, one line for each kernel size and activation function.

    Ours are means over the seeds whose network is not dead. ``rows`` are `Report.main`.
    """
    table, paper, means, ranges = _over_seeds(rows, published, "phi", "{:.3f}")
    for metric, symbol in METRICS.items():
        table[f"published {symbol}"] = paper[metric].map("{:.2f}".format, na_action="ignore")
    for metric, symbol in METRICS.items():
        table[symbol] = means[metric]
    if rows.seed.nunique() > 1:
        table["φ̄, range"] = ranges
    if (rows.phi_qm != rows.phi).any():  # images
        table["CR⁻¹ (W = qm)"] = means.inverse_compression_ratio_qm
        table["φ̄ (W = qm)"] = means.phi_qm
    return table.reset_index(drop=True)


def compare_accuracy(rows: pd.DataFrame, published: pd.DataFrame, original: float) -> pd.DataFrame:
    """Published and our accuracies; ``original`` is the accuracy on the original data, all in %."""
    table, paper, means, ranges = _over_seeds(rows, published, "accuracy_percent", "{:.1f}")
    accuracies = {
        "published accuracy (%)": paper.accuracy_percent,
        "accuracy (%)": means.accuracy_percent,
        "minus baseline (points)": means.accuracy_percent - original,
    }
    for name, values in accuracies.items():
        table[name] = values.map("{:z.1f}".format, na_action="ignore")
    if rows.seed.nunique() > 1:
        table["accuracy, range (%)"] = ranges
    dead = rows.groupby(["kernel_size", "activation"], sort=False).dead.agg(["sum", "size"])
    table["dead seeds"] = [f"{count} of {size}" for count, size in dead.to_numpy()]
    return table.reset_index(drop=True)


def select_kernel_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    """All runs, tagged by how they were read, and the kernel sizes that each rule selects.

    ``rows`` are from `sanbook.training.classifiers.classify_reconstructions`. ``selection`` is
    "published_m" (best epoch on validation), "published_m_last" (last epoch, as in the published
    code), or the size with the smallest mean φ of each activation function and seed on
    "validation" or on "test", of the best epoch.
    """
    best, last = (rows[rows.rule == rule] for rule in ("best", "last"))
    groups = best.groupby(["activation", "seed"], sort=False)
    chosen = {
        "published_m": best,
        "published_m_last": last,
        "validation": best.loc[groups.validation_phi.idxmin()],
        "test": best.loc[groups.phi.idxmin()],
    }
    return pd.concat([part.assign(selection=rule) for rule, part in chosen.items()])


# --- figures -------------------------------------------------------------------------------------
