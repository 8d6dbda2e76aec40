"""Download the files of the data sets.

A download goes into a hidden folder next to its target, is verified there by its hash, and only
then gets its name, in one step. A file under its own name is therefore whole and verified. An
existing file is never overwritten. Nothing is resumed: the largest transfer has 26 MB.
"""

import functools
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pooch
import requests

from sanbook.data.manifest import Source
from sanbook.data.verify import ASIDE, HASHES, official_hash, published_hashes

ANSWER = 5  # seconds within which a server has to answer
PAUSE = 30  # seconds that a transfer may pause

pooch.get_logger().setLevel("WARNING")  # pooch reports every file otherwise


class FetchError(OSError):
    """A file could not be downloaded; the message says which and why."""


def obtain(source: Source, folder: Path, name: str) -> None:
    """Download a file of a data set into `folder`, unless a file of this name exists.

    The hash comes from the manifest, or from PhysioNet's list, which is then downloaded too.

    Raises:
        FetchError: As `download`, and if no hash of the file is known.
        ValueError: The list is not a list of hashes.
    """
    path, hashes = folder / name, folder / HASHES
    if path.exists():
        return
    if official_hash(source, folder, name) is None and not hashes.exists():
        download(source.download + HASHES, hashes, None, _verify_list)
    sha256 = official_hash(source, folder, name)
    if sha256 is None:
        raise FetchError(f"{name}: {hashes} holds no hash to verify it by")
    download(source.download + name, path, sha256)


def _verify_list(path: str, *_: object) -> str:
    """A processor of pooch that refuses a file that is not a list of hashes."""
    published_hashes(Path(path).read_text("utf-8", "replace"))
    return path


def download(
    url: str, target: Path, known_hash: str | None, processor: Callable | None = None
) -> None:
    """Download `url` to `target` and verify the bytes.

    Args:
        url: Address of the file.
        target: Where the verified file goes.
        known_hash: Hash of the bytes as served, in the notation of pooch.
        processor: A processor of pooch, such as `pooch.Decompress()`.

    Raises:
        FetchError: The file cannot be downloaded, verified or written. The message is one sentence
            without a full stop.
    """
    parts = urlsplit(url)
    if reason := _unreachable(f"{parts.scheme}://{parts.netloc}"):
        raise FetchError(reason)
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
            arrived.chmod(0o644)  # pooch lets only the owner read; a folder of data is shared
            arrived.replace(target)
    except requests.RequestException as error:
        reason = str(error).partition(". ")[0]
        raise FetchError(f"{target.name}: {url} gives {reason}") from error
    except ValueError as error:
        wrong = str(error).partition(". ")[0]
        raise FetchError(f"{target.name}: {url} does not verify: {wrong}") from error
    except OSError as error:
        reason = error.strerror or error
        raise FetchError(f"{target}: cannot be written: {reason}") from error


@functools.cache  # a server is asked once within a process
def _unreachable(server: str) -> str:
    """Why a server cannot be reached; empty if it can."""
    try:
        requests.head(server, timeout=ANSWER)
    except requests.RequestException as error:
        return f"{server} cannot be reached ({type(error).__name__})"
    return ""
