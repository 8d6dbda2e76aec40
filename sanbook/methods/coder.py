"""True bytes: codes quantized, sent by an entropy coder, and received again, bit-exactly."""

import io
import struct
import zlib

import numba
import numpy as np
import soundfile
import torch
from torch import Tensor

import san_core
from sanbook.methods.base import Method

BITS = 24  # of the precision of probabilities
LONGEST = 65_504  # the largest number of the 16 bits, whole or not, that a message's header has


def quantize(code: Tensor, step: float) -> Tensor:
    """Whole numbers of steps, same shape, int32; an entry of a sparse code never becomes 0.

    >>> quantize(torch.tensor([[[0.0, 0.3, -2.6]]]), step=1.0)
    tensor([[[ 0,  1, -3]]], dtype=torch.int32)
    """
    levels = (code / step).round()
    if code.ndim > 2:
        levels = torch.where(levels == 0, code.sign(), levels)
    return levels.int()


def pack(levels: np.ndarray, ordered: bool) -> bytes:
    """The message of one example's quantized code; `unpack` reads it.

    A header of 6 bytes tells the number of entries, the largest and the mean magnitude. An entropy
    coder (asymmetric numeral systems, Duda 2013, arXiv 1311.2540) then writes where the entries
    are, as independent of each other, unless the code is ``ordered``; and the entries themselves by
    a Laplace distribution. ValueError if there are more than `LONGEST` entries, or steps in an
    entry.
    """
    flat = levels.ravel()
    kept = np.ones(flat.shape, bool) if ordered else flat != 0
    values = flat[kept]
    largest = int(np.abs(values).max(initial=1))
    if max(len(values), largest) > LONGEST:
        raise ValueError(
            f"levels: {len(values)} entries of up to {largest} steps are more than {LONGEST}. Use "
            "a larger step."
        )
    header = struct.pack("<HHe", len(values), largest, np.abs(values).mean() if len(values) else 0)
    places, alphabet, distribution = _models(header, len(flat), ordered)
    numbers = [] if ordered else [(places, kept.astype(np.int64))]
    numbers.append((distribution, np.searchsorted(alphabet, values)))
    begin, end = (
        np.concatenate([model[number + above] for model, number in numbers]) for above in (0, 1)
    )
    words, state = _encode(begin, end - begin)
    last = int(state).to_bytes(8, "little").rstrip(b"\0")
    return header + last + words[::-1].astype("<u4").tobytes()


def unpack(message: bytes, shape: tuple[int, ...], ordered: bool) -> np.ndarray:
    """The quantized code of one example, int32 of the ``shape`` that it had; see `pack`."""
    count, *_ = struct.unpack("<HHe", message[:6])
    levels = np.zeros(shape, np.int32)
    flat = levels.ravel()  # a view
    places, alphabet, distribution = _models(message[:6], len(flat), ordered)
    # The state has up to 8 bytes, and where words of 4 bytes follow it at least 5.
    end = min(len(message), 6 + (len(message) - 7) % 4 + 5)
    state, words = int.from_bytes(message[6:end], "little"), np.frombuffer(message[end:], "<u4")
    kept = slice(None)
    if not ordered:
        numbers, state, words = _decode(places, len(flat), np.uint64(state), words)
        kept = numbers.astype(bool)
    numbers, _, _ = _decode(distribution, count, np.uint64(state), words)
    flat[kept] = alphabet[numbers]
    return levels


