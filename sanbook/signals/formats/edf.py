"""EDF files."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sanbook.signals.formats.recording import (
    BLOCK,
    Overrides,
    Recording,
    SignalFile,
    at_rate,
)


def open_edf(path: Path, wishes: Overrides) -> SignalFile:
    """An EDF file."""
    stored = _open(path)
    if not stored.is_continuous:
        raise ValueError(
            f"{path.name}: expected an EDF file without interruptions, got EDF+D; save it as EDF+C"
        )

    def read(channel: int) -> Recording:
        signal, records = stored.signals[channel], stored.num_data_records
        if records < 1 or signal.physical_min == signal.physical_max:
            raise ValueError(
                f"{path.name}: expected samples in physical units, got {records} data records and "
                f"a range of {signal.physical_min:g} to {signal.physical_max:g}; fetch it again"
            )
        seconds, at_once = (
            stored.data_record_duration,
            max(1, BLOCK // signal.samples_per_data_record),
        )

        def blocks(size: int) -> Iterator[np.ndarray]:
            for first in range(0, records, at_once):
                last = min(first + at_once, records)
                signal = _open(path).signals[channel]  # mapped anew, as in `_read_numpy`
                yield signal.get_data_slice(first * seconds, last * seconds)

        return Recording(
            path.name,
            signal.label,
            channel,
            at_rate(path.name, signal.sampling_frequency, wishes.rate),
            signal.physical_dimension or "unknown",
            (path,),
            blocks,
        )

    names = tuple(stored.labels)
    return SignalFile(path.name, names, read, range(len(names)))


def _open(path: Path):
    import edfio  # only here: other kinds of files do without

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a file cut off
        try:
            return edfio.read_edf(path, lazy_load_data=True)
        except (Warning, ValueError, ArithmeticError, LookupError) as error:
            raise ValueError(
                f"{path.name}: expected a whole EDF file, got: {error}; fetch it again"
            ) from error
