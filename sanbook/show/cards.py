"""The card of a data set on the page of its experiment: what is known of it, and its files."""

import os

from IPython.display import Markdown, display

from sanbook.data import fetch


def show_card(name: str, directory: str | os.PathLike | None = None) -> None:
    """Show, folded, what `sanbook/data/manifest.toml` knows of a data set and which files are here.

    ``directory`` is where files are looked for, as in `sanbook.data.fetch.data_folder`. What nobody
    could confirm is said to be so. Raises KeyError for a name that is not in the manifest.
    """
    source = fetch.MANIFEST[name]
    rate = f"{source.sampling_rate:g} samples per second" if source.sampling_rate else "images"
    facts = {
        "What": source.title,
        "Made by": source.recorded_by,
        "Cite": source.citation,
        "Source": source.source,
        "Version": source.version,
        "Licence": source.licence,
        "Record": source.record,
        "Signal": f"{source.signal}, {rate}, units: {source.units}",
        "Why this one": source.why,
        "Cut, scaled, split": source.preparation,
        "Beware": source.pitfalls,
    }
    known = "\n".join(f"- **{fact}**: {value}" for fact, value in facts.items() if value)
    files = "\n".join(f"| {' | '.join(row)} |" for row in _files(source, directory))
    display(
        Markdown(
            f"::::{{dropdown}} The data card of {name}\n{known}\n\n"
            f":::{{table}} The files of {name}: whose bytes they are, and whether they are here.\n"
            f":name: tab-files-{name}\n"
            "| file | whose bytes | size | sha256 | here | remark |\n"
            f"| --- | --- | ---: | --- | --- | --- |\n{files}\n:::\n::::"
        )
    )


def _files(source: fetch.Source, directory: str | os.PathLike | None) -> list[tuple[str, ...]]:
    findings = fetch.check(source, fetch.data_folder(directory))
    here = {(found.path.name, found.state): found for found in findings}
    rows = []
    for file in source.files:
        found = here.get((file.name, file.bytes))
        rows.append(
            (
                file.name,
                file.bytes,
                f"{file.size:,}" if file.size else "-",
                f"{file.sha256[:16]}…" if file.sha256 else "never seen",
                "verified" if found else "absent",
                (found.remark if found else file.how) or "-",
            )
        )
    return rows
