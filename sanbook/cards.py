"""The card of a data set on the page of its experiment: what is known of it, and its files."""

import os

import pandas as pd

from sanbook import fetch
from sanbook.pages import show_table


def show_card(name: str, directory: str | os.PathLike | None = None) -> None:
    """Show what `sanbook/manifest.toml` knows of a data set, and which of its files are here.

    ``directory`` is where files are looked for, as in `sanbook.fetch.data_folder`. What nobody
    could confirm is said to be so. Raises KeyError for a name that is not in the manifest.
    """
    source = fetch.MANIFEST[name]
    rate = f"{source.sampling_rate:g} samples per second" if source.sampling_rate else "images"
    facts = {
        "what": source.title,
        "made by": source.recorded_by,
        "cite": source.citation,
        "source": source.source,
        "version": source.version,
        "licence": source.licence,
        "record": source.record,
        "signal": f"{source.signal}, {rate}, units: {source.units}",
        "why this one": source.why,
        "cut, scaled, split": source.preparation,
        "beware": source.pitfalls,
    }
    known = [(fact, value) for fact, value in facts.items() if value]
    show_table(
        pd.DataFrame(known, columns=["", "what is known"]),
        name=f"tab-card-{name}",
        caption=f"The data card of {name}.",
    )
    show_table(
        pd.DataFrame(_files(source, directory)),
        name=f"tab-files-{name}",
        caption=f"The files of {name}: whose bytes they are, and whether they are here.",
    )


def _files(source: fetch.Source, directory: str | os.PathLike | None) -> list[dict]:
    findings = fetch.check(source, fetch.data_folder(directory))
    here = {(found.path.name, found.state): found for found in findings}
    rows = []
    for file in source.files:
        found = here.get((file.name, file.bytes))
        rows.append(
            {
                "file": file.name,
                "whose bytes": file.bytes,
                "size": f"{file.size:,}" if file.size else None,
                "sha256": f"{file.sha256[:16]}…" if file.sha256 else "never seen",
                "here": "verified" if found else "absent",
                "remark": found.remark if found else file.how,
            }
        )
    return rows
