"""Files of trained networks, in the safetensors format: `save_model` and `load_model`."""

import os
from collections.abc import Mapping
from types import MappingProxyType

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from san_core import SAN

SETTINGS = {"activation", "border_tolerance"}
EXPECTED = "expected a SAN that save_model wrote, but"


def save_model(
    model: SAN, path: str | os.PathLike, facts: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write a SAN to a file that `load_model` reads, in the safetensors format.

    The file has the kernels, whose shapes say the kernel sizes and ``ndim``, and as metadata the
    name of the activation function and the border tolerance, and ``facts`` of other names, which
    `load_facts` reads.

    >>> import tempfile
    >>> import torch
    >>> model = SAN([3, 5], "extrema", generator=torch.Generator().manual_seed(0))
    >>> x = torch.sin(torch.arange(40.0)).expand(2, 40)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, f"{folder}/model.safetensors")
    ...     loaded = load_model(f"{folder}/model.safetensors")
    >>> torch.equal(loaded.encode(x), model.encode(x))
    True
    """
    kernels = {f"kernel {i}": w.detach().contiguous() for i, w in enumerate(model.kernels)}
    settings = {"activation": model.activation, "border_tolerance": str(model.border_tolerance)}
    save_file(kernels, path, {**facts, **settings})


def load_facts(path: str | os.PathLike) -> dict[str, str]:
    """All metadata of a file in the safetensors format; ValueError if it is none."""
    return read_safetensors(path, EXPECTED)[0]


def read_safetensors(
    path: str | os.PathLike, expected: str
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a file; ValueError, which says what was ``expected``, if it is none.

    Nothing in the file is executed.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return file.metadata() or {}, tensors
    except SafetensorError as error:
        raise ValueError(
            f"{path}: {expected} it is not a whole safetensors file: {error}"
        ) from error


def load_model(path: str | os.PathLike) -> SAN:
    """Read the SAN that `save_model` wrote; its codes equal those of the saved SAN bit by bit.

    Nothing in the file is executed, so a file from somebody else is safe to open. ValueError if it
    is no file that `save_model` wrote, or its activation function is not among
    `san_core.ACTIVATION_FUNCTIONS`.
    """
    settings, stored = read_safetensors(path, EXPECTED)
    expected = f"{path}: {EXPECTED}"
    names = [f"kernel {i}" for i in range(len(stored))]
    if not set(settings) >= SETTINGS or set(stored) != set(names):
        raise ValueError(
            f"{expected} its metadata are {sorted(settings)} and its tensors {sorted(stored)}"
        )
    kernels = [stored[name] for name in names]
    shapes = [tuple(kernel.shape) for kernel in kernels]
    if len({len(shape) for shape in shapes}) > 1 or any(len(set(shape)) != 1 for shape in shapes):
        raise ValueError(f"{expected} its kernels have the shapes {shapes}")
    sizes, ndim = [shape[0] for shape in shapes], len(shapes[0]) if shapes else 1
    try:
        tolerance = int(settings["border_tolerance"])
        model = SAN(sizes, settings["activation"], ndim, tolerance, init="constant")
    except ValueError as error:
        raise ValueError(f"{expected} no SAN can be made of it: {error}") from error
    for kernel, weights in zip(model.kernels, kernels, strict=True):
        kernel.data = weights
    return model
