"""Fetch what is missing and list what is used, or verify what is there.

python -m sanbook.data [NAME ...] [--data MODE] [--directory FOLDER] [--check]
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor

from sanbook.data import MODES, NAMES, load
from sanbook.data.manifest import MANIFEST, data_folder
from sanbook.data.verify import advice, check


def used(name: str, data: str, directory: str | None) -> tuple[str, str, str, str]:
    """What `load` uses of a data set: its name, source, bytes, remark."""
    try:
        card = load(name, data, directory).card
    except (OSError, ValueError) as error:
        return name, "error", "-", str(error)
    note = card.note
    if card.source == "simulated" and data == "auto":
        folder = data_folder(directory) / MANIFEST[name].folder
        note += f" Run `make data` again, or {advice(MANIFEST[name], folder)}."
    return name, card.source, card.origin or "-", note


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print rows of text in columns; the last column may be of any width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    for *cells, last in rows:
        print(*(f"{c:{w}}" for c, w in zip(cells, widths, strict=True)), last, sep="  ")


def verify(names: list[str], directory: str | None) -> int:
    """Verify the files that are there, without network; returns 1 if a file does not verify."""
    root = data_folder(directory)
    if not root.is_dir():
        print(f"SAN_DATA: {root} is not a folder. Set SAN_DATA to the folder of your data.")
        return 1
    findings, failures = [], []
    for name in names:
        try:
            findings += [(name, finding) for finding in check(MANIFEST[name], root)]
        except ValueError as error:
            failures.append(str(error))
    rows = [(name, f.path.name, f.state, f.remark) for name, f in findings]
    print_table([("data set", "file", "state", "remark"), *rows])
    failures += [f"{f.path}: {f.remark}" for _, f in findings if f.failed]
    count = sum(f.state in ("official", "copy", "substitute") for _, f in findings)
    print(f"{count} files verified, {len(failures)} not, in {root}", *failures, sep="\n")
    return 1 if failures else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 1 if something failed."""
    parser = argparse.ArgumentParser(prog="sanbook.data", description=__doc__)
    parser.add_argument("names", nargs="*", help="data sets (default: all)")
    parser.add_argument("--data", choices=MODES, default="auto", help="default: %(default)s")
    parser.add_argument("--directory", help="default: $SAN_DATA, else data")
    parser.add_argument("--check", action="store_true", help="verify files only, without network")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"unknown data set {unknown[0]!r}: choose of {', '.join(NAMES)}")
    names = options.names or list(NAMES)
    if options.check:
        return verify(names, options.directory)
    with ThreadPoolExecutor(max_workers=4) as pool:  # polite to the servers
        rows = list(pool.map(lambda name: used(name, options.data, options.directory), names))
    print_table([("data set", "source", "bytes", "what it is and what to do"), *rows])
    return 1 if any(source == "error" for _, source, _, _ in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
