"""Fetch the files of the data sets, and verify their bytes.

What each data set is, where it comes from and which bytes are right is in `sanbook/manifest.toml`.

A download is written aside, into a hidden file ``.part-NAME`` in the same folder, verified, and
only then moved to its name in one step; so a file under its own name is whole and verified. What
came but does not verify is kept as `NAME.corrupt-1` and named in the error. A file that is already
there is never written over.

A download that breaks off is continued by the next one. Of several downloads of one file at the
same time, in threads or processes, one writes and the others wait for it: they lock the part file
itself. (A part of its own for each would need no lock, but nobody could continue it later. The lock
is the kernel's and ends with its process, however that ends, so none can be left behind.)

Run `python -m sanbook.fetch` to verify what is there, without network.
"""

import argparse
import contextlib
import dataclasses
import fcntl
import functools
import gzip
import hashlib
import os
import re
import sys
import threading
import time
import tomllib
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3
from tqdm import tqdm

HASHES = "SHA256SUMS.txt"  # PhysioNet's list of the hashes of a database
CHUNK = 1 << 16  # bytes
PART = ".part-"


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
    """What the manifest says of a data set; the head of `sanbook/manifest.toml` explains each name.

    `sampling_rate` is in Hz, None for images.
    """

    name: str
    title: str
    signal: str
    folder: str
    source: str
    version: str
    download: str
    licence: str
    recorded_by: str
    citation: str
    units: str
    why: str
    files: tuple[KnownFile, ...]
    sampling_rate: float | None = None
    channel: str | None = None
    record: str | None = None
    simulator: str | None = None
    packed: str = ""
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
    for name, facts in tomllib.loads(path.read_text()).items():
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

    From the environment, a relative path starts at the folder of this module.
    """
    folder = Path(directory or os.environ.get("SAN_DATA") or "data").expanduser()
    return folder if directory else Path(__file__).parent.parent / folder


def present(name: str, root: Path) -> bool:
    """Whether some file of a data set is below `root`."""
    return any((root / MANIFEST[name].folder).glob("[!.]*"))


# --- verify ---------------------------------------------------------------------------------------


def sha256_of(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def mismatch(path: Path, sha256: str, size: int | None = None) -> str:
    """What is wrong with the bytes of a file, "expected ..., got ..."; "" if nothing."""
    found = path.stat().st_size
    if size is not None and found != size:
        return f"expected {size} bytes, got {found}"
    found = sha256_of(path)
    return "" if found == sha256 else f"expected sha256 {sha256}, got {found}"


def published_hashes(path: Path) -> dict[str, str]:
    """The hashes in PhysioNet's SHA256SUMS.txt, by file name; ValueError for another file."""
    hashes = {}
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        match = re.fullmatch(r"([0-9a-f]{64}) [ *]?(.+)", line)
        if not match:
            raise ValueError(
                f"{path}: expected lines of a sha256 and a file name, got {line[:60]!r} in line "
                f"{number}; move it away and run `make data`"
            )
        hashes[match[2]] = match[1]
    return hashes


def no_hashes(path: Path) -> str:
    """What is wrong with a file that should be such a list; "" if nothing."""
    try:
        hashes = published_hashes(path)
    except ValueError as error:
        return str(error).removeprefix(f"{path}: ").partition(";")[0]
    return "" if hashes else "expected lines of a sha256 and a file name, got none"


def plain_name(name: str, origin: str) -> str:
    """`name`, if it is that of a file in the same folder; else ValueError, which names `origin`.

    Names that come from outside may point anywhere, so they pass through here before their use.

    >>> plain_name("100.dat", "100.hea")
    '100.dat'
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ValueError(f"{origin}: expected plain file names, got {name!r}; do not use this file")
    return name


@dataclasses.dataclass(frozen=True)
class Finding:
    """What the bytes of one file are.

    `state` is "official", "copy" or "substitute" for known bytes; "unverified" where the right hash
    is not known, "wrong" where it is another; "unknown" for a file that the manifest does not name;
    "absent", "unfinished" or "set aside"; "list" for PhysioNet's hashes. `remark` says more.
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
    sha256 = sha256_of(path)
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
    if named:
        remark = (
            f"expected a hash that is known, got sha256 {sha256}; put the official {HASHES} of "
            f"{source.source} beside it, or move it away and run `make data`"
        )
        return Finding(path, "unverified", remark, sha256=sha256)
    return Finding(path, "unknown", "not in the manifest", sha256=sha256)


