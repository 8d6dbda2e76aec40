"""A signal of one's own: cut into windows, scaled, split.

Axes: n samples; a signal is (n,), a set of windows (windows, n).
"""

import dataclasses
import hashlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sanbook.data.dataset import DataSet, Provenance
from sanbook.data.windows import standardized_windows
from sanbook.signals.formats import Recording, open_recording

# --- the windows of a recording -------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Window:
    """Samples ``values`` (n,) of a recording from its sample ``start`` on, in its units.

    ``fault`` says why it cannot be standardized: it has a "gap" (a sample is missing or infinite),
    is "constant", or is the "rest" behind the last whole window. Of others it is empty.
    """

    start: int
    values: np.ndarray
    fault: str = ""

    @property
    def mean(self) -> float:
        """The mean, in the recording's units."""
        return float(self.values.mean())

    @property
    def deviation(self) -> float:
        """The unbiased standard deviation, in the recording's units."""
        return float(self.values.std(ddof=1))

    @property
    def standardized(self) -> Tensor:
        """Mean 0 and standard deviation 1, float32 ``(n,)``."""
        return standardized_windows(torch.from_numpy(self.values), len(self.values))[0]


def windows_of(recording: Recording, window: int) -> Iterator[Window]:
    """Windows of ``window`` samples, one after the other, and at the end the rest, if any.

    They do not depend on how the recording is read. ValueError for a window of less than 2, or for
    samples so large that their squares have no sum.
    """
    if window < 2:
        raise ValueError(f"window: {window} samples do not vary. Choose at least 2.")
    start, waiting = 0, np.empty(0)
    for block in recording.blocks(window):
        waiting = np.concatenate([waiting, block])
        whole = len(waiting) // window * window
        for values in waiting[:whole].reshape(-1, window):
            yield Window(start, values, _fault_of(values, start, recording.origin))
            start += window
        waiting = waiting[whole:]
    if len(waiting):
        yield Window(start, waiting, "rest")


def _fault_of(values: np.ndarray, start: int, origin: str) -> str:
    if not np.isfinite(values).all():
        return "gap"
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = values.std(ddof=1)
    if not np.isfinite(deviation):
        raise ValueError(
            f"{origin}: a sample of the window from sample {start} on is "
            f"{np.abs(values).max():.3g}, too large to be squared. Save the signal in larger units."
        )
    return "" if deviation > 0 and values.max() > values.min() else "constant"


class Faults:
    """Counts the windows that were left out, to name them in a sentence."""

    def __init__(self, window: int, sampling_rate: float | None = None) -> None:
        self.window, self.sampling_rate = window, sampling_rate
        self.counts: Counter[str] = Counter()
        self.first: dict[str, int] = {}
        self.rest = 0

    def add(self, window: Window) -> None:
        """Count a window, if it has a fault."""
        if window.fault == "rest":
            self.rest = len(window.values)
        elif window.fault:
            self.counts[window.fault] += 1
            self.first.setdefault(window.fault, window.start)

    def __str__(self) -> str:
        """Parts of a sentence, divided by semicolons; empty if there was no fault.

        >>> faults = Faults(100, sampling_rate=50)
        >>> faults.add(Window(700, np.full(100, np.nan), "gap"))
        >>> str(faults)
        '1 window with a gap is left out, from sample 700 (14.0 s)'
        """
        names = {"gap": "with a gap", "constant": "of a constant value"}
        parts = []
        for fault, count in sorted(self.counts.items()):
            at = f"sample {self.first[fault]}"
            if self.sampling_rate:
                at += f" ({self.first[fault] / self.sampling_rate:.1f} s)"
            one = f"1 window {names[fault]} is left out, from {at}"
            several = f"{count} windows {names[fault]} are left out, the first from {at} on"
            parts.append(one if count == 1 else several)
        if self.rest:
            one = "the last sample is left out"
            parts.append(one if self.rest == 1 else f"the last {self.rest} samples are left out")
        return "; ".join(parts)


# --- a data set -----------------------------------------------------------------------------------


def load_signal(
    path: str | os.PathLike,
    window: int,
    column: str | int = "",
    *,
    rate: float | None = None,
    most: int | None = None,
) -> DataSet:
    """Read a signal from a file, cut it into standardized windows and split these as the paper.

    Half of the windows are for training, a sixth for validation and the rest for testing, in the
    order of time (of twelve windows 6, 2 and 4, as in the article's section IV-A). Windows with
    gaps and constant ones are left out, and the card says so.

    Args:
        path: as in `open_recording`.
        window: samples of a window, as many as the slowest pattern needs, several times over.
        column: as in `open_recording`.
        rate: as in `open_recording`.
        most: of more windows than that, every second, fourth or so on is taken.

    Raises:
        FileNotFoundError: as `open_recording`.
        ValueError: as `open_recording`, or there are fewer than three windows.
    """
    return load_windows(open_recording(path, column, rate), window, most)[0]


def load_windows(
    recording: Recording, window: int, most: int | None = None, *, alternate: bool = False
) -> tuple[DataSet, Tensor, int]:
    """The data set of a recording, see `load_signal`; deviations of the test windows; a count.

    With ``alternate`` the parts of windows that are not neighbours alternate in time, so that each
    part covers the whole recording, whose end may differ from its beginning.

    The deviations are in the recording's units, ``(B,)``: times them, a standardized window has its
    own amplitude. The count is that of all windows of the recording that are not left out, of which
    ``most`` may have taken a part.
    """
    kept: list[tuple[Tensor, float]] = []
    usable, every, samples = 0, 1, 0
    faults = Faults(window, recording.sampling_rate)
    for cut in windows_of(recording, window):
        samples += len(cut.values)
        faults.add(cut)
        if cut.fault:
            continue
        if usable % every == 0:
            kept.append((cut.standardized, cut.deviation))
        usable += 1
        if most and len(kept) > most:
            kept, every = kept[::2], 2 * every
    if len(kept) < 3:
        why = f" ({faults})" if str(faults) else ""
        raise ValueError(
            f"{recording.origin}: {samples} samples{why} are fewer than 3 windows of {window} "
            "samples, for training, validation and test. Choose a shorter window or a longer "
            "signal."
        )
    cut = torch.stack([values for values, _ in kept])
    train, validation = len(cut) // 2, max(1, len(cut) // 6)
    part = np.repeat([0, 1, 2], [train, validation, len(cut) - train - validation])
    if alternate and every > 1:
        part = np.resize([0, 2, 0, 1, 0, 2], len(cut))
    parts = [cut[part == i] for i in range(3)]
    of_them = "" if every == 1 else f", every {ordinal(every)} of {usable}"
    left_out = "; ".join(part for part in (str(faults), *recording.remarks) if part)
    card = Provenance(
        name=Path(recording.name).stem,
        signal="a signal of your own",
        source="own",
        note=f"{recording.origin}: {len(cut)} windows of {window} samples{of_them}"
        + (f"; {left_out}." if left_out else "."),
        sampling_rate=recording.sampling_rate,
        units=recording.units,
        record=Path(recording.name).stem if recording.name.endswith(".hea") else None,
        channel=recording.column or None,
        sha256={file.name: _sha256(file) for file in recording.files},
    )
    deviations = torch.tensor([deviation for _, deviation in kept])[part == 2]
    return DataSet(*parts, card), deviations, usable


def ordinal(number: int) -> str:
    """A number that counts places.

    >>> [ordinal(number) for number in (2, 4, 32, 112)]
    ['2nd', '4th', '32nd', '112th']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
