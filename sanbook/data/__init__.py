"""The data sets as tensors, each with its provenance.

Companion of "Sparsely Activated Networks" (Bizopoulos and Koutsouris, IEEE TNNLS 2020,
doi 10.1109/TNNLS.2020.2984514), section IV:

- of each of 15 PhysioNet databases (Goldberger et al. 2000, doi 10.1161/01.CIR.101.23.e215) the
  first 12,000 samples of the first record's first channel;
- UCI-epilepsy, 11,500 segments of the EEG of Andrzejak et al. 2001
  (doi 10.1103/PhysRevE.64.061907) in three classes;
- MNIST (LeCun et al. 1998, doi 10.1109/5.726791) and Fashion-MNIST (Xiao et al. 2017,
  arXiv 1708.07747), 70,000 images in ten classes each.

What each is, where it comes from and which bytes are right is in `sanbook/data/manifest.toml`;
`sanbook.data.fetch` downloads and verifies them, `sanbook.data.labelled` reads those with labels.
Where the data are not at hand, `sanbook.data.simulate` has something else, and the card of the data
set says so.

Axes: a signal is (n,) with n samples; a set of signals is (B, n), of images (B, height, width).

Run `python -m sanbook.data` to fetch what is missing and to list what is used.
"""

import argparse
import functools
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from sanbook.data import fetch, labelled, simulate
from sanbook.data.dataset import DataSet, Provenance
from sanbook.signals import windows as signals
from sanbook.signals.formats import wfdb as recordings

SAMPLES = 12_000  # of a recording
WINDOW = 1_000  # samples
SPLIT = (6, 2, 4)  # windows for training, validation and test
MODES = ("auto", "real", "sample")

NAMES = tuple(fetch.MANIFEST)
DATABASES = tuple(name for name, source in fetch.MANIFEST.items() if source.record)  # PhysioNet's


def load(
    name: str, data: str = "auto", directory: str | os.PathLike | None = None, **options
) -> DataSet:
    """Load one data set, cut, scaled and split as in the article's section IV.

    Looks for the paper's files in `directory`, which `sanbook.data.fetch.data_folder` explains,
    else downloads them into it, verified by their hashes. `data` says what may stand in for them:

    - "auto": of a PhysioNet database another record that is there, files that no known hash
      verifies, or, if the paper's cannot be fetched, a simulation. The card says which.
    - "real": nothing.
    - "sample": always the simulation.

    Asking a server takes 5 s at most when it does not answer, and is not repeated within a process.

    "uci-epilepsy" has two `options`. `value_range`, by default (-1, 1), is what the smallest and
    the largest value of the whole file are scaled to; the article's text says (0, 1), its numbers
    come from (-1, 1). `split` is "rows", parts of the file in its order as published, where
    segments of one recording fall into several parts, or "recordings", which keeps them together.

    Raises ValueError for an unknown `name`, `data` or option value and for files that cannot be
    used, also under "auto"; FileNotFoundError if "real" data are not there; TypeError for options
    that the data set does not have.

    >>> load("mitdb", data="sample").test.shape
    torch.Size([4, 1000])
    >>> eeg = load("uci-epilepsy", data="sample", split="recordings")
    >>> eeg.train.shape, eeg.labels["train"].shape
    (torch.Size([1748, 178]), torch.Size([1748]))
    """
    if name not in fetch.MANIFEST:
        raise ValueError(f"unknown data set {name!r}: choose one of {', '.join(fetch.MANIFEST)}")
    if data not in MODES:
        raise ValueError(f"unknown data={data!r}: choose one of {', '.join(MODES)}")
    known = ("value_range", "split") if name == "uci-epilepsy" else ()
    unknown = [option for option in options if option not in known]
    if unknown:
        raise TypeError(
            f"{name} has {'the options ' + ' and '.join(known) if known else 'no options'}, "
            f"but got {', '.join(unknown)}"
        )
    source = fetch.MANIFEST[name]
    placeholder = _simulate_recording if source.record else labelled.placeholder
    if data == "sample":
        return placeholder(source, 'data="sample" asks for it', **options)
    folder = fetch.data_folder(directory) / source.folder
    remedy = f'{fetch.advice(source, folder)}, or allow placeholder data with data="auto"'
    try:
        if source.record:
            dataset = _read_recording(source, _obtain_record(source, folder, data))
        else:
            labelled.obtain(source, folder)
            dataset = labelled.read(source, folder, **options)
    except fetch.FetchError as error:
        if data == "auto":
            return placeholder(source, f"the data are not at hand: {error}", **options)
        raise FileNotFoundError(f"{name}: {error}; {remedy}") from error
    if data == "real" and dataset.card.source != "real":
        raise FileNotFoundError(
            f'{name}: expected the paper\'s data for data="real", got {dataset.card.data_source}; '
            f"move what is there away and {remedy}"
        )
    return dataset


