"""The code that computes a result: our modules, what they import, and the commit."""

import ast
import functools
import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
OURS = ("san_core", "sanbook")
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def imported_names(path: Path) -> list[str]:
    """The dotted names that the import statements of a notebook or a module may mean, sorted.

    ``from a import b`` gives "a" and "a.b", as b may be a module.
    """
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(source)["cells"] if cell["cell_type"] == "code"]
        source = "\n".join("".join(cell["source"]) for cell in cells)
    return _imported_names(source, path.relative_to(ROOT).parts)


@functools.cache
def _imported_names(source: str, parts: tuple[str, ...]) -> list[str]:
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # A relative name begins in a package that holds the module.
            base = ".".join([*parts[: -node.level], *filter(None, [node.module])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return sorted(names)


def modules_of(path: Path) -> list[Path]:
    """The project's modules that a notebook or a module imports, directly or not.

    Importing a module runs the ``__init__.py`` of every package above it, so these count too.
    """
    found, waiting = set(), [path]
    while waiting:
        for name in imported_names(waiting.pop()):
            parts = name.split(".")
            for count in range(1, len(parts) + 1):
                place = ROOT.joinpath(*parts[:count])
                for file in (place.with_suffix(".py"), place / "__init__.py"):
                    if file not in found and file.is_file():
                        found.add(file)
                        waiting.append(file)
    return sorted(found)


@functools.cache
def code_of(module: str) -> tuple[str, dict[str, str | None]]:
    """A hash of the code of a module and of our modules that it imports; versions of libraries.

    Comments and docstrings play no part.

    >>> sorted(code_of("san_core")[1])
    ['python', 'torch']
    """
    place = ROOT.joinpath(*module.split("."))
    own = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    digest, libraries = hashlib.sha256(), set()
    for path in sorted({own, *modules_of(own)}):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
        digest.update(f"{path.relative_to(ROOT).as_posix()} {ast.dump(tree)}".encode())
        libraries |= {name.partition(".")[0] for name in imported_names(path)}
    libraries -= {*OURS, *sys.stdlib_module_names}
    versions = {name: version_of(name) for name in sorted(libraries)}
    return digest.hexdigest(), {"python": platform.python_version(), **versions}


def version_of(library: str) -> str | None:
    """The version of a library by the name of its import or its package; None if it is absent."""
    package = {"pywt": "pywavelets", "sklearn": "scikit-learn"}.get(library, library)
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """The commit of the checkout, "-dirty" after it if tracked files were changed since."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        return subprocess.check_output(git, text=True, stderr=subprocess.DEVNULL).strip()
    except (OSError, subprocess.CalledProcessError):
        return None
