"""What the commands of `san` do; each takes the options that `sanbook.signals.cli` has parsed.

A command imports what it alone needs, as libraries take half a second to start.
"""

import argparse
import contextlib
import csv
import itertools
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from sanbook.files import whole, write_table
from sanbook.signals.cli import FIGURES
from sanbook.signals.events import EventModel, rate_of_events, read_events, write_events
from sanbook.signals.formats import Recording, open_file
from sanbook.signals.windows import Faults, Window, load_windows, windows_of


def compare(options: argparse.Namespace) -> None:
    """Print a table of methods, which of them to take for what, and whether seeds disagree."""
    from sanbook.signals import compare as comparison

    training = _training(options)
    recording = open_signal(options)
    loaded = load_windows(recording, options.window, comparison.WINDOWS, alternate=True)
    _say_how_read(recording)
    print(comparison.compare(*loaded, **training).report)


def fit(options: argparse.Namespace) -> None:
    """Train networks, choose one and write it."""
    from sanbook.signals import compare as comparison
    from sanbook.signals.fit import fit_model

    training = _training(options, options.method)
    with whole_file(options, ".safetensors") as unfinished:
        recording = open_signal(options)
        data, _, usable = load_windows(
            recording, options.window, comparison.WINDOWS, alternate=True
        )
        _say_how_read(recording)
        model, seeds = fit_model(data, options.method, shared_by=usable, **training)
        model.save(unfinished)
    print(data.card.note)
    print(
        f"{options.output}: {options.method}, {model.network.num_weights} weights. phi on "
        f"validation is {seeds.phi.min():.3f}, the weights shared by {usable} windows."
    )
    if said := comparison.disagreement(options.method, seeds):
        print(said)


def _training(options: argparse.Namespace, method: str = "") -> dict:
    """The settings of a training; ValueError for an option that the method would ignore."""
    from sanbook.signals.fit import SCALES
    from sanbook.training import Protocol

    ignored = {
        "--kernel-sizes": options.kernel_sizes if method == SCALES else None,
        "--border-tolerance": options.border_tolerance if method not in ("", "extrema") else None,
        "--seeds": (options.seeds or [])[1:] if method == SCALES else None,
    }
    for name, given in ignored.items():
        if given:
            raise ValueError(f"{name}: {method} does not use {given}. Leave it out.")
    sizes = options.kernel_sizes or [1]
    if not 1 <= min(sizes) <= max(sizes) <= options.window:
        raise ValueError(
            f"--kernel-sizes: {min(sizes)} to {max(sizes)} do not lie in 1 to {options.window}, "
            "the samples of a window. Choose other sizes or another --window."
        )
    tolerance = 3 if options.border_tolerance is None else options.border_tolerance
    return {
        "kernel_sizes": options.kernel_sizes or (),
        "seeds": options.seeds or (0, 1, 2),
        "protocol": Protocol(border_tolerance=tolerance),
    }


def events(options: argparse.Namespace) -> None:
    """Write the events of a recording, window by window."""
    with contextlib.ExitStack() as stack:
        if options.output:
            path = stack.enter_context(whole_file(options, ".csv"))
        model, recording = open_for(options)
        if options.clock and (recording.start is None or model.sampling_rate is None):
            raise ValueError(
                f"{recording.origin}: its start or its sampling rate is not known. Leave --clock "
                "out."
            )
        file = sys.stdout
        if options.output:
            file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
        faults = Faults(model.window, recording.sampling_rate)
        # A bar between lines on the same terminal would be in their way.
        windows = tqdm(_counted(recording, model, faults), "windows", unit="", leave=False,
                       disable=None if options.output else True)  # fmt: skip
        facts = {
            "file": recording.name,
            "channel": recording.column or recording.column_number,
            "units": model.units,
            "sampling_rate": model.sampling_rate or "unknown",
        }
        facts = {name: fact for name, fact in facts.items() if fact != "unknown"}
        start = recording.start if options.clock else None
        write_events(file, model.events_of(windows, recording), facts, start)
    _say_how_read(recording, *recording.remarks, str(faults))


def _counted(recording: Recording, model: EventModel, faults: Faults) -> Iterator[Window]:
    """The windows of a recording, with their faults counted; ValueError if there is none."""
    windows = windows_of(recording, model.window)
    first = next(windows, None)
    if first is None or first.fault == "rest":
        samples = 0 if first is None else len(first.values)
        raise ValueError(
            f"{recording.origin}: {samples} samples are fewer than the {model.window} of a window. "
            "Choose a longer signal, or fit a model with a shorter --window."
        )
    for window in itertools.chain([first], windows):
        faults.add(window)
        yield window


