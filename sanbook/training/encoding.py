"""Values as JSON and tensors, for `sanbook.training.cache`; nothing is executed to read them.

A scalar is itself, anything else a list that begins with its kind. Functions and classes can be
told apart by their encoding, but not be read from it.
"""

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Mapping
from types import CodeType

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sanbook.code import OURS
from sanbook.training import files


def encode(value: object, tensors: dict[str, Tensor]) -> object:
    """JSON of a value, whose tensors go into ``tensors``.

    Raises TypeError for what cannot be written, such as a function that this project has not.
    """

    def each(values) -> list:
        return [encode(one, tensors) for one in values]

    value = inspect.unwrap(value) if callable(value) else value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Tensor):
        tensors[name := str(len(tensors))] = value.detach()
        return ["tensor", name]
    if isinstance(value, np.ndarray):
        return ["array", encode(torch.from_numpy(np.ascontiguousarray(value)), tensors)]
    if isinstance(value, pd.DataFrame) and value.index.equals(pd.RangeIndex(len(value))):
        columns = {
            name: column.to_numpy() if column.dtype.kind in "bif" else column.tolist()
            for name, column in value.items()
        }
        return ["table", encode(columns, tensors)]
    if isinstance(value, list | range):
        return ["list", each(value)]
    if isinstance(value, tuple):
        return ["tuple", each(value)]
    if isinstance(value, Mapping):
        return ["dict", [each(item) for item in value.items()]]
    if isinstance(value, functools.partial):
        return ["partial", each([value.func, value.args, value.keywords])]
    if isinstance(value, nn.Module):
        return ["network", encode(files.describe(value), tensors)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return ["object", encode(type(value), tensors)[1], encode(fields, tensors)]
    is_named = inspect.isfunction(value) or isinstance(value, type)
    if is_named and value.__module__.partition(".")[0] in OURS:
        name = f"{value.__module__}:{value.__qualname__}"
        if isinstance(value, type):
            return ["class", name]
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        held = [*cells, value.__defaults__, value.__kwdefaults__]
        return ["function", name, _code(value.__code__), each(held)]
    raise TypeError(f"value: {value!r} cannot be written. Pass tables, tensors, numbers or text.")


def _code(code: CodeType) -> list:
    """What a function does, without its line numbers."""
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


def decode(code: object, tensors: Mapping[str, Tensor]) -> object:
    """The value that `encode` wrote."""

    def each(codes) -> list:
        return [decode(one, tensors) for one in codes]

    match code:
        case ["tensor", name]:
            return tensors[name]
        case ["array", inner]:
            return decode(inner, tensors).numpy()
        case ["table", columns]:
            return pd.DataFrame(decode(columns, tensors))
        case ["list", items]:
            return each(items)
        case ["tuple", items]:
            return tuple(each(items))
        case ["dict", items]:
            return dict(map(each, items))
        case ["network", description]:
            return files.build(*decode(description, tensors))
        case ["object", name, fields]:
            module, _, cls = name.partition(":")
            return getattr(importlib.import_module(module), cls)(**decode(fields, tensors))
    return code
