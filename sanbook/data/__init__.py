"""The data sets as tensors, each with its provenance.

Companion of "Sparsely Activated Networks" (Bizopoulos and Koutsouris, IEEE TNNLS 2020,
doi 10.1109/TNNLS.2020.2984514), section IV:

- of each of 15 PhysioNet databases (Goldberger et al. 2000, doi 10.1161/01.CIR.101.23.e215) the
  first 12,000 samples of the first record's first channel;
- UCI-epilepsy, 11,500 segments of the EEG of Andrzejak et al. 2001
  (doi 10.1103/PhysRevE.64.061907) in three classes;
- MNIST (LeCun et al. 1998, doi 10.1109/5.726791) and Fashion-MNIST (Xiao et al. 2017,
  arXiv 1708.07747), 70,000 images in ten classes each.

`sanbook/data/manifest.toml` says what each is, where it comes from and which bytes are right.
`sanbook.data.download` and `sanbook.data.verify` obtain and verify the files.
`sanbook.data.physionet` and `sanbook.data.labelled` read the files. If the data are not available,
they simulate data, and the card of the data set says so.

Axes: a signal is (n,) with n samples; a set of signals is (B, n), of images (B, height, width).

Run `python -m sanbook.data` to fetch what is missing and to list what is used.
"""

import os

from sanbook.data.dataset import DataSet
from sanbook.data.manifest import MANIFEST, data_folder
from sanbook.data.verify import advice

MODES = ("auto", "real", "sample")
SAMPLES = 12_000  # of a recording of PhysioNet
WINDOW = 1_000  # samples
SPLIT = (6, 2, 4)  # windows for training, validation and test

NAMES = tuple(MANIFEST)
DATABASES = tuple(name for name, source in MANIFEST.items() if source.record)  # PhysioNet's


def load(
    name: str, data: str = "auto", directory: str | os.PathLike | None = None, **options
) -> DataSet:
    """Load one data set, cut, scaled and split as in the article's section IV.

    Looks for the paper's files in `directory`, which `sanbook.data.manifest.data_folder` explains,
    else downloads them into it, verified by their hashes. `data` says what may stand in for them:

    - "auto": of a PhysioNet database another record that is there, files that no known hash
      verifies, or, if the paper's cannot be fetched, a simulation. The card says which.
    - "real": nothing.
    - "sample": always the simulation.

    A server that does not answer is asked once within a process, for about 5 s.

    "uci-epilepsy" has two `options`. `value_range`, by default (-1, 1), is what the smallest and
    the largest value of the whole file are scaled to; the article's text says (0, 1), its numbers
    come from (-1, 1). `split` is "rows", parts of the file in its order as published, where
    segments of one recording fall into several parts, or "recordings", which keeps them together.

    Raises:
        ValueError: `name`, `data` or an option has an unknown value, or the files cannot be used,
            also under "auto".
        FileNotFoundError: The data are absent, and "real" was asked for.
        TypeError: The data set does not have an option.

    >>> load("mitdb", data="sample").test.shape
    torch.Size([4, 1000])
    >>> eeg = load("uci-epilepsy", data="sample", split="recordings")
    >>> eeg.train.shape, eeg.labels["train"].shape
    (torch.Size([1748, 178]), torch.Size([1748]))
    """
    if name not in MANIFEST:
        raise ValueError(f"name: unknown data set {name!r}. Choose one of {', '.join(MANIFEST)}.")
    if data not in MODES:
        raise ValueError(f"data: unknown mode {data!r}. Choose one of {', '.join(MODES)}.")
    known = ("value_range", "split") if name == "uci-epilepsy" else ()
    unknown = [option for option in options if option not in known]
    if unknown:
        raise TypeError(
            f"{name} has {'the options ' + ' and '.join(known) if known else 'no options'}, "
            f"but got {', '.join(unknown)}"
        )
    from sanbook.data import labelled, physionet  # here: torch takes seconds to import
    from sanbook.data.download import FetchError

    source = MANIFEST[name]
    kind = physionet if source.record else labelled
    if data == "sample":
        return kind.simulate(source, 'data="sample" asks for it', **options)
    folder = data_folder(directory) / source.folder
    remedy = f'{advice(source, folder)}, or allow placeholder data with data="auto"'
    try:
        dataset = kind.read(source, kind.obtain(source, folder, data), **options)
    except FetchError as error:
        if data == "auto":
            return kind.simulate(source, f"the data are not at hand: {error}", **options)
        raise FileNotFoundError(f"{name}: {error}; {remedy}") from error
    if data == "real" and dataset.card.source != "real":
        raise FileNotFoundError(
            f'{name}: data="real" is the paper\'s data, but these are {dataset.card.data_source}. '
            f"Move what is there away and {remedy}"
        )
    return dataset
