"""The data sets as tensors, each with its provenance.

Companion of "Sparsely Activated Networks" (Bizopoulos and Koutsouris, IEEE TNNLS 2020,
doi 10.1109/TNNLS.2020.2984514), section IV:

- of each of 15 PhysioNet databases (Goldberger et al. 2000, doi 10.1161/01.CIR.101.23.e215) the
  first 12,000 samples of the first record's first channel;
- UCI-epilepsy, 11,500 segments of the EEG of Andrzejak et al. 2001
  (doi 10.1103/PhysRevE.64.061907) in three classes;
- MNIST (LeCun et al. 1998, doi 10.1109/5.726791) and Fashion-MNIST (Xiao et al. 2017,
  arXiv 1708.07747), 70,000 images in ten classes each.

What each is, where it comes from and which bytes are right is in `manifest.toml`; `sanbook.fetch`
downloads and verifies them. Where the data are not at hand something else stands in, and the card
of the data set says so: a signal simulated by neurokit2 (Makowski et al. 2021,
doi 10.3758/s13428-020-01516-y), a simulated EEG, handwritten digits and patches of photographs that
come with scikit-learn.

Axes: a signal is (n,) with n samples; a set of signals is (examples, n), of images (examples,
height, width).

Run `python -m sanbook.data` to fetch what is missing and to list what is used.
"""

import argparse
import dataclasses
import functools
import hashlib
import math
import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import wfdb
from torch import Tensor
from wfdb.io._signal import BYTES_PER_SAMPLE  # wfdb has no public name for the sample sizes

from sanbook import fetch

SAMPLES = 12_000
WINDOW = 1_000
SPLIT = (6, 2, 4)
SEED = 1907
MODES = ("auto", "real", "sample")


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
    name: Database(
        source.record, source.channel, source.signal, source.sampling_rate, source.simulator
    )
    for name, source in fetch.MANIFEST.items()
    if source.record
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


UCI_NAME = "uci-epilepsy"
_UCI = fetch.MANIFEST[UCI_NAME]
UCI_CLASSES = _UCI.classes
UCI_CLASS_OF = {1: 0, 2: 1, 3: 1, 4: 2, 5: 2}  # the file's five classes
UCI_SAMPLES = 178
UCI_RATE = _UCI.sampling_rate
UCI_SEGMENTS = 23  # of each recording
UCI_FILE = "data.csv"
UCI_URL = _UCI.download + UCI_FILE
UCI_SHA256 = _UCI.official[UCI_FILE].sha256
# Parts of the whole for training and for training with validation.
UCI_PARTS = (0.76, 0.88)


@dataclasses.dataclass(frozen=True)
class Images:
    """A data set of 28 x 28 images in torchvision's layout: its folder, classes and files."""

    folder: str
    signal: str
    classes: tuple[str, ...]
    sha256: dict[str, str]


IMAGES = {
    name: Images(
        Path(source.folder).parent.name,
        source.signal,
        source.classes,
        {file: known.sha256 for file, known in source.official.items()},
    )
    for name, source in fetch.MANIFEST.items()
    if name not in (*DATABASES, UCI_NAME)
}
VALIDATION_IMAGES = 10_000  # the last ones of the training file

NAMES = (*DATABASES, UCI_NAME, *IMAGES)
ORIGINS = ("unverified", "substitute", "copy", "official")  # of a record's files, the first counts


