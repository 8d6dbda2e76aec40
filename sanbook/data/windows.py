"""Windows of a signal, each with mean 0 and standard deviation 1.

Axes: n samples; a signal is (n,), a set of windows (windows, n).
"""

from torch import Tensor


def standardized_windows(signal: Tensor, window: int, *, origin: str = "signal") -> Tensor:
    """Cut a signal into windows, one after the other, each with mean 0 and standard deviation 1.

    From each window its mean is subtracted, and the rest is divided by the window's unbiased
    standard deviation (sum of squares over `window` - 1, as `torch.std` does), so amplitudes are in
    standard deviations. `signal` is (n,), floating point, in any units; samples after the last
    whole window are left out. Computed in the precision of `signal`; returns float32 (n // window,
    window). `origin` names the signal in errors. Raises ValueError for fewer samples than a window
    has, for a window of less than 2, for samples that are NaN or infinite, and for a constant
    window, which has no standard deviation to divide by.

    >>> import torch
    >>> standardized_windows(torch.tensor([1.0, 2.0, 3.0, 50.0, 40.0, 30.0, 7.0]), 3)
    tensor([[-1.,  0.,  1.],
            [ 1.,  0., -1.]])
    """
    if not 2 <= window <= len(signal):
        raise ValueError(
            f"{origin}: a window of {window} samples is below 2 or longer than the signal, which "
            f"has {len(signal)}. Choose another window or a longer signal."
        )
    bad = (~signal.isfinite()).nonzero().flatten()
    if len(bad):
        raise ValueError(
            f"{origin}: {len(bad)} samples are NaN or infinite, the first at index {bad[0]}. "
            "Choose another record or fill the gap."
        )
    cut = signal[: len(signal) // window * window].reshape(-1, window)
    constant = (cut.amax(1) == cut.amin(1)).nonzero().flatten().tolist()
    if constant:
        raise ValueError(
            f"{origin}: windows {constant} (counted from 0, {window} samples each) are constant, "
            "so that they cannot be standardized. Choose another record or a part without them."
        )
    return ((cut - cut.mean(1, keepdim=True)) / cut.std(1, keepdim=True)).float()
