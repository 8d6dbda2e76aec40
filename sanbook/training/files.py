"""Files of trained networks, in the safetensors format: `save_model` and `load_model`.

The metadata ``kind`` says which class of network a file holds. Nothing in a file is executed.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from san_core import SAN

#: Of each kind of network: its class, what is written of it (settings and tensors), and the network
#: made of what was written.
KINDS: dict[str, tuple[type[nn.Module], Callable, Callable]] = {}


def save_model(
    model: nn.Module, path: str | os.PathLike, facts: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Write a network of one of the `KINDS` to a file, in the safetensors format.

    Args:
        model: a `SAN` or a `sanbook.scales.MultiscaleSAN`.
        path: the file, which is replaced if it exists.
        facts: further metadata, which `load_facts` reads.

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
    settings, tensors = describe(model)
    save_file(tensors, path, {**facts, **settings})


def load_model(path: str | os.PathLike) -> nn.Module:
    """Read the network that `save_model` wrote; its codes equal the saved network's bit by bit.

    Raises:
        ValueError: `save_model` did not write the file, or the activation function is not in
            `san_core.ACTIVATION_FUNCTIONS`.
    """
    settings, tensors = _read(path)
    try:
        return build(settings, tensors)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: no network can be made of the metadata {sorted(settings)} and the tensors "
            f"{sorted(tensors)}: {error}. Save the network again with save_model."
        ) from error


def load_facts(path: str | os.PathLike) -> dict[str, str]:
    """All metadata of a file in the safetensors format; ValueError for another file."""
    return _read(path)[0]


def _read(path: str | os.PathLike) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not Path(path).exists():
        raise FileNotFoundError(f"{path}: there is no such file. Check the name.")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return file.metadata() or {}, tensors
    except SafetensorError as error:
        raise ValueError(
            f"{path}: is not a whole safetensors file: {error}. Save the network again."
        ) from error


def describe(model: nn.Module) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Settings, with the ``kind``, and tensors of a network; TypeError for an unknown class."""
    for kind, (network, settings_and_tensors, _) in KINDS.items():
        if isinstance(model, network):
            settings, tensors = settings_and_tensors(model)
            tensors = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
            return {"kind": kind, **settings}, tensors
    raise TypeError(f"model must be one of {', '.join(KINDS)}, but is {type(model).__name__}")


def build(settings: Mapping[str, str], tensors: Mapping[str, Tensor]) -> nn.Module:
    """The network of a description; KeyError, TypeError or ValueError if there is none."""
    kind = settings.get("kind")
    if kind not in KINDS:
        raise ValueError(f"the kind must be one of {', '.join(KINDS)}, but is {kind!r}")
    return KINDS[kind][2](settings, tensors)


def _describe_san(model: SAN) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The shapes of the kernels say the kernel sizes and ``ndim``."""
    kernels = {f"kernel {i}": kernel for i, kernel in enumerate(model.kernels)}
    settings = {"activation": model.activation, "border_tolerance": str(model.border_tolerance)}
    return settings, kernels


def _build_san(settings: Mapping[str, str], tensors: Mapping[str, Tensor]) -> SAN:
    kernels = [tensors[f"kernel {i}"] for i in range(len(tensors))]
    shapes = [tuple(kernel.shape) for kernel in kernels]
    if len({len(shape) for shape in shapes}) > 1 or any(len(set(shape)) != 1 for shape in shapes):
        raise ValueError(f"its kernels have the shapes {shapes}")
    return san_of(kernels, settings["activation"], int(settings["border_tolerance"]))


def san_of(kernels: Sequence[Tensor], activation: str, border_tolerance: int) -> SAN:
    """The SAN whose kernels, each ``(m,) * ndim``, are given."""
    ndim = kernels[0].ndim if kernels else 1
    model = SAN([len(kernel) for kernel in kernels], activation, ndim, border_tolerance, "constant")
    for kernel, given in zip(model.kernels, kernels, strict=True):
        kernel.data = given
    return model


KINDS["SAN"] = SAN, _describe_san, _build_san
