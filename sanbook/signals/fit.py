"""Fit a SAN to the windows of a recording: train several and choose one on validation."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from san_core import SAN, phi
from sanbook.data.dataset import DataSet
from sanbook.methods import base as methods
from sanbook.methods.networks import TrainedNetwork
from sanbook.scales import fit_scales
from sanbook.signals.events import EventModel
from sanbook.training import INITS, Protocol, Trained, evaluate, sweep

SCALES = "scales"  # stands for a multiscale SAN among the activation functions
PROTOCOL = Protocol()  # of the PhysioNet experiment
TIE = 0.01  # of phi: seeds differ by as much


def default_kernel_sizes(window: int) -> list[int]:
    """Up to 24 sizes from 3 samples to a quarter of a window, in even steps of their logarithm.

    >>> default_kernel_sizes(100)
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25]
    """
    return sorted({int(m) for m in np.geomspace(3, max(3, window // 4), 24).round()})


def fit_model(
    data: DataSet,
    activation: str = "extrema",
    kernel_sizes: Sequence[int] = (),
    *,
    shared_by: int = 1,
    seeds: Sequence[int] = (0, 1, 2),
    protocol: Protocol = PROTOCOL,
) -> tuple[EventModel, pd.DataFrame]:
    """Train a SAN of every start, kernel size and seed; keep the one that `choose_network` chooses.

    Args:
        data: standardized windows, such as `sanbook.signals.windows.load_signal` gives.
        activation: a name in `san_core.ACTIVATIONS`, or "scales" for a multiscale SAN, which
            chooses its own sizes and is trained with the first seed.
        kernel_sizes: in samples; by default `default_kernel_sizes`.
        shared_by: windows that share the weights.
        seeds: of each start (`sanbook.training.INITS`) and kernel size.
        protocol: of the training; its ``init`` plays no part.

    Returns:
        The model, and the table of `choose_network`.
    """
    if activation == SCALES:
        network = fit_scales(data.train, data.validation, seed=seeds[0])
        measured = methods.evaluate(TrainedNetwork(network), data.validation, shared_by)
        row = {"seed": seeds[0], "phi": measured[:, 2].mean().item()}
        return EventModel.of(network, data), pd.DataFrame([row])
    starts = [dataclasses.replace(protocol, init=init) for init in INITS]

    def train(sizes: Sequence[int]) -> list[Trained]:
        return [sweep(data, activation, sizes, seeds=seeds, protocol=start) for start in starts]

    coarse = list(kernel_sizes) or default_kernel_sizes(data.train.shape[1])
    trained = train(coarse)
    network, table = choose_network(trained, data, shared_by)
    if not kernel_sizes:
        place = coarse.index(len(network.kernels[0]))
        fine = range(coarse[max(0, place - 1)], coarse[min(place + 1, len(coarse) - 1)] + 1)
        if fine := sorted({*fine} - {*coarse}):
            network, table = choose_network([*trained, *train(fine)], data, shared_by)
    return EventModel.of(network, data), table


def choose_network(
    trained: Sequence[Trained], data: DataSet, shared_by: int
) -> tuple[SAN, pd.DataFrame]:
    """Choose a network of sweeps on validation.

    It has the smallest mean phi. Networks less than `TIE` above it count as equal, and of them the
    network with the fewest events is taken, then with the smallest phi. The weights are charged
    once to ``shared_by`` windows, as a list of events needs its kernel once.

    Returns:
        The network, and a table with a row for each start and seed at its kernel size: init,
        kernel_size, seed, and the means phi and events of a validation window.
    """
    rows, (count, n) = [], data.validation.shape
    for sweep_of_start in trained:
        for kernel_size, seed in sweep_of_start.best:
            model = sweep_of_start.model(kernel_size, seed)
            inverse_cr, loss, _ = evaluate(model, data.validation).unbind(dim=1)
            events = (inverse_cr.sum().item() / count * n - model.num_weights) / 2
            shared = methods.share_weights(inverse_cr, model.num_weights, n, shared_by)
            init, mean_phi = sweep_of_start.protocol.init, phi(shared, loss).mean().item()
            rows.append((init, kernel_size, seed, mean_phi, events, model))
    columns = ["init", "kernel_size", "seed", "phi", "events", "model"]
    table = pd.DataFrame(rows, columns=columns)
    equal = table[table.phi <= table.phi.min() + TIE].round({"events": 3})
    best = equal.sort_values(["events", "phi"]).iloc[0]
    same_size = table[table.kernel_size == best.kernel_size].reset_index(drop=True)
    return best.model, same_size.drop(columns="model")
