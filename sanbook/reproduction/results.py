"""The published tables, and the results that the pages leave for each other: one file a page."""

import json
from pathlib import Path

import pandas as pd

from sanbook.files import as_json, whole

PUBLISHED = Path(__file__).parent.parent.parent / "data" / "published"


def published(name: str) -> pd.DataFrame:
    """A table of the paper: physionet, uci_epilepsy, mnist, fashion_mnist."""
    return pd.read_csv(PUBLISHED / f"{name}.csv")


def write_record(path: str | Path, record: dict) -> None:
    """Write the results of a page; a missing folder is made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        unfinished.write_text(as_json(record))


def read_records(directory: str | Path) -> list[dict]:
    """The results of all pages in a directory, by name."""
    paths = sorted(Path(directory).glob("[!.]*.json"))  # none that is unfinished
    if not paths:
        raise FileNotFoundError(
            f"{directory}: expected the results of executed pages, but there are none. Run "
            "`make book`, or open a database's notebook with `results` set to this directory."
        )
    return [json.loads(path.read_text()) for path in paths]
