"""The paper's tables, as facts to compare with: two decimals, one run each."""

from pathlib import Path

import pandas as pd

from sanbook.show.names import METRICS


def committed(name: str) -> Path:
    """The folder ``data/<name>`` of the project, which the installed package brings here."""
    inside = Path(__file__).parent / name
    return inside if inside.is_dir() else Path(__file__).parent.parent.parent / "data" / name


PUBLISHED = committed("published")
TABLES = {
    "physionet": "PhysioNet",
    "uci_epilepsy": "UCI-epilepsy",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
}
KEYS = ["table", "database", "activation", "kernel_size"]
LABELS = {**METRICS, "accuracy_percent": "accuracy (%)"}


def published(name: str) -> pd.DataFrame:
    """A table of the paper: physionet, uci_epilepsy, mnist, fashion_mnist."""
    return pd.read_csv(PUBLISHED / f"{name}.csv")


def published_numbers() -> pd.DataFrame:
    """Every published number, a row for each: `KEYS`, metric, published."""
    tables = []
    for table in TABLES:
        rows = published(table).assign(table=table)
        rows["database"] = rows.get("database", table.replace("_", "-"))
        metrics = [metric for metric in LABELS if metric in rows]
        tables.append(rows.melt(KEYS, metrics, var_name="metric", value_name="published"))
    return pd.concat(tables, ignore_index=True)


def rounding_of(metric: str) -> float:
    """Half a unit of the last printed digit."""
    return 0.05 if metric == "accuracy_percent" else 0.005