@dataclasses.dataclass(frozen=True)
class Card:
    """Where the numbers of a data set come from.

    `sampling_rate` is in Hz, None for images; `source` is "real" (the paper's data), "substitute"
    (another recording of the same database), "simulated" or "own" (a reader's, see `load_signal`);
    `note` says so for the page; `version` is that of the official source; `origin` is whose bytes
    the files have: "official", "copy" or "substitute" if they are known, "unverified" if not; both
    are None for what is simulated or own; `sha256` maps the name of each file read to its
    hash. A recording has a `record` and a `channel`; what stands in has a `simulator` and a `seed`
    instead. `classes` are the names that labels count; `blank` is how many examples were left out
    of each part because they are zero everywhere, where the metric is not defined.
    """

    name: str
    signal: str
    sampling_rate: float | None
    units: str
    source: str
    note: str
    version: str | None = None
    origin: str | None = None
    record: str | None = None
    channel: str | None = None
    sha256: dict[str, str] = dataclasses.field(default_factory=dict)
    simulator: str | None = None
    seed: int | None = None
    classes: tuple[str, ...] = ()
    blank: dict[str, int] = dataclasses.field(default_factory=dict)

    @property
    def data_source(self) -> str:
        """The source in a few words, as result records give it, such as "substitute: f1 PCG"."""
        if self.source in ("real", "own"):
            return self.source
        if self.source == "substitute":
            return f"substitute: {self.record} {self.channel}"
        return f"simulated: {self.simulator}"


@dataclasses.dataclass(frozen=True, eq=False)
class DataSet:
    """Three parts of a data set, float32 ``(examples, *spatial)``, their labels and their card.

    `labels` are int64 (examples,) for each part, numbers of `card.classes`; None for PhysioNet.
    """

    train: Tensor
    validation: Tensor
    test: Tensor
    card: Card
    labels: dict[str, Tensor] | None = None

    def first(self, train: int, validation: int, test: int) -> "DataSet":
        """The first examples of each part, to try something quickly."""
        counts = {"train": train, "validation": validation, "test": test}
        parts = {part: getattr(self, part)[:count] for part, count in counts.items()}
        labels = self.labels and {part: self.labels[part][:n] for part, n in counts.items()}
        return dataclasses.replace(self, **parts, labels=labels)


def load(
    name: str, data: str = "auto", directory: str | os.PathLike | None = None, **options
) -> DataSet:
    """Load one data set, cut, scaled and split as in the article's section IV.

    Looks in `directory` for the paper's files, else downloads them into it; of a PhysioNet database
    it takes the first other record there before it downloads. `directory` None means the
    environment variable SAN_DATA, else "data", where a relative path starts at the folder of this
    module. `data` says what happens when the files are not there and cannot be fetched: "auto"
    gives a stand-in, "real" an error; "sample" always gives the stand-in. Asking a server takes 5 s
    at most when it does not answer, and is not repeated within a process. What is downloaded is
    verified by its hash. A recording of the right name that is neither the official one nor a known
    copy is taken only where the official hash is not known, and the card says so.

    "uci-epilepsy" has two `options`. `value_range`, by default (-1, 1), is what the smallest and
    the largest value of the whole file are scaled to; the article's text says (0, 1), its numbers
    come from (-1, 1). `split` is "rows", parts of the file in its order as published, where
    segments of one recording fall into several parts, or "recordings", which keeps them together.

    Raises ValueError for an unknown `name`, `data` or option value and for files that cannot be
    used, also under "auto"; FileNotFoundError for a header without its signal file and, under
    "real", for missing files; TypeError for options that the data set does not have.

    >>> load("mitdb", data="sample").test.shape
    torch.Size([4, 1000])
    >>> eeg = load("uci-epilepsy", data="sample", split="recordings")
    >>> eeg.train.shape, eeg.labels["train"].shape
    (torch.Size([1748, 178]), torch.Size([1748]))
    """
    if name not in NAMES:
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(NAMES)}")
    if data not in MODES:
        raise ValueError(f"unknown data={data!r}: choose one of {', '.join(MODES)}")
    known = ("value_range", "split") if name == UCI_NAME else ()
    unknown = [option for option in options if option not in known]
    if unknown:
        raise TypeError(
            f"{name} has {'the options ' + ' and '.join(known) if known else 'no options'}, "
            f"but got {', '.join(unknown)}"
        )
    root = fetch.data_folder(directory)
    found = None if data == "sample" else _find(name, root)
    return _load_found(name, data, found, **options)


