"""The command line `san`. What takes long to import is imported when a command is carried out."""

import argparse
import os
import signal
import sys
from pathlib import Path

#: Activation functions in the paper's order, and the multiscale SAN.
METHODS = ("identity", "relu", "top-k absolutes", "extrema-pool indices", "extrema", "scales")
FIGURES = (".svg", ".png", ".pdf")


def numbers(text: str) -> list[int]:
    """Different whole numbers divided by commas, for argparse."""
    values = [int(part) for part in text.split(",")]
    if min(values) < 0 or len(set(values)) < len(values):
        raise ValueError
    return values


def option(*names: str, **settings) -> tuple:
    """An argument of a command: what `argparse.ArgumentParser.add_argument` takes."""
    return names, settings


def output(what: str, required: bool = True) -> tuple:
    """The options of a command that writes a file."""
    return (
        option("-o", "--output", type=Path, metavar="FILE", required=required, help=what),
        option("--force", action="store_true", help="overwrite an existing file"),
    )


MODEL = option("model", metavar="MODEL", help="a file that `san fit` wrote")
SIGNAL = (
    option("file", metavar="FILE", help="text in columns (.csv, .txt, .tsv), .npy, .npz, .hea "
           "(WFDB), .edf or .bdf; - for text from a pipe"),
    option("--column", "--channel", default="", metavar="NAME",
           help="column or channel, by name or by number from 0 on; default: the column that the "
           "model was trained on, or the only one"),
    option("--rate", type=float, metavar="HZ", help="sampling rate, if the file does not say it"),
    option("--separator", default="", metavar="C", help="of the columns, if it is not recognized"),
    option("--decimal", default="", metavar="C", help="decimal mark, . or , likewise"),
    option("--skip", type=int, metavar="N", help="lines above the names, likewise"),
    option("--time", default="", metavar="NAME", help="column of times, by name or number; none "
           "to ignore it"),
)  # fmt: skip
SIZES = (
    option("--window", type=int, default=1000, metavar="N", help="samples of a window, several "
           "times the slowest pattern; default, as in the paper: %(default)s"),
    option("--kernel-sizes", type=numbers, metavar="M,M,...", help="sizes to try; default: up to "
           "24 from 3 samples to a quarter of the window"),
)  # fmt: skip
TRAINING = (
    *SIZES,
    option("--border-tolerance", type=int, metavar="T", help="extrema only: two events may be T "
           "samples nearer to each other than a kernel is long; default, as in the paper: 3"),
    option("--seeds", type=numbers, metavar="S,S,...", help="each size is trained from each start "
           "once for each seed, the multiscale SAN with the first; default: 0,1,2"),
)  # fmt: skip

