"""The command `san`: compare methods on a signal, fit a SAN to it, list events, draw them back."""

import argparse
import contextlib
import csv
import math
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from san_core import ACTIVATIONS
from sanbook.data.dataset import DataSet
from sanbook.files import whole, write_table
from sanbook.signals import compare as comparison
from sanbook.signals.events import (
    SCALES,
    EventModel,
    default_kernel_sizes,
    fit_model,
    read_events,
    write_events,
)
from sanbook.signals.formats import Recording, open_file
from sanbook.signals.windows import Faults, Window, load_windows, windows_of
from sanbook.training import Protocol

WINDOWS = 24  # of a longer recording, so many at most are for training, choosing and testing
FIGURES = (".svg", ".png", ".pdf")

EXAMPLES = {
    "san": """examples:
  san compare ecg.csv --column ecg --rate 360
  san fit ecg.csv --column ecg --rate 360 -o ecg.safetensors
  san events ecg.safetensors tomorrow.csv --column ecg -o events.csv
  san rebuild ecg.safetensors events.csv -o rebuilt.csv
  san plot ecg.safetensors tomorrow.csv --column ecg -o window.svg
  san study mitdb -o results

It ends with 0 if all went well, 1 if a file cannot be used, 2 if the command is wrong.
`san COMMAND --help` says more.""",
    "compare": """examples:
  san compare ecg.csv --rate 360
  san compare 100.hea --channel MLII
  san compare night.edf --channel "EEG Fpz-Cz" --window 3000""",
    "fit": """examples:
  san fit 100.hea --channel MLII -o ecg.safetensors
  san fit ecg.csv --rate 360 --window 1500 --kernel-sizes 100,200,300 -o ecg.safetensors
  san fit ecg.csv --method scales -o ecg.safetensors""",
    "events": """examples:
  san events ecg.safetensors 100.hea --channel MLII -o events.csv
  sensor | san events ecg.safetensors - --column ecg
The columns are seconds (if a rate is known), sample, amplitude, kernel and length. Each window
begins with an event "mean", its mean, or "gap" if a sample is missing. The others are numbered
kernels: "sample" is the middle of what is drawn, "amplitude" its largest sample in the signal's
units, "length" how many samples it has.""",
    "rebuild": """examples:
  san rebuild ecg.safetensors events.csv -o rebuilt.csv""",
    "study": """examples:
  san study mitdb -o results
  san study mitdb -o results --jobs 4
  san study mitdb -o results --scheduler tcp://head:8786
Each channel leaves a file in the folder of results, so that an interrupted study goes on where it
was; study.csv joins them. A cluster of dask-jobqueue (SLURM, PBS, ...) has such an address.""",
    "plot": """examples:
  san plot ecg.safetensors 100.hea --channel MLII -o window.svg
  san plot ecg.safetensors ecg.csv --at 12.5 -o window.png""",
}


# --- the command line -----------------------------------------------------------------------------


