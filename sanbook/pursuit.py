"""Matching pursuit: an example as a sum of few atoms, found one after the other.

Mallat and Zhang 1993; with a refit after every step orthogonal matching pursuit, Pati, Rezaiifar
and Krishnaprasad 1993. Axes as in `san_core` (B examples, n samples, m kernel size), and also

- ``P``: atoms; ``K``: steps; ``J``: kernels, each an atom at every place
"""

from collections.abc import Callable, Sequence

import scipy.fft
import torch
import torch.nn.functional as F
from torch import Tensor

import san_core


class Pursuit:
    """A pursuit of examples ``(B, n)``, all together, one atom each at every `step`.

    Args:
        x: the examples; what follows is in their precision.
        correlate: inner products of residuals with all atoms, ``(B, n) -> (B, P)``.
        draw: atoms by their numbers, ``(B,) -> (B, n)``.
        most: the number of steps that may follow, K.
        refit: whether all amplitudes are those of least squares after every step. Without, the new
            atom, which must have unit norm, is subtracted as far as it correlates.

    ``chosen`` ``(B, K)`` are the atoms in the order of the steps, ``residual`` ``(B, n)`` is what
    they leave.
    """

    def __init__(
        self,
        x: Tensor,
        correlate: Callable[[Tensor], Tensor],
        draw: Callable[[Tensor], Tensor],
        most: int,
        refit: bool = True,
    ) -> None:
        self.correlate, self.draw, self.refit = correlate, draw, refit
        self.residual, self.steps = x.clone(), 0
        self.chosen = torch.zeros(len(x), most, dtype=torch.long)
        # The atoms are triangle times directions, which are orthonormal; or the atoms themselves.
        self._directions = x.new_zeros(len(x), most, x.shape[1])
        self._triangle = torch.eye(most, dtype=x.dtype).repeat(len(x), 1, 1)
        self._along = x.new_zeros(len(x), most)  # how far the examples go along the directions

    def step(self) -> None:
        """Add the atom of largest correlation to each example, ties to the lower number."""
        k = self.steps
        self.chosen[:, k] = self.correlate(self.residual).abs().argmax(dim=1)
        direction = self.draw(self.chosen[:, k])
        if self.refit:
            direction = self._orthonormal(direction)
        along = (self.residual * direction).sum(dim=1)
        self.residual -= along[:, None] * direction
        self._directions[:, k], self._along[:, k] = direction, along
        self.steps += 1

    def _orthonormal(self, atom: Tensor) -> Tensor:
        """The new direction of each atom ``(B, n)``, 0 where it depends on those before."""
        k = self.steps
        before, direction = self._directions[:, :k], atom[:, None]  # (B, k, n), (B, 1, n)
        for _ in range(2):  # once leaves rounding errors of near-duplicates, twice is enough
            overlap = direction @ before.mT  # (B, 1, k)
            direction = direction - overlap @ before
            self._triangle[:, :k, k] += overlap[:, 0]
        direction = direction[:, 0]
        norm = direction.norm(dim=1)
        independent = norm > 1e-7 * atom.norm(dim=1)
        self._triangle[:, k, k] = torch.where(independent, norm, 1.0)
        return torch.where(independent[:, None], direction / norm[:, None], 0.0)

    def amplitudes(self, steps: Tensor) -> Tensor:
        """Amplitude of each chosen atom after so many steps ``(B,)``, 0 of later ones, (B, K)."""
        along = torch.where(torch.arange(self._along.shape[1]) < steps[:, None], self._along, 0.0)
        return torch.linalg.solve_triangular(self._triangle, along[..., None], upper=True)[..., 0]

    def code(self, steps: Tensor, atoms: int) -> Tensor:
        """Amplitudes of all P atoms after so many steps ``(B,)``, ``(B, P)``."""
        code = self._along.new_zeros(len(self.chosen), atoms)
        return code.scatter_add_(1, self.chosen, self.amplitudes(steps))


