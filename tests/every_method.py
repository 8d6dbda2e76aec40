"""Small data for the tests of the methods beside the SAN, and one candidate of each method."""

import torch

from sanbook.methods import ALL
from sanbook.methods.networks import trained_sans
from sanbook.training import Protocol, sweep


class Data:
    """Noise around two sines (1D) or a slope (2D), in three parts."""

    def __init__(self, ndim, examples=12):
        generator = torch.Generator().manual_seed(0)
        side = torch.arange(96.0 if ndim == 1 else 12.0)
        clean = torch.sin(side / 5) + torch.cos(side / 3) if ndim == 1 else side + side[:, None]
        noise = torch.randn((3, examples, *clean.shape), generator=generator)
        self.train, self.validation, self.test = clean + 0.1 * noise


def one_of_each(data):
    """A SAN, and the last of a few candidates of each method that takes such data, by name."""
    protocol = Protocol(epochs=2, num_kernels=2, init="normal")
    trained = sweep(data, "extrema-pool indices", [3, 5], seeds=[0], protocol=protocol)
    candidates = {"SAN": trained_sans(trained)}
    candidates |= {name: fit(data.train[:4], seed=0) for name, fit in ALL.items()}
    chosen = {}
    for name, some in candidates.items():
        for candidate, _ in zip(some, range(3), strict=False):
            *_, (chosen[name], _, _) = candidate.try_on(data.validation[:2])
    return chosen