def official_hash(source: Source, folder: Path, name: str) -> str | None:
    """The official sha256 of a file: the manifest's, else that in the list in `folder`."""
    known = source.official.get(name)
    if known and known.sha256:
        return known.sha256
    hashes = folder / HASHES
    return published_hashes(hashes).get(name) if hashes.is_file() else None


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


def check(source: Source, root: Path) -> list[Finding]:
    """Verify each file of a data set below `root`, without network; absent ones are listed too."""
    folder = root / source.folder
    named = {file.name for file in source.files}
    present = sorted(path for path in folder.glob("*") if path.is_file())
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
    if path.name.startswith(PART):
        return Finding(path, "unfinished", "a download; `make data` continues it")
    if re.search(r"\.corrupt-\d+$", path.name):
        return Finding(path, "set aside", "did not verify when it was downloaded; not used")
    if path.name == HASHES:
        return Finding(path, "list", "PhysioNet's hashes of the database")
    return Finding(path, "unknown", "not in the manifest")


# --- fetch ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a download waits.

    In seconds: to `connect`, to `read` the next bytes, a `pause` before the second of `tries`,
    which doubles before each further one, and for `others` that download the same file.
    """

    connect: float = 5
    read: float = 30
    tries: int = 4
    pause: float = 1
    others: float = 600


PATIENCE = Patience()
# Polite to the servers: files that are transferred at the same time.
AT_ONCE = threading.BoundedSemaphore(4)
_ASKING = threading.Lock()


class _PassingError(Exception):
    """A transfer failed in a way that another try may not."""


@functools.cache
def _unreachable(server: str) -> str:
    try:
        requests.head(server, timeout=PATIENCE.connect)
    except requests.RequestException as error:
        return f"{server} cannot be reached ({type(error).__name__})"
    return ""


def check_reachable(url: str) -> None:
    """ConnectionError if the server of `url` does not answer; asked once within a process."""
    parts = urlsplit(url)
    with _ASKING:
        reason = _unreachable(f"{parts.scheme}://{parts.netloc}")
    if reason:
        raise ConnectionError(reason)


def fetch(
    url: str,
    target: Path,
    complaint: Callable[[Path], str],
    *,
    size: int | None = None,
    packed: bool = False,
    before_placing: Callable[[Path], object] | None = None,
) -> bool:
    """Download `url` to `target`, unless it is there; returns whether it was downloaded.

    `complaint` says what is wrong with the bytes of a file, "expected ..., got ...", or "". `size`
    in bytes is that of `target`. What is `packed` by gzip is unpacked. `before_placing` is called
    with the verified file before it gets its name; if it raises, the file does not get it.

    Raises FetchError if the file cannot be downloaded, verified or written, or if another one has
    its name; ValueError if `target` has no plain name.
    """
    plain_name(target.name, url)
    try:
        if target.exists():
            _refuse_wrong(target, complaint)
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{PART}{target.name}{'.gz' if packed else ''}")
        with _alone(part) as file:
            if target.exists():  # another was faster
                _refuse_wrong(target, complaint)
                part.unlink()
                return False
            whole = part
            if packed or not _length(file) or complaint(part):
                _download(url, file, target.name, size=None if packed else size)
            if packed:
                whole = _unpack(part, target, size)
            wrong = complaint(whole)
            if wrong:
                _refuse_download(url, part, whole, target, wrong)
            if before_placing:
                before_placing(whole)
            os.replace(whole, target)
            if packed:
                part.unlink()
        return True
    except FetchError:
        raise
    except OSError as error:
        raise FetchError(
            f"{target}: expected to write it, got: {error.strerror or error}; make room or get the "
            "permission, or point SAN_DATA to another folder, and run `make data` again, which "
            "continues what was downloaded"
        ) from error


def _refuse_wrong(target: Path, complaint: Callable[[Path], str]) -> None:
    wrong = complaint(target)
    if wrong:
        raise FetchError(f"{target}: {wrong}; move it away and run `make data` to fetch it again")


def _refuse_download(url: str, part: Path, whole: Path, target: Path, wrong: str) -> None:
    aside = _set_aside(part, target.with_name(part.name.removeprefix(PART)))
    if whole != part:
        whole.unlink(missing_ok=True)
    raise FetchError(
        f"{target.name}: {wrong}, from {url}; what came is kept as {aside}; run `make data` again, "
        "and if it fails again ask those who publish the file"
    )


def _set_aside(path: Path, name: Path) -> Path:
    """Rename a file to the first free one of NAME.corrupt-1, NAME.corrupt-2, ..."""
    number = 1
    while (aside := name.with_name(f"{name.name}.corrupt-{number}")).exists():
        number += 1
    os.replace(path, aside)
    return aside


@contextlib.contextmanager
def _alone(part: Path) -> Iterator:
    """The part file, open to append and locked; waits for another thread or process that has it."""
    deadline = time.monotonic() + PATIENCE.others
    while True:
        with part.open("ab", buffering=0) as file:
            # Who had the lock before may have moved the file that we opened.
            if _locked(file) and _is_at(file, part):
                yield file
                return
        if time.monotonic() > deadline:
            raise FetchError(
                f"{part}: expected the other process that downloads it to finish within "
                f"{PATIENCE.others:g} s, got no end; stop that process and run `make data` again"
            )
        time.sleep(0.05)


def _locked(file) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file, path: Path) -> bool:
    """Whether the open file still has this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _length(file) -> int:
    return os.fstat(file.fileno()).st_size


