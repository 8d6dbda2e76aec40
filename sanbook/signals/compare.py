"""Which method suits a signal: SANs, wavelets, DCT and straight lines, on its own windows.

Every method is fitted on the training windows, chosen on validation and measured on test, by the
paper's phi and in encoded bytes. Axes as in `san_core`: B windows.
"""

import dataclasses
import functools
from collections.abc import Sequence

import pandas as pd
from torch import Tensor
from tqdm import tqdm

from san_core import ACTIVATIONS
from sanbook.data.dataset import DataSet
from sanbook.methods import fixed as transforms
from sanbook.methods import measure
from sanbook.methods.base import Method
from sanbook.methods.coder import raw_bytes
from sanbook.methods.networks import TrainedNetwork
from sanbook.show.names import NAMES
from sanbook.signals.events import EventModel
from sanbook.signals.fit import PROTOCOL, SCALES, fit_model
from sanbook.training import Protocol

#: Methods that learn nothing; each window takes as many coefficients as make its own phi smallest.
FIXED = {
    "wavelets": transforms.own_count(transforms.wavelets),
    "DCT": transforms.own_count(transforms.dct),
    "DCT in blocks": transforms.own_count(transforms.block_dct),
    "straight lines": transforms.own_count(transforms.piecewise_linear),
}
#: Names in tables; a multiscale SAN stands among the activation functions.
METHODS = {**NAMES, SCALES: "multiscale SAN"}
#: The methods whose codes are lists of events.
SPARSE = [METHODS[name] for name in (*ACTIVATIONS[2:], SCALES)]
#: Seeds whose mean phi on validation differ by more than that disagree.
DISAGREEMENT = 0.05
WINDOWS = 48  # the most windows of a long recording that are for training, choosing and testing


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` found. The columns of ``table`` are

    - method
    - kernel_size: W, NaN of a method without weights
    - phi: W charged to every window, as in the paper
    - shared_phi: of the same network, W charged once to all windows of the recording
    - events: nonzero coefficients of a window
    - bytes: of a window as a message, with its share of W, of stored_bytes
    - bytes_phi: phi of bytes / stored_bytes and the error of the message
    - error: mean absolute error of the message, in the recording's units
    - low, high: smallest and largest mean phi on validation of a start and a seed

    Attributes:
        data: the windows.
        table: a row for each method.
        models: the networks by method.
        flags: a sentence about each method whose seeds disagree.
    """

    data: DataSet
    table: pd.DataFrame
    models: dict[str, EventModel] = dataclasses.field(repr=False)
    flags: list[str]

    @property
    def compression(self) -> pd.Series:
        """The row with the smallest phi in bytes."""
        return self.table.loc[self.table.bytes_phi.idxmin()]

    @property
    def few_bytes(self) -> pd.Series:
        """The row with the fewest bytes of the methods better than zeros, or as `compression`."""
        useful = self.table[self.table.bytes_phi < 1]
        return useful.loc[useful.bytes.idxmin()] if len(useful) else self.compression

    @property
    def events(self) -> pd.Series:
        """The row with the smallest phi, W shared, of the methods whose codes are events."""
        return self._lists.loc[self._lists.shared_phi.idxmin()]

    @property
    def few_events(self) -> pd.Series:
        """The row with the fewest events of the methods better than zeros, or as `events`."""
        useful = self._lists[self._lists.shared_phi < 1]
        return useful.loc[useful.events.idxmin()] if len(useful) else self.events

    @property
    def _lists(self) -> pd.DataFrame:
        return self.table[self.table.method.isin(SPARSE)]

    @property
    def advice(self) -> list[str]:
        """Which method to use for what, and the measure that says so."""
        best, small, events, few = self.compression, self.few_bytes, self.events, self.few_events
        said = [
            f"To compress the signal, use {self._in_bytes(best)}. Of all methods it has the "
            f"smallest φ in bytes, relative to {best.stored_bytes:.0f} stored bytes per window."
        ]
        if small.method != best.method:
            said.append(f"For the fewest bytes, use {self._in_bytes(small)}.")
        if events.shared_phi >= 1:
            return [*said, "No SAN makes a useful list of events: none scores below φ = 1."]
        said.append(
            f"For events that follow the signal, use {self._in_events(events)}. Of the sparse SANs "
            "it has the smallest φ with W shared."
        )
        if few.method != events.method:
            said.append(f"For the shortest list of events, use {self._in_events(few)}.")
        return said

    def _in_bytes(self, row) -> str:
        return f"{_named(row)} ({row.bytes:.0f} bytes per window, {self._error(row)})"

    def _in_events(self, row) -> str:
        return f"{_named(row)} ({row.events:.1f} events per window, {self._error(row)})"

    def _error(self, row) -> str:
        units = self.data.card.units
        return f"mean error {row.error:.3g}{'' if units == 'unknown' else f' {units}'}"

    @property
    def report(self) -> str:
        """What `san compare` prints."""
        table, data, units = self.table, self.data, self.data.card.units
        shown = {
            "method": table.method,
            "weights": table.kernel_size.map("{:.0f}".format, na_action="ignore").fillna("-"),
            "phi (W per window)": table.phi.map("{:.3f}".format),
            "phi (W shared)": table.shared_phi.map("{:.3f}".format),
            "coefficients": table.events.map("{:.1f}".format),
            "bytes": table.bytes.map("{:.0f}".format),
            "error" if units == "unknown" else f"error ({units})": table.error.map("{:.4g}".format),
        }
        split = (
            f"{len(data.train)} windows are for training, {len(data.validation)} for choosing and "
            f"{len(data.test)} for what follows; smaller is better."
        )
        text = pd.DataFrame(shown).set_index("method").rename_axis(None).to_string()
        return "\n".join([data.card.note, split, "", text, "", *self.advice, *self.flags])


def _named(row) -> str:
    if pd.isna(row.kernel_size):
        return row.method
    if row.method == METHODS[SCALES]:
        return f"a {row.method} with {row.kernel_size:.0f} weights"
    return f"{row.method} with a kernel of {row.kernel_size:.0f} samples"


def compare(
    data: DataSet,
    deviations: Tensor,
    shared_by: int,
    *,
    kernel_sizes: Sequence[int] = (),
    seeds: Sequence[int] = (0, 1, 2),
    protocol: Protocol = PROTOCOL,
) -> Comparison:
    """Compare methods on a recording, each chosen with W shared; a progress bar in a terminal.

    Args:
        data: windows of the recording, as `sanbook.signals.windows.load_windows` returns them.
        deviations: of the test windows, likewise.
        shared_by: windows of the recording, likewise.
        kernel_sizes: as in `sanbook.signals.fit.fit_model`.
        seeds: likewise.
        protocol: likewise.
    """
    training = {"kernel_sizes": kernel_sizes, "seeds": seeds, "protocol": protocol}
    scale = data.test.abs().mean(dim=1) * deviations
    rows, models, flags = [], {}, []
    for name in tqdm([*FIXED, *METHODS], "methods", leave=False, disable=None):
        candidates, extremes = FIXED.get(name), {}
        if name in METHODS:
            model, fitted = fit_model(data, name, shared_by=shared_by, **training)
            candidates = functools.partial(_only, TrainedNetwork(model.network))
            if name != SCALES:
                extremes = {"low": fitted.phi.min(), "high": fitted.phi.max()}
            models[METHODS[name]] = model
            flags += filter(None, [disagreement(METHODS[name], fitted)])
        found = measure(candidates, data, seed=0, shared_by=shared_by)
        size, loss, bytes_phi = found.shared_in_bytes.unbind(dim=1)
        row = {
            "method": METHODS.get(name, name),
            "kernel_size": found.shared_method.num_weights or None,
            "phi": found.metrics[:, 2].mean().item(),
            "shared_phi": found.shared_metrics[:, 2].mean().item(),
            "bytes": size.mean().item(),
            "stored_bytes": raw_bytes(data.test.shape[1:]),
            "bytes_phi": bytes_phi.mean().item(),
            "events": found.entries.mean().item(),
            "error": (loss * scale).mean().item(),
        }
        rows.append(row | extremes)
    return Comparison(data, pd.DataFrame(rows), models, flags)


def disagreement(method: str, fitted: pd.DataFrame) -> str:
    """A sentence if the seeds of a method disagree, else empty; ``fitted`` is of `fit_model`."""
    low, high = fitted.phi.min(), fitted.phi.max()
    if high - low <= DISAGREEMENT:
        return ""
    return (
        f"{len(fitted)} starts of {method} end between phi {low:.3f} and {high:.3f} on validation; "
        "the best is taken. More --seeds may find a better one."
    )


def _only(method: Method, train: Tensor, seed: int) -> list[Method]:
    """A method that is fitted already, as candidates of `measure`."""
    return [method]
