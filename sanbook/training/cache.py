"""Results of long computations, kept on disk under ``_build/cache`` of a checkout.

The key of an entry is a hash of the arguments, of the code of the modules that compute (without
comments and docstrings) and of the versions of the libraries that these modules import. An entry is
one file: a SHA-256 hash, then tensors and JSON in the safetensors format. A damaged entry is
computed again. ``FRESH=1`` in the environment computes everything again. Each use appends a line of
JSON to the file that the variable ``SAN_CACHE_LOG`` names.
"""

import contextlib
import functools
import hashlib
import inspect
import json
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import safetensors.torch
import torch

from sanbook.code import ROOT, code_of, commit
from sanbook.files import whole
from sanbook.training.encoding import decode, encode

#: None turns the cache off, as where there is no checkout.
#:
#: :meta hide-value:
FOLDER: Path | None = ROOT / "_build" / "cache" if (ROOT / "task_book.py").exists() else None
_commit = functools.cache(commit)
LIMIT = 2 * 2**30  # bytes of all entries; the entries that were not used for longest go first


class Entry:
    """Results of a function for some arguments, by part (such as a kernel size).

    ``found`` are the parts that the cache has. If an argument cannot be encoded, such as a function
    that a notebook defines, nothing is kept and everything is computed.
    """

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.name, self.path = f"{function.__module__}.{function.__qualname__}", None
        self.found, self._facts = {}, {}
        if FOLDER is None:
            return
        tensors = {}
        try:
            key = [self.name, code_of(function.__module__), encode(arguments, tensors)]
        except TypeError:
            return
        digest = hashlib.sha256(json.dumps(key).encode())
        for tensor in tensors.values():
            digest.update(repr((tensor.dtype, tensor.shape)).encode())
            for axis, stride in enumerate(tensor.stride()):  # an expanded axis repeats itself
                tensor = tensor.narrow(axis, 0, 1) if stride == 0 and len(tensor) else tensor
            digest.update(tensor.contiguous().numpy())
        self.path = FOLDER / f"{function.__name__}-{digest.hexdigest()}"
        if os.environ.get("FRESH", "") in ("", "0"):
            self._read()

    def complete(self, computed: Mapping, seconds: float, parts: Sequence) -> list:
        """Keep further parts; returns the results of ``parts``, whose use is logged.

        ``seconds`` is the processor time that the further parts took.
        """
        facts = {
            "commit": _commit(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
        }
        if computed and self.path:
            self._read()  # what another process has kept meanwhile
        self.found |= computed
        self._facts |= dict.fromkeys(computed, facts)
        if computed and self.path:
            self._write()
        if log := os.environ.get("SAN_CACHE_LOG"):
            uses = Counter((part not in computed, json.dumps(self._facts[part])) for part in parts)
            with open(log, "a", encoding="utf-8") as file:
                for (cached, made), count in uses.items():
                    use = {"function": self.name, "parts": count, "cached": cached}
                    file.write(json.dumps(use | json.loads(made)) + "\n")
        return [self.found[part] for part in parts]

    def _read(self) -> None:
        try:
            content = self.path.read_bytes()
            os.utime(self.path)  # used now
        except FileNotFoundError:
            return
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            return
        tensors = safetensors.torch.load(content[32:])
        for part, facts, value in json.loads(tensors.pop("json").numpy().tobytes()):
            part = decode(part, tensors)
            self.found[part], self._facts[part] = decode(value, tensors), facts

    def _write(self) -> None:
        tensors = {}
        parts = [
            [encode(part, tensors), self._facts[part], encode(value, tensors)]
            for part, value in self.found.items()
        ]
        tensors = {name: tensor.contiguous().clone() for name, tensor in tensors.items()}
        tensors["json"] = torch.frombuffer(bytearray(json.dumps(parts).encode()), dtype=torch.uint8)
        content = safetensors.torch.save(tensors)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with whole(self.path) as unfinished:
                unfinished.write_bytes(hashlib.sha256(content).digest() + content)
            _drop_oldest()
        except OSError as error:
            warnings.warn(f"{self.path}: the result could not be kept: {error}", stacklevel=3)


def cached(function: Callable) -> Callable:
    """Keep what a function returns."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def recall(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        entry = Entry(function, *bound.arguments.values())
        computed, started = {}, time.process_time()
        if not entry.found:
            computed[""] = function(*args, **kwargs)
        return entry.complete(computed, time.process_time() - started, [""])[0]

    return recall


def _drop_oldest() -> None:
    """Delete the entries that were not used for longest until `LIMIT` holds."""
    entries = []
    for path in FOLDER.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process has deleted it
            entries.append((path.stat().st_mtime, path.stat().st_size, path))
    total = sum(size for _, size, _ in entries)
    for _, size, path in sorted(entries):
        if total <= LIMIT:
            break
        path.unlink(missing_ok=True)
        total -= size
