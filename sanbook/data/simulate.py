"""What stands in for data that are not at hand: simulated signals and pictures of scikit-learn.

Signals are simulated by neurokit2 (Makowski et al. 2021, doi 10.3758/s13428-020-01516-y); an EEG is
made of noise, a rhythm and spikes; handwritten digits and photographs come with scikit-learn. All
follow from a seed, an argument, and come with a few words on how they were made.

neurokit2 and scikit-learn take seconds to import and are not needed for the data themselves, so
they are imported where they are used.

Axes: B examples, n samples.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sanbook.data.dataset import Provenance
from sanbook.data.fetch import Source

#: Options of neurokit2's simulators by kind of signal.
SIMULATORS = {
    "ECG": {"method": "simple"},  # the default method takes 8 s at 15.5 Hz
    "EDA": {"scr_number": 30},
    "EMG": {"burst_number": 3, "burst_duration": 0.2},  # fits into 0.75 s
    "PPG": {},
    "RSP": {},
}
SEGMENTS, SEGMENT = 23, 178  # of each recording of the EEG; samples of each


def provenance(source: Source, simulator: str, reason: str, **facts) -> Provenance:
    """The provenance of simulated data: how they were made, and why they are used."""
    replaced = f"the paper's record {source.record}" if source.record else source.title
    return Provenance(
        name=source.name,
        signal=source.signal,
        sampling_rate=source.sampling_rate,
        source="simulated",
        note=f"Simulated data in place of {replaced}: {simulator}, because {reason}.",
        simulator=simulator,
        seed=source.seed,
        **facts,
    )


def recording(source: Source, samples: int) -> tuple[np.ndarray, str]:
    """A simulated signal ``(samples,)``, in arbitrary units, and how it was made.

    Raises ValueError if the simulator of the source is no key of `SIMULATORS`.
    """
    import neurokit2

    kind = source.simulator
    if kind not in SIMULATORS:
        raise ValueError(
            f"{source.name}: expected a simulator, one of {', '.join(SIMULATORS)}, got {kind!r}"
        )
    signal = getattr(neurokit2, f"{kind.lower()}_simulate")(
        duration=samples / source.sampling_rate,
        sampling_rate=source.sampling_rate,
        random_state=source.seed,
        **({} if kind == "PPG" else {"length": samples}),  # PPG takes no length
        **SIMULATORS[kind],
    )
    return signal, f"{kind} by neurokit2 {neurokit2.__version__}"


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
