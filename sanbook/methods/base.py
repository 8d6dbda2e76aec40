"""A method: how it describes examples, and what the description costs by the paper's own metric.

A `Method` turns examples ``(B, *spatial)`` into a code ``(B, q, *places)`` and back. The shape of
the code says what an entry costs, by the convention of the paper (Sec. II):

- A code with ``places`` is sparse: each entry that is not zero costs its value and one coordinate
  for every axis of ``places`` (1 for signals, 2 for images). Which of the ``q`` maps it lies on is
  free, as it is for the kernels of a SAN. Where shapes come at several scales, ``scale_paid`` asks
  one number more of each entry. Whatever works in blocks has the blocks' grid, or the whole plane
  that they tile, as its places.
- A code ``(B, q)`` is sent in order: each of its ``q`` values costs just itself, zero or not.

``num_weights``, W, counts what a receiver needs besides the code and cannot know from the method's
name and its hyperparameters: 0 for a fixed transform, the dictionary for a learned one. The paper
charges W to every example. ``shared_by`` shares it between as many examples as it serves.

Axes as in `san_core`: B examples, q maps, n samples of an example.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor

import san_core

# A candidate and what it gives on some examples: CR^-1, W in every one, and loss, ``(B,)`` each.
Tried = tuple["Method", Tensor, Tensor]


class Method:
    """A method with its hyperparameters, fitted; subclasses are frozen dataclasses.

    ``weights`` are the tensors a receiver must be sent.
    """

    weights: tuple[Tensor, ...] = ()
    scale_paid: bool = False

    def encode(self, x: Tensor) -> Tensor:
        """Code of examples, ``(B, *spatial) -> (B, q, *places)`` or ``(B, q)``."""
        raise NotImplementedError

    def decode(self, code: Tensor, spatial: torch.Size) -> Tensor:
        """Reconstruction of examples of the size ``spatial``, ``-> (B, *spatial)``."""
        raise NotImplementedError

    def with_weights(self, weights: tuple[Tensor, ...]) -> "Method":
        """The same method with other weights, such as those that were sent."""
        return dataclasses.replace(self, weights=weights) if weights else self

    @property
    def num_weights(self) -> int:
        """``W``, the numbers in all weights together."""
        return sum(weight.numel() for weight in self.weights)

    def try_on(self, x: Tensor) -> Iterator[Tried]:
        """What `choose` compares: this method, tried on examples."""
        inverse_cr, loss, _ = evaluate(self, x).unbind(dim=1)
        yield self, inverse_cr, loss


# --- what a code costs ----------------------------------------------------------------------------


def entries(code: Tensor) -> Tensor:
    """``A``, the entries of each code that are paid for, ``(B, q, *places) -> (B,)``.

    >>> entries(torch.tensor([[[0.0, 3.0, 0.0]]])), entries(torch.tensor([[0.0, 3.0, 0.0]]))
    (tensor([1]), tensor([3]))
    """
    in_order = code.ndim == 2
    return (torch.ones_like(code) if in_order else code).flatten(1).count_nonzero(dim=1)


def inverse_compression_ratio(
    method: Method, code: Tensor, spatial: torch.Size, shared_by: int = 1
) -> Tensor:
    """CR^-1 of codes of examples of the size ``spatial``, ``(B, q, *places) -> (B,)``.

    It is relative to the samples of the example and not to the places of the code, of which there
    may be more or fewer.
    """
    coordinates = code.ndim - 2 + method.scale_paid
    return san_core.inverse_compression_ratio_from_counts(
        entries(code), method.num_weights / shared_by, spatial.numel(), coordinates
    )


def evaluate(method: Method, x: Tensor, shared_by: int = 1) -> Tensor:
    """CR^-1, normalized loss and phi of each example, ``(B, *spatial) -> (B, 3)``."""
    return evaluate_code(method, x, method.encode(x), shared_by)


def evaluate_code(method: Method, x: Tensor, code: Tensor, shared_by: int = 1) -> Tensor:
    """The same of examples that are encoded already."""
    inverse_cr = inverse_compression_ratio(method, code, x.shape[1:], shared_by)
    loss = san_core.normalized_loss(x, method.decode(code, x.shape[1:]))
    return torch.stack([inverse_cr, loss, san_core.phi(inverse_cr, loss)], dim=-1)


def share_weights(inverse_cr: Tensor, num_weights: int, n: int, shared_by: int) -> Tensor:
    """CR^-1 with W shared by so many examples of ``n`` samples, given that with W in each.

    >>> share_weights(torch.tensor([0.7]), num_weights=4, n=10, shared_by=2)
    tensor([0.5000])
    """
    return inverse_cr - num_weights * (1 - 1 / shared_by) / n


# --- hyperparameters ------------------------------------------------------------------------------


def choose(candidates: Iterable, x: Tensor, shared_by: int) -> tuple[Method, Method]:
    """The candidates with the smallest mean phi on (validation) examples, the first of equals.

    The first of the two has W in every example, as the paper counts; for the second ``shared_by``
    examples share it. Each of the ``candidates`` has a ``try_on``: a `Method`, or what stands for
    many that are cheaper to try together. ValueError if there is none.
    """
    best: list[Method | None] = [None, None]
    smallest = [float("inf")] * 2
    for candidate in candidates:
        for method, inverse_cr, loss in candidate.try_on(x):
            shared = share_weights(inverse_cr, method.num_weights, x[0].numel(), shared_by)
            for i, counted in enumerate([inverse_cr, shared]):
                mean_phi = san_core.phi(counted, loss).mean().item()
                if mean_phi < smallest[i]:
                    best[i], smallest[i] = method, mean_phi
    if None in best:
        raise ValueError("candidates: none has a finite phi. Give at least one that has.")
    return tuple(best)


def kept_counts(n: int, ndim: int) -> list[int]:
    """Numbers of entries to try: at most 36, in even steps of their logarithm, up to CR^-1 = 1.

    >>> kept_counts(1000, ndim=1)[:4], kept_counts(1000, ndim=1)[-1]
    ([5, 6, 7, 8], 500)
    """
    most = n // (ndim + 1)
    return sorted({int(count) for count in np.geomspace(max(1, n // 200), most, 36).round()})


@dataclasses.dataclass(frozen=True)
class Stepwise(Method):
    """A method without weights that adds one entry after the other to its code.

    ``k`` is how many every example has; with None each takes the number with its own smallest phi.
    (That is no cheating: who encodes knows the example, and its loss.)
    """

    k: int | None = None
    scale_paid: bool = False

    def path(self, x: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """Entries and loss of each example after 0, 1, ... ``most`` steps, ``(B, most + 1)``."""
        raise NotImplementedError

    def take(self, x: Tensor, steps: Tensor) -> Tensor:
        """Code of each example after its own number of ``steps`` ``(B,)``."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Tensor:
        """See `Method`."""
        return self.take(x, self.own_steps(x) if self.k is None else torch.full([len(x)], self.k))

    def own_steps(self, x: Tensor) -> Tensor:
        """The number of steps with the smallest phi of each example, the first of equals, (B,)."""
        inverse_cr, loss = self.measure_path(x, x[0].numel() // (x.ndim + self.scale_paid))
        return san_core.phi(inverse_cr, loss).argmin(dim=1)

    def measure_path(self, x: Tensor, most: int) -> tuple[Tensor, Tensor]:
        """CR^-1 and loss of each example after 0, 1, ... ``most`` steps, ``(B, most + 1)`` each."""
        counts, loss = self.path(x, most)
        inverse_cr = san_core.inverse_compression_ratio_from_counts(
            counts, self.num_weights, x[0].numel(), x.ndim - 1 + self.scale_paid
        )
        return inverse_cr, loss


@dataclasses.dataclass(frozen=True)
class EachCount:
    """A stepwise method with each of the numbers ``counts`` of entries, tried in one go."""

    method: Stepwise
    counts: list[int]

    def try_on(self, x: Tensor) -> Iterator[Tried]:
        """See `Method`."""
        inverse_cr, loss = self.method.measure_path(x, max(self.counts))
        for k in self.counts:
            yield dataclasses.replace(self.method, k=k), inverse_cr[:, k], loss[:, k]
