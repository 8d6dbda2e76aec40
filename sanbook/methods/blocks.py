"""Blocks and patches of examples, for methods that describe an example piece by piece.

Signals and images are cut into blocks whose size need not divide the side; the last block is filled
with the border's value, as JPEG does.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def cut(x: Tensor, block: int) -> Tensor:
    """Blocks of examples, ``(B, *spatial) -> (B, *grid, *(block,) * ndim)``.

    >>> cut(torch.tensor([[1.0, 2.0, 3.0]]), block=2)
    tensor([[[1., 2.],
             [3., 3.]]])
    """
    ndim = x.ndim - 1
    room = [k for side in reversed(x.shape[1:]) for k in (0, -side % block)]
    blocks = F.pad(x[:, None], room, mode="replicate")[:, 0]
    for axis in range(1, 1 + ndim):
        blocks = blocks.unfold(axis, block, block)
    return blocks


def join(blocks: Tensor, spatial: torch.Size | None = None) -> Tensor:
    """Examples of blocks, the inverse of `cut`; all that the blocks cover if ``spatial`` is None.

    >>> join(torch.tensor([[[1.0, 2.0], [3.0, 3.0]]]), spatial=torch.Size([3]))
    tensor([[1., 2., 3.]])
    """
    ndim = (blocks.ndim - 1) // 2
    order = [0, *[axis for i in range(1, 1 + ndim) for axis in (i, i + ndim)]]
    sides = [blocks.shape[1 + i] * blocks.shape[1 + ndim + i] for i in range(ndim)]
    x = blocks.permute(order).reshape(len(blocks), *sides)
    return x[(slice(None), *[slice(side) for side in spatial or sides])]


def patches(x: Tensor, size: int, count: int, seed: int) -> Tensor:
    """Patches of ``size`` samples along each axis, at random places, ``(count, size^ndim)``.

    Fewer if there are not so many.
    """
    for axis in range(1, x.ndim):
        x = x.unfold(axis, size, 1)
    ndim = x.ndim // 2
    places = x.flatten(0, ndim).flatten(1)
    chosen = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed))[:count]
    return places[chosen]
