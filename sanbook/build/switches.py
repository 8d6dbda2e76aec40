"""The switches of the book, from the environment: a wrong value is refused in one sentence.

Make runs this file before anything is installed, so it imports nothing but Python's own library.
"""

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Switches:
    """What a build is asked for; the page "Build it" explains each switch.

    ``folder`` holds what the build makes and ``directory`` is SAN_DATA; both are absolute.
    ``signal`` is the path of a recording, absolute or from the project, or empty. ``window`` is in
    samples.
    """

    profile: str
    folder: Path
    data: str
    directory: Path
    jobs: int
    seeds: tuple[int, ...]
    fresh: bool
    signal: str
    column: str
    window: int

    @property
    def results(self) -> Path:
        """Where the pages leave their results."""
        return self.folder / "results"


def read_switches(environment: Mapping[str, str] = os.environ) -> Switches:
    """Read the switches from an environment.

    Raises:
        ValueError: A switch has a value that it cannot have. The message names the first one.

    >>> read_switches({"PROFILE": "quick"}).seeds, read_switches({"SEEDS": "4 5"}).seeds
    ((0,), (4, 5))
    """
    given = {name: value for name, value in environment.items() if value}

    def one_of(name: str, *values: str) -> str:
        value = given.get(name, values[0])
        if value not in values:
            raise ValueError(f"{name}: {value!r} is none of {', '.join(values)}. Give one.")
        return value

    def whole_number(name: str, default: int, smallest: int) -> int:
        value = given.get(name, str(default))
        if not re.fullmatch(r"\d{1,9}", value) or int(value) < smallest:
            raise ValueError(f"{name}: {value!r} is no number from {smallest} on. Give one.")
        return int(value)

    profile = one_of("PROFILE", "paper", "quick")
    seeds = given.get("SEEDS", "0" if profile == "quick" else "0 1 2").split()
    numbers = all(re.fullmatch(r"\d{1,9}", seed) for seed in seeds)
    if not seeds or len(set(seeds)) < len(seeds) or not numbers:
        raise ValueError(
            f"SEEDS: {' '.join(seeds)!r} are not different numbers. Give some, such as '0 1 2'."
        )
    directory = ROOT / Path(given.get("SAN_DATA", "data")).expanduser()
    if not directory.is_dir():
        raise ValueError(f"SAN_DATA: {str(directory)!r} is no folder. Make it first.")
    signal = given.get("SIGNAL", "")
    if signal and not (ROOT / Path(signal).expanduser()).is_file():
        raise ValueError(f"SIGNAL: there is no file {signal!r}. Check the name.")
    return Switches(
        profile=profile,
        folder=ROOT / "_build" / profile,
        data=one_of("DATA", "auto", "real", "sample"),
        directory=directory,
        jobs=whole_number("JOBS", os.cpu_count() or 1, 1),
        seeds=tuple(map(int, seeds)),
        fresh=one_of("FRESH", "0", "1") == "1",
        signal=str(Path(signal).expanduser()) if signal else "",
        column=given.get("COLUMN", ""),
        window=whole_number("WINDOW", 1000, 2) if signal else 1000,
    )


if __name__ == "__main__":
    try:
        read_switches()
    except ValueError as error:
        sys.exit(str(error))
