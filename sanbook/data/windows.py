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
            f"{origin}: expected a window of 2 to {len(signal)} samples, as many as the signal "
            f"has, got {window}; choose another window or a longer signal"
        )
    bad = (~signal.isfinite()).nonzero().flatten()
    if len(bad):
        raise ValueError(
            f"{origin}: expected finite samples, got {len(bad)} NaN or infinite, the first at "
            f"index {bad[0]}; choose another record or fill the gap"
        )
    cut = signal[: len(signal) // window * window].reshape(-1, window)
    constant = (cut.amax(1) == cut.amin(1)).nonzero().flatten().tolist()
    if constant:
        raise ValueError(
            f"{origin}: expected windows that vary, got a constant window at {constant} (counted "
            f"from 0, {window} samples each), which cannot be standardized; choose another record "
            "or a part without it"
        )
    return ((cut - cut.mean(1, keepdim=True)) / cut.std(1, keepdim=True)).float()
