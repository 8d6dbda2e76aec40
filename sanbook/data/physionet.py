"""The recordings of PhysioNet: obtain, read, simulate.

Simulated signals come from neurokit2 (Makowski et al. 2021, doi 10.3758/s13428-020-01516-y).

Axes: a signal is (n,), a set of windows (B, n).
"""

from pathlib import Path

import torch
import wfdb
from torch import Tensor

from sanbook.data import SAMPLES, SPLIT, WINDOW, download
from sanbook.data.dataset import DataSet, Provenance, simulated
from sanbook.data.manifest import Source
from sanbook.data.verify import verified, weakest, whose_bytes
from sanbook.data.windows import standardized_windows
from sanbook.signals.formats import open_recording
from sanbook.signals.formats.wfdb import read_header

#: Options of neurokit2's simulators by kind of signal.
SIMULATORS = {
    "ECG": {"method": "simple"},  # the default method takes 8 s at 15.5 Hz
    "EDA": {"scr_number": 30},
    "EMG": {"burst_number": 3, "burst_duration": 0.2},  # fits into 0.75 s
    "PPG": {},
    "RSP": {},
}


def windows(signal: Tensor, *, origin: str = "signal") -> Tensor:
    """Cut a signal of 12,000 samples into 12 standardized windows of 1,000 (section IV-A).

    All in single precision, as published: in double precision one window of mitdb has a mean equal
    to some of its samples, whose zeros then cost nothing in CR^-1. `signal` is (12000,), in any
    units; returns float32 (12, 1000). Raises ValueError for another shape, else as
    `standardized_windows`.

    >>> ramp = windows(torch.arange(12_000))
    >>> ramp.shape
    torch.Size([12, 1000])
    >>> round(ramp[7].std().item(), 4), round(ramp[7, 0].item(), 4)  # -499.5 / 288.8194
    (1.0, -1.7295)
    """
    signal = torch.as_tensor(signal, dtype=torch.float32)
    if signal.shape != (SAMPLES,):
        raise ValueError(
            f"{origin}: its shape is {tuple(signal.shape)}, not ({SAMPLES},). Cut the signal."
        )
    return standardized_windows(signal, WINDOW, origin=origin)


def obtain(source: Source, folder: Path, data: str) -> Path:
    """The header of an available record, downloaded with its signal file if there is none.

    The record is the paper's, or under "auto" the first other available one.
    """
    header = folder / f"{source.record}.hea"
    others = sorted(folder.glob("[!.]*.hea")) if data == "auto" else []
    for present in (header, *others):
        if present.exists() and _signal_file(present).exists():
            return present
    download.obtain(source, folder, header.name)
    download.obtain(source, folder, _signal_file(header).name)
    return header


def _signal_file(header: Path) -> Path:
    """The file of a record's first channel."""
    return header.parent / read_header(header).channels[0].file


def _read_smoothed(header: Path) -> wfdb.Record:
    """The first channel, ``p_signal`` ``(SAMPLES, 1)``, by the protocol of the paper.

    The paper's code takes the mean of the samples of each frame, which drivedb has several of;
    `open_recording` reads all samples, and complains of a file that cannot be used.
    """
    there = open_recording(header, 0)
    frames = there.samples // read_header(header).channels[0].frame
    if frames < SAMPLES:
        raise ValueError(
            f"{header.name}: has {frames} samples, fewer than {SAMPLES}. Choose a longer record."
        )
    name = str(header.with_suffix(""))
    return wfdb.rdrecord(name, channels=[0], sampto=SAMPLES, smooth_frames=True)


def read(source: Source, header: Path) -> DataSet:
    """Read a recording, once its bytes are verified; ValueError if they cannot be used."""
    findings = verified(source, [header, _signal_file(header)])
    origin = weakest(findings)
    record = _read_smoothed(header)
    # The official header of bidmc writes "RESP,".
    channel = (record.sig_name[0] or "unnamed").rstrip(", ")
    found = f"Record {header.stem}, channel {channel},"
    is_paper = header.stem == source.record and channel == (source.channel or channel)
    if not is_paper or origin == "substitute":
        kind = "substitute"
        note = f"{found} stands in for the paper's record {source.record}"
        note += f", channel {source.channel}." if source.channel else "."
    else:
        kind = "unverified" if origin == "unverified" else "real"
        note = f"{found} is the paper's" + (" by its name" if kind == "unverified" else "")
        note += "." if source.channel else "; the name of the channel could not be checked."
    card = Provenance(
        name=source.name,
        signal=source.signal,
        sampling_rate=record.fs,
        units=record.units[0],
        source=kind,
        note=f"{note} {whose_bytes(findings)}",
        version=source.version,
        origin=origin,
        record=header.stem,
        channel=channel,
        sha256={finding.path.name: finding.sha256 for finding in findings},
    )
    origin = f"{source.name}, record {header.stem}, channel {channel}"
    return DataSet(*windows(record.p_signal[:, 0], origin=origin).split(SPLIT), card)


def simulate(source: Source, reason: str) -> DataSet:
    """A simulated recording in place of the paper's; ``reason`` says why it is used.

    ValueError if the simulator of the source is no key of `SIMULATORS`.
    """
    import neurokit2

    kind = source.simulator
    if kind not in SIMULATORS:
        raise ValueError(
            f"{source.name}: {kind!r} is no simulator. Name one of {', '.join(SIMULATORS)}."
        )
    signal = getattr(neurokit2, f"{kind.lower()}_simulate")(
        duration=SAMPLES / source.sampling_rate,
        sampling_rate=source.sampling_rate,
        random_state=source.seed,
        **({} if kind == "PPG" else {"length": SAMPLES}),  # PPG takes no length
        **SIMULATORS[kind],
    )
    how = f"{kind} by neurokit2 {neurokit2.__version__}"
    card = simulated(source, how, reason, units="arbitrary")
    return DataSet(*windows(signal, origin=f"{source.name}, {how}").split(SPLIT), card)