def rebuild(options: argparse.Namespace) -> None:
    """Write the signal that events describe."""
    with whole_file(options, ".csv") as unfinished:
        model = EventModel.load(options.model)
        windows = model.rebuild(read_events(options.events))
        rate, sample = rate_of_events(options.events) or model.sampling_rate, None
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["sample", "seconds", "value"] if rate else ["sample", "value"])
            bar = tqdm(windows, "windows", unit="", leave=False, disable=None)
            for sample, value in enumerate(value for values in bar for value in values.tolist()):
                text = "" if math.isnan(value) else f"{value:.9g}"
                seconds = [f"{sample / rate:.6f}"] if rate else []
                writer.writerow([sample, *seconds, text])
        if sample is None:
            raise ValueError(f"{options.events}: has no events. Find them again.")


def plot(options: argparse.Namespace) -> None:
    """Draw a window and its events."""
    with whole_file(options, *FIGURES) as unfinished:
        model, recording = open_for(options)
        at = math.inf if options.at is None else options.at * (model.sampling_rate or 1)
        chosen = None
        for window in windows_of(recording, model.window):
            if window.start > at:
                break
            if window.fault in ("", "constant"):
                chosen = window
        if chosen is None or (at < math.inf and at >= chosen.start + model.window):
            raise ValueError(
                f"{recording.origin}: no whole window of {model.window} samples without a gap is "
                "there. Choose another --at or a longer signal."
            )
        from sanbook.show.figures import plot_events

        plot_events(model, chosen, recording.origin).savefig(unfinished)
    _say_how_read(recording)


def study(options: argparse.Namespace) -> int:
    """Describe whole records; returns 1 if some of them could not be."""
    from sanbook.signals.fit import default_kernel_sizes
    from sanbook.signals.study import Plan, run_study

    if options.jobs < 1:
        raise ValueError(f"--jobs: {options.jobs} is fewer than 1. Choose at least 1.")
    sizes = options.kernel_sizes or default_kernel_sizes(options.window)
    plan = Plan(options.window, tuple(sizes), epochs=options.epochs)
    done = run_study(
        options.folder, options.output, plan, workers=options.jobs, scheduler=options.scheduler
    )
    write_table(options.output / "study.csv", done.table)
    units = done.table.groupby(["record", "channel"]).ngroups if len(done.table) else 0
    print(f"{options.output / 'study.csv'}: {units} channels, {len(done.table)} rows")
    if done.failures:
        total = units + len(done.failures)
        print(f"san: {len(done.failures)} of {total} could not be described:", file=sys.stderr)
        for name, why in done.failures.items():
            print(f"  {name}: {why}", file=sys.stderr)
    return int(bool(done.failures))


# --- files ----------------------------------------------------------------------------------------


def open_signal(options: argparse.Namespace, trained_on: str = "") -> Recording:
    """The recording of a command.

    Text that is no name of a column is its number. Without a column the one is taken that the model
    was ``trained_on``, if the file has it.
    """
    overrides = {
        name: getattr(options, name) for name in ("rate", "separator", "decimal", "skip", "time")
    }
    opened = open_file(options.file, **overrides)
    column = options.column or (trained_on if opened.names.count(trained_on) == 1 else "")
    is_number = column.isdecimal() and column not in opened.names
    return opened.channel(int(column) if is_number else column)


def _say_how_read(recording: Recording, *further: str) -> None:
    """Say on standard error how a recording was read, and further remarks."""
    for said in (recording.decision, *further):
        if said:
            print(f"{recording.origin}: {said}", file=sys.stderr)


def open_for(options: argparse.Namespace) -> tuple[EventModel, Recording]:
    """The model and the recording of a command, in the same rate and units."""
    model = EventModel.load(options.model)
    recording = open_signal(options, model.column)
    model, matched = model.match(recording)
    if matched.units != recording.units != "unknown":
        print(f"{recording.origin}: {recording.units} become {matched.units}", file=sys.stderr)
    return model, matched


@contextlib.contextmanager
def whole_file(options: argparse.Namespace, *suffixes: str) -> Iterator[Path]:
    """A path to write to, which becomes the output if all goes well and otherwise is removed."""
    path: Path = options.output
    if path.suffix.lower() not in suffixes:
        raise ValueError(
            f"{path}: {path.suffix or 'no suffix'} is none of {', '.join(suffixes)}. Choose a name "
            "with such a suffix."
        )
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent}. Make it first.")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder. Choose another name.")
    if path.exists() and not options.force:
        raise ValueError(f"{path}: already exists. Choose another name or add --force.")
    with whole(path) as unfinished:
        yield unfinished
