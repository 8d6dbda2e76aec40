"""Tests of the package that pip installs: a wheel, elsewhere, with little beside torch."""

import graphlib
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

from sanbook.code import imported_names, modules_of

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What works with the small package alone, and all that they import of ours.
SMALL = ["training", "methods", "scales", "signals", "data", "reproduction"]

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
    for name in ("sanbook", "data/published", "data/reproduced", "book/_static"):
        shutil.copytree(ROOT / name, folder / "project" / name)
    for name in ("san_core.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "project")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, "--wheel-dir", folder, folder / "project"], check=True)
    (packed,) = folder.glob("*.whl")
    zipfile.ZipFile(packed).extractall(folder / "installed")
    # Numba knows its machine code by the date of the source; compiling takes a minute.
    for path in (ROOT / "sanbook").rglob("*.*"):
        there = folder / "installed" / path.relative_to(ROOT)
        if path.suffix in (".nbi", ".nbc"):
            there.parent.mkdir(exist_ok=True)
            shutil.copy(path, there)
        elif path.suffix == ".py" and there.exists():
            shutil.copystat(path, there)
    return folder / "installed"


def test_wheel_trains_on_a_csv_from_any_folder_with_little_beside_torch(wheel, tmp_path):
    small = {re.match(r"[\w-]+", text)[0] for text in PROJECT["dependencies"]}
    extras = {
        re.match(r"[\w-]+", text)[0]
        for texts in PROJECT["optional-dependencies"].values()
        for text in texts
    }
    # Their names where they are imported; and what Windows does not have.
    others = {"sklearn", "IPython", "yaml", "fcntl", "resource"}
    t = np.arange(1210)
    pd.DataFrame({"t": t, "ecg": np.sin(t / 7) ** 9}).to_csv(tmp_path / "own.csv", index=False)
    code = TRAIN.format(refused=(extras - small) | others, wheel=str(wheel))
    command = [sys.executable, "-I", "-c", code]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "\nTo compress the signal, use " in said.stdout
    assert int(said.stdout.split()[-1]) > 0


def test_wheel_brings_the_manifest_and_the_committed_tables(wheel):
    for place, name in {
        "sanbook/data/manifest.toml": "sanbook/data/manifest.toml",
        "sanbook/reproduction/published/physionet.csv": "data/published/physionet.csv",
        "sanbook/reproduction/reproduced/runs.csv": "data/reproduced/runs.csv",
        "sanbook/reproduction/reproduced/provenance.json": "data/reproduced/provenance.json",
        "sanbook/show/static/plot.js": "book/_static/plot.js",
    }.items():
        assert (wheel / place).read_bytes() == (ROOT / name).read_bytes()
    code = f"""import sys; sys.path.insert(0, {str(wheel)!r})
from sanbook.reproduction import published, reference
assert published.__file__.startswith({str(wheel)!r})
assert len(published.published("physionet")) == 75
assert len(reference.reference().runs) > 1000"""
    said = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr


def test_every_package_is_in_the_wheel():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {path.parent for path in (ROOT / "sanbook").rglob("*.py")}
    packages = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert set(listed["packages"]) == packages | (listed["package-dir"].keys() - {""})


# Imported where they are used, so a package that brings them is an extra or named by an error.
LATE = {"distributed", "markdown_it", "neurokit2", "scikit-learn", "sporco", "torchvision"}


def names_of(requirements):
    """The packages of a list of requirements."""
    return {re.match(r"[\w-]+", text)[0] for text in requirements}


def test_small_package_depends_on_what_it_imports_and_no_more():
    own = {path for name in SMALL for path in (ROOT / "sanbook" / name).rglob("*.py")}
    modules = own | {other for path in own for other in modules_of(path)}
    imported = {name.partition(".")[0] for path in modules for name in imported_names(path)}
    ours = {"san_core", "sanbook", "", *sys.stdlib_module_names}
    called = {"pywt": "pywavelets", "sklearn": "scikit-learn"}
    named = {called.get(name, name) for name in imported - ours}
    assert named - LATE == names_of(PROJECT["dependencies"])
    extras = PROJECT["optional-dependencies"]
    optional = names_of([*extras["baselines"], *extras["data"], *extras["book"]])
    assert {name.replace("markdown_it", "markdown-it-py") for name in LATE} <= optional


def test_data_and_signals_import_nothing_that_is_of_unix_alone():
    modules = [
        path for name in ("data", "signals") for path in (ROOT / "sanbook" / name).rglob("*.py")
    ]
    names = {name for path in modules for name in imported_names(path)}
    assert not names & {"fcntl", "grp", "posix", "pwd", "resource", "syslog", "termios", "tty"}


def package_of(name):
    """The row of the table of packages that a dotted name belongs to."""
    first, *rest = name.split(".")
    if first == "sanbook" and rest:
        return "signals.formats" if rest[:2] == ["signals", "formats"] else rest[0]
    return first


def test_packages_import_what_the_map_says_and_never_in_a_circle():
    text = (ROOT / "book/contributing.md").read_text()
    rows = re.findall(r"(?m)^\| `([\w.]+)` \|(.*)\|$", text[text.index(":name: tab-imports") :])
    allowed = {package: set(re.findall(r"`([\w.]+)`", may)) for package, may in rows}
    assert set(graphlib.TopologicalSorter(allowed).static_order()) == allowed.keys()
    for path in (ROOT / "san_core.py", *(ROOT / "sanbook").rglob("*.py")):
        own = package_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        if own == "__init__":
            continue
        names = imported_names(path)
        for name in names:
            other, parent = package_of(name), any(n.startswith(f"{name}.") for n in names)
            if other in allowed and other != own and not parent:
                assert other in allowed[own], f"{path.relative_to(ROOT)} imports {name}"
