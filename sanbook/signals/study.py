"""Whole records: every channel in a folder of WFDB records, by every method, on all its windows.

A unit of work is one channel of one record. The first twelve windows are trained, chosen and tested
on, as in the paper's first experiment; then every window of the record is described. Each unit
leaves one file, written whole and named by hashes of its data, of the code and of the plan, so that
an interrupted study goes on where it was, and nothing that is up to date is computed again.

Units run in processes of this machine or on a Dask cluster whose workers share the folders. The
table that `run_study` joins does not depend on how many there are.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures import as_completed as first_done
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

import san_core
from san_core import ACTIVATIONS
from sanbook.files import whole
from sanbook.methods import fixed as transforms
from sanbook.methods.base import Method, choose, evaluate
from sanbook.methods.networks import TrainedMultiscaleSAN, trained_sans
from sanbook.scales import CANDIDATES, ROUNDS, compare_scales
from sanbook.signals.events import SCALES
from sanbook.signals.formats import open_file, open_recording
from sanbook.signals.windows import windows_of
from sanbook.training import Protocol, sweep

SPLIT = (6, 2, 4)  # windows for training, validation and test, as in the article's section IV-A
HALF_A_MINUTE = 30.0  # seconds that a task lasts at least, beside which its start is short
# Seconds that a unit takes on one core, measured with windows of 1,000 samples: for a window in an
# epoch, for one that is described, and for a multiscale SAN.
TRAINED, DESCRIBED, SCALED = 1e-4, 4e-2, 15.0
# The packages and the libraries that a result depends on.
PACKAGES = ("methods", "scales", "signals", "training")
LIBRARIES = ("torch", "numpy", "numba", "scipy", "pywavelets", "wfdb")


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is done with each unit; the defaults are those of the paper's first experiment."""

    window: int = 1000
    kernel_sizes: tuple[int, ...] = tuple(range(1, 250))
    seed: int = 0
    epochs: int = 30
    candidates: tuple[tuple[int, int], ...] = CANDIDATES  # of the multiscale SAN
    rounds: tuple[int, ...] = ROUNDS


@dataclasses.dataclass(frozen=True, order=True)
class Unit:
    """A channel, by its number, of the record ``name``, whose header is ``path``."""

    name: str
    channel: int
    path: Path

    def __str__(self) -> str:
        return f"{self.name}, channel {self.channel}"


@dataclasses.dataclass(frozen=True)
class Study:
    """What `run_study` returns: the ``table`` and, by unit or header, the ``failures``.

    The table has a row for each window of each unit and method: record, channel, signal, method,
    kernel_size (0 of what has none), part ("train", "validation", "test", "later"), start (a
    sample), inverse_compression_ratio, normalized_reconstruction_loss and phi.
    ``kernels[record, channel][activation]`` are ``(q, m)``.
    """

    table: pd.DataFrame
    kernels: dict[tuple[str, int], dict[str, np.ndarray]]
    failures: dict[str, str]


# --- a unit ---------------------------------------------------------------------------------------


