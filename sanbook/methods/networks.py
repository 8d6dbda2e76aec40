"""Trained SANs as methods, to be chosen and measured like any other.

Axes as in `san_core`: B examples, q kernels or prototypes.
"""

import dataclasses
from collections.abc import Iterator

import torch
from torch import Tensor

from san_core import SAN
from sanbook.methods.base import Method
from sanbook.scales import MultiscaleSAN
from sanbook.training import Trained
from sanbook.training.files import build, describe


@dataclasses.dataclass(frozen=True)
class TrainedNetwork(Method):
    """A trained network; `weights` are its kernels or its prototypes."""

    model: SAN | MultiscaleSAN

    @property
    def scale_paid(self) -> bool:
        """See `Method`; the ``cost`` of a multiscale SAN says so."""
        return isinstance(self.model, MultiscaleSAN) and self.model.cost == 3

    @property
    def weights(self) -> tuple[Tensor, ...]:
        """The kernels of a SAN, or the prototypes as one tensor ``(q, m)``."""
        return tuple(describe(self.model)[1].values())

    def with_weights(self, weights: tuple[Tensor, ...]) -> "TrainedNetwork":
        """See `Method`."""
        settings, tensors = describe(self.model)
        return type(self)(build(settings, dict(zip(tensors, weights, strict=True))))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """See `Method`; the activation maps."""
        return self.model.encode(x)

    @torch.no_grad()
    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """See `Method`."""
        return self.model.decode(code)


def trained_sans(trained: Trained) -> Iterator[TrainedNetwork]:
    """Candidates of one activation function: the best epoch of every SAN of a sweep."""
    for kernel_size, seed in trained.best:
        yield TrainedNetwork(trained.model(kernel_size, seed))