def _find(name: str, root: Path) -> "Path | _NotAtHandError":
    """Where the files of a data set are, downloaded if they are missing, or why they are not."""
    kind = _kind(name)
    try:
        return kind.present(name, root) or kind.fetch(name, root)
    except _NotAtHandError as error:
        return error


def _load_found(name: str, data: str, found: "Path | _NotAtHandError | None", **options) -> DataSet:
    kind = _kind(name)
    if found is None:
        return kind.simulate(name, 'data="sample" asks for it', **options)
    if isinstance(found, Path):
        return kind.read(name, found, **options)
    if data == "auto":
        return kind.simulate(name, f"the data are not at hand: {found}", **options)
    raise FileNotFoundError(
        f'{name}: {found}. {found.advice}, or allow a stand-in with data="auto"'
    ) from found


class _NotAtHandError(Exception):
    """The files are not there and could not be fetched; `advice` says where to put which."""

    def __init__(self, error: Exception, advice: str) -> None:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        first_sentence = reason.partition("\n")[0].partition(". ")[0]
        super().__init__(first_sentence.rstrip(".: "))
        self.advice = advice


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What can be done with data sets of one kind.

    `present(name, root)` is where the files are, None if they are not all there;
    `fetch(name, root)` downloads them, or raises _NotAtHandError; `read(name, path, **options)`
    makes tensors of them; `simulate(name, reason, **options)` makes what stands in.
    """

    present: Callable[[str, Path], Path | None]
    fetch: Callable[[str, Path], Path]
    read: Callable[..., DataSet]
    simulate: Callable[..., DataSet]


def _kind(name: str) -> _Kind:
    if name in DATABASES:
        return _Kind(_present_recording, _fetch_recording, _read_recording, _simulate_recording)
    if name in IMAGES:
        return _Kind(_present_images, _fetch_images, _read_images, _simulate_images)
    return _Kind(_present_uci, _fetch_uci, _read_uci, _simulate_uci)


def _labelled(parts: dict[str, tuple[Tensor, Tensor]], card: Card) -> DataSet:
    """A data set of (examples, labels) for each part, without examples that are zero everywhere."""
    varied = {part: x.flatten(1).any(dim=1) for part, (x, _) in parts.items()}
    blank = {part: int((~keep).sum()) for part, keep in varied.items()}
    return DataSet(
        **{part: x[varied[part]] for part, (x, _) in parts.items()},
        labels={part: labels[varied[part]] for part, (_, labels) in parts.items()},
        card=dataclasses.replace(card, blank=blank),
    )


# --- PhysioNet ------------------------------------------------------------------------------------


def windows(signal: torch.Tensor, *, origin: str = "signal") -> torch.Tensor:
    """Cut a signal of 12,000 samples into 12 standardized windows of 1,000 (paper, section 5).

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
        raise ValueError(f"{origin}: expected shape ({SAMPLES},), got {tuple(signal.shape)}")
    return standardized_windows(signal, WINDOW, origin=origin)


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


def _present_recording(name: str, root: Path) -> Path | None:
    folder = root / "physionet" / name
    header = folder / f"{DATABASES[name].record}.hea"
    return header if header.exists() else min(folder.glob("[!.]*.hea"), default=None)


def _fetch_recording(name: str, root: Path) -> Path:
    folder = root / "physionet" / name
    source = fetch.MANIFEST[name]
    header = f"{source.record}.hea"
    try:
        # wfdb's own download has no time limit, checks sizes only and always takes the latest
        # version of a database.
        fetch.check_reachable(source.download)
        _fetch_record(source, folder, header)
    except (OSError, ValueError) as error:
        raise _NotAtHandError(
            error,
            f"Put {header} and the signal file that it names into {folder}, from {source.source}",
        ) from error
    return folder / header


