"""Whole records: every channel in a folder of WFDB records, by every method, on all its windows.

A unit of work is one channel of one record. The first twelve windows are for training, choosing and
testing, as in the paper's first experiment; then every window of the record is described. Each unit
leaves one file, written whole and named by hashes of its data, of the code and of the plan, so that
an interrupted study continues, and nothing that is up to date is computed again.

Units run in processes of this machine or on a Dask cluster whose workers share the folders. The
table that `run_study` joins does not depend on how many there are.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures import as_completed as first_done
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from san_core import ACTIVATIONS
from sanbook.code import code_of
from sanbook.data.windows import standardized_windows
from sanbook.files import whole
from sanbook.methods import fixed as transforms
from sanbook.methods.base import choose, evaluate
from sanbook.methods.networks import TrainedNetwork, trained_sans
from sanbook.scales import CANDIDATES, ROUNDS, compare_scales
from sanbook.signals.events import BATCH
from sanbook.signals.fit import SCALES
from sanbook.signals.formats import open_file, open_recording
from sanbook.signals.windows import windows_of
from sanbook.training import MEASURES, Protocol, sweep

SPLIT = (6, 2, 4)  # windows for training, validation and test, as in the article's section IV-A
PARTS = np.repeat(["train", "validation", "test"], SPLIT)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is done with each unit; the defaults are those of the paper's first experiment."""

    window: int = 1000
    kernel_sizes: tuple[int, ...] = dataclasses.field(default_factory=lambda: tuple(range(1, 250)))
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
    """What `run_study` returns.

    Attributes:
        table: a row for each window of each unit and method: record, channel, signal, method,
            kernel_size (0 of a method without weights), part ("train", "validation", "test",
            "later"), start (a sample), inverse_compression_ratio, normalized_reconstruction_loss
            and phi.
        kernels: ``kernels[record, channel][activation]`` are ``(q, m)``.
        failures: why a unit or a header could not be described, by its name.
    """

    table: pd.DataFrame
    kernels: dict[tuple[str, int], dict[str, np.ndarray]]
    failures: dict[str, str]


# --- a unit ---------------------------------------------------------------------------------------


def find_units(folder: Path) -> tuple[list[Unit], dict[str, str]]:
    """Every channel of every record below a folder, in order, and why some headers have none."""
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
            f"{unit}: {len(kept)} windows of {plan.window} samples vary, fewer than {sum(SPLIT)}. "
            "Leave it out."
        )
    # In single precision, as `sanbook.data` standardizes the paper's windows.
    values = torch.from_numpy(np.concatenate([cut.values for cut in kept])).float()
    x = standardized_windows(values, plan.window, origin=str(unit))
    data = _Split(*x.split([*SPLIT, len(x) - sum(SPLIT)]))
    methods = {}
    for activation in ACTIVATIONS:
        protocol, seeds = Protocol(plan.epochs), [plan.seed]
        trained = sweep(data, activation, plan.kernel_sizes, seeds=seeds, protocol=protocol)
        methods[activation], _ = choose(trained_sans(trained), data.validation, shared_by=1)
    kernels = {name: [kernel.tolist() for kernel in san.weights] for name, san in methods.items()}
    fitted = compare_scales(
        data.train, data.validation,
        seed=plan.seed, candidates=plan.candidates, rounds=plan.rounds,
    )  # fmt: skip
    methods[SCALES] = TrainedNetwork(fitted.model)
    wavelets = transforms.one_count(transforms.wavelets)(data.train, plan.seed)
    methods["wavelets"], _ = choose(wavelets, data.validation, shared_by=1)
    # Few windows at a time, so that memory does not grow; seven digits, as single precision has.
    metrics = {
        name: torch.cat([evaluate(method, some) for some in x.split(BATCH)]).tolist()
        for name, method in methods.items()
    }
    return {
        "signal": recording.column,
        "starts": [cut.start for cut in kept],
        "kernels": kernels,
        "kernel_sizes": {name: method.num_weights for name, method in methods.items()},
        "metrics": {
            name: [[float(f"{value:.7g}") for value in row] for row in rows]
            for name, rows in metrics.items()
        },
    }


@dataclasses.dataclass(frozen=True)
class _Split:
    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    later: torch.Tensor


# --- files of results -----------------------------------------------------------------------------


@functools.cache
def hash_of_code() -> str:
    """A hash of the code and the libraries that results depend on."""
    return hashlib.sha256(repr(code_of(__name__)).encode()).hexdigest()


