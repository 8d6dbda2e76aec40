"""Fetch the files of the data sets, and verify their bytes.

What each data set is, where it comes from and which bytes are right is in
`sanbook/data/manifest.toml`.

A download goes into a hidden folder beside its place, is verified there by its hash, and only then
gets its name, in one step: a file under its own name is whole and verified. A file that is already
there is never written over. Nothing is resumed: the largest transfer has 26 MB.

Run `python -m sanbook.data.fetch` to verify what is there, without network.
"""

import argparse
import dataclasses
import functools
import os
import queue
import re
import sys
import tempfile
import threading
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests

HASHES = "SHA256SUMS.txt"  # PhysioNet's list of the hashes of a database
ASIDE = ".download-"  # how the folder of a download begins, until it is verified
ANSWER = 5  # seconds within which a server has to answer
PAUSE = 30  # seconds that a transfer may pause

pooch.get_logger().setLevel("WARNING")  # else it tells of each file


class FetchError(OSError):
    """A file could not be fetched; the message says which, what was expected and what came."""


# --- the manifest ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class KnownFile:
    """Bytes that are known: `bytes` says whose, "official", "copy" or "substitute".

    `size` is in bytes; `sha256` None means that the official hash was never seen; `how` says in a
    few words how a copy or a substitute was made. An `interchangeable` copy may lie beside official
    files.
    """

    name: str
    bytes: str
    size: int | None = None
    sha256: str | None = None
    how: str | None = None
    interchangeable: bool = False


@dataclasses.dataclass(frozen=True)
class Source:
    """What the manifest says of a data set; the head of ``manifest.toml`` explains each name.

    `sampling_rate` is in Hz, None for images; a PhysioNet database has a `record`, a data set of
    images a `torchvision`.
    """

    name: str
    title: str
    signal: str
    folder: str
    source: str
    version: str
    licence: str
    recorded_by: str
    citation: str
    units: str
    why: str
    seed: int
    files: tuple[KnownFile, ...]
    download: str = ""
    torchvision: str = ""
    sampling_rate: float | None = None
    channel: str | None = None
    record: str | None = None
    simulator: str | None = None
    preparation: str = ""
    pitfalls: str = ""
    classes: tuple[str, ...] = ()

    @property
    def official(self) -> dict[str, KnownFile]:
        """The source's own files by name."""
        return {file.name: file for file in self.files if file.bytes == "official"}


def read_manifest(path: Path) -> dict[str, Source]:
    """The data sets of a manifest by name; ValueError, which names the data set, if one is wrong.

    >>> MANIFEST["mitdb"].record, MANIFEST["mitdb"].official["100.dat"].size
    ('100', 1950000)
    """
    sources = {}
    for name, facts in tomllib.loads(path.read_text("utf-8")).items():
        try:
            files = tuple(KnownFile(**file) for file in facts.pop("files"))
            classes = tuple(facts.pop("classes", ()))
            sources[name] = Source(name=name, files=files, classes=classes, **facts)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path}, {name}: expected the keys of Source, got {error}") from error
    return sources


MANIFEST = read_manifest(Path(__file__).with_name("manifest.toml"))


def data_folder(directory: str | os.PathLike | None = None) -> Path:
    """`directory`, else the environment variable SAN_DATA, else "data".

    A relative `directory` starts at the current folder; so do the others, but in a checkout of the
    project, where they start at its root.
    """
    if directory:
        return Path(directory).expanduser()
    above = Path(__file__).parent.parent.parent
    is_checkout = (above / "pyproject.toml").is_file() and (above / "notebooks").is_dir()
    start = above if is_checkout else Path.cwd()
    return start / Path(os.environ.get("SAN_DATA") or "data").expanduser()


def present(name: str, root: Path) -> bool:
    """Whether some file of a data set is below `root`."""
    return any((root / MANIFEST[name].folder).glob("[!.]*"))


# --- verify ---------------------------------------------------------------------------------------


def published_hashes(text: str) -> dict[str, str]:
    """The hashes of PhysioNet's SHA256SUMS.txt, by file name; ValueError for another text."""
    hashes = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *]?(.+)", line)
        if not match:
            raise ValueError(
                f"expected lines of a sha256 and a file name, got {line[:60]!r} in line {number}"
            )
        hashes[match[2]] = match[1]
    if not hashes:
        raise ValueError("expected lines of a sha256 and a file name, got none")
    return hashes


