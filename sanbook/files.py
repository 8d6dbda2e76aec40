"""Files that are written whole or not at all."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd


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
    """Write a table as CSV, without its index; a missing folder is made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        table.to_csv(unfinished, index=False)


def as_json(value) -> str:
    """A value as JSON; tables become columns, and a number that is not finite raises ValueError."""
    return json.dumps(value, default=_plain, allow_nan=False, separators=(",", ":"))


def _plain(value):
    if isinstance(value, pd.DataFrame):
        return value.to_dict(orient="list")
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"value: {type(value)} is no table, array, number or text. Convert it.")
