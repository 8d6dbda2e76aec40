"""The data sets as tensors, each with its provenance.

Companion of "Sparsely Activated Networks" (Bizopoulos and Koutsouris, IEEE TNNLS 2020,
doi 10.1109/TNNLS.2020.2984514), section 5: of each of 15 PhysioNet databases (Goldberger et al.
2000, doi 10.1161/01.CIR.101.23.e215) the first 12,000 samples of the first record's first channel.
Where no recording is at hand, a signal simulated by neurokit2 (Makowski et al. 2021,
doi 10.3758/s13428-020-01516-y) stands in, and the card of the data set says so.

Axes: a signal is (n,) with n samples; a set of windows is (windows, n).

Run `python -m san_data` to fetch what is missing and to list what is used.
"""

import argparse
import dataclasses
import functools
import hashlib
import math
import os
import sys
import tempfile
from pathlib import Path

import requests
import torch
import wfdb
from wfdb.io._signal import BYTES_PER_SAMPLE  # wfdb has no public name for the sample sizes

SAMPLES = 12_000
WINDOW = 1_000
SPLIT = (6, 2, 4)
SEED = 1907
MODES = ("auto", "real", "sample")
PHYSIONET = "https://physionet.org"
VERSION = "1.0.0"


@dataclasses.dataclass(frozen=True)
class Database:
    """What is known of a PhysioNet database before any of its files is read (paper, section 5).

    `record` is the paper's record, the first of the database's RECORDS list; `channel` the name of
    its column 0, None where it could not be verified; `signal` what it measures; `sampling_rate`
    in Hz; `simulator` the kind of stand-in, a key of `SIMULATORS`.
    """

    record: str
    channel: str | None
    signal: str
    sampling_rate: float
    simulator: str


DATABASES = {
    "apnea-ecg": Database("a01", "ECG", "electrocardiogram", 100, "ECG"),
    "bidmc": Database("bidmc01", "RESP", "respiration", 125, "RSP"),
    "bpssrat": Database("ssbn13hs01", "BP", "blood pressure of a rat", 100, "PPG"),
    "cebsdb": Database("b001", "I", "electrocardiogram", 5000, "ECG"),
    "ctu-uhb-ctgdb": Database("1001", "FHR", "fetal heart rate", 4, "EDA"),
    "drivedb": Database("drive01", "ECG", "electrocardiogram of a driver", 15.5, "ECG"),
    "emgdb": Database("emg_healthy", "EMG", "electromyogram", 4000, "EMG"),
    "mitdb": Database("100", "MLII", "electrocardiogram", 360, "ECG"),
    "noneeg": Database("Subject10_AccTempEDA", "ax", "acceleration of the wrist", 8, "EDA"),
    "prcp": Database("12726", "ABP", "arterial blood pressure", 250, "PPG"),
    # No header of this record could be seen: the rate is that of the study's respiration belts,
    # which the stand-in imitates.
    "shhpsgdb": Database("0000", None, "polysomnogram", 10, "RSP"),
    "slpdb": Database("slp01a", "ECG", "electrocardiogram of a sleeper", 250, "ECG"),
    # First in the RECORDS list of version 1.0.1; the list of version 1.0.0 could not be seen.
    "sufhsdb": Database("f100", "PCG", "fetal heart sound", 16000, "EMG"),
    "voiced": Database("voice001", "voice", "voice", 8000, "EMG"),
    "wrist": Database("s1_high_resistance_bike", "chest_ecg", "electrocardiogram", 256, "ECG"),
}

# Options of neurokit2's simulators. ECG: the default method takes 8 s at 15.5 Hz. EMG: the bursts
# must fit into the 0.75 s that 12,000 samples last at 16,000 Hz. PPG takes no length.
SIMULATORS = {
    "ECG": {"length": SAMPLES, "method": "simple"},
    "EDA": {"length": SAMPLES, "scr_number": 30},
    "EMG": {"length": SAMPLES, "burst_number": 3, "burst_duration": 0.2},
    "PPG": {},
    "RSP": {"length": SAMPLES},
}


@dataclasses.dataclass(frozen=True)
class Card:
    """Where the numbers of a data set come from.

    `sampling_rate` is in Hz; `source` is "real" (the paper's record and channel), "substitute"
    (another recording of the same database) or "simulated"; `note` is one sentence for the page;
    `sha256` maps the name of each file read to its hash. A recording has a `record` and a
    `channel`; a simulated signal has a `simulator` and a `seed` instead.
    """

    name: str
    signal: str
    sampling_rate: float
    units: str
    source: str
    note: str
    record: str | None = None
    channel: str | None = None
    sha256: dict[str, str] = dataclasses.field(default_factory=dict)
    simulator: str | None = None
    seed: int | None = None

    @property
    def data_source(self) -> str:
        """The source in a few words, as result records give it, such as "substitute: f1 PCG"."""
        if self.source == "real":
            return "real"
        if self.source == "substitute":
            return f"substitute: {self.record} {self.channel}"
        return f"simulated: {self.simulator}"