def _fetch_record(source: fetch.Source, folder: Path, header: str) -> None:
    """Fetch a record; its header comes last, since that is what marks a record as present."""

    def fetch_file(file: str, before_placing: Callable[[Path], object] | None = None) -> None:
        sha256 = fetch.official_hash(source, folder, file)
        if sha256 is None:
            raise fetch.FetchError(
                f"{file}: expected its hash in {folder / fetch.HASHES}, got none, so it cannot "
                "be verified; move that list away and run `make data` again"
            )
        size = source.official[file].size if file in source.official else None
        complaint = functools.partial(fetch.mismatch, sha256=sha256, size=size)
        url = source.download + file
        fetch.fetch(url, folder / file, complaint, size=size, before_placing=before_placing)

    def fetch_signals(path: Path) -> None:
        for file in sorted(set(_header(path).file_name)):
            fetch_file(file)

    if not all(known.sha256 for known in source.official.values()):
        url = source.download + fetch.HASHES
        fetch.fetch(url, folder / fetch.HASHES, fetch.no_hashes)
    fetch_file(header, before_placing=fetch_signals)


def _read_recording(name: str, path: Path) -> DataSet:
    database = DATABASES[name]
    recording = _recording(path)
    # The official header of bidmc writes "RESP,".
    channel = (recording.sig_name[0] or "unnamed").rstrip(", ")
    findings = _verify(name, [path, path.parent / recording.file_name[0]])
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
        note=" ".join([note, *_whose_bytes(findings)]),
        version=fetch.MANIFEST[name].version,
        origin=min((finding.state for finding in findings), key=ORIGINS.index),
        record=path.stem,
        channel=channel,
        sha256={finding.path.name: finding.sha256 for finding in findings},
    )
    cut = windows(recording.p_signal[:, 0], origin=f"{name}, record {path.stem}, channel {channel}")
    return DataSet(*cut.split(SPLIT), card)


def _verify(name: str, paths: list[Path]) -> list[fetch.Finding]:
    """What the files of a record are; ValueError if one is known to be wrong."""
    source = fetch.MANIFEST[name]
    findings = fetch.belong_together([fetch.identify(source, path) for path in paths])
    for finding in findings:
        if finding.state == "wrong":
            raise ValueError(
                f"{finding.path}: {finding.remark}; move the files of this record away and run "
                "`make data` to fetch it again"
            )
    # A file that the manifest does not name belongs to another record.
    return [
        dataclasses.replace(finding, state="unverified") if finding.state == "unknown" else finding
        for finding in findings
    ]


def _whose_bytes(findings: list[fetch.Finding]) -> list[str]:
    """A sentence for each kind of bytes among the files of a record."""
    sentences = []
    for state in dict.fromkeys(finding.state for finding in findings):
        of_it = [finding for finding in findings if finding.state == state]
        words = {
            "official": "PhysioNet's own bytes, verified by hash",
            "copy": f"a known copy, {of_it[-1].remark}",
            "substitute": f"a known substitute, {of_it[-1].remark}",
            "unverified": "these bytes could not be verified",
        }[state]
        sentences.append(f"{' and '.join(f.path.name for f in of_it)}: {words}.")
    return sentences


def _simulate_recording(name: str, reason: str) -> DataSet:
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


def _header(path: Path, channel: int = 0) -> wfdb.Record:
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
    for file in header.file_name:
        fetch.plain_name(file, path.name)
    if header.fmt[channel] not in BYTES_PER_SAMPLE:
        raise ValueError(
            f"{path.name}: expected a WFDB signal format, one of {', '.join(BYTES_PER_SAMPLE)}, "
            f"got {header.fmt[channel]}; fetch it again"
        )
    return header


