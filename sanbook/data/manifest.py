"""What is known of each data set: its source, its files and their hashes (``manifest.toml``)."""

import dataclasses
import os
import tomllib
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class KnownFile:
    """Known bytes of a file.

    Attributes:
        name: Name of the file.
        bytes: "official", "copy" or "substitute".
        size: Size in bytes.
        sha256: Hash of the bytes; None if the official hash was never seen.
        how: How a copy or a substitute was made, in a few words.
        interchangeable: Whether the copy may lie next to official files.
    """

    name: str
    bytes: str = "official"
    size: int | None = None
    sha256: str | None = None
    how: str | None = None
    interchangeable: bool = False


@dataclasses.dataclass(frozen=True)
class Source:
    """An entry of the manifest; the head of ``manifest.toml`` explains each name.

    `sampling_rate` is in Hz, None for images; a PhysioNet database has a `record`, a data set of
    images a `torchvision`.
    """

    name: str
    title: str
    signal: str
    folder: str
    source: str
    version: str
    licence: str
    recorded_by: str
    citation: str
    units: str
    why: str
    seed: int
    files: tuple[KnownFile, ...]
    download: str = ""
    torchvision: str = ""
    sampling_rate: float | None = None
    channel: str | None = None
    record: str | None = None
    simulator: str | None = None
    preparation: str = ""
    pitfalls: str = ""
    classes: tuple[str, ...] = ()

    @property
    def official(self) -> dict[str, KnownFile]:
        """The source's own files by name."""
        return {file.name: file for file in self.files if file.bytes == "official"}


def read_manifest(path: Path) -> dict[str, Source]:
    """Read the data sets of a manifest, by name.

    Raises:
        ValueError: An entry is wrong; the message names the data set.

    >>> MANIFEST["mitdb"].record, MANIFEST["mitdb"].official["100.dat"].size
    ('100', 1950000)
    """
    sources = {}
    for name, facts in tomllib.loads(path.read_text("utf-8")).items():
        try:
            files = tuple(KnownFile(**file) for file in facts.pop("files"))
            facts["classes"] = tuple(facts.get("classes", ()))
            if "record" in facts:
                place = f"{name}/{facts['version']}/"
                facts.setdefault("folder", f"physionet/{name}")
                facts.setdefault("source", f"https://physionet.org/content/{place}")
                facts.setdefault("download", f"https://physionet.org/files/{place}")
            sources[name] = Source(name=name, files=files, **facts)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path}, {name}: the entry is wrong: {error}. Give it the keys of Source."
            ) from error
    return sources


MANIFEST = read_manifest(Path(__file__).with_name("manifest.toml"))


def data_folder(directory: str | os.PathLike | None = None) -> Path:
    """The folder of the data: `directory`, else the environment variable SAN_DATA, else "data".

    A relative `directory` starts at the current folder. A relative SAN_DATA starts at the root of a
    checkout, and outside a checkout at the current folder.
    """
    if directory:
        return Path(directory).expanduser()
    above = Path(__file__).parent.parent.parent
    is_checkout = (above / "pyproject.toml").is_file() and (above / "notebooks").is_dir()
    start = above if is_checkout else Path.cwd()
    return start / Path(os.environ.get("SAN_DATA") or "data").expanduser()


def present(name: str, root: Path) -> bool:
    """Whether some file of a data set is below `root`."""
    return any((root / MANIFEST[name].folder).glob("[!.]*"))
