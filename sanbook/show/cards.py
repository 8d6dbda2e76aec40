"""The card of a data set on the page of its experiment: what is known of it, and its files."""

import os

from sanbook.data.manifest import MANIFEST, data_folder
from sanbook.data.verify import check
from sanbook.show.shown import Shown, folded


def data_card(name: str, directory: str | os.PathLike | None = None) -> Shown:
    """What `sanbook/data/manifest.toml` knows of a data set and which files are here, folded.

    Args:
        name: A data set of the manifest.
        directory: Where files are looked for, as in `sanbook.data.manifest.data_folder`.

    Raises:
        KeyError: The manifest has no such name.
    """

    source = MANIFEST[name]
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
    findings = check(source, data_folder(directory))
    here = {(found.path.name, found.state): found for found in findings}
    rows = [
        ("file", "whose bytes", "size", "sha256", "here", "remark"),
        ("---", "---", "---:", "---", "---", "---"),
    ]
    for file in source.files:
        found = here.get((file.name, file.bytes))
        size = f"{file.size:,}" if file.size else "-"
        sha256 = f"{file.sha256[:16]}…" if file.sha256 else "never seen"
        remark = (found.remark if found else file.how) or "-"
        state = "verified" if found else "absent"
        rows.append((file.name, file.bytes, size, sha256, state, remark))
    files = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    caption = f"The files of {name}: whose bytes they are, and whether they are here."
    return folded(
        f"The data card of {name}",
        f"{known}\n\n{caption}\n\n{files}",
        f"{known}\n\n:::{{table}} {caption}\n:name: tab-files-{name}\n{files}\n:::",
    )