@dataclasses.dataclass(frozen=True)
class Finding:
    """What the bytes of one file are.

    `state` is "official", "copy" or "substitute" for known bytes; "unverified" where the right hash
    is not known, "wrong" where it is another. `check` also finds what is "absent", "unfinished",
    "unknown", since the manifest does not name it, or PhysioNet's "list" of hashes. `remark` says
    more.
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
    """Tell by its hash what a file of a data set is, with PhysioNet's list if that lies beside it.

    Raises ValueError for a list that is none.
    """
    sha256 = pooch.file_hash(path)
    official = official_hash(source, path.parent, path.name)
    named = [file for file in source.files if file.name == path.name]
    known = next((file for file in named if file.sha256 == sha256), None)
    if official == sha256:
        remark = "" if known and known.bytes == "official" else f"as in {HASHES}"
        return Finding(path, "official", remark, known, sha256)
    if known:
        return Finding(path, known.bytes, known.how or "", known, sha256)
    if official:
        remark = f"expected sha256 {official}, got {sha256}"
        if any(file.bytes != "official" for file in named):
            remark += ", which is no known copy either"
        return Finding(path, "wrong", remark, sha256=sha256)
    remark = (
        f"expected a hash that is known, got sha256 {sha256}; put the official {HASHES} of "
        f"{source.source} beside it, or move it away and run `make data`"
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
        raise ValueError(f"{hashes}: {error}; move it away and run `make data`") from error


def belong_together(findings: Iterable[Finding]) -> list[Finding]:
    """The findings of a record's files, where what does not fit to a known copy is "wrong".

    A copy has its own header, which makes nonsense of the official signal file, and the other way
    round.
    """
    findings = list(findings)
    copies = [
        finding
        for finding in findings
        if finding.state in ("copy", "substitute") and not finding.known.interchangeable
    ]
    if not copies:
        return findings
    return [
        finding
        if finding.state in (copies[0].state, "wrong")
        else dataclasses.replace(
            finding,
            state="wrong",
            remark=f"expected a file that belongs to the known copy {copies[0].path.name}, got "
            f"another, sha256 {finding.sha256}",
        )
        for finding in findings
    ]


def verified(source: Source, paths: Iterable[Path]) -> list[Finding]:
    """What the files of a record or of a data set are; ValueError if one is wrong."""
    findings = belong_together(identify(source, path) for path in paths)
    for finding in findings:
        if finding.state == "wrong":
            what = f"the files of record {finding.path.stem}" if source.record else "it"
            raise ValueError(
                f"{finding.path}: {finding.remark}; move {what} away and run `make data` to fetch "
                "it again"
            )
    return findings


def least(findings: Iterable[Finding]) -> str:
    """The state of the files together, which is that of the one that is known least."""
    states = ("unverified", "substitute", "copy", "official")
    return min((finding.state for finding in findings), key=states.index)


def whose_bytes(findings: Iterable[Finding]) -> str:
    """Sentences that say of verified files whose bytes they have, one for each kind of bytes."""
    findings = list(findings)
    sentences = []
    for state in dict.fromkeys(finding.state for finding in findings):
        of_it = [finding for finding in findings if finding.state == state]
        words = {
            "official": "the source's own bytes, verified by hash",
            "copy": f"a known copy, {of_it[-1].remark}",
            "substitute": f"a known substitute, {of_it[-1].remark}",
            "unverified": "these bytes could not be verified",
        }[state]
        sentences.append(f"{_listed([finding.path.name for finding in of_it])}: {words}.")
    return " ".join(sentences)


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def check(source: Source, root: Path) -> list[Finding]:
    """Verify each file of a data set below `root`, without network; absent ones are listed too."""
    folder = root / source.folder
    named = {file.name for file in source.files}
    present = sorted(folder.glob("*"))
    records: dict[str, list[Finding]] = {}
    others = []
    for path in present:
        if path.name in named:
            records.setdefault(path.stem, []).append(identify(source, path))
        else:
            others.append(_unnamed(path))
    findings = [finding for record in records.values() for finding in belong_together(record)]
    absent = [
        Finding(folder / name, "absent")
        for name in source.official
        if not (folder / name).is_file()
    ]
    return findings + absent + others


def _unnamed(path: Path) -> Finding:
    if path.name.startswith(ASIDE):
        return Finding(path, "unfinished", "a download that goes on or broke off; delete it then")
    if path.name == HASHES:
        return Finding(path, "list", "PhysioNet's hashes of the database")
    return Finding(path, "unknown", "not in the manifest")


# --- fetch ----------------------------------------------------------------------------------------


def advice(source: Source, folder: Path) -> str:
    """What to put where for a data set that is not there, without a full stop."""
    files = list(source.official)
    if source.record:
        files = [f"{source.record}.hea", "the signal file that it names"]
    if not all(file.sha256 for file in source.official.values()):
        files.append(HASHES)
    unpacked = ", unpacked" if source.torchvision else ""
    return f"put {_listed(files)} into {folder}{unpacked}, from {source.source}"


def obtain(source: Source, folder: Path, name: str) -> None:
    """Download a file of a data set into `folder`, unless one of that name is there.

    Its hash is the manifest's, else that in PhysioNet's list, which is then fetched too. Raises
    FetchError, as `download`, and for a file whose hash is not known; ValueError for a list that is
    none.
    """
    path, hashes = folder / name, folder / HASHES
    if path.exists():
        return
    if official_hash(source, folder, name) is None and not hashes.exists():
        download(source.download + HASHES, hashes, None, _verify_list)
    sha256 = official_hash(source, folder, name)
    if sha256 is None:
        raise FetchError(f"{name}: expected its hash in {hashes}, got none to verify it by")
    download(source.download + name, path, sha256)


def _verify_list(path: str, *_: object) -> str:
    """Pass on a list of hashes if it is one, as a processor of pooch."""
    published_hashes(Path(path).read_text("utf-8", "replace"))
    return path


def download(
    url: str, target: Path, known_hash: str | None, processor: Callable | None = None
) -> None:
    """Download `url` to `target`, verified.

    `known_hash` is that of the bytes as they are served, in pooch's notation; `processor` is
    pooch's too, such as `pooch.Decompress()`. Raises FetchError if the file cannot be downloaded,
    verified or written; its message is one sentence without a full stop.
    """
    check_reachable(url)
    downloader = pooch.HTTPDownloader(
        progressbar=sys.stderr.isatty(),
        chunk_size=1 << 16,
        timeout=(ANSWER, PAUSE),
        headers={"Accept-Encoding": "identity"},  # hashes are those of the bytes as stored
    )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # pooch verifies before it gives a file its name, but unpacks under the name itself.
        with tempfile.TemporaryDirectory(prefix=ASIDE, dir=target.parent) as aside:
            arrived = Path(
                pooch.retrieve(url, known_hash, target.name, aside, processor, downloader)
            )
            arrived.chmod(0o644)  # pooch's are for their owner alone, a folder of data is shared
            arrived.replace(target)
    except requests.RequestException as error:
        reason = str(error).partition(". ")[0]
        raise FetchError(f"{target.name}: expected {url}, got {reason}") from error
    except ValueError as error:
        wrong = str(error).partition(". ")[0]
        raise FetchError(f"{target.name}: {url} does not verify: {wrong}") from error
    except OSError as error:
        reason = error.strerror or error
        raise FetchError(f"{target}: expected to write it, got: {reason}") from error


_ASKING = threading.Lock()


def check_reachable(url: str) -> None:
    """FetchError if the server of `url` does not answer; it is asked once within a process."""
    parts = urlsplit(url)
    with _ASKING:
        reason = _unreachable(f"{parts.scheme}://{parts.netloc}")
    if reason:
        raise FetchError(reason)


@functools.cache
def _unreachable(server: str) -> str:
    """Why a server cannot be reached, "" if it can."""
    reasons = queue.SimpleQueue()

    def ask() -> None:
        try:
            requests.head(server, timeout=ANSWER)
            reasons.put("")
        except requests.RequestException as error:
            reasons.put(f"{server} cannot be reached ({type(error).__name__})")

    # In a thread, since looking up a name, and trying each of its addresses, has other limits.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return reasons.get(timeout=ANSWER)
    except queue.Empty:
        return f"{server} cannot be reached (no answer within {ANSWER} s)"


# --- the command line -----------------------------------------------------------------------------


def print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows of texts in columns, the last one as long as it is."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, last in rows:
        print("  ".join([*(f"{c:{w}}" for c, w in zip(cells, widths, strict=True)), last]).rstrip())


def main(arguments: list[str] | None = None) -> int:
    """Verify the data that are there, without network; return 1 if a file does not verify."""
    parser = argparse.ArgumentParser(prog="sanbook.data.fetch", description=main.__doc__)
    parser.add_argument("--directory", help="default: $SAN_DATA, else data")
    root = data_folder(parser.parse_args(arguments).directory)
    if not root.is_dir():
        print(f"expected a folder of data, got {root}, which is none; set SAN_DATA to yours")
        return 1
    findings, failures = [], []
    for name, source in MANIFEST.items():
        try:
            findings += [(name, finding) for finding in check(source, root)]
        except ValueError as error:
            failures.append(str(error))
    print_table(
        [("data set", "file", "state", "remark")]
        + [(name, f.path.name, f.state, f.remark) for name, f in findings]
    )
    failures += [f"{f.path}: {f.remark}" for _, f in findings if f.failed]
    count = sum(f.state in ("official", "copy", "substitute") for _, f in findings)
    print(f"{count} files verified, {len(failures)} not, in {root}")
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