@dataclasses.dataclass(frozen=True, eq=False)
class DataSet:
    """Three sets of windows, float32 (6, 1000), (2, 1000) and (4, 1000), and their card."""

    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    card: Card


def load(name: str, data: str = "auto", directory: str | os.PathLike | None = None) -> DataSet:
    """Load the windows of one PhysioNet database, in the order of time (paper, section 5).

    Looks in `<directory>/physionet/<name>/` for the paper's record, else takes the first other
    record there as a substitute, else downloads the paper's record into that folder.
    `directory` None means the environment variable SAN_DATA, else "data", where a relative path
    starts at the folder of this module. `data` says what happens when there is no recording:
    "auto" gives a stand-in, "real" an error; "sample" always gives the stand-in. Asking PhysioNet
    takes 5 s at most when it does not answer, and is not repeated within a process.

    Raises ValueError for an unknown `name` or `data` and for a recording that cannot be used, also
    under "auto"; FileNotFoundError for a header without its signal file and, under "real", for a
    missing recording.

    >>> load("mitdb", data="sample").test.shape
    torch.Size([4, 1000])
    """
    if name not in DATABASES:
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(DATABASES)}")
    if data not in MODES:
        raise ValueError(f"unknown data={data!r}: choose one of {', '.join(MODES)}")
    if data == "sample":
        return _simulate(name, 'data="sample" asks for it')

    root = directory or Path(__file__).parent / (os.environ.get("SAN_DATA") or "data")
    folder = Path(root) / "physionet" / name
    header = folder / f"{DATABASES[name].record}.hea"
    if not header.exists():
        header = min(folder.glob("[!.]*.hea"), default=None)
    if header is None:
        try:
            header = _download(name, folder)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if data == "auto":
                return _simulate(name, f"no recording is at hand: {reason}")
            raise FileNotFoundError(
                f"{name}: no record in {folder}, and the download failed: {reason}. Put "
                f"{DATABASES[name].record}.hea and the signal file it names there, from "
                f'{PHYSIONET}/content/{name}/{VERSION}/, or allow a stand-in with data="auto"'
            ) from error
    return _read(name, header)


def windows(signal: torch.Tensor, *, origin: str = "signal") -> torch.Tensor:
    """Cut a signal of 12,000 samples into 12 standardized windows of 1,000 (paper, section 5).

    From each window its mean is subtracted, and the rest is divided by the window's unbiased
    standard deviation (sum of squares over 999, as `torch.std` does), so amplitudes are in
    standard deviations. All in single precision, as published: in double precision one window of
    mitdb has a mean equal to some of its samples, whose zeros then cost nothing in CR^-1. `signal`
    is (12000,), in any units; returns float32 (12, 1000); `origin`
    names the signal in errors. Raises ValueError for another shape, for samples that are NaN or
    infinite, and for a constant window, which has no standard deviation to divide by.

    >>> ramp = windows(torch.arange(12_000))
    >>> ramp.shape
    torch.Size([12, 1000])
    >>> round(ramp[7].std().item(), 4), round(ramp[7, 0].item(), 4)  # -499.5 / 288.8194
    (1.0, -1.7295)
    """
    signal = torch.as_tensor(signal, dtype=torch.float32)
    if signal.shape != (SAMPLES,):
        raise ValueError(f"{origin}: expected shape ({SAMPLES},), got {tuple(signal.shape)}")
    bad = (~signal.isfinite()).nonzero().flatten()
    if len(bad):
        raise ValueError(
            f"{origin}: expected finite samples, got {len(bad)} NaN or infinite, the first at "
            f"index {bad[0]}; choose another record or fill the gap"
        )
    cut = signal.reshape(-1, WINDOW)
    constant = (cut.amax(1) == cut.amin(1)).nonzero().flatten().tolist()
    if constant:
        raise ValueError(
            f"{origin}: expected windows that vary, got a constant window at {constant} (counted "
            f"from 0, {WINDOW} samples each), which cannot be standardized; choose another record"
        )
    return (cut - cut.mean(1, keepdim=True)) / cut.std(1, keepdim=True)


def _read(name: str, path: Path) -> DataSet:
    database = DATABASES[name]
    recording = _recording(path)
    # The official header of bidmc writes "RESP,".
    channel = (recording.sig_name[0] or "unnamed").rstrip(", ")
    found = f"{path.stem}, channel {channel},"
    if path.stem == database.record and channel == (database.channel or channel):
        source = "real"
        note = f"Record {found} is the paper's"
        note += "." if database.channel else "; the name of the channel could not be checked."
    else:
        source = "substitute"
        note = f"Record {found} stands in for the paper's record {database.record}"
        note += f", channel {database.channel}." if database.channel else "."
    card = Card(
        name=name,
        signal=database.signal,
        sampling_rate=recording.fs,
        units=recording.units[0],
        source=source,
        note=note,
        record=path.stem,
        channel=channel,
        sha256={
            file: hashlib.sha256((path.parent / file).read_bytes()).hexdigest()
            for file in (path.name, recording.file_name[0])
        },
    )
    cut = windows(recording.p_signal[:, 0], origin=f"{name}, record {path.stem}, channel {channel}")
    return DataSet(*cut.split(SPLIT), card)


