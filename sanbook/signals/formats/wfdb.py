"""WFDB records."""

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import wfdb
from wfdb.io._signal import BYTES_PER_SAMPLE  # wfdb has no public name for the sample sizes

from sanbook.signals.formats.recording import BLOCK, Overrides, Recording, SignalFile, at_rate


def open_record(path: Path, wishes: Overrides) -> SignalFile:
    """A record by its header."""
    header = read_header(path)
    rate = at_rate(path.name, header.fs, wishes.rate)

    def read(channel: int) -> Recording:
        _check_signal_file(path, header, channel)

        def blocks(size: int) -> Iterator[np.ndarray]:
            for first in range(0, header.sig_len, BLOCK):
                last = min(first + BLOCK, header.sig_len)
                part = wfdb.rdrecord(
                    str(path.with_suffix("")), sampfrom=first, sampto=last, channels=[channel]
                )
                yield part.p_signal[:, 0]

        files = (path, path.parent / header.file_name[channel])
        units, name = header.units[channel], header.sig_name[channel]
        return Recording(path.name, name, channel, rate, units, files, blocks)

    return SignalFile(path.name, tuple(header.sig_name), read, range(header.n_sig))


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