def _models(header: bytes, size: int, ordered: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What sender and receiver expect after a header: of places and of values, and the alphabet.

    A model is a partition of 2^24: number ``i`` has the part from ``model[i]`` to ``model[i + 1]``.
    """
    count, largest, mean = struct.unpack("<HHe", header)
    probability = np.clip(count / size, 1e-4, 1 - 1e-4)
    places = _partition(np.array([1 - probability, probability]))
    alphabet = np.arange(-largest, largest + 1, dtype=np.int32)
    alphabet = alphabet if ordered else alphabet[alphabet != 0]
    return places, alphabet, _partition(np.exp(-np.abs(alphabet) / max(mean, 0.1)))


def _partition(weights: np.ndarray) -> np.ndarray:
    """Parts of 2^24, in proportion to weights ``(K,)`` but none empty: bounds ``(K + 1,)``."""
    spare = 2**BITS - len(weights)
    bounds = np.floor(spare * np.cumsum(weights) / weights.sum()).astype(np.int64)
    return np.concatenate([[0], bounds + np.arange(1, len(weights) + 1)]).astype(np.uint64)


@numba.njit(cache=True)
def _encode(begin, width):  # pragma: no cover
    """Words (32 bits, the last is read first) and the last state of parts of 2^24, ``(N,)``."""
    words, count, state = np.empty(len(begin) + 1, np.uint32), 0, np.uint64(1)
    for i in range(len(begin) - 1, -1, -1):
        if state >> np.uint64(64 - BITS) >= width[i]:
            words[count] = state & np.uint64(2**32 - 1)
            count += 1
            state >>= np.uint64(32)
        quotient = state // width[i]
        state = (quotient << np.uint64(BITS)) + (state - quotient * width[i]) + begin[i]
    return words[:count], state


@numba.njit(cache=True)
def _decode(bounds, count, state, words):  # pragma: no cover
    """So many numbers, and the state and the words that are left."""
    numbers, used = np.empty(count, np.int64), 0
    for i in range(count):
        within = state & np.uint64(2**BITS - 1)
        number = np.searchsorted(bounds, within, side="right") - 1
        width = bounds[number + 1] - bounds[number]
        state = width * (state >> np.uint64(BITS)) + within - bounds[number]
        if state < np.uint64(2**32) and used < len(words):
            state = (state << np.uint64(32)) | np.uint64(words[used])
            used += 1
        numbers[i] = number
    return numbers, state, words[used:]


def transmit(
    method: Method, code: Tensor, spatial: torch.Size, step: float
) -> tuple[Tensor, Tensor]:
    """Bytes of each code's message and what a receiver makes of them, ``(B,)``, ``(B, *spatial)``.

    The bytes are without the weights; the receiver has those as 16-bit floats.
    """
    ordered, shape = code.ndim == 2, code.shape[1:]
    messages = [pack(levels, ordered) for levels in quantize(code, step).numpy()]
    received = np.stack([unpack(message, shape, ordered) for message in messages])
    receiver = method.with_weights(tuple(weight.half().to(code.dtype) for weight in method.weights))
    length = torch.tensor([len(message) for message in messages], dtype=code.dtype)
    return length, receiver.decode(torch.from_numpy(received).to(code.dtype) * step, spatial)


def raw_bytes(spatial: torch.Size) -> int:
    """Bytes of an example as it is stored: 2 for a sample of a signal, 1 for a pixel."""
    return spatial.numel() * (2 if len(spatial) == 1 else 1)


def evaluate_bytes(
    method: Method, x: Tensor, code: Tensor, step: float, shared_by: int = 1
) -> Tensor:
    """Bytes, loss and phi of each example, with bytes over `raw_bytes` for CR^-1, ``(B, 3)``.

    Bytes are those of the message and of the weights, shared as in `inverse_compression_ratio`.
    """
    length, x_hat = transmit(method, code, x.shape[1:], step)
    length = length + 2 * method.num_weights / shared_by
    loss = san_core.normalized_loss(x, x_hat)
    phi = san_core.phi(length / raw_bytes(x.shape[1:]), loss)
    return torch.stack([length, loss, phi], dim=-1)


def choose_step(method: Method, x: Tensor, shared_by: int = 1) -> float:
    """The quantization step with the smallest mean phi of true bytes on (validation) examples.

    Of 1/32 to 4 times the mean magnitude of the entries.
    """
    code = method.encode(x)
    kept = code[code != 0].abs()
    mean = kept.mean().item() if len(kept) else 1.0  # nothing to quantize: a dead network
    steps = [mean * 2.0**power for power in range(-5, 3)]

    def mean_phi(step):
        return evaluate_bytes(method, x, code, step, shared_by)[:, 2].mean().item()

    return min(steps, key=mean_phi)


def lossless_bytes(x: Tensor) -> dict[str, float]:
    """Bytes of an example without loss: as stored, by zlib, and signals by FLAC; means.

    Signals are scaled to 16 bits, each to its own range. FLAC has all of them in one file, as its
    header is longer than a short window.
    """
    if x.ndim == 3:
        stored = (x * 255).round().to(torch.uint8).numpy()
    else:
        stored = (x / x.abs().amax(dim=1, keepdim=True) * 32_767).round().to(torch.int16).numpy()
    sizes = {
        "stored": float(raw_bytes(x.shape[1:])),
        "zlib": float(np.mean([len(zlib.compress(example.tobytes(), 9)) for example in stored])),
    }
    if x.ndim == 2:
        file = io.BytesIO()
        soundfile.write(file, stored.ravel(), 8_000, format="FLAC", subtype="PCM_16")
        sizes["FLAC"] = len(file.getvalue()) / len(x)
    return sizes