def find_units(folder: Path) -> tuple[list[Unit], dict[str, str]]:
    """Every channel of every record below a folder, in order, and the headers that say nothing."""
    units, failures = [], {}
    for path in sorted(folder.rglob("[!.]*.hea")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        try:
            units += [Unit(name, channel, path) for channel in range(len(open_file(path).names))]
        except (ValueError, OSError) as error:
            failures[name] = " ".join(str(error).split())
    return units, failures


def describe(unit: Unit, plan: Plan) -> dict:
    """The result of a unit, as JSON; ValueError for a record that cannot be used."""
    recording = open_recording(unit.path, unit.channel)
    kept = [cut for cut in windows_of(recording, plan.window) if not cut.fault]
    if len(kept) < sum(SPLIT):
        raise ValueError(
            f"{unit}: expected at least {sum(SPLIT)} windows of {plan.window} samples that vary, "
            f"got {len(kept)}; leave it out"
        )
    x = torch.stack([cut.standardized for cut in kept])
    train, validation, test, _ = x.split([*SPLIT, len(x) - sum(SPLIT)])
    data = _Split(train, validation, test)
    protocol = Protocol(plan.epochs)
    methods, kernels = {}, {}
    for activation in ACTIVATIONS:
        trained = sweep(data, activation, plan.kernel_sizes, seeds=[plan.seed], protocol=protocol)
        methods[activation], _ = choose(trained_sans(trained), validation, shared_by=1)
        kernels[activation] = [kernel.tolist() for kernel in methods[activation].weights]
    fitted = compare_scales(
        train, validation, seed=plan.seed, candidates=plan.candidates, rounds=plan.rounds
    )
    methods[SCALES] = TrainedMultiscaleSAN(fitted.model)
    wavelets = transforms.one_count(transforms.wavelets)(train, plan.seed)
    methods["wavelets"], _ = choose(wavelets, validation, shared_by=1)
    return {
        "record": unit.name,
        "channel": unit.channel,
        "signal": recording.column,
        "starts": [cut.start for cut in kept],
        "kernels": kernels,
        "methods": {
            name: {
                "kernel_size": method.num_weights,
                # Seven digits: what single precision has.
                "metrics": [[float(f"{v:.7g}") for v in row] for row in _metrics(method, x)],
            }
            for name, method in methods.items()
        },
    }


@dataclasses.dataclass(frozen=True)
class _Split:
    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor


def _metrics(method: Method, x: torch.Tensor) -> Iterator[list[float]]:
    """CR^-1, loss and phi of each window, one after the other, so that memory does not grow."""
    for window in x:
        yield evaluate(method, window[None])[0].tolist()


# --- files of results -----------------------------------------------------------------------------


@functools.cache
def hash_of_code() -> str:
    """A hash of the code and the libraries that results depend on."""
    digest = hashlib.sha256(Path(san_core.__file__).read_bytes())
    for package in PACKAGES:
        for module in sorted((Path(__file__).parents[1] / package).rglob("*.py")):
            digest.update(module.read_bytes())
    digest.update(repr([(name, version(name)) for name in LIBRARIES]).encode())
    return digest.hexdigest()


def result_file(unit: Unit, plan: Plan, results: Path) -> Path:
    """Where the result of a unit is, or will be."""
    digest = hashlib.sha256(f"{unit.name} {unit.channel} {plan} {hash_of_code()}".encode())
    digest.update(unit.path.read_bytes())
    for file in open_recording(unit.path, unit.channel).files[1:]:  # behind the header
        with file.open("rb") as data:
            digest.update(hashlib.file_digest(data, "sha256").digest())
    return results / f"{digest.hexdigest()[:32]}.json"


def run_units(units: Sequence[Unit], plan: Plan, results: Path, code: str) -> dict[str, str]:
    """Describe units one after the other, if they are not yet; returns why some failed.

    This is a task. Whatever a unit has wrong, a full disk too, costs that unit only. ``code`` is
    the hash of the code of who asks.
    """
    torch.set_num_threads(1)
    if code != hash_of_code():
        return {str(unit): "its worker has other code or libraries" for unit in units}
    failures = {}
    for unit in units:
        try:
            path = result_file(unit, plan, results)
            if not path.exists():
                _write(path, json.dumps(describe(unit, plan)))
        except Exception as error:
            failures[str(unit)] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return failures


def _write(path: Path, text: str) -> None:
    with whole(path) as unfinished:
        unfinished.write_text(text)


# --- many units -----------------------------------------------------------------------------------


def pack(units: Sequence[Unit], plan: Plan, least: float = HALF_A_MINUTE) -> list[list[Unit]]:
    """Units in tasks that last at least so many seconds, by an estimate, except the last one."""
    packs: list[list[Unit]] = [[]]
    seconds = 0.0
    for unit in units:
        if seconds >= least:
            packs.append([])
            seconds = 0.0
        packs[-1].append(unit)
        windows = open_recording(unit.path, unit.channel).samples // plan.window
        trainings = len(ACTIVATIONS) * len(plan.kernel_sizes) * plan.epochs
        of_unit = TRAINED * trainings * SPLIT[0] + DESCRIBED * windows + SCALED
        seconds += of_unit * plan.window / 1000
    return [units for units in packs if units]


def run_study(
    folder: Path,
    results: Path,
    plan: Plan = Plan(),
    *,
    workers: int = 1,
    scheduler: str = "",
    least: float = HALF_A_MINUTE,
) -> Study:
    """Describe every channel of the records below a folder; a progress bar shows in a terminal.

    Args:
        folder: holds WFDB records, at any depth.
        results: where the file of each unit is left; what is there already is not computed again.
        plan: what is done with each unit.
        workers: processes of this machine.
        scheduler: the address of a Dask scheduler whose workers see both folders under the same
            names; then ``workers`` plays no part.
        least: seconds that a task lasts at least.

    Raises:
        ValueError: there is no record below the folder.
    """
    units, failures = find_units(folder)
    if not units and not failures:
        raise ValueError(f"{folder}: expected WFDB records, got no .hea file below it")
    results.mkdir(parents=True, exist_ok=True)
    waiting = []
    for unit in units:
        try:
            if not result_file(unit, plan, results).exists():
                waiting.append(unit)
        except (ValueError, OSError) as error:
            failures[str(unit)] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    with _executor(workers, scheduler) as executor:
        lost = _run(executor, pack(waiting, plan, least), plan, results, failures)
        # What died took its whole task along: alone, a unit takes nobody with it.
        alone = [[unit] for unit in lost if not result_file(unit, plan, results).exists()]
        for unit in _run(executor, alone, plan, results, failures):
            failures[str(unit)] = "its process was killed"
    return join(units, plan, results, failures)


def _run(
    executor: Executor,
    packs: list[list[Unit]],
    plan: Plan,
    results: Path,
    failures: dict[str, str],
) -> list[Unit]:
    """Run tasks; returns the units of those whose process died."""
    lost: list[Unit] = []
    tasks: dict[Future, list[Unit]] = {
        executor.submit(run_units, units, plan, results, hash_of_code()): units for units in packs
    }
    for done in tqdm(first_done(tasks), "tasks", len(tasks), leave=False, disable=None):
        try:
            failures |= done.result()
        except Exception:  # of the process: those of units are in the result
            lost += tasks[done]
    return sorted(lost)


class _Processes(ThreadPoolExecutor):
    """Runs each task in a process of its own: one that dies takes no other along."""

    def submit(self, function: Callable, /, *arguments) -> Future:
        """See `concurrent.futures.Executor`."""
        return super().submit(_in_process, function, *arguments)


def _in_process(function: Callable, *arguments):
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawned) as pool:
        return pool.submit(function, *arguments).result()


