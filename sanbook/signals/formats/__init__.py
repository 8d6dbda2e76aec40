"""Recordings in files: one channel of a CSV, NumPy, WFDB or EDF file, read block by block.

Axes: n samples of a channel.
"""

import csv
import dataclasses
import math
import os
import re
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import wfdb
from wfdb.io._signal import BYTES_PER_SAMPLE  # wfdb has no public name for the sample sizes

BLOCK = 2**17  # samples that are read at once: 1 MB in double precision
#: What stands for a missing sample in a CSV file, in any case.
MISSING = {"", "-", "na", "n/a", "nan", "null", "none"}


@dataclasses.dataclass(frozen=True)
class Recording:
    """One channel of a file, read block by block, so that it may be longer than memory.

    ``blocks(size)`` gives its samples in the order of time, float64 ``(k,)`` of any lengths, NaN
    where one is missing; what still grows waits for no more than ``size`` samples. The sampling
    rate is in Hz, None if nobody knows; ``files`` are those that it is in.
    """

    name: str
    column: str
    sampling_rate: float | None
    units: str
    files: tuple[Path, ...]
    blocks: Callable[[int], Iterator[np.ndarray]]

    @property
    def origin(self) -> str:
        """File and column, for sentences."""
        return f"{self.name}, {self.column}" if self.column else self.name


def open_recording(
    path: str | os.PathLike, column: str = "", rate: float | None = None
) -> Recording:
    """One channel of a file, to be read block by block.

    Args:
        path: a CSV file whose first line names the columns, or "-" for such lines on standard
            input; a NumPy file, .npy or .npz, of arrays (n,); the header, .hea, of a WFDB record;
            or an EDF file. Nothing is unpickled.
        column: name, or number from 0 on, of the CSV column, of the array in an .npz file or of the
            channel; empty if there is only one.
        rate: sampling rate in Hz of a file that does not say its own.

    Raises:
        FileNotFoundError: there is no such file, or no signal file beside a header.
        ValueError: the file is not such a signal, has no such column, or has another rate. What is
            wrong far inside a file shows when its blocks are read.
    """
    if rate is not None and not (rate > 0 and math.isfinite(rate)):
        raise ValueError(f"expected a rate in Hz, a number above 0, got {rate:g}")
    if str(path) == "-":
        return _read_lines("standard input", sys.stdin, column, rate)
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: expected a file, but it is a folder; name a file in it")
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected a signal, but there is no such file")
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise ValueError(
            f"{path.name}: expected a file of one of the kinds {', '.join(_READERS)}, got "
            f"{path.suffix or 'none of them'}; save the signal as one of them"
        )
    recording = _READERS[suffix](path, column)
    if rate is None or recording.sampling_rate == rate:
        return recording
    if recording.sampling_rate is not None:
        raise ValueError(
            f"{path.name}: expected the rate that the file states, {recording.sampling_rate:g} Hz, "
            f"got {rate:g}; leave the rate out or mend the file"
        )
    return dataclasses.replace(recording, sampling_rate=rate)


def _chosen(name: str, names: list[str], column: str) -> int:
    """Which column was asked for; if none was, the only one there is."""
    if not column and len(names) == 1:
        return 0
    if names.count(column) == 1:
        return names.index(column)
    if re.fullmatch(r"\d{1,6}", column) and column not in names and int(column) < len(names):
        return int(column)
    raise ValueError(
        f"{name}: expected the name, or the number from 0 on, of one column of {names}, got "
        f"{column!r}; choose one"
    )


def _read_csv(path: Path, column: str) -> Recording:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = _read_lines(path.name, file, column, None)

    def blocks(size: int) -> Iterator[np.ndarray]:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _read_lines(path.name, file, column, None).blocks(size)

    return dataclasses.replace(header, files=(path,), blocks=blocks)


def _read_lines(name: str, lines: Iterable[str], column: str, rate: float | None) -> Recording:
    """A recording of CSV lines, the first of which names the columns; it can be read once."""
    rows = _rows(name, lines)
    names = [title.strip().lstrip("\ufeff") for title in next(rows, [])]
    if not any(names):
        raise ValueError(
            f"{name}: expected a CSV file whose first line names the columns, got an empty first "
            "line; write a line of names above the numbers"
        )
    if all(_is_number(title) for title in names):
        raise ValueError(
            f"{name}: expected a first line that names the columns, got the numbers "
            f"{', '.join(names[:5])}; write a line of names above them"
        )
    if len(names) == 1 and (wrong := re.search(r"[;\t|]", names[0])):
        raise ValueError(
            f"{name}: expected commas between the columns, got {wrong[0]!r} in the first line, "
            f"{names[0]!r}; save it with commas"
        )
    place = _chosen(name, names, column)

    def blocks(size: int) -> Iterator[np.ndarray]:
        values: list[float] = []
        for line, row in enumerate(rows, start=2):
            if len(row) > len(names):
                raise ValueError(
                    f"{name}: expected {len(names)} columns as in the first line, got {len(row)} "
                    f"in line {line}; save numbers with a point and columns with commas"
                )
            # A blank line is a missing sample.
            text = row[place].strip() if place < len(row) else ""
            try:
                values.append(float(text))
            except ValueError:
                if text.lower() not in MISSING:
                    raise ValueError(
                        f"{name}: expected real numbers in column {names[place]!r}, got "
                        f"{text[:40]!r} in line {line}; choose another column or mend the line"
                    ) from None
                values.append(math.nan)
            if len(values) == size:
                yield np.array(values)
                values = []
        if values:
            yield np.array(values)

    return Recording(name, column and names[place], rate, "unknown", (), blocks)


