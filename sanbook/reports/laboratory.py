"""The laboratory: what the page brings along for training in the reader's browser."""

import base64
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pywt
import torch

from sanbook import show
from sanbook.data import WINDOW, DataSet
from sanbook.reproduction.reference import read_reference
from sanbook.show.names import describe_activations
from sanbook.signals.compare import WINDOWS
from sanbook.signals.fit import TIE
from sanbook.signals.formats import KINDS, csv, edf, layout, recording, times, wfdb
from sanbook.training import PROTOCOLS

FIRST = "mitdb"  # the recording with which the page opens
WAVELETS = [f"db{i}" for i in range(2, 9)]  # the family of Daubechies


def laboratory(data_sets: Iterable[DataSet]) -> show.Shown:
    """The live figure, which offers the windows of these recordings in exact single precision."""
    runs = read_reference("runs")
    return show.live(
        "laboratory",
        {
            "activations": describe_activations(),
            "first": FIRST,
            "filters": {name: pywt.Wavelet(name).filter_bank[:2] for name in WAVELETS},
            "formats": describe_formats(),
            "most": WINDOWS,
            "protocol": vars(PROTOCOLS["physionet"]),
            "recordings": [_describe(data, runs) for data in data_sets],
            "tie": TIE,
            "window": WINDOW,
        },
        label="fig-laboratory",
        caption="The laboratory: a recording, one training, the whole experiment, other methods on "
        "the same windows, and what there is to take away.",
        uses=("trainer", "methods", "readers"),
    )


def describe_formats() -> dict:
    """The tables and patterns of `sanbook.signals.formats` that ``readers.js`` needs."""
    return {
        "bytes": wfdb.BYTES,
        "common": times.COMMON,
        "counter": _pattern(layout.COUNTER),
        "fields": edf.FIELDS,
        "foreign": {begin.decode("latin-1"): what for begin, what in csv.FOREIGN.items()},
        "kinds": KINDS,
        "lengths": sorted(times.LENGTHS),
        "longest_gap": recording.LONGEST_GAP,
        "longest_run": times.LONGEST_RUN,
        "missing": sorted(layout.MISSING),
        "number": _pattern(layout.NUMBER),
        "record": _pattern(wfdb.RECORD),
        "rows": recording.BLOCK // 8,
        "seconds": times.UNITS,
        "separators": layout.SEPARATORS,
        "short": sorted(times.SHORT),
        "signal": _pattern(wfdb.SIGNAL),
        "unit": _pattern(layout.UNIT),
        "words": sorted(times.WORDS),
    }


def _pattern(pattern: re.Pattern) -> str:
    """A pattern as JavaScript writes it, where case is ignored."""
    text = re.sub(r"\s+", "", pattern.pattern) if pattern.flags & re.VERBOSE else pattern.pattern
    return text.removeprefix("(?i)").replace("(?P<", "(?<")


def _describe(data: DataSet, runs: pd.DataFrame) -> dict:
    """A recording of the book: its standardized windows, one after the other, and our results."""
    card = data.card
    windows = torch.cat([data.train, data.validation, data.test]).numpy().astype("<f4")
    record = Path(card.record).name if card.record else card.name
    source = "" if card.source == "real" else f" ({card.source})"
    return {
        "name": card.name,
        "label": f"{card.name}: {card.signal}{source}",
        "record": f"{record}.hea",
        "column": card.channel or "",
        "rate": card.sampling_rate,
        "units": card.units,
        "windows": base64.b64encode(windows.tobytes()).decode(),
        "book": {} if card.source == "simulated" else _results(card.name, runs),
    }


def _results(database: str, runs: pd.DataFrame) -> dict[str, dict]:
    """Means over seeds at the published sizes: L~, CR^-1 and phi of each activation function."""
    rows = runs.query("database == @database and selection == 'published_m'")
    rows = rows[rows.init == PROTOCOLS["physionet"].init]
    order = ["normalized_reconstruction_loss", "inverse_compression_ratio", "phi"]
    return {
        activation: {
            "m": int(of_activation.kernel_size.iloc[0]),
            "means": np.round(of_activation[order].mean().to_numpy(), 4),
        }
        for activation, of_activation in rows.groupby("activation")
    }