def _download(url: str, file, name: str, size: int | None) -> None:
    """Fill the open part file, continuing what it has; tries again where that may help."""
    for attempt in range(PATIENCE.tries):
        if attempt:
            time.sleep(PATIENCE.pause * 2 ** (attempt - 1))
        try:
            with AT_ONCE:
                _transfer(url, file, name, size)
            os.fsync(file.fileno())
            return
        except (
            _PassingError,
            requests.ConnectionError,
            requests.Timeout,
            urllib3.exceptions.HTTPError,
        ) as error:
            failure = error
        except requests.RequestException as error:
            raise FetchError(
                f"{name}: expected {url}, got {error}; try again later or fetch it by hand"
            ) from error
    kept = f"; {_length(file)} bytes are kept to continue with" if _length(file) else ""
    raise FetchError(
        f"{name}: expected {size or 'all'} bytes of {url}, got {_reason(failure)} in "
        f"{PATIENCE.tries} tries{kept}; check the connection and run `make data` again"
    ) from failure


def _reason(error: BaseException) -> str:
    """The innermost cause of an error of a connection, which is what a person can act upon."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error) if isinstance(error, _PassingError) else f"{type(error).__name__}: {error}"


def _transfer(url: str, file, name: str, size: int | None) -> None:
    """One try: append to the part file what it lacks."""
    have = _length(file)
    # As stored, since sizes and hashes are those of the stored bytes.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    timeout = (PATIENCE.connect, PATIENCE.read)
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
        status = response.status_code
        first, total = _range(response)
        if status == 416 and total == have:
            return
        if status == 416 or (status == 206 and first != have):
            file.truncate(0)
            raise _PassingError(f"another part than what follows the first {have} bytes")
        if status in (408, 429) or status >= 500:
            raise _PassingError(f"{status} {response.reason}")
        response.raise_for_status()
        if status != 206:  # the server begins anew
            file.truncate(0)
        if total is None:
            total = size
        with tqdm(
            desc=name, total=total, initial=_length(file), unit="B", unit_scale=True,
            disable=None, leave=False,
        ) as bar:  # fmt: skip
            # Not decoded: the bytes as they are stored.
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                _write(file, chunk)
                bar.update(len(chunk))
                if total is not None and _length(file) > total:
                    break
    if total is not None and _length(file) < total:
        raise _PassingError(f"{_length(file)} of {total} bytes")


def _range(response: requests.Response) -> tuple[int | None, int | None]:
    """The index of an answer's first byte and the size of the whole file, None where not said."""
    match = re.fullmatch(
        r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", response.headers.get("Content-Range", "")
    )
    if match:
        return tuple(int(group) if group and group != "*" else None for group in match.groups())
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _write(file, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]


def _unpack(part: Path, target: Path, size: int | None) -> Path:
    """Unpack a gzip file beside it; no more than `size` bytes and one, which is one too many."""
    unpacked = target.with_name(f"{PART}{target.name}")
    left = sys.maxsize if size is None else size + 1
    try:
        with gzip.open(part) as packed, unpacked.open("wb") as file:
            while left and (chunk := packed.read(min(CHUNK, left))):
                file.write(chunk)
                left -= len(chunk)
            file.flush()
            os.fsync(file.fileno())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        url = f"the download of {target.name}"
        _refuse_download(url, part, unpacked, target, f"expected a whole gzip file, got: {error}")
    return unpacked


# --- the command line -----------------------------------------------------------------------------


def print_table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows of texts in columns, the last one as long as it is."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, last in rows:
        print("  ".join([*(f"{c:{w}}" for c, w in zip(cells, widths, strict=True)), last]).rstrip())


def main(arguments: list[str] | None = None) -> int:
    """Verify the data that are there, without network; return 1 if a file does not verify."""
    parser = argparse.ArgumentParser(prog="sanbook.fetch", description=main.__doc__)
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
