"""The results that the pages leave for each other: one file a page."""

import json
from pathlib import Path

from sanbook.files import as_json, whole

BUILD = Path(__file__).parent.parent.parent / "_build"
PROFILES = ("paper", "quick")  # of builds; the first has the numbers of the paper's protocol


def find(page: str, results: str = "") -> Path:
    """The folder with the results of a page.

    Args:
        page: What the page left in the folder, such as "procedure.json" or "physionet".
        results: The folder to look in; empty: that of `make book`, else that of `make quick`.

    Raises:
        FileNotFoundError: The page left nothing there.
    """
    builds = [Path(results)] if results else [BUILD / name / "results" for name in PROFILES]
    for folder in builds:
        if (folder / page).exists():
            return folder
    looked = " and ".join(map(str, builds))
    raise FileNotFoundError(
        f"{page}: no results of this page in {looked}. Run `make pages`, or `make pages "
        "PROFILE=quick` to see how it looks."
    )


def write_record(path: str | Path, record: dict) -> None:
    """Write the results of a page; a missing folder is made."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as unfinished:
        unfinished.write_text(as_json(record))


def read_records(directory: str | Path) -> list[dict]:
    """The results of all pages in a directory, by name."""
    paths = sorted(Path(directory).glob("[!.]*.json"))  # none that is unfinished
    if not paths:
        raise FileNotFoundError(f"{directory}: no results of pages here. Run `make book`.")
    return [json.loads(path.read_text()) for path in paths]