# Of each command what it does, its arguments and its examples.
COMMANDS = {
    "compare": (
        "measure SANs and other methods on a signal",
        (*SIGNAL, *TRAINING),
        """  san compare ecg.csv --rate 360
  san compare 100.hea --channel MLII
  san compare night.edf --channel "EEG Fpz-Cz" --window 3000""",
    ),
    "fit": (
        "train a SAN on a signal and keep it",
        (
            *SIGNAL,
            option("--method", choices=METHODS, default="extrema", help="default: %(default)s, for "
                   "events that stand apart, such as one a heartbeat; scales is the multiscale "
                   "SAN, for events that follow the signal closely. `san compare` measures which "
                   "suits a signal"),
            *TRAINING,
            *output("the model, .safetensors"),
        ),
        """  san fit 100.hea --channel MLII -o ecg.safetensors
  san fit ecg.csv --rate 360 --window 1500 --kernel-sizes 100,200,300 -o ecg.safetensors
  san fit ecg.csv --method scales -o ecg.safetensors""",
    ),
    "events": (
        "list the events of a signal as CSV",
        (
            MODEL, *SIGNAL,
            option("--clock", action="store_true", help="add a column of clock time, for a file "
                   "that says when it starts"),
            *output("the events, .csv; default: standard output", required=False),
        ),
        """  san events ecg.safetensors 100.hea -o events.csv
  sensor | san events ecg.safetensors -
The columns are seconds (if a rate is known), sample, amplitude, kernel and length. Behind them
stand the file, channel, units and sampling_rate of all events. Each window begins with an event
"mean", its mean, or "gap" if a sample is missing. The others are numbered kernels: "sample" is the
middle of the kernel, "amplitude" its largest sample in units, "length" its number of samples.""",
    ),
    "rebuild": (
        "write the signal that events describe, as CSV",
        (
            MODEL,
            option("events", metavar="EVENTS", help="a file that `san events` wrote"),
            *output("the signal, .csv; a gap has no value"),
        ),
        """  san rebuild ecg.safetensors events.csv -o rebuilt.csv""",
    ),
    "plot": (
        "draw a window of a signal and its events",
        (
            MODEL, *SIGNAL,
            option("--at", type=float, metavar="SECONDS", help="the window that holds this time "
                   "(a sample, if the rate is not known); default: the last window"),
            *output(f"the figure, {', '.join(FIGURES)}"),
        ),
        """  san plot ecg.safetensors 100.hea -o window.svg
  san plot ecg.safetensors ecg.csv --at 12.5 -o window.png""",
    ),
    "study": (
        "describe every channel of a folder of WFDB records, from beginning to end",
        (
            option("folder", type=Path, metavar="FOLDER", help="holds .hea files"),
            option("-o", "--output", type=Path, metavar="FOLDER", required=True,
                   help="folder of the results; made if it does not exist"),
            *SIZES,
            option("--epochs", type=int, default=30, metavar="E",
                   help="of each training; default: %(default)s"),
            option("--jobs", type=int, default=1, metavar="J",
                   help="processes of this machine; default: %(default)s"),
            option("--scheduler", default="", metavar="ADDRESS",
                   help="a Dask scheduler whose workers see both folders"),
        ),
        """  san study mitdb -o results
  san study mitdb -o results --jobs 4
  san study mitdb -o results --scheduler tcp://head:8786
Each channel leaves a file in the folder of results, so that the same command continues an
interrupted study. study.csv joins them. A cluster of dask-jobqueue (SLURM, PBS, ...) has such an
address.""",
    ),
}  # fmt: skip

OVERVIEW = """examples:
  san compare ecg.csv --column ecg --rate 360
  san fit ecg.csv --column ecg --rate 360 -o ecg.safetensors
  san events ecg.safetensors tomorrow.csv -o events.csv
  san rebuild ecg.safetensors events.csv -o rebuilt.csv
  san plot ecg.safetensors tomorrow.csv -o window.svg
  san study mitdb -o results

The exit status is 0 if all went well, 1 if a file or a value cannot be used, 2 if the command is
wrong. `san COMMAND --help` says more."""


def parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    as_written = argparse.RawDescriptionHelpFormatter
    program = argparse.ArgumentParser(
        prog="san",
        description="Sparsely Activated Networks on a signal of your own.",
        epilog=OVERVIEW,
        formatter_class=as_written,
    )
    commands = program.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (title, options, examples) in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=title,
            description=f"{title[0].upper()}{title[1:]}.",
            epilog=f"examples:\n{examples}",
            formatter_class=as_written,
        )
        for names, settings in options:
            command.add_argument(*names, **settings)
    return program


def main(arguments: list[str] | None = None) -> int:
    """Carry out a command line; returns the exit status."""
    options = parser().parse_args(arguments)
    left = "nothing was written"
    if options.command == "study":
        left = f"the channels that are done stay in {options.output}; the same command continues"
    try:
        from sanbook.signals import commands  # torch, numba and pandas take seconds

        return getattr(commands, options.command)(options) or 0
    except BrokenPipeError:  # the reader of the pipe has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        said = f"{error.filename or 'output'}: {error.strerror}. Use another file; {left}."
        print(f"san: {said if error.strerror else error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"san: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"san: interrupted; {left}", file=sys.stderr)
        return 130
    return 0


def run() -> None:
    """The program; its unfinished files are removed when it is ended.

    It takes one thread unless OMP_NUM_THREADS asks for more: with windows of this size threads gain
    nothing, and those that wait for each other cost processor time.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())


if __name__ == "__main__":
    run()
