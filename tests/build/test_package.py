"""Tests of the package that pip installs: a wheel, elsewhere, with little beside torch."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sanbook.build.graph import modules_of

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What works with the small package alone, and all that they import of ours.
SMALL = ["training", "methods", "scales", "signals"]

TRAIN = """
import sys
for absent in {refused!r}:
    sys.modules[absent] = None  # an import of it raises; torch may ask whether it is there
sys.path.insert(0, {wheel!r})
import sanbook, san_core
assert sanbook.__file__.startswith({wheel!r}) and san_core.__file__.startswith({wheel!r})
from sanbook.training.files import load_model, save_model
from sanbook.signals.windows import load_signal
from sanbook.training import Protocol, sweep
data = load_signal("own.csv", window=100, column="ecg")
trained = sweep(data, "extrema", [9, 15], seeds=[0], protocol=Protocol(epochs=2))
save_model(trained.model(9, 0), "model.safetensors")
from sanbook.signals.cli import main
assert main("fit own.csv --column ecg --window 100 --seeds 0 -o own.safetensors".split()) == 0
assert main("compare own.csv --column ecg --window 100 --seeds 0".split()) == 0
assert main("plot own.safetensors own.csv --column ecg -o own.svg".split()) == 0
print(load_model("model.safetensors").encode(data.test).count_nonzero().item())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "sanbook", folder / "project/sanbook")
    for name in ("san_core.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "project")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, "--wheel-dir", folder, folder / "project"], check=True)
    (packed,) = folder.glob("*.whl")
    zipfile.ZipFile(packed).extractall(folder / "installed")
    return folder / "installed"


def test_wheel_trains_on_a_csv_from_any_folder_with_little_beside_torch(wheel, tmp_path):
    small = {re.match(r"[\w-]+", text)[0] for text in PROJECT["dependencies"]}
    extras = {
        re.match(r"[\w-]+", text)[0]
        for texts in PROJECT["optional-dependencies"].values()
        for text in texts
    }
    # Their names where they are imported; and what Windows does not have.
    others = {"sklearn", "IPython", "yaml", "fcntl", "resource", "pytask_parallel"}
    t = np.arange(1210)
    pd.DataFrame({"t": t, "ecg": np.sin(t / 7) ** 9}).to_csv(tmp_path / "own.csv", index=False)
    code = TRAIN.format(refused=(extras - small) | others, wheel=str(wheel))
    command = [sys.executable, "-I", "-c", code]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "For compression take" in said.stdout
    assert int(said.stdout.split()[-1]) > 0


def test_wheel_brings_the_manifest(wheel):
    assert (wheel / "sanbook/data/manifest.toml").read_bytes() == (
        ROOT / "sanbook/data/manifest.toml"
    ).read_bytes()


def test_small_package_depends_on_what_it_imports_and_no_more():
    own = [module for name in SMALL for module in (ROOT / "sanbook" / name).rglob("*.py")]
    imported = set()
    for module in {*own, *(other for path in own for other in modules_of(path))}:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    ours = {"san_core", "sanbook", *sys.stdlib_module_names}
    small = {re.match(r"[\w-]+", text)[0] for text in PROJECT["dependencies"]}
    named = {{"pywt": "pywavelets"}.get(name, name) for name in imported - ours}
    # `san study --scheduler` says that it needs the first, and only notebooks need the second.
    assert named - {"distributed", "markdown_it"} == small