def pursue(kernels: Sequence[Tensor], x: Tensor, cost: int, refit: bool = True) -> Tensor:
    """Code of signals ``(B, n)`` by kernels at any place, ``(B, J, n)``.

    A kernel ``(m,)`` at a place draws what `san_core.SAN.decode` draws there; beyond the borders it
    is cut off, and what is left counts as an atom of unit norm. Each example has the number of
    entries with its own smallest phi if an entry costs ``cost`` numbers and the kernels nothing.
    (That is no cheating: who encodes knows the example.)

    ``refit``: orthogonal matching pursuit; without, plain matching pursuit.
    """
    atoms, n = Atoms(kernels, x.shape[1]), x.shape[1]
    exact = x.double()
    pursuit = Pursuit(exact, atoms.correlate, atoms.draw_unit, n // cost, refit)
    best_phi, best_steps = torch.ones(len(x)), torch.zeros(len(x), dtype=torch.long)
    counts = torch.zeros(len(x), dtype=torch.long)
    # Later steps cost at least as much: where that alone is more than the best phi, none is better.
    while pursuit.steps < n // cost and (cost * counts / n < best_phi).any():
        before = pursuit.chosen[:, : pursuit.steps]
        pursuit.step()
        newest = pursuit.chosen[:, pursuit.steps - 1, None]
        counts += (before != newest).all(dim=1)
        loss = san_core.normalized_loss(exact, exact - pursuit.residual)
        phi = san_core.phi(cost * counts / n, loss)
        better = phi < best_phi
        best_phi = torch.where(better, phi, best_phi)
        best_steps[better] = pursuit.steps
    code = pursuit.code(best_steps, len(kernels) * n) / atoms.norms.flatten()
    return code.view(len(x), len(kernels), n).to(x.dtype)


class Atoms:
    """Kernels at every place of a signal of n samples, J * n atoms in the order of the kernels.

    The convention is that of `san_core.SAN`: a kernel is drawn mirrored, and an even one reaches a
    sample further back. ``norms`` ``(J, n)`` are the norms of what lies inside the signal; where
    less than a thousandth of a kernel does, it is no atom, and its norm infinite.
    """

    def __init__(self, kernels: Sequence[Tensor], n: int) -> None:
        self.n, self.lengths = n, torch.tensor([len(kernel) for kernel in kernels])
        longest = int(self.lengths.max())
        drawn = [F.pad(kernel.double().flip(0), (0, longest - len(kernel))) for kernel in kernels]
        self.drawn = torch.stack(drawn)  # (J, longest)
        # On a circle with room for the longest kernel, its centre at the origin.
        self.circle = scipy.fft.next_fast_len(n + longest // 2, real=True)
        centred = torch.zeros(len(kernels), self.circle)
        for row, kernel in zip(centred, kernels, strict=True):
            row[: len(kernel)] = kernel
            row.copy_(row.roll(-((len(kernel) - 1) // 2)))
        self.kernels_f = torch.fft.rfft(centred)
        energy = F.pad((self.drawn**2).cumsum(dim=1), (1, 0))  # (J, longest + 1)
        first = torch.arange(n) - self.lengths[:, None] // 2  # sample, (J, n)
        begin, end = (-first).clamp(min=0), torch.minimum(self.lengths[:, None], n - first)
        inside = energy.gather(1, end.clamp(min=0)) - energy.gather(1, begin.clamp(max=longest))
        norms = inside.clamp(min=0).sqrt()
        self.norms = torch.where(norms > 1e-3 * energy[:, -1:].sqrt(), norms, torch.inf)
        self._scale = 1 / self.norms.float()

    def correlate(self, residual: Tensor) -> Tensor:
        """Inner products of signals with all atoms, ``(B, n) -> (B, J * n)``, single precision."""
        residual_f = torch.fft.rfft(residual.float(), self.circle)
        products = torch.fft.irfft(residual_f[:, None] * self.kernels_f, self.circle)
        return (products[..., : self.n] * self._scale).flatten(1)

    def draw(self, number: Tensor) -> Tensor:
        """What the kernels draw inside the signal, ``(N,) -> (N, n)``."""
        kernel, place = number // self.n, number % self.n
        tap = torch.arange(self.n) - (place - self.lengths[kernel] // 2)[:, None]  # (N, n)
        inside = (tap >= 0) & (tap < self.drawn.shape[1])
        taps = self.drawn[kernel].gather(1, tap.clamp(0, self.drawn.shape[1] - 1))
        return torch.where(inside, taps, 0.0)

    def draw_unit(self, number: Tensor) -> Tensor:
        """The atoms, of unit norm, ``(N,) -> (N, n)``."""
        return self.draw(number) / self.norms.flatten()[number, None]

    def decode(self, code: Tensor) -> Tensor:
        """Signals of codes, ``(B, J, n) -> (B, n)``; only entries are drawn."""
        example, number = code.flatten(1).nonzero(as_tuple=True)
        drawn = self.draw(number) * code.flatten(1)[example, number, None]
        return torch.zeros(len(code), self.n, dtype=drawn.dtype).index_add_(0, example, drawn)