def result_files(units: list[Unit], plan: Plan, results: Path) -> tuple[dict[Unit, Path], dict]:
    """Where the result of each unit is, or will be, and why some have none; reads a file once."""

    @functools.cache
    def hash_of(path: Path) -> bytes:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    places, failures = {}, {}
    for unit in units:
        digest = hashlib.sha256(f"{unit.name} {unit.channel} {plan} {hash_of_code()}".encode())
        try:
            for path in open_recording(unit.path, unit.channel).files:
                digest.update(hash_of(path))
            places[unit] = results / f"{digest.hexdigest()[:32]}.json"
        except (ValueError, OSError) as error:
            failures[str(unit)] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return places, failures


def run_unit(unit: Unit, plan: Plan, place: Path, code: str) -> None:
    """Describe a unit; this is a task. ``code`` is the hash of the code of who asks."""
    torch.set_num_threads(1)
    if code != hash_of_code():
        raise RuntimeError("its worker has other code or libraries")
    result = json.dumps(describe(unit, plan))
    with whole(place) as unfinished:
        unfinished.write_text(result)


# --- many units -----------------------------------------------------------------------------------


def run_study(
    folder: Path, results: Path, plan: Plan = Plan(), *, workers: int = 1, scheduler: str = ""
) -> Study:
    """Describe every channel of the records below a folder; a progress bar shows in a terminal.

    Whatever is wrong with a unit, even a process that is killed, costs that unit only.

    Args:
        folder: holds WFDB records, at any depth.
        results: where the file of each unit is left; what is there already is not computed again.
        plan: what is done with each unit.
        workers: processes of this machine.
        scheduler: the address of a Dask scheduler whose workers see both folders under the same
            names; then ``workers`` plays no part.

    Raises:
        ValueError: there is no record below the folder.
    """
    units, failures = find_units(folder)
    if not units and not failures:
        raise ValueError(f"{folder}: has no WFDB record (.hea) below it. Choose another folder.")
    results.mkdir(parents=True, exist_ok=True)
    places, unread = result_files(units, plan, results)
    failures |= unread
    with _executor(workers, scheduler) as executor:
        tasks: dict[Future, Unit] = {
            executor.submit(run_unit, unit, plan, place, hash_of_code()): unit
            for unit, place in places.items()
            if not place.exists()
        }
        for done in tqdm(first_done(tasks), "units", len(tasks), leave=False, disable=None):
            if error := done.exception():
                said = " ".join(str(error).split())
                failures[str(tasks[done])] = f"{type(error).__name__}: {said}"
    done = {unit: place for unit, place in places.items() if str(unit) not in failures}
    return join(done, dict(sorted(failures.items())))


class _Processes(ThreadPoolExecutor):
    """Runs tasks in processes, one for each thread; one that dies takes only its task along."""

    def __init__(self, workers: int) -> None:
        super().__init__(workers)
        self._free: list[ProcessPoolExecutor] = []

    def submit(self, function: Callable, /, *arguments) -> Future:
        """See `concurrent.futures.Executor`."""
        return super().submit(self._in_process, function, *arguments)

    def _in_process(self, function: Callable, *arguments):
        spawned = multiprocessing.get_context("spawn")
        pool = self._free.pop() if self._free else ProcessPoolExecutor(1, mp_context=spawned)
        task = pool.submit(function, *arguments)
        if not isinstance(task.exception(), BrokenProcessPool):
            self._free.append(pool)
        return task.result()

    def shutdown(self, *arguments, **settings) -> None:
        """See `concurrent.futures.Executor`."""
        super().shutdown(*arguments, **settings)
        for pool in self._free:
            pool.shutdown()


@contextlib.contextmanager
def _executor(workers: int, scheduler: str) -> Iterator[Executor]:
    if not scheduler:
        with _Processes(workers) as executor:
            yield executor
        return
    try:
        import distributed  # only here: `pip install .` does not bring it
    except ModuleNotFoundError as error:
        raise ValueError(
            "--scheduler: Dask is not installed. Run pip install distributed."
        ) from error
    with distributed.Client(scheduler) as client:
        yield client.get_executor(pure=False)


def join(places: dict[Unit, Path], failures: dict[str, str]) -> Study:
    """The results on disk in the order of the units, whoever made them and when."""
    tables, kernels = [], {}
    for unit, place in sorted(places.items()):
        result = json.loads(place.read_text())
        later = ["later"] * (len(result["starts"]) - len(PARTS))
        kernels[unit.name, unit.channel] = {
            activation: np.array(weights) for activation, weights in result["kernels"].items()
        }
        for method, metrics in result["metrics"].items():
            columns = {
                "record": unit.name,
                "channel": unit.channel,
                "signal": result["signal"],
                "method": method,
                "kernel_size": result["kernel_sizes"][method],
                "part": [*PARTS, *later],
                "start": result["starts"],
            }
            measured = pd.DataFrame(metrics, columns=MEASURES)
            tables.append(pd.concat([pd.DataFrame(columns), measured], axis=1))
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
    return Study(table, kernels, failures)