def numbers(text: str) -> list[int]:
    """Whole numbers divided by commas, for argparse."""
    values = [int(part) for part in text.split(",")]
    if min(values) < 0 or len(set(values)) < len(values):
        raise ValueError
    return values


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    kinds = "a .csv, .npy, .npz, .hea (WFDB) or .edf file"

    def add_signal(command: argparse.ArgumentParser) -> None:
        command.add_argument("file", metavar="FILE", help=f"{kinds}, or - for CSV from a pipe")
        command.add_argument(
            "--column", "--channel", default="", metavar="NAME",
            help="its column or channel, by name or by number from 0 on; one needs none",
        )  # fmt: skip
        command.add_argument(
            "--rate", type=float, metavar="HZ", help="samples a second, if the file does not say it"
        )
        text = command.add_argument_group("text that is not read as it should be")
        text.add_argument("--separator", default="", metavar="C", help="between columns")
        text.add_argument("--decimal", default="", metavar="C", help="decimal mark, . or ,")
        text.add_argument("--skip", type=int, metavar="N", help="lines above the names")
        text.add_argument("--time", default="", metavar="NAME",
                          help="column of times, by name or number; none to ignore it")  # fmt: skip

    def add_sizes(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--window", type=int, default=1000, metavar="N",
            help="samples of a window, several times the slowest pattern; default, as in the "
            "paper: %(default)s",
        )  # fmt: skip
        command.add_argument(
            "--kernel-sizes", type=numbers, default=[], metavar="M,M,...",
            help="sizes to try; default: up to 24 from 3 samples to a quarter of the window",
        )  # fmt: skip

    def add_training(command: argparse.ArgumentParser) -> None:
        add_sizes(command)
        command.add_argument(
            "--border-tolerance", type=int, default=3, metavar="T",
            help="Extrema may come T samples nearer to each other than a kernel is long; default, "
            "as in the paper: %(default)s",
        )  # fmt: skip
        command.add_argument(
            "--seeds", type=numbers, default=[0, 1, 2], metavar="S,S,...",
            help="each size is trained once for each; default: 0,1,2",
        )  # fmt: skip

    def add_output(command: argparse.ArgumentParser, what: str, required: bool = True) -> None:
        command.add_argument("-o", "--output", type=Path, metavar="FILE", required=required,
                             help=what)  # fmt: skip
        command.add_argument("--force", action="store_true", help="overwrite what is there")

    def add_command(name: str, work, title: str) -> argparse.ArgumentParser:
        command = commands.add_parser(
            name,
            help=title,
            description=f"{title[0].upper()}{title[1:]}.",
            epilog=EXAMPLES[name],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(work=work)
        return command

    whole = argparse.ArgumentParser(
        prog="san",
        description="Sparsely Activated Networks on a signal of your own.",
        epilog=EXAMPLES["san"],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    command = add_command("compare", compare, "what SANs and other methods make of a signal")
    add_signal(command)
    add_training(command)
    command = add_command("fit", fit, "train a SAN on a signal and keep it")
    add_signal(command)
    command.add_argument(
        "--method", choices=(*ACTIVATIONS, SCALES), default="extrema",
        help="activation function of the paper, or scales; default: %(default)s, which has the "
        "fewest events",
    )  # fmt: skip
    add_training(command)
    add_output(command, "the model, .safetensors")
    command = add_command("events", events, "the events of a signal as CSV")
    command.add_argument("model", metavar="MODEL", help="what `san fit` wrote")
    add_signal(command)
    add_output(command, "the events, .csv; default: standard output", required=False)
    command = add_command("rebuild", rebuild, "the signal that events draw, as CSV")
    command.add_argument("model", metavar="MODEL", help="what `san fit` wrote")
    command.add_argument("events", metavar="EVENTS", help="what `san events` wrote")
    add_output(command, "the signal, .csv; a gap has no value")
    command = add_command("plot", plot, "a window of a signal and what its events draw")
    command.add_argument("model", metavar="MODEL", help="what `san fit` wrote")
    add_signal(command)
    command.add_argument("--at", type=float, metavar="SECONDS",
                         help="the window that holds this time (a sample, if the rate is not "
                         "known); default: the last one")  # fmt: skip
    add_output(command, f"the figure, {', '.join(FIGURES)}")
    command = add_command("study", study, "every channel of a folder of WFDB records, whole")
    command.add_argument("folder", type=Path, metavar="FOLDER", help="holds .hea files")
    command.add_argument("-o", "--output", type=Path, metavar="FOLDER", required=True,
                         help="where results are left; made if it is not there")  # fmt: skip
    add_sizes(command)
    command.add_argument("--epochs", type=int, default=30, metavar="E",
                         help="of each training; default: %(default)s")  # fmt: skip
    command.add_argument("--jobs", type=int, default=1, metavar="J",
                         help="processes of this machine; default: %(default)s")  # fmt: skip
    command.add_argument("--scheduler", default="", metavar="ADDRESS",
                         help="a Dask scheduler whose workers see both folders")  # fmt: skip
    return whole


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks for; returns the exit status."""
    options = parser().parse_args(arguments)
    try:
        return options.work(options) or 0
    except BrokenPipeError:  # who read has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:
        print(f"san: {_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("san: interrupted; nothing was written", file=sys.stderr)
        return 130
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return (
            f"{error.filename or 'output'}: expected a file that can be used, got: "
            f"{error.strerror}; nothing was written"
        )
    return " ".join(str(error).split())


def run() -> None:
    """The program: it removes what is unfinished when it is ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())


# --- commands -------------------------------------------------------------------------------------


def compare(options: argparse.Namespace) -> None:
    """Print a table of methods, what to take for what, and whether seeds disagree."""
    recording = open_signal(options)
    data, deviations, usable = load_windows(recording, options.window, WINDOWS)
    compared = comparison.compare(
        data,
        deviations,
        usable,
        kernel_sizes=options.kernel_sizes,
        seeds=options.seeds,
        protocol=Protocol(border_tolerance=options.border_tolerance),
    )
    print(report(data, compared))


def report(data: DataSet, compared: comparison.Comparison) -> str:
    """What `san compare` prints."""
    split = (
        f"{len(data.train)} windows are for training, {len(data.validation)} for choosing and "
        f"{len(data.test)} for what follows; smaller is better."
    )
    lines = [data.card.note, split, "", table_of(compared), "", *compared.advice, *compared.flags]
    return "\n".join(lines)


def table_of(compared: comparison.Comparison) -> str:
    """The table of a comparison as text."""
    table, units = compared.table, compared.units
    shown = {
        "method": table.method,
        "weights": [f"{size:.0f}" if size > 0 else "-" for size in table.kernel_size],
        "phi (W per window)": table.phi.map("{:.3f}".format),
        "phi (W shared)": table.shared_phi.map("{:.3f}".format),
        "coefficients": table.events.map("{:.1f}".format),
        "bytes": table.bytes.map("{:.0f}".format),
        "error" if units == "unknown" else f"error ({units})": table.error.map("{:.4g}".format),
    }
    widths = [max(len(title), *map(len, column)) for title, column in shown.items()]
    lines = [list(shown), *zip(*shown.values(), strict=True)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
        for line in lines
    )


def fit(options: argparse.Namespace) -> None:
    """Train, choose, write the model."""
    with whole_file(options, ".safetensors") as unfinished:
        recording = open_signal(options)
        data, _, usable = load_windows(recording, options.window, WINDOWS)
        model, seeds = fit_model(
            data,
            options.method,
            options.kernel_sizes,
            shared_by=usable,
            seeds=options.seeds,
            protocol=Protocol(border_tolerance=options.border_tolerance),
        )
        model.save(unfinished)
    low, high = seeds.phi.min(), seeds.phi.max()
    print(data.card.note)
    print(
        f"{options.output}: {options.method}, {model.network.num_weights} weights; phi on "
        f"validation {low:.3f}, the weights shared by {usable} windows."
    )
    if high - low > comparison.DISAGREEMENT:
        print(
            f"The seeds disagree, phi from {low:.3f} to {high:.3f}: training ends in different "
            "minima, so try more seeds before you trust it."
        )


def events(options: argparse.Namespace) -> None:
    """Write the events of a recording, window by window."""
    with contextlib.ExitStack() as stack:
        if options.output:
            path = stack.enter_context(whole_file(options, ".csv"))
        model = EventModel.load(options.model)
        recording = open_for(model, options)
        if options.output:
            file = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
        else:
            file = sys.stdout
        faults = Faults(model.window, recording.sampling_rate)
        model = model.at(recording.sampling_rate)
        # A bar between lines on the same terminal would be in their way.
        windows = tqdm(watched(recording, model, faults), "windows", unit="", leave=False,
                       disable=None if options.output else True)  # fmt: skip
        write_events(file, (event for window in windows for event in model.find(window)))
    if str(faults):
        print(f"{recording.origin}: {faults}", file=sys.stderr)


def watched(recording: Recording, model: EventModel, faults: Faults) -> Iterator[Window]:
    """The windows of a recording, of which the faults are counted; ValueError if there are none."""
    count = 0
    for window in windows_of(recording, model.window):
        faults.add(window)
        if window.fault == "rest" and count == 0:
            raise ValueError(
                f"{recording.origin}: expected at least one window of {model.window} samples, got "
                f"{len(window.values)}; choose a longer signal or fit a model of shorter windows"
            )
        count += 1
        yield window
    if count == 0:
        raise ValueError(f"{recording.origin}: expected samples, got none; choose another signal")


def rebuild(options: argparse.Namespace) -> None:
    """Write the signal that events draw."""
    with whole_file(options, ".csv") as unfinished:
        model = EventModel.load(options.model)
        windows = model.rebuild(read_events(options.events))
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            writer, sample, rate = csv.writer(file), 0, model.sampling_rate
            writer.writerow(["sample", "seconds", "value"] if rate else ["sample", "value"])
            for values in tqdm(windows, "windows", unit="", leave=False, disable=None):
                for value in values.tolist():
                    text = "" if math.isnan(value) else f"{value:.9g}"
                    writer.writerow(
                        [sample, f"{sample / rate:.6f}", text] if rate else [sample, text]
                    )
                    sample += 1
        if sample == 0:
            raise ValueError(f"{options.events}: expected events, got none; find them again")


def plot(options: argparse.Namespace) -> None:
    """Draw a window and its events."""
    with whole_file(options, *FIGURES) as unfinished:
        model = EventModel.load(options.model)
        recording = open_for(model, options)
        model = model.at(recording.sampling_rate)
        at = math.inf if options.at is None else options.at * (recording.sampling_rate or 1)
        chosen = None
        for window in windows_of(recording, model.window):
            if window.start <= at and window.fault in ("", "constant"):
                chosen = window
        if chosen is None or (at < math.inf and at >= chosen.start + model.window):
            raise ValueError(
                f"{recording.origin}: expected a whole window of {model.window} samples there, got "
                "none without a gap; choose another time or a longer signal"
            )
        from sanbook.show.figures import plot_events  # only here: matplotlib takes a second

        plot_events(model, chosen).savefig(unfinished)


def study(options: argparse.Namespace) -> int:
    """Describe whole records; returns 1 if some of them could not be."""
    from sanbook.signals.study import (
        Plan,
        run_study,
    )  # only here: its processes import this module too

    if options.jobs < 1:
        raise ValueError(f"expected at least 1 job, got {options.jobs}")
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


def open_signal(options: argparse.Namespace) -> Recording:
    """The recording of a command; text that is no name of a column is its number."""
    overrides = {
        name: getattr(options, name) for name in ("rate", "separator", "decimal", "skip", "time")
    }
    opened = open_file(options.file, **overrides)
    is_number = options.column.isdecimal() and options.column not in opened.names
    return opened.channel(int(options.column) if is_number else options.column)


def open_for(model: EventModel, options: argparse.Namespace) -> Recording:
    """The recording of a command, at the rate of its model."""
    recording = open_signal(options)
    rates = recording.sampling_rate, model.sampling_rate
    if None not in rates and not np.isclose(*rates):
        raise ValueError(
            f"{recording.origin}: expected {rates[1]:g} Hz, the rate of {options.model}, got "
            f"{rates[0]:g} Hz; resample the signal or fit a model to it"
        )
    return recording.in_units(model.units)


@contextlib.contextmanager
def whole_file(options: argparse.Namespace, *suffixes: str) -> Iterator[Path]:
    """A path to write to, which becomes the output if all goes well and else is removed."""
    output: Path = options.output
    if output.suffix.lower() not in suffixes:
        raise ValueError(
            f"{output}: expected the output to be one of {', '.join(suffixes)}, got "
            f"{output.suffix or 'no suffix'}; give it such a name"
        )
    if not output.parent.is_dir():
        raise ValueError(f"{output}: expected a folder {output.parent}, got none; make it first")
    if output.is_dir():
        raise ValueError(f"{output}: expected a file, but it is a folder; choose another name")
    if output.exists() and not options.force:
        raise ValueError(f"{output}: expected no such file yet; choose another name or --force")
    with whole(output) as unfinished:
        yield unfinished


if __name__ == "__main__":
    run()
