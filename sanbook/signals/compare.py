"""Which method suits a signal: SANs, wavelets, DCT and straight lines, on its own windows.

Every method is fitted on the training windows, chosen on validation and measured on test, by the
paper's phi and in true bytes. Axes as in `san_core`: B windows.
"""

import dataclasses
from collections.abc import Sequence

import pandas as pd
from torch import Tensor
from tqdm import tqdm

from san_core import ACTIVATIONS
from sanbook.data.dataset import DataSet
from sanbook.methods import fixed as transforms
from sanbook.methods.base import Method, choose, entries, evaluate, evaluate_code
from sanbook.methods.coder import choose_step, evaluate_bytes, raw_bytes
from sanbook.methods.networks import TrainedMultiscaleSAN, TrainedSAN
from sanbook.show.names import NAMES
from sanbook.signals.events import (
    PROTOCOL,
    SCALES,
    EventModel,
    choose_network,
    default_kernel_sizes,
    fit_model,
)
from sanbook.training import Protocol, sweep

#: Methods that learn nothing; each window takes as many entries as make its own phi smallest.
FIXED = {
    "wavelets": transforms.own_count(transforms.wavelets),
    "DCT": transforms.own_count(transforms.dct),
    "DCT in blocks": transforms.own_count(transforms.block_dct),
    "straight lines": transforms.own_count(transforms.piecewise_linear),
}
#: Names in tables; a multiscale SAN stands among the activation functions.
METHODS = {**NAMES, SCALES: "multiscale SAN"}
#: Those whose codes are lists of events.
SPARSE = (*ACTIVATIONS[2:], SCALES)
#: Seeds whose mean phi on validation differ by more than that disagree.
DISAGREEMENT = 0.05


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What `compare` found: a ``table`` of methods, and sentences about it.

    The columns of the table: method; kernel_size, W, NaN of what has none; phi, charged W in every
    window as the paper does, and shared_phi, charged it once for all windows of the recording;
    bytes, those of a window with its share of W, of stored_bytes; error, the mean absolute one in
    the recording's units, and bytes_phi, of these two; events, those of a window; low and high, the
    smallest and the largest mean phi of a seed on validation. ``models`` are the networks by
    method, chosen with W shared.
    """

    table: pd.DataFrame
    units: str
    models: dict[str, EventModel] = dataclasses.field(repr=False)

    @property
    def compression(self) -> pd.Series:
        """The row with the smallest phi in true bytes."""
        return self.table.loc[self.table.bytes_phi.idxmin()]

    @property
    def events(self) -> pd.Series:
        """The row with the smallest phi of those whose codes are lists of events, W shared."""
        lists = self._lists
        return lists.loc[lists.shared_phi.idxmin()]

    @property
    def few_events(self) -> pd.Series:
        """The row with the fewest events of those better than the mean alone, else as `events`."""
        useful = self._lists[self._lists.shared_phi < 1]
        return useful.loc[useful.events.idxmin()] if len(useful) else self.events

    @property
    def _lists(self) -> pd.DataFrame:
        return self.table[self.table.method.isin([METHODS[name] for name in SPARSE])]

    @property
    def advice(self) -> list[str]:
        """Recommend a method for compression and one for a list of events."""
        best, events, few = self.compression, self.events, self.few_events
        said = [
            f"To compress the signal, use {self._named(best)}: {best.bytes:.0f} bytes per window "
            f"instead of {best.stored_bytes:.0f}, with a mean error of {self._error(best)}."
        ]
        if events.shared_phi >= 1:
            return [*said, "No SAN makes a useful list of events: none scores below φ = 1."]
        said.append(f"For events that follow the signal, use {self._counted(events)}.")
        if few.method != events.method:
            said.append(f"For the shortest list of events, use {self._counted(few)}.")
        return said

    @property
    def flags(self) -> list[str]:
        """A sentence about each method whose seeds disagree."""
        apart = self.table[self.table.high - self.table.low > DISAGREEMENT]
        return [
            f"The seeds of {row.method} disagree, phi on validation from {row.low:.3f} to "
            f"{row.high:.3f}: training ends in different minima, so try more seeds before you "
            "trust it."
            for row in apart.itertuples()
        ]

    def _named(self, row) -> str:
        if pd.isna(row.kernel_size):
            return row.method
        if row.method == METHODS[SCALES]:
            return f"a {row.method} with {row.kernel_size:.0f} weights"
        return f"{row.method} with a kernel of {row.kernel_size:.0f} samples"

    def _counted(self, row) -> str:
        return (
            f"{self._named(row)} ({row.events:.1f} events per window, mean error "
            f"{self._error(row)})"
        )

    def _error(self, row) -> str:
        units = "of the file's units" if self.units == "unknown" else self.units
        return f"{row.error:.3g} {units}"


def compare(
    data: DataSet,
    deviations: Tensor,
    shared_by: int,
    *,
    kernel_sizes: Sequence[int] = (),
    seeds: Sequence[int] = (0, 1, 2),
    protocol: Protocol = PROTOCOL,
) -> Comparison:
    """Compare methods on a recording; the arguments are those that `load_windows` returns.

    ``kernel_sizes`` are by default `sanbook.signals.events.default_kernel_sizes`. Progress bars
    show in a terminal only.
    """
    sizes = kernel_sizes or default_kernel_sizes(data.train.shape[1])
    rows, models = [], {}
    for name, candidates in tqdm(FIXED.items(), "fixed methods", leave=False, disable=None):
        chosen = choose(candidates(data.train, 0), data.validation, shared_by)
        rows.append({"method": name, **_measure(*chosen, data, shared_by)})
    for activation in ACTIVATIONS:
        trained = sweep(data, activation, sizes, seeds=seeds, protocol=protocol)
        alone, _ = choose_network(trained, data, shared_by=1)
        shared, of_seeds = choose_network(trained, data, shared_by)
        measured = _measure(TrainedSAN(alone), TrainedSAN(shared), data, shared_by)
        measured |= {"low": of_seeds.phi.min(), "high": of_seeds.phi.max()}
        rows.append({"method": NAMES[activation], **measured})
        models[NAMES[activation]] = EventModel.of(shared, data)
    with_scales, _ = fit_model(data, SCALES, seeds=seeds)
    method = TrainedMultiscaleSAN(with_scales.network)
    rows.append({"method": METHODS[SCALES], **_measure(method, method, data, shared_by)})
    models[METHODS[SCALES]] = with_scales
    table = pd.DataFrame(rows)
    scale = data.test.abs().mean(dim=1) * deviations
    table["error"] = [(loss * scale).mean().item() for loss in table.pop("losses")]
    return Comparison(table, data.card.units, models)


def _measure(alone: Method, shared: Method, data: DataSet, shared_by: int) -> dict:
    """A row of the table; ``losses`` are those of each test window, ``(B,)``.

    ``alone`` was chosen with W charged in every window, ``shared`` with W shared.
    """
    code = shared.encode(data.test)
    step = choose_step(shared, data.validation, shared_by)
    in_bytes = evaluate_bytes(shared, data.test, code, step, shared_by)
    return {
        "kernel_size": shared.num_weights or None,
        "phi": evaluate(alone, data.test)[:, 2].mean().item(),
        "shared_phi": evaluate_code(shared, data.test, code, shared_by)[:, 2].mean().item(),
        "bytes": in_bytes[:, 0].mean().item(),
        "stored_bytes": raw_bytes(data.test.shape[1:]),
        "bytes_phi": in_bytes[:, 2].mean().item(),
        "events": entries(code).float().mean().item(),
        "losses": in_bytes[:, 1],
    }
