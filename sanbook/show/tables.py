"""Tables of results: the published ones, ours, and the records that pages leave for each other.

A record is one JSON file per page. Whatever shows a number (a table, a caption, the text for those
who cannot see a figure, another page) takes it from there or from the variables it was made of.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

NAMES = {
    "identity": "Identity",
    "relu": "ReLU",
    "top-k absolutes": "top-k absolutes",
    "extrema-pool indices": "Extrema-Pool indices",
    "extrema": "Extrema",
}
SYMBOLS = {
    "inverse_compression_ratio": "CR⁻¹",
    "normalized_reconstruction_loss": "L̃",
    "phi": "φ̄",
}
PUBLISHED = Path(__file__).parent.parent.parent / "data" / "published"


def format_published(table: pd.DataFrame) -> pd.DataFrame:
    """The metrics of a published table under their symbols, with its two decimals."""
    return table[list(SYMBOLS)].map("{:.2f}".format).rename(columns=SYMBOLS)


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
        **{f"paper's {symbol}": paper[name] for name, symbol in SYMBOLS.items()},
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


@contextlib.contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Another path to write to, which becomes ``path`` if all goes well and else is removed."""
    path = Path(path)
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table of results as CSV, whole or not at all."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        table.to_csv(unfinished, index=False)


def write_record(path: str | Path, record: dict) -> None:
    """Write the record of a page, whole or not at all; tables are stored as columns."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        unfinished.write_text(json.dumps(record, default=plain, allow_nan=False))


def plain(value):
    """JSON of tables, arrays and their numbers."""
    if isinstance(value, pd.DataFrame):
        return value.to_dict(orient="list")
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"a record holds tables, arrays, numbers and text, but not {type(value)}")


def read_records(directory: str | Path) -> list[dict]:
    """The records of all pages in a directory, by name."""
    paths = sorted(Path(directory).glob("[!.]*.json"))  # none that is unfinished
    if not paths:
        raise FileNotFoundError(
            f"expected the records of executed pages in {directory}, but there are none; "
            "run `make book`, or open a database's notebook with `results` set to this directory"
        )
    return [json.loads(path.read_text()) for path in paths]


def published(name: str) -> pd.DataFrame:
    """A table of the paper: physionet, uci_epilepsy, mnist, fashion_mnist."""
    return pd.read_csv(PUBLISHED / f"{name}.csv")
