"""Trained SANs as methods, to be chosen and measured like any other.

Axes as in `san_core`: B examples, q kernels or prototypes.
"""

import copy
import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from san_core import SAN
from sanbook.methods.base import Method
from sanbook.scales import MultiscaleSAN
from sanbook.training import Trained


@dataclasses.dataclass(frozen=True)
class TrainedNetwork(Method):
    """A trained network."""

    model: SAN | MultiscaleSAN

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """See `Method`; the activation maps."""
        return self.model.encode(x)

    @torch.no_grad()
    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Method`."""
        return self.model.decode(code)


@dataclasses.dataclass(frozen=True)
class TrainedSAN(TrainedNetwork):
    """A trained SAN; `weights` are its kernels."""

    model: SAN

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The kernels."""
        return tuple(kernel.detach() for kernel in self.model.kernels)

    def with_weights(self, weights: tuple[Tensor, ...]) -> "TrainedSAN":
        """See `Method`."""
        model = copy.deepcopy(self.model)
        for kernel, other in zip(model.kernels, weights, strict=True):
            kernel.data = other
        return TrainedSAN(model)


@dataclasses.dataclass(frozen=True)
class TrainedMultiscaleSAN(TrainedNetwork):
    """A trained multiscale SAN; `weights` are its prototypes."""

    model: MultiscaleSAN

    @property
    def scale_paid(self) -> bool:
        """See `Method`; its ``cost`` says so."""
        return self.model.cost == 3

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The prototypes, as one tensor ``(q, m)``."""
        return (self.model.prototypes.detach(),)

    def with_weights(self, weights: tuple[Tensor, ...]) -> "TrainedMultiscaleSAN":
        """See `Method`."""
        (prototypes,) = weights
        return TrainedMultiscaleSAN(MultiscaleSAN(prototypes, self.model.lengths, self.model.cost))


def trained_sans(trained: Trained) -> Iterator[TrainedSAN]:
    """Candidates of one activation function: the best epoch of every SAN of a sweep."""
    for kernel_size, seed in trained.best:
        yield TrainedSAN(trained.model(kernel_size, seed))
