"""The data sets with labels: UCI-epilepsy, MNIST and Fashion-MNIST: obtain, read, simulate.

torchvision knows where to download the images. Its own download is not used: it has no time limit
and unpacks a file under its final name, where what it breaks off with would stay. Its reader is not
used either, as importing torchvision takes 160 MB and more than a second.

Simulated data are an EEG of noise, a rhythm and spikes, and the digits and photographs that come
with scikit-learn. They follow from a seed.

Axes: B examples, n samples; segments are (B, n), images (B, height, width), labels (B,).
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
import torch
import torch.nn.functional as F
from torch import Tensor

from sanbook.data import download
from sanbook.data.dataset import DataSet, Provenance, simulated
from sanbook.data.manifest import Source
from sanbook.data.verify import verified, weakest, whose_bytes

CLASS_OF = {1: 0, 2: 1, 3: 1, 4: 2, 5: 2}  # UCI's five classes
PARTS = ("train", "validation", "test")
SHARES = (0.76, 0.88)  # of UCI's file, for training and for training with validation
VALIDATION_IMAGES = 10_000  # the last ones of the training file
SEGMENTS, SEGMENT = 23, 178  # of each recording of the EEG; samples of each


def obtain(source: Source, folder: Path, data: str) -> Path:
    """The folder of the files, after missing files are downloaded; FetchError if that fails."""
    for name in source.official:
        if not source.torchvision:
            download.obtain(source, folder, name)
        elif not (folder / name).exists():
            _obtain_from_mirrors(source, folder / name)
    return folder


def _obtain_from_mirrors(source: Source, path: Path) -> None:
    import torchvision  # here, as it takes seconds to import

    published = getattr(torchvision.datasets, source.torchvision)
    packed = f"{path.name}.gz"
    md5 = dict(published.resources)[packed]
    errors = []
    for mirror in published.mirrors:
        try:
            return download.download(mirror + packed, path, f"md5:{md5}", pooch.Decompress("gzip"))
        except download.FetchError as error:
            errors.append(str(error))
    raise download.FetchError(", and ".join(errors))


def read(source: Source, folder: Path, **options) -> DataSet:
    """Read the files, once their bytes are verified; ValueError if they are wrong."""
    findings = verified(source, [folder / name for name in source.official])
    origin = weakest(findings)
    card = Provenance(
        name=source.name,
        signal=source.signal,
        sampling_rate=source.sampling_rate,
        units="of the largest grey value" if source.torchvision else "scaled",
        source="real" if origin in ("official", "copy") else origin,
        note=f"{source.title}. {whose_bytes(findings)}",
        version=source.version,
        origin=origin,
        sha256={finding.path.name: finding.sha256 for finding in findings},
        classes=source.classes,
    )
    return (_read_images if source.torchvision else _read_segments)(folder, card, **options)


def _read_segments(folder: Path, card: Provenance, **options) -> DataSet:
    table = pd.read_csv(folder / "data.csv")  # a name, X1 to X178 and the class y
    # A row is named X<number of the segment>.<recording>.
    recordings = table.iloc[:, 0].str.partition(".")[2]
    signals = table.iloc[:, 1:-1].to_numpy(float)
    return _split_segments(signals, table.y.map(CLASS_OF), recordings, card, **options)


def _split_segments(
    signals: np.ndarray,
    labels,
    recordings,
    card: Provenance,
    value_range=(-1, 1),
    split: str = "rows",
) -> DataSet:
    """Scale segments ``(B, n)`` and split them; `recordings` ``(B,)`` tells that of each."""
    try:
        low, high = map(float, value_range)
    except (TypeError, ValueError):
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise ValueError(f"value_range must be two numbers, the lower first, but is {value_range}")
    scaled = low + (high - low) * (signals - signals.min()) / (signals.max() - signals.min())
    if split == "rows":
        order = np.arange(len(signals))
    elif split == "recordings":
        # Segments are shuffled, so the order of first appearance is a random one of recordings.
        order = pd.factorize(np.asarray(recordings))[0]
    else:
        raise ValueError(f'split must be "rows" or "recordings", but is {split!r}')
    train, train_or_validation = (order < share * (order.max() + 1) for share in SHARES)
    x = torch.tensor(scaled, dtype=torch.float32)
    y = torch.tensor(np.asarray(labels), dtype=torch.int64)
    chosen = (train, train_or_validation & ~train, ~train_or_validation)
    return _without_blank([x[part] for part in chosen], [y[part] for part in chosen], card)


def _read_images(folder: Path, card: Provenance) -> DataSet:
    x, y, test, test_labels = (
        read_idx(folder / f"{kind}-{what}-ubyte")
        for kind in ("train", "t10k")
        for what in ("images-idx3", "labels-idx1")
    )
    split = [len(x) - VALIDATION_IMAGES, VALIDATION_IMAGES]
    # Divided in place: as numbers, images take four times the memory.
    grey = [images.float().div_(255) for images in (*x.split(split), test)]
    return _without_blank(grey, [labels.long() for labels in (*y.split(split), test_labels)], card)


def read_idx(path: Path) -> Tensor:
    """The bytes of an IDX file of images ``(B, height, width)`` or of labels ``(B,)``.

    The head is two zeros, 8 for bytes, the number of axes, and the length of each axis in four
    bytes (http://yann.lecun.com/exdb/mnist).
    """
    content = torch.from_numpy(np.fromfile(path, np.uint8))
    axes = int(content[3])
    lengths, values = content[4 : 4 + 4 * axes], content[4 + 4 * axes :]
    return values.reshape(lengths.numpy().view(">i4").tolist())


def simulate(source: Source, reason: str, **options) -> DataSet:
    """Simulated data in place of a data set; ``reason`` says why they are used."""
    if not source.torchvision:
        signals, labels, recordings, how = eeg(source)
        card = simulated(source, how, reason, units="scaled", classes=source.classes)
        return _split_segments(signals, labels, recordings, card, **options)
    x, labels, classes, how = digits() if source.name == "mnist" else patches(source.seed)
    card = simulated(source, how, reason, units="of the largest grey value", classes=classes)
    split = [len(x) - 500, 250, 250]
    return _without_blank(x.split(split), labels.split(split), card)


def _without_blank(x: Sequence[Tensor], labels: Sequence[Tensor], card: Provenance) -> DataSet:
    """A data set of three parts, without the examples that are zero everywhere."""
    examples, labels, blank = {}, dict(zip(PARTS, labels, strict=True)), {}
    for part, of_part in zip(PARTS, x, strict=True):
        varied = of_part.flatten(1).any(dim=1)
        blank[part] = int((~varied).sum())
        examples[part] = of_part[varied] if blank[part] else of_part
        labels[part] = labels[part][varied] if blank[part] else labels[part]
    return DataSet(**examples, labels=labels, card=dataclasses.replace(card, blank=blank))


def eeg(source: Source) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """100 recordings of coloured noise, some with an alpha rhythm, some with spikes and waves.

    Returns their segments ``(B, n)``, in microvolts and shuffled, the class and the recording
    ``(B,)`` of each, and how they were made.
    """
    random = np.random.default_rng(source.seed)
    class_of = np.repeat([0, 1, 2], [20, 40, 40])  # of each recording
    time = np.arange(SEGMENTS * SEGMENT) / source.sampling_rate  # seconds
    frequencies = np.fft.rfftfreq(len(time), 1 / source.sampling_rate)
    segments = []
    for label in class_of:
        spectrum = random.normal(size=(2, len(frequencies))) / np.maximum(frequencies, 0.5)
        signal = np.fft.irfft(spectrum[0] + 1j * spectrum[1], len(time))
        signal *= 40 / signal.std()  # microvolts
        if source.classes[label] == "eyes closed or open":
            envelope = 1 + 0.5 * np.sin(2 * np.pi * 0.5 * time + random.uniform(0, 6))
            rhythm = np.sin(2 * np.pi * random.uniform(9, 11) * time + random.uniform(0, 6))
            signal += 50 * envelope * rhythm
        if source.classes[label] == "seizure":
            phase = (random.uniform(2.5, 3.5) * time + random.uniform()) % 1
            spike, wave = np.exp(-(((phase - 0.15) / 0.05) ** 2)), np.sin(np.pi * phase) ** 2
            signal += 600 * spike - 300 * wave
        segments.append(signal.reshape(SEGMENTS, SEGMENT))
    shuffled = random.permutation(len(class_of) * SEGMENTS)
    recordings = shuffled // SEGMENTS
    how = "EEG of noise, an alpha rhythm, spikes and waves"
    return np.concatenate(segments)[shuffled], class_of[recordings], recordings, how


def digits() -> tuple[Tensor, Tensor, tuple[str, ...], str]:
    """Digits ``(B, 28, 28)`` in [0, 1], labels ``(B,)``, classes, and how they were made."""
    from sklearn.datasets import load_digits

    known = load_digits()
    small = torch.tensor(known.images / 16, dtype=torch.float32)[:, None]  # (B, 1, 8, 8)
    images = F.interpolate(small, size=(28, 28), mode="bilinear")[:, 0]
    classes = tuple(map(str, known.target_names))
    how = "scikit-learn's handwritten digits, scaled up from 8 x 8"
    return images, torch.tensor(known.target), classes, how


def patches(seed: int) -> tuple[Tensor, Tensor, tuple[str, ...], str]:
    """Patches of photographs, shuffled, as `digits` returns them; a photograph is a class."""
    from sklearn.datasets import load_sample_images

    known = load_sample_images()
    of_each = [
        torch.tensor(photograph.mean(axis=2) / 255, dtype=torch.float32)
        .unfold(0, 28, 14)
        .unfold(1, 28, 14)
        .flatten(0, 1)  # (B, 28, 28)
        for photograph in known.images
    ]
    images = torch.cat(of_each)
    labels = torch.arange(len(of_each)).repeat_interleave(torch.tensor(list(map(len, of_each))))
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    classes = tuple(Path(file).stem for file in known.filenames)
    return images[order], labels[order], classes, "patches of scikit-learn's sample photographs"
