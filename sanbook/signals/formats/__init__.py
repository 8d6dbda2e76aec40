"""Recordings in files: a channel of a CSV or text, NumPy, WFDB, EDF or BDF file, block by block."""

import os
import sys
from pathlib import Path

from sanbook.signals.formats.recording import (
    FileError,
    Overrides,
    Recording,
    SignalFile,
    in_a_sentence,
)

__all__ = ["FileError", "Recording", "SignalFile", "open_file", "open_recording"]


def open_recording(
    path: str | os.PathLike, column: str | int = "", rate: float | None = None, **overrides
) -> Recording:
    """Open one channel of a file, to be read block by block.

    Args:
        path: as in `open_file`.
        column: a str is the name of a column or channel, an int is its number from 0 on; by default
            the only one that is not a column of times.
        rate: sampling rate in Hz, if the file does not say it.
        overrides: as in `open_file`.

    Raises:
        FileNotFoundError: there is no such file, or no signal file beside a header.
        FileError: a ValueError; the file is not such a signal, has no such column, or has another
            rate. What is wrong far inside a file shows when its blocks are read.
    """
    return open_file(path, rate=rate, **overrides).channel(column)


def open_file(path: str | os.PathLike, **overrides) -> SignalFile:
    """Open a file of signals and learn the names of its channels. Nothing is unpickled.

    Args:
        path: text in columns (.csv, .txt, .tsv, .asc, .lvm, .dat that no WFDB header names), "-"
            for such text on standard input, or a pipe; .npy or .npz; the header (.hea) or the
            signal file of a WFDB record; .edf or .bdf.
        overrides: ``rate``, ``separator``, ``decimal``, ``skip``, ``time``, see `Overrides`.

    Raises:
        FileNotFoundError, FileError: as `open_recording`.
    """
    wishes = Overrides(**overrides)
    if str(path) == "-":
        from sanbook.signals.formats.csv import open_stream

        wishes.check("standard input", "text")
        return open_stream("standard input", sys.stdin.buffer, wishes)
    path = Path(path)
    if path.is_dir():
        raise FileError(f"{path}: is a folder. Name a file in it.")
    if not path.exists() and path.with_name(f"{path.name}.hea").exists():
        path = path.with_name(f"{path.name}.hea")  # the name of a record
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file. Check the name.")
    suffix = path.suffix.lower()
    kind = "text" if not path.is_file() else KINDS.get(suffix)
    if (kind is None or suffix == ".dat") and (header := path.with_suffix(".hea")).exists():
        path, kind = header, "wfdb"
    if kind is None:
        raise FileError(
            f"{path.name}: {suffix or 'no suffix'} is none of the kinds {', '.join(KINDS)}. Save "
            "the signal as one of them."
        )
    wishes.check(path.name, kind)
    with in_a_sentence(path.name):
        return _reader(kind)(path, wishes)


#: Suffixes of files, and what reads them.
KINDS = {
    ".csv": "text",
    ".txt": "text",
    ".tsv": "text",
    ".dat": "text",
    ".asc": "text",
    ".lvm": "text",
    ".npy": "numpy",
    ".npz": "numpy",
    ".hea": "wfdb",
    ".edf": "edf",
    ".bdf": "edf",
}


def _reader(kind: str):
    """The reader of a kind; only the library that the file needs is imported."""
    if kind == "text":
        from sanbook.signals.formats.csv import open_text as reader
    elif kind == "numpy":
        from sanbook.signals.formats.numpy import open_arrays as reader
    elif kind == "wfdb":
        from sanbook.signals.formats.wfdb import open_record as reader
    else:
        from sanbook.signals.formats.edf import open_edf as reader
    return reader