@contextlib.contextmanager
def _executor(workers: int, scheduler: str) -> Iterator[Executor]:
    if scheduler:
        try:
            import distributed  # only here: the small package does without
        except ModuleNotFoundError as error:
            raise ValueError(
                "expected Dask for a scheduler, but it is not there; run pip install distributed"
            ) from error
        with distributed.Client(scheduler) as client:
            yield client.get_executor(pure=False)
    else:
        with _Processes(workers) as executor:
            yield executor


def join(units: Sequence[Unit], plan: Plan, results: Path, failures: dict[str, str]) -> Study:
    """What the results on disk say, in the order of the units, whoever made them and when."""
    tables, kernels = [], {}
    names = np.repeat(["train", "validation", "test"], SPLIT)
    for unit in sorted(units):
        if str(unit) in failures:
            continue
        result = json.loads(result_file(unit, plan, results).read_text())
        count = len(result["starts"])
        parts = [*names, *["later"] * (count - len(names))]
        kernels[unit.name, unit.channel] = {
            activation: np.array(of_activation)
            for activation, of_activation in result["kernels"].items()
        }
        for method, described in result["methods"].items():
            metrics = np.array(described["metrics"])
            tables.append(
                pd.DataFrame(
                    {
                        "record": unit.name,
                        "channel": unit.channel,
                        "signal": result["signal"],
                        "method": method,
                        "kernel_size": described["kernel_size"],
                        "part": parts,
                        "start": result["starts"],
                        "inverse_compression_ratio": metrics[:, 0],
                        "normalized_reconstruction_loss": metrics[:, 1],
                        "phi": metrics[:, 2],
                    }
                )
            )
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return Study(table, kernels, dict(sorted(failures.items())))
