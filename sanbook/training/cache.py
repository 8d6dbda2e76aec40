"""Results of long computations, kept on disk under ``_build/cache`` of a checkout.

The key of an entry is a hash of the arguments, of the code of the modules that compute (without
comments and docstrings) and of the versions of the libraries that these modules import. An entry is
one file: a SHA-256 hash, then tensors and JSON in the safetensors format. A damaged entry is
computed again. ``FRESH=1`` in the environment computes everything again. Each use appends a line of
JSON to the file that the variable ``SAN_CACHE_LOG`` names.
"""

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import safetensors.torch
import torch

from sanbook.training.encoding import ROOT, decode, encode, source_of

#: None turns the cache off, as where there is no checkout.
#:
#: :meta hide-value:
FOLDER: Path | None = ROOT / "_build" / "cache" if (ROOT / "task_book.py").exists() else None
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
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
            "commit": _commit(), "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(seconds, 3), "peak_megabytes": _peak_megabytes(),
        }  # fmt: skip
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
        tensors["json"] = torch.from_numpy(
            np.frombuffer(json.dumps(parts).encode(), np.uint8).copy()
        )
        content = safetensors.torch.save(tensors)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.path.parent, delete=False) as file:
                file.write(hashlib.sha256(content).digest() + content)
            os.replace(file.name, self.path)
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
        if not entry.found:
            started = time.process_time()
            result = function(*args, **kwargs)
            return entry.complete({"": result}, time.process_time() - started, [""])[0]
        return entry.complete({}, 0, [""])[0]

    return recall


@functools.cache
def code_of(module: str) -> tuple[str, dict[str, str]]:
    """A hash of the code of a module and of our modules that it imports; versions of libraries.

    >>> sorted(code_of("san_core")[1])
    ['python', 'torch']
    """
    digest, libraries, seen, left = hashlib.sha256(), set(), set(), {module}
    while left:
        name = min(left)
        path, tree = source_of(name), ast.parse(source_of(name).read_text(encoding="utf-8"))
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        imported = set()
        for node in ast.walk(tree):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
                imported |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
        digest.update(f"{name} {ast.dump(tree)}".encode())
        seen.add(name)
        left = (left | {other for other in imported if source_of(other)}) - seen
        libraries |= {other.split(".")[0] for other in imported if not source_of(other)}
    libraries -= {"san_core", "sanbook", *sys.stdlib_module_names}
    versions = {name: _version(name) for name in sorted(libraries)}
    return digest.hexdigest(), {"python": platform.python_version(), **versions}


def _version(library: str) -> str:
    distribution = {"pywt": "pywavelets", "sklearn": "scikit-learn"}.get(library, library)
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


@functools.cache
def _commit() -> str | None:
    """The commit of the checkout, "-dirty" after it if tracked files were changed since."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        return subprocess.check_output(git, text=True, stderr=subprocess.DEVNULL).strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _peak_megabytes() -> int | None:
    """The most memory of this process so far; None on Windows, which does not tell."""
    try:
        import resource
    except ImportError:
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit


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