# --- PhysioNet ------------------------------------------------------------------------------------


def windows(signal: Tensor, *, origin: str = "signal") -> Tensor:
    """Cut a signal of 12,000 samples into 12 standardized windows of 1,000 (section IV-A).

    All in single precision, as published: in double precision one window of mitdb has a mean equal
    to some of its samples, whose zeros then cost nothing in CR^-1. `signal` is (12000,), in any
    units; returns float32 (12, 1000). Raises ValueError for another shape, else as
    `sanbook.signals.windows.standardized_windows`.

    >>> ramp = windows(torch.arange(12_000))
    >>> ramp.shape
    torch.Size([12, 1000])
    >>> round(ramp[7].std().item(), 4), round(ramp[7, 0].item(), 4)  # -499.5 / 288.8194
    (1.0, -1.7295)
    """
    signal = torch.as_tensor(signal, dtype=torch.float32)
    if signal.shape != (SAMPLES,):
        raise ValueError(f"{origin}: expected shape ({SAMPLES},), got {tuple(signal.shape)}")
    return signals.standardized_windows(signal, WINDOW, origin=origin)


def _obtain_record(source: fetch.Source, folder: Path, data: str) -> Path:
    """The header of a record that is there with its signal file, downloaded if there is none.

    It is the paper's record, or under "auto" the first other one that is there.
    """
    header = folder / f"{source.record}.hea"
    others = sorted(folder.glob("[!.]*.hea")) if data == "auto" else []
    for present in (header, *others):
        if present.exists() and _signal_file(present).exists():
            return present
    fetch.obtain(source, folder, header.name)
    fetch.obtain(source, folder, _signal_file(header).name)
    return header


def _signal_file(header: Path) -> Path:
    """The file of a record's first channel."""
    return header.parent / recordings.read_header(header).file_name[0]


def _read_recording(source: fetch.Source, header: Path) -> DataSet:
    findings = fetch.verified(source, [header, _signal_file(header)])
    origin = fetch.least(findings)
    record = recordings.read_record(header, samples=SAMPLES)
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
        note=f"{note} {fetch.whose_bytes(findings)}",
        version=source.version,
        origin=origin,
        record=header.stem,
        channel=channel,
        sha256={finding.path.name: finding.sha256 for finding in findings},
    )
    origin = f"{source.name}, record {header.stem}, channel {channel}"
    return DataSet(*windows(record.p_signal[:, 0], origin=origin).split(SPLIT), card)


def _simulate_recording(source: fetch.Source, reason: str) -> DataSet:
    signal, how = simulate.recording(source, SAMPLES)
    card = simulate.provenance(source, how, reason, units="arbitrary")
    return DataSet(*windows(signal, origin=f"{source.name}, {how}").split(SPLIT), card)


# --- the command line -----------------------------------------------------------------------------


def _row(name: str, data: str, directory: str | None) -> tuple[str, str, str, str]:
    """A line of the table of `main`: data set, source, bytes, remark."""
    try:
        card = load(name, data, directory).card
    except (OSError, ValueError) as error:
        return name, "error", "-", str(error)
    note = card.note
    if card.source == "simulated" and data == "auto":
        source = fetch.MANIFEST[name]
        folder = fetch.data_folder(directory) / source.folder
        note += f" Run `make data` again, or {fetch.advice(source, folder)}."
    return name, card.source, card.origin or "-", note


def main(arguments: list[str] | None = None) -> int:
    """Fetch what is missing, verify it and print what is used; return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="sanbook.data", description=main.__doc__)
    parser.add_argument("names", nargs="*", help="data sets (default: all)")
    parser.add_argument("--data", choices=MODES, default="auto", help="default: %(default)s")
    parser.add_argument("--directory", help="default: $SAN_DATA, else data")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"unknown data set {unknown[0]!r}: choose of {', '.join(NAMES)}")
    row = functools.partial(_row, data=options.data, directory=options.directory)
    with ThreadPoolExecutor(max_workers=4) as pool:  # polite to the servers
        rows = list(pool.map(row, options.names or NAMES))
    fetch.print_table([("data set", "source", "bytes", "what it is and what to do"), *rows])
    return 1 if any(source == "error" for _, source, _, _ in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