def _recording(path: Path, channel: int = 0, samples: int | None = SAMPLES) -> wfdb.Record:
    """One channel of a record, its first `samples` or, with None, all of them."""
    header = _header(path, channel)
    shortest = samples or 1
    if (header.sig_len or 0) < shortest:
        raise ValueError(
            f"{path.name}: expected at least {shortest} samples, got {header.sig_len}; "
            "choose a longer record"
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
    size = math.ceil(header.sig_len * frame * BYTES_PER_SAMPLE[header.fmt[channel]])
    expected = (header.byte_offset[channel] or 0) + size
    if data.stat().st_size < expected:
        raise ValueError(
            f"{data.name}: expected {expected} bytes by its header, got {data.stat().st_size}: the "
            "file is cut off; fetch it again"
        )
    return wfdb.rdrecord(str(path.with_suffix("")), channels=[channel], sampto=samples)


# --- a signal of one's own ------------------------------------------------------------------------


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
    if path.suffix not in _SIGNAL_READERS:
        raise ValueError(
            f"{path.name}: expected a file of one of the kinds {', '.join(_SIGNAL_READERS)}, got "
            f"{path.suffix or 'none of them'}; save the signal as one of them"
        )
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a signal, but there is no such file")
    values, facts, files = _SIGNAL_READERS[path.suffix](path, column)
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
        sha256={file.name: fetch.sha256_of(file) for file in files},
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
    names = _header(path).sig_name
    recording = _recording(path, names.index(_chosen(path, names, column)), samples=None)
    facts = {"sampling_rate": recording.fs, "units": recording.units[0], "record": path.stem}
    return recording.p_signal[:, 0], facts, [path, path.parent / recording.file_name[0]]


# What the card of a file without a header says.
_UNKNOWN = {"sampling_rate": None, "units": "unknown"}
# Each gives the values of a column, facts for the card and the files that were read.
_SIGNAL_READERS = {
    ".csv": _read_csv,
    ".npy": _read_numpy,
    ".npz": _read_numpy,
    ".hea": _read_wfdb,
}


def _chosen(path: Path, names: list[str], column: str) -> str:
    """The column that was asked for; if none was, the only one there is."""
    if not column and len(names) == 1:
        return names[0]
    if names.count(column) != 1:
        raise ValueError(
            f"{path.name}: expected the name of one column of {names}, got {column!r}; choose one"
        )
    return column


# --- UCI-epilepsy ---------------------------------------------------------------------------------


def _present_uci(name: str, root: Path) -> Path | None:
    path = root / name / UCI_FILE
    return path if path.exists() else None


def _fetch_uci(name: str, root: Path) -> Path:
    path = root / name / UCI_FILE
    size = fetch.MANIFEST[name].official[UCI_FILE].size
    complaint = functools.partial(fetch.mismatch, sha256=UCI_SHA256, size=size)
    try:
        fetch.check_reachable(UCI_URL)
        fetch.fetch(UCI_URL, path, complaint, size=size)
    except OSError as error:
        raise _NotAtHandError(error, f"Put the file of {UCI_URL} into {path.parent}") from error
    return path


def _read_uci(name: str, path: Path, **options) -> DataSet:
    expected = ["Unnamed: 0", *(f"X{i}" for i in range(1, UCI_SAMPLES + 1)), "y"]
    try:
        table = pd.read_csv(path)
    except ValueError as error:  # empty, not text, rows of different lengths
        raise ValueError(
            f"{path}: expected a CSV file, got: {str(error).strip()}; fetch it again"
        ) from error
    if list(table.columns) != expected or not isinstance(table.index, pd.RangeIndex):
        found = len(table.columns) + (not isinstance(table.index, pd.RangeIndex))
        wrong = [
            f"{b!r} for {a!r}" for a, b in zip(expected, table.columns, strict=False) if a != b
        ]
        raise ValueError(
            f"{path}: expected {len(expected)} columns, one without a name, X1 to X{UCI_SAMPLES} "
            f"and y, got {found}" + (f", {wrong[0]}" if wrong else "") + "; fetch it again"
        )
    for column in expected[1:]:
        missing = table[column].isna()
        if missing.any():
            raise ValueError(
                f"{path}: expected no missing values, got {missing.sum()} in column {column}, "
                f"the first in row {missing.idxmax()}; fetch it again"
            )
        text = pd.to_numeric(table[column], errors="coerce").isna()
        if text.any():
            raise ValueError(
                f"{path}: expected numbers, got {table[column][text.idxmax()]!r} in column "
                f"{column}, row {text.idxmax()}; fetch it again"
            )
    if set(table.y) != set(UCI_CLASS_OF):
        raise ValueError(
            f"{path}: expected the classes {sorted(UCI_CLASS_OF)}, "
            f"got {sorted(set(table.y))}; fetch it again"
        )
    wrong = fetch.mismatch(path, UCI_SHA256)
    if wrong:
        raise ValueError(f"{path}: {wrong}: not the file of the UCI repository; fetch it again")
    card = Card(
        name=name,
        signal="electroencephalogram",
        sampling_rate=UCI_RATE,
        units="scaled",
        source="real",
        note="The file of the UCI repository, verified by its hash.",
        version=_UCI.version,
        origin="official",
        sha256={path.name: UCI_SHA256},
        classes=UCI_CLASSES,
    )
    # A row is named X<number of the segment>.<recording>.
    recordings = table["Unnamed: 0"].str.partition(".")[2]
    return _split_uci(
        table[expected[1:-1]].to_numpy(float),
        table.y.map(UCI_CLASS_OF),
        recordings,
        card,
        **options,
    )


def _split_uci(
    signals: np.ndarray, labels, recordings, card: Card, value_range=(-1, 1), split: str = "rows"
) -> DataSet:
    """Scale (segments, n) and split them; `recordings` names that of each segment."""
    try:
        low, high = map(float, value_range)
    except (TypeError, ValueError):
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise ValueError(f"value_range must be two numbers, the lower first, but is {value_range}")
    scaled = low + (high - low) * (signals - signals.min()) / (signals.max() - signals.min())
    if split == "rows":
        order = np.arange(len(signals))
    elif split == "recordings":
        # Segments are shuffled, so the order of first appearance is a random one of recordings.
        order = pd.factorize(np.asarray(recordings))[0]
    else:
        raise ValueError(f'split must be "rows" or "recordings", but is {split!r}')
    train, validation = (order < part * (order.max() + 1) for part in UCI_PARTS)
    x = torch.tensor(scaled, dtype=torch.float32)
    y = torch.tensor(np.asarray(labels), dtype=torch.int64)
    chosen = {"train": train, "validation": validation & ~train, "test": ~validation}
    return _labelled({part: (x[where], y[where]) for part, where in chosen.items()}, card)


def _simulate_uci(name: str, reason: str, **options) -> DataSet:
    """100 recordings of coloured noise, some with an alpha rhythm, some with spikes and waves."""
    random = np.random.default_rng(SEED)
    classes = np.repeat([0, 1, 2], [20, 40, 40])
    time = np.arange(UCI_SEGMENTS * UCI_SAMPLES) / UCI_RATE  # seconds
    frequencies = np.fft.rfftfreq(len(time), 1 / UCI_RATE)
    segments = []
    for kind in classes:
        spectrum = random.normal(size=(2, len(frequencies))) / np.maximum(frequencies, 0.5)
        recording = np.fft.irfft(spectrum[0] + 1j * spectrum[1], len(time))
        recording *= 40 / recording.std()  # microvolts
        if UCI_CLASSES[kind] == "eyes closed or open":
            envelope = 1 + 0.5 * np.sin(2 * np.pi * 0.5 * time + random.uniform(0, 6))
            rhythm = np.sin(2 * np.pi * random.uniform(9, 11) * time + random.uniform(0, 6))
            recording += 50 * envelope * rhythm
        if UCI_CLASSES[kind] == "seizure":
            phase = (random.uniform(2.5, 3.5) * time + random.uniform()) % 1
            spike, wave = np.exp(-(((phase - 0.15) / 0.05) ** 2)), np.sin(np.pi * phase) ** 2
            recording += 600 * spike - 300 * wave
        segments.append(recording.reshape(UCI_SEGMENTS, UCI_SAMPLES))
    shuffled = random.permutation(len(classes) * UCI_SEGMENTS)
    recordings = shuffled // UCI_SEGMENTS
    simulator = "EEG of noise, an alpha rhythm, spikes and waves"
    card = Card(
        name=name,
        signal="electroencephalogram",
        sampling_rate=UCI_RATE,
        units="scaled",
        source="simulated",
        note=f"A simulated {simulator} (seed {SEED}) stands in for UCI's file, because {reason}.",
        simulator=simulator,
        seed=SEED,
        classes=UCI_CLASSES,
    )
    signals = np.concatenate(segments)[shuffled]
    return _split_uci(signals, classes[recordings], recordings, card, **options)


# --- MNIST and Fashion-MNIST ----------------------------------------------------------------------


def _missing_images(name: str, root: Path) -> list[str]:
    raw = root / IMAGES[name].folder / "raw"
    return [file for file in IMAGES[name].sha256 if not (raw / file).exists()]


def _present_images(name: str, root: Path) -> Path | None:
    return None if _missing_images(name, root) else root


def _fetch_images(name: str, root: Path) -> Path:
    source = fetch.MANIFEST[name]
    raw = root / IMAGES[name].folder / "raw"
    missing = _missing_images(name, root)

    def fetch_file(file: str) -> None:
        size = source.official[file].size
        sha256 = IMAGES[name].sha256[file]
        complaint = functools.partial(fetch.mismatch, sha256=sha256, size=size)
        url = f"{source.download}{file}{source.packed}"
        fetch.fetch(url, raw / file, complaint, size=size, packed=bool(source.packed))

    try:
        fetch.check_reachable(source.download)
        with ThreadPoolExecutor() as pool:
            list(pool.map(fetch_file, missing))
    except OSError as error:
        raise _NotAtHandError(error, f"Put {', '.join(missing)} into {raw}, unpacked") from error
    return root


def _read_images(name: str, root: Path) -> DataSet:
    images = IMAGES[name]
    raw = root / images.folder / "raw"
    known, known_labels, test, test_labels = (_read_idx(name, raw / f) for f in images.sha256)
    card = Card(
        name=name,
        signal=images.signal,
        sampling_rate=None,
        units="of the largest grey value",
        source="real",
        note=f"The four files of {images.folder}, verified by their hashes.",
        version=fetch.MANIFEST[name].version,
        origin="official",
        sha256=images.sha256,
        classes=images.classes,
    )
    split = [len(known) - VALIDATION_IMAGES, VALIDATION_IMAGES]
    train, validation = known.split(split)
    train_labels, validation_labels = known_labels.long().split(split)
    parts = {
        "train": (train / 255, train_labels),
        "validation": (validation / 255, validation_labels),
        "test": (test / 255, test_labels.long()),
    }
    return _labelled(parts, card)


def _read_idx(name: str, path: Path) -> Tensor:
    """The values of an IDX file, once its magic number, its sizes and its content are verified.

    Not torchvision's reader: it believes what a file says, and prefers files of an old layout.
    """
    content = path.read_bytes()
    axes = 3 if "images" in path.name else 1
    magic = bytes([0, 0, 8, axes])  # 8: unsigned bytes
    if content[:4] != magic:
        raise ValueError(
            f"{path}: expected an IDX file that begins with {magic.hex()}, got "
            f"{content[:4].hex() or 'nothing'}; fetch it again"
        )
    sizes = [int.from_bytes(content[i : i + 4]) for i in range(4, 4 + 4 * axes, 4)]
    count = 60_000 if path.name.startswith("train") else 10_000
    expected = [count, 28, 28][:axes]
    if sizes != expected:
        raise ValueError(
            f"{path}: expected {' x '.join(map(str, expected))} values by its header, got "
            f"{' x '.join(map(str, sizes))}; fetch it again"
        )
    length = 4 + 4 * axes + math.prod(expected)
    if len(content) != length:
        raise ValueError(
            f"{path}: expected {length} bytes, got {len(content)}: the file is cut off or has "
            "something appended; fetch it again"
        )
    found = hashlib.sha256(content).hexdigest()
    if found != IMAGES[name].sha256[path.name]:
        others = [other for other in IMAGES if IMAGES[other].sha256[path.name] == found]
        raise ValueError(
            f"{path}: expected sha256 {IMAGES[name].sha256[path.name]}, got {found}: "
            + (f"this is the file of {others[0]}" if others else "the file was changed")
            + "; fetch it again"
        )
    return torch.frombuffer(bytearray(content[-math.prod(expected) :]), dtype=torch.uint8).view(
        expected
    )


def _simulate_images(name: str, reason: str) -> DataSet:
    from sklearn.datasets import load_digits, load_sample_images

    if name == "mnist":
        digits = load_digits()
        small = torch.tensor(digits.images / 16, dtype=torch.float32)[:, None]  # (B, 1, 8, 8)
        x = F.interpolate(small, size=(28, 28), mode="bilinear")[:, 0]
        labels, classes = torch.tensor(digits.target), IMAGES[name].classes
        simulator = "scikit-learn's handwritten digits, scaled up from 8 x 8"
    else:
        photographs = load_sample_images()
        classes = tuple(Path(file).stem for file in photographs.filenames)
        patches = [
            torch.tensor(photograph.mean(axis=2) / 255, dtype=torch.float32)
            .unfold(0, 28, 14)
            .unfold(1, 28, 14)
            .flatten(0, 1)
            for photograph in photographs.images
        ]
        order = torch.randperm(
            sum(map(len, patches)), generator=torch.Generator().manual_seed(SEED)
        )
        x = torch.cat(patches)[order]
        labels = torch.arange(len(patches)).repeat_interleave(
            torch.tensor([len(p) for p in patches])
        )[order]
        simulator = "patches of scikit-learn's sample photographs"
    card = Card(
        name=name,
        signal=IMAGES[name].signal,
        sampling_rate=None,
        units="of the largest grey value",
        source="simulated",
        note=f"{simulator[0].upper()}{simulator[1:]} stand in for {IMAGES[name].folder}, "
        f"because {reason}.",
        simulator=simulator,
        seed=SEED,
        classes=classes,
    )
    split = [len(x) - 500, 250, 250]
    parts = zip(("train", "validation", "test"), x.split(split), labels.split(split), strict=True)
    return _labelled({part: (x, labels) for part, x, labels in parts}, card)


def _row(
    name: str, data: str, found: "Path | _NotAtHandError | None", present: bool
) -> tuple[str, str, str, str]:
    """A line of the table of `main`: data set, state, source, remark."""
    try:
        card = _load_found(name, data, found).card
    except (OSError, ValueError) as error:
        return name, "error", "-", str(error)
    if card.source == "simulated":
        advice = f" {found.advice}." if isinstance(found, _NotAtHandError) else ""
        return name, "absent" if advice else "not used", "stand-in", card.note + advice
    source = "substitute" if card.source == "substitute" else card.origin
    return (
        name,
        "present" if present else "fetched",
        "known copy" if source == "copy" else source,
        card.note,
    )


def main(arguments: list[str] | None = None) -> int:
    """Fetch what is missing, verify it and print what is used; return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="sanbook.data", description=main.__doc__)
    parser.add_argument("names", nargs="*", help="data sets (default: all)")
    parser.add_argument("--data", choices=MODES, default="auto", help="default: %(default)s")
    parser.add_argument("--directory", help="default: $SAN_DATA, else data")
    options = parser.parse_args(arguments)
    names = options.names or NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        parser.error(f"unknown data set {unknown[0]!r}: choose of {', '.join(NAMES)}")
    root = fetch.data_folder(options.directory)
    present = {name: bool(_kind(name).present(name, root)) for name in names}
    found = dict.fromkeys(names)
    if options.data != "sample":
        # Many wait at the same time; sanbook.fetch limits the files that are transferred.
        with ThreadPoolExecutor() as pool:
            found = dict(zip(names, pool.map(lambda name: _find(name, root), names), strict=True))
    rows = [_row(name, options.data, found[name], present[name]) for name in names]
    fetch.print_table([("data set", "state", "source", "what it is and what to do"), *rows])
    return 1 if any(state == "error" for _, state, _, _ in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
