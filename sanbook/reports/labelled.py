"""The pages of data with labels: SANs whose reconstructions are classified."""

import numpy as np
import pandas as pd

from sanbook.show.names import METRICS, NAMES


def compare_classified(
    rows: pd.DataFrame, published: pd.DataFrame, baseline: float
) -> pd.DataFrame:
    """Published and ours side by side, for SANs whose reconstructions are classified.

    ``rows`` has a row for each kernel_size, activation and seed; ours are means over the seeds
    whose network lives, with the range of phi and of the accuracy if there are several.
    ``baseline`` is the accuracy on the data themselves in percent. Without a published row there is
    a "-".
    """
    keys = ["kernel_size", "activation"]
    living = rows[~rows.dead].groupby(keys)
    means, low, high = living.mean(numeric_only=True), living.min(), living.max()
    counts = rows.groupby(keys, sort=False).dead.agg(["sum", "size"])
    means, low, high = (table.reindex(counts.index) for table in (means, low, high))
    paper = published.set_index(keys).reindex(counts.index)
    columns = {
        "m": counts.index.get_level_values(0),
        "activation": counts.index.get_level_values(1).map(NAMES),
        **{f"paper's {symbol}": paper[name] for name, symbol in METRICS.items()},
        "ours CR⁻¹": means.inverse_compression_ratio,
        "L̃": means.normalized_reconstruction_loss,
        "φ̄": means.phi,
        "range of φ̄": [f"{a:.3f} to {b:.3f}" for a, b in zip(low.phi, high.phi, strict=True)],
    }
    if (rows.phi_qm != rows.phi).any():
        columns["CR⁻¹ with W = qm"] = means.inverse_compression_ratio_qm
        columns["φ̄ with W = qm"] = means.phi_qm
    columns["paper's accuracy (%)"] = paper.accuracy_percent
    columns["ours (%)"] = means.accuracy_percent
    columns["its range"] = [
        f"{a:.1f} to {b:.1f}"
        for a, b in zip(low.accuracy_percent, high.accuracy_percent, strict=True)
    ]
    columns["minus baseline"] = means.accuracy_percent - baseline
    several = counts["size"].max() > 1
    columns["dead"] = [
        f"{dead} of {size}" if several else ("yes" if dead else "no")
        for dead, size in counts.to_numpy()
    ]
    table = pd.DataFrame({name: np.asarray(values) for name, values in columns.items()})
    published_columns = [name for name in table if name.startswith("paper's")]
    for name in published_columns:
        digits = "{:.1f}" if "accuracy" in name else "{:.2f}"
        table[name] = table[name].map(digits.format, na_action="ignore")
    ranges = ["range of φ̄", "its range"]
    table[ranges] = table[ranges].replace("nan to nan", np.nan)
    for name in ("ours (%)", "minus baseline"):
        table[name] = table[name].map("{:z.1f}".format, na_action="ignore")
    return table if several else table.drop(columns=ranges)


def select_kernel_sizes(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of runs read in two ways, and for each activation and seed the two that rules choose.

    ``rows`` are from `sanbook.training.classifiers.classify_reconstructions`. ``published_m`` are
    all that are read as ours (``rule`` "best"), ``published_m_last`` all that are read as the
    published code does ("last"). Of ours, ``validation`` has the smallest mean phi on validation,
    ``test`` that on test.
    """
    ours, last = (rows[rows.rule == rule] for rule in ("best", "last"))
    groups = ours.groupby(["activation", "seed"], sort=False)
    chosen = {
        "published_m": ours,
        "published_m_last": last,
        "validation": ours.loc[groups.validation_phi.idxmin()],
        "test": ours.loc[groups.phi.idxmin()],
    }
    return pd.concat([part.assign(selection=rule) for rule, part in chosen.items()])