def _rows(name: str, lines: Iterable[str]) -> Iterator[list[str]]:
    try:
        yield from csv.reader(lines)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{name}: expected lines of text as CSV, got: {error}") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_numpy(path: Path, column: str) -> Recording:
    try:
        mapped = "r" if path.suffix.lower() == ".npy" else None
        stored = np.load(path, mmap_mode=mapped, allow_pickle=False)
        if mapped:
            values, named = stored, ""
        else:
            with stored:
                names = list(stored)
                place = _chosen(path.name, names, column)
                values, named = stored[names[place]], column and names[place]
    except (EOFError, zipfile.BadZipFile, zlib.error, ValueError, KeyError) as error:
        if str(error).startswith(path.name):
            raise
        raise ValueError(
            f"{path.name}: expected arrays of numbers as np.save or np.savez write them, got: "
            f"{error}"
        ) from error
    if mapped and column:
        _chosen(path.name, [path.stem], column)
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        raise ValueError(
            f"{path.name}: expected real numbers of shape (n,), got {values.dtype} of shape "
            f"{values.shape}; save one channel as numbers"
        )

    def blocks(size: int) -> Iterator[np.ndarray]:
        for first in range(0, len(values), BLOCK):
            # What is mapped counts as memory until it is closed, so each block has its own map.
            stored = np.load(path, mmap_mode="r") if mapped else values
            # In double precision, so that a large offset costs no digits.
            yield np.array(stored[first : first + BLOCK], dtype=np.float64)

    return Recording(path.name, named, None, "unknown", (path,), blocks)


def _read_wfdb(path: Path, column: str) -> Recording:
    header = read_header(path)
    channel = _chosen(path.name, header.sig_name, column)
    _check_signal_file(path, header, channel)

    def blocks(size: int) -> Iterator[np.ndarray]:
        for first in range(0, header.sig_len, BLOCK):
            last = min(first + BLOCK, header.sig_len)
            part = wfdb.rdrecord(
                str(path.with_suffix("")), sampfrom=first, sampto=last, channels=[channel]
            )
            yield part.p_signal[:, 0]

    return Recording(
        path.name,
        column and header.sig_name[channel],
        header.fs,
        header.units[channel],
        (path, path.parent / header.file_name[channel]),
        blocks,
    )


def _read_edf(path: Path, column: str) -> Recording:
    stored = _open_edf(path)
    if not stored.is_continuous:
        raise ValueError(
            f"{path.name}: expected an EDF file without interruptions, got EDF+D; save it as EDF+C"
        )
    channel = _chosen(path.name, list(stored.labels), column)
    signal, records = stored.signals[channel], stored.num_data_records
    if records < 1 or signal.physical_min == signal.physical_max:
        raise ValueError(
            f"{path.name}: expected samples in physical units, got {records} data records and a "
            f"range of {signal.physical_min:g} to {signal.physical_max:g}; fetch it again"
        )
    seconds, at_once = stored.data_record_duration, max(1, BLOCK // signal.samples_per_data_record)

    def blocks(size: int) -> Iterator[np.ndarray]:
        for first in range(0, records, at_once):
            last = min(first + at_once, records)
            signal = _open_edf(path).signals[channel]  # mapped anew, as in `_read_numpy`
            yield signal.get_data_slice(first * seconds, last * seconds)

    return Recording(
        path.name,
        column and signal.label,
        signal.sampling_frequency,
        signal.physical_dimension or "unknown",
        (path,),
        blocks,
    )


def _open_edf(path: Path):
    import edfio  # only here: other kinds of files do without

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a file cut off
        try:
            return edfio.read_edf(path, lazy_load_data=True)
        except (Warning, ValueError, ArithmeticError, LookupError) as error:
            raise ValueError(
                f"{path.name}: expected a whole EDF file, got: {error}; fetch it again"
            ) from error


_READERS = {
    ".csv": _read_csv,
    ".npy": _read_numpy,
    ".npz": _read_numpy,
    ".hea": _read_wfdb,
    ".edf": _read_edf,
}


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
    _check_signal_file(path, read_header(path), channel, samples or 1)
    return wfdb.rdrecord(str(path.with_suffix("")), channels=[channel], sampto=samples)


def _check_signal_file(path: Path, header: wfdb.Record, channel: int, shortest: int = 1) -> None:
    """Complain, as `read_record`, of a signal file that does not hold what its header says."""
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
