"""Verify the files of the data sets by their hashes, without network."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from sanbook.data.manifest import KnownFile, Source

HASHES = "SHA256SUMS.txt"  # PhysioNet's list of the hashes of a database
ASIDE = ".download-"  # prefix of the folder of an unfinished download


def published_hashes(text: str) -> dict[str, str]:
    """The hashes of PhysioNet's SHA256SUMS.txt, by file name; ValueError for another text."""
    hashes = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *]?(.+)", line)
        if not match:
            raise ValueError(f"line {number} is no sha256 and file name, but {line[:60]!r}")
        hashes[match[2]] = match[1]
    if not hashes:
        raise ValueError("holds no line of a sha256 and a file name")
    return hashes


@dataclasses.dataclass(frozen=True)
class Finding:
    """The verification state of one file.

    Attributes:
        path: The file.
        state: "official", "copy" or "substitute" for known bytes; "unverified" if the right hash is
            not known, "wrong" if the hash differs. `check` also reports "absent", "unfinished",
            "unknown" (not in the manifest) and "list" (PhysioNet's list of hashes).
        remark: Details for the reader.
        known: The entry of the manifest with these bytes.
        sha256: Hash of the bytes.
    """

    path: Path
    state: str
    remark: str = ""
    known: KnownFile | None = None
    sha256: str = ""

    @property
    def failed(self) -> bool:
        """Whether the file claims to be data but could not be verified."""
        return self.state in ("wrong", "unverified")


def identify(source: Source, path: Path) -> Finding:
    """Identify a file of a data set by its hash, with the help of PhysioNet's list next to it.

    Raises:
        ValueError: The list is not a list of hashes.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    official = official_hash(source, path.parent, path.name)
    named = [file for file in source.files if file.name == path.name]
    known = next((file for file in named if file.sha256 == sha256), None)
    if official == sha256:
        remark = "" if known and known.bytes == "official" else f"as in {HASHES}"
        return Finding(path, "official", remark, known, sha256)
    if known:
        return Finding(path, known.bytes, known.how or "", known, sha256)
    if official:
        remark = f"its sha256 is {sha256}, the official one {official}"
        if any(file.bytes != "official" for file in named):
            remark += ", which is no known copy either"
        return Finding(path, "wrong", remark, sha256=sha256)
    remark = (
        f"its sha256 {sha256} is not known. Put the official {HASHES} of {source.source} beside "
        "it, or move it away and run `make data`"
    )
    return Finding(path, "unverified", remark, sha256=sha256)


def official_hash(source: Source, folder: Path, name: str) -> str | None:
    """The official sha256 of a file: the manifest's, else that in the list in `folder`."""
    known = source.official.get(name)
    if known and known.sha256:
        return known.sha256
    hashes = folder / HASHES
    if not hashes.is_file():
        return None
    try:
        return published_hashes(hashes.read_text("utf-8", "replace")).get(name)
    except ValueError as error:
        raise ValueError(f"{hashes}: {error}. Move it away and run `make data`.") from error


def belong_together(findings: Iterable[Finding]) -> list[Finding]:
    """Mark the files of a record that do not belong together as "wrong".

    A known copy has its own header, which misreads the official signal file, and vice versa. If one
    file is a copy or a substitute that is not interchangeable with the official file, every file in
    another state is therefore "wrong".
    """
    findings = list(findings)
    known = [finding for finding in findings if finding.state in ("copy", "substitute")]
    copies = [finding for finding in known if not finding.known.interchangeable]
    if not copies:
        return findings
    remark = f"does not belong to the known copy {copies[0].path.name}, as its sha256 is "
    return [
        finding
        if finding.state in (copies[0].state, "wrong")
        else dataclasses.replace(finding, state="wrong", remark=remark + finding.sha256)
        for finding in findings
    ]


def verified(source: Source, paths: Iterable[Path]) -> list[Finding]:
    """Identify the files of a record or of a data set; ValueError if one is wrong."""
    findings = belong_together(identify(source, path) for path in paths)
    for finding in findings:
        if finding.state == "wrong":
            what = f"the files of record {finding.path.stem}" if source.record else "it"
            raise ValueError(
                f"{finding.path}: {finding.remark}; move {what} away and run `make data` to fetch "
                "it again"
            )
    return findings


def weakest(findings: Iterable[Finding]) -> str:
    """The weakest verification state among the files."""
    states = ("unverified", "substitute", "copy", "official")
    return min((finding.state for finding in findings), key=states.index)


def whose_bytes(findings: Iterable[Finding]) -> str:
    """The provenance of verified files in sentences, one for each kind of bytes."""
    findings = list(findings)
    sentences = []
    for state in dict.fromkeys(finding.state for finding in findings):
        same = [finding for finding in findings if finding.state == state]
        words = {
            "official": "the source's own bytes, verified by hash",
            "copy": f"a known copy, {same[-1].remark}",
            "substitute": f"a known substitute, {same[-1].remark}",
            "unverified": "these bytes could not be verified",
        }[state]
        sentences.append(f"{listed([finding.path.name for finding in same])}: {words}.")
    return " ".join(sentences)


def listed(words: Sequence[str]) -> str:
    """Words as a sentence lists them.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def check(source: Source, root: Path) -> list[Finding]:
    """Verify each file of a data set below `root`, without network; absent ones are listed too."""
    folder = root / source.folder
    named = {file.name for file in source.files}
    records: dict[str, list[Finding]] = {}
    others = []
    for path in sorted(folder.glob("*")):
        if path.name in named:
            records.setdefault(path.stem, []).append(identify(source, path))
        else:
            others.append(_unnamed(path))
    found = [finding for record in records.values() for finding in belong_together(record)]
    paths = [folder / name for name in source.official]
    return [*found, *(Finding(path, "absent") for path in paths if not path.is_file()), *others]


def _unnamed(path: Path) -> Finding:
    if path.name.startswith(ASIDE):
        return Finding(path, "unfinished", "a download that goes on or broke off; delete it then")
    if path.name == HASHES:
        return Finding(path, "list", "PhysioNet's hashes of the database")
    return Finding(path, "unknown", "not in the manifest")


def advice(source: Source, folder: Path) -> str:
    """What to put where if a data set is absent, as a clause without a full stop."""
    files = list(source.official)
    if source.record:
        files = [f"{source.record}.hea", "the signal file that it names"]
    if not all(file.sha256 for file in source.official.values()):
        files.append(HASHES)
    unpacked = ", unpacked" if source.torchvision else ""
    return f"put {listed(files)} into {folder}{unpacked}, from {source.source}"