def _simulate(name: str, reason: str) -> DataSet:
    import neurokit2  # here, as it takes seconds to import and is not needed for recordings

    database = DATABASES[name]
    seed = SEED + list(DATABASES).index(name)
    simulator = f"{database.simulator} by neurokit2 {neurokit2.__version__}"
    signal = getattr(neurokit2, f"{database.simulator.lower()}_simulate")(
        duration=SAMPLES / database.sampling_rate,
        sampling_rate=database.sampling_rate,
        random_state=seed,
        **SIMULATORS[database.simulator],
    )
    card = Card(
        name=name,
        signal=database.signal,
        sampling_rate=database.sampling_rate,
        units="arbitrary",
        source="simulated",
        note=f"A simulated {simulator} (seed {seed}) stands in for the paper's record "
        f"{database.record}, because {reason}.",
        simulator=simulator,
        seed=seed,
    )
    return DataSet(*windows(signal, origin=f"{name}, {simulator}").split(SPLIT), card)


def _header(path: Path) -> wfdb.Record:
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
    if header.fmt[0] not in BYTES_PER_SAMPLE:
        raise ValueError(
            f"{path.name}: expected a WFDB signal format, one of {', '.join(BYTES_PER_SAMPLE)}, "
            f"got {header.fmt[0]}; fetch it again"
        )
    return header


def _recording(path: Path) -> wfdb.Record:
    header = _header(path)
    if (header.sig_len or 0) < SAMPLES:
        raise ValueError(
            f"{path.name}: expected at least {SAMPLES} samples, got {header.sig_len}; "
            "choose a longer record"
        )
    data = path.parent / header.file_name[0]
    if not data.is_file():
        raise FileNotFoundError(
            f"{path.name} names {data.name}, which is not beside it: put it there"
        )
    # wfdb says nothing of a file cut off after the samples asked for, and fails obscurely on one
    # cut off before.
    frame = sum(
        samples
        for file, samples in zip(header.file_name, header.samps_per_frame, strict=True)
        if file == data.name
    )
    size = math.ceil(header.sig_len * frame * BYTES_PER_SAMPLE[header.fmt[0]])
    expected = (header.byte_offset[0] or 0) + size
    if data.stat().st_size < expected:
        raise ValueError(
            f"{data.name}: expected {expected} bytes by its header, got {data.stat().st_size}: the "
            "file is cut off; fetch it again"
        )
    return wfdb.rdrecord(str(path.with_suffix("")), channels=[0], sampto=SAMPLES)


@functools.cache
def _unreachable() -> str:
    try:
        requests.head(PHYSIONET, timeout=5)
    except requests.RequestException as error:
        return f"{PHYSIONET} cannot be reached ({type(error).__name__})"
    return ""


def _fetch(name: str, file: str) -> bytes:
    response = requests.get(f"{PHYSIONET}/files/{name}/{VERSION}/{file}", timeout=30)
    response.raise_for_status()
    return response.content


def _download(name: str, folder: Path) -> Path:
    # wfdb's own download has no time limit and always takes the latest version of a database.
    if _unreachable():
        raise ConnectionError(_unreachable())
    header = f"{DATABASES[name].record}.hea"
    content = _fetch(name, header)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        part = Path(temporary)
        (part / header).write_bytes(content)
        files = set(_header(part / header).file_name)
        for file in files:
            if file != Path(file).name:
                raise ValueError(f"{header}: expected plain file names, got {file!r}")
            (part / file).write_bytes(_fetch(name, file))
        _recording(part / header)
        # The header last: it is what marks a record as present.
        for file in (*files, header):
            (part / file).replace(folder / file)
    return folder / header


def main(arguments: list[str] | None = None) -> int:
    """Fetch what is missing and print a line per data set; return 1 if one could not be loaded."""
    parser = argparse.ArgumentParser(prog="san_data", description=main.__doc__)
    parser.add_argument("names", nargs="*", help="data sets (default: all)")
    parser.add_argument("--data", choices=MODES, default="auto", help="default: %(default)s")
    parser.add_argument("--directory", help="default: $SAN_DATA, else data")
    options = parser.parse_args(arguments)
    status = 0
    for name in options.names or DATABASES:
        try:
            card = load(name, options.data, options.directory).card
            print(f"{name:14} {card.source:11} {card.record or '-':24} {card.note}")
        except (FileNotFoundError, ValueError) as error:
            print(f"{name:14} {'error':11} {'-':24} {error}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
