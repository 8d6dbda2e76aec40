"""A signal of one's own: read from a file, cut into windows, scaled.

Axes: n samples; a signal is (n,), a set of windows (windows, n).
"""

import hashlib
import math
import os
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import wfdb
from torch import Tensor
from wfdb.io._signal import BYTES_PER_SAMPLE  # wfdb has no public name for the sample sizes

from sanbook.dataset import Card, DataSet


def standardized_windows(signal: Tensor, window: int, *, origin: str = "signal") -> Tensor:
    """Cut a signal into windows, one after the other, each with mean 0 and standard deviation 1.

    From each window its mean is subtracted, and the rest is divided by the window's unbiased
    standard deviation (sum of squares over `window` - 1, as `torch.std` does), so amplitudes are in
    standard deviations. `signal` is (n,), floating point, in any units; samples after the last
    whole window are left out. Computed in the precision of `signal`; returns float32 (n // window,
    window). `origin` names the signal in errors. Raises ValueError for fewer samples than a window
    has, for a window of less than 2, for samples that are NaN or infinite, and for a constant
    window, which has no standard deviation to divide by.

    >>> standardized_windows(torch.tensor([1.0, 2.0, 3.0, 50.0, 40.0, 30.0, 7.0]), 3)
    tensor([[-1.,  0.,  1.],
            [ 1.,  0., -1.]])
    """
    if not 2 <= window <= len(signal):
        raise ValueError(
            f"{origin}: expected a window of 2 to {len(signal)} samples, as many as the signal "
            f"has, got {window}; choose another window or a longer signal"
        )
    bad = (~signal.isfinite()).nonzero().flatten()
    if len(bad):
        raise ValueError(
            f"{origin}: expected finite samples, got {len(bad)} NaN or infinite, the first at "
            f"index {bad[0]}; choose another record or fill the gap"
        )
    cut = signal[: len(signal) // window * window].reshape(-1, window)
    constant = (cut.amax(1) == cut.amin(1)).nonzero().flatten().tolist()
    if constant:
        raise ValueError(
            f"{origin}: expected windows that vary, got a constant window at {constant} (counted "
            f"from 0, {window} samples each), which cannot be standardized; choose another record "
            "or a part without it"
        )
    return ((cut - cut.mean(1, keepdim=True)) / cut.std(1, keepdim=True)).float()


def load_signal(path: str | os.PathLike, window: int, column: str = "") -> DataSet:
    """Read a signal from a file, cut it into standardized windows and split these as the paper.

    Half of the windows are for training, a sixth for validation and the rest for testing, in the
    order of time (of twelve windows 6, 2 and 4, as in the article's section IV-A).

    Args:
        path: a CSV file whose first line names the columns; a NumPy file, .npy or .npz, of arrays
            (n,); or the header, .hea, of a WFDB record. Nothing is unpickled.
        window: samples of a window, as many as the slowest pattern needs, several times over.
        column: name of the CSV column, of the array in an .npz file or of the channel of a record;
            empty if there is only one.

    Raises:
        FileNotFoundError: there is no such file, or no signal file beside a header.
        ValueError: the file cannot be read as such a signal, there are fewer than three windows, or
            as `standardized_windows`.
    """
    path = Path(path)
    if path.suffix not in _READERS:
        raise ValueError(
            f"{path.name}: expected a file of one of the kinds {', '.join(_READERS)}, got "
            f"{path.suffix or 'none of them'}; save the signal as one of them"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a signal, but there is no such file")
    values, facts, files = _READERS[path.suffix](path, column)
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise ValueError(
            f"{path.name}: expected real numbers of shape (n,), got {values.dtype} of shape "
            f"{values.shape}; save one channel as numbers"
        )
    origin = f"{path.name}, {column}" if column else path.name
    if len(values) < 3 * window:
        raise ValueError(
            f"{origin}: expected at least 3 windows of {window} samples, for training, validation "
            f"and test, got {len(values)} samples; choose a shorter window or a longer signal"
        )
    # In double precision, so that a large offset costs no digits.
    signal = torch.from_numpy(values.astype(np.float64))
    cut = standardized_windows(signal, window, origin=origin)
    train, validation = len(cut) // 2, max(1, len(cut) // 6)
    parts = cut.split([train, validation, len(cut) - train - validation])
    unused = len(signal) % window
    card = Card(
        name=path.stem,
        signal="a signal of your own",
        source="own",
        note=f"{origin}: {len(cut)} windows of {window} samples"
        + (f"; the last {unused} samples are left out." if unused else "."),
        channel=column or None,
        sha256={file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        **facts,
    )
    return DataSet(*parts, card)


def _read_csv(path: Path, column: str) -> tuple[np.ndarray, dict, list[Path]]:
    try:
        # A blank line is a missing sample.
        table = pd.read_csv(path, index_col=False, skip_blank_lines=False)
    except ValueError as error:  # pandas' own errors are such too
        raise ValueError(
            f"{path.name}: expected a CSV file whose first line names the columns, got: {error}"
        ) from error
    if pd.to_numeric(table.columns, errors="coerce").notna().all():
        raise ValueError(
            f"{path.name}: expected a first line that names the columns, got the numbers "
            f"{', '.join(table.columns[:5])}; write a line of names above them"
        )
    return table[_chosen(path, list(table), column)].to_numpy(), _UNKNOWN, [path]


def _read_numpy(path: Path, column: str) -> tuple[np.ndarray, dict, list[Path]]:
    try:
        stored = np.load(path, allow_pickle=False)
        arrays = {path.stem: stored} if isinstance(stored, np.ndarray) else dict(stored)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{path.name}: expected arrays of numbers as np.save or np.savez write them, got: "
            f"{error}"
        ) from error
    return arrays[_chosen(path, list(arrays), column)], _UNKNOWN, [path]


def _read_wfdb(path: Path, column: str) -> tuple[np.ndarray, dict, list[Path]]:
    names = read_header(path).sig_name
    record = read_record(path, channel=names.index(_chosen(path, names, column)))
    facts = {"sampling_rate": record.fs, "units": record.units[0], "record": path.stem}
    return record.p_signal[:, 0], facts, [path, path.parent / record.file_name[0]]


# What the card of a file without a header says.
_UNKNOWN = {"sampling_rate": None, "units": "unknown"}
# Each returns the values of a column, facts for the card and the files that were read.
_READERS = {".csv": _read_csv, ".npy": _read_numpy, ".npz": _read_numpy, ".hea": _read_wfdb}


def _chosen(path: Path, names: list[str], column: str) -> str:
    """The column that was asked for; if none was, the only one there is."""
    if not column and len(names) == 1:
        return names[0]
    if names.count(column) != 1:
        raise ValueError(
            f"{path.name}: expected the name of one column of {names}, got {column!r}; choose one"
        )
    return column


# --- WFDB records ---------------------------------------------------------------------------------


def read_header(path: Path) -> wfdb.Record:
    """The header of a WFDB record of one segment, whose signal files are named plainly.

    Raises ValueError for another file. Names that come from outside may point anywhere, so those of
    the signal files pass only without a folder.
    """
    try:
        header = wfdb.rdheader(str(path.with_suffix("")))
    except (ValueError, IndexError) as error:
        raise ValueError(
            f"{path.name}: expected a WFDB header, got {error}; fetch it again"
        ) from error
    described = len(getattr(header, "file_name", None) or ())
    if described == 0 or described != header.n_sig:
        raise ValueError(
            f"{path.name}: expected a WFDB header of one segment, with a line for each of its "
            f"{header.n_sig} signals, got {described} such lines; fetch it again"
        )
    for name in header.file_name:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
            raise ValueError(
                f"{path.name}: expected plain file names, got {name!r}; do not use this file"
            )
    return header


def read_record(path: Path, *, channel: int = 0, samples: int | None = None) -> wfdb.Record:
    """One channel of a WFDB record in physical units, ``p_signal`` ``(samples, 1)``.

    Reads its first `samples` or, with None, all of them; `path` is that of the header. Raises
    ValueError for a header or a signal file that cannot be used, FileNotFoundError for an absent
    signal file.
    """
    header = read_header(path)
    shortest = samples or 1
    if (header.sig_len or 0) < shortest:
        raise ValueError(
            f"{path.name}: expected at least {shortest} samples, got {header.sig_len}; "
            "choose a longer record"
        )
    stored_as = header.fmt[channel]
    if stored_as not in BYTES_PER_SAMPLE:
        raise ValueError(
            f"{path.name}: expected a WFDB signal format, one of {', '.join(BYTES_PER_SAMPLE)}, "
            f"got {stored_as}; fetch it again"
        )
    data = path.parent / header.file_name[channel]
    if not data.is_file():
        raise FileNotFoundError(
            f"{path.name} names {data.name}, which is not beside it: put it there"
        )
    # wfdb says nothing of a file cut off after the samples asked for, and fails obscurely on one
    # cut off before.
    frame = sum(
        of_channel
        for file, of_channel in zip(header.file_name, header.samps_per_frame, strict=True)
        if file == data.name
    )
    size = math.ceil(header.sig_len * frame * BYTES_PER_SAMPLE[stored_as])
    expected = (header.byte_offset[channel] or 0) + size
    if data.stat().st_size < expected:
        raise ValueError(
            f"{data.name}: expected {expected} bytes by its header, got {data.stat().st_size}: the "
            "file is cut off; fetch it again"
        )
    return wfdb.rdrecord(str(path.with_suffix("")), channels=[channel], sampto=samples)
