"""What people would use instead of a SAN, and what each method costs by the paper's own metric.

Fixed transforms, learned ones, a naive floor and other pursuits behind the interface of `methods`,
so that `san_core`'s CR^-1, normalized loss and phi can be said of all; `measure` chooses and tests.

Axes as in `san_core`: B examples, q maps.
"""

import dataclasses
import functools
import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator

from torch import Tensor

from sanbook.methods import fixed as transforms
from sanbook.methods import kernels as atoms
from sanbook.methods import learned
from sanbook.methods.base import Method, choose, entries, evaluate_code
from sanbook.methods.coder import choose_step, evaluate_bytes
from sanbook.methods.networks import TrainedNetwork
from sanbook.scales import MultiscaleSAN, compare_scales
from sanbook.training.cache import cached

# Candidates of each method: a function of the training examples and a seed.
METHODS = {
    "DCT": transforms.one_count(transforms.dct),
    "DCT in blocks": transforms.one_count(transforms.block_dct),
    "wavelets": transforms.one_count(transforms.wavelets),
    "PCA": learned.principal_components,
    "dictionary, OMP": learned.dictionaries,
    "convolutional dictionary": learned.convolutional_dictionaries,
    "down-sampling": transforms.down_sampling,
    "piecewise linear": transforms.one_count(transforms.piecewise_linear),
}

#: Methods whose library is not installed, and why.
ABSENT = {}
if importlib.util.find_spec("sporco") is None:
    ABSENT["convolutional dictionary"] = "SPORCO is not installed, which has no wheels"
    del METHODS["convolutional dictionary"]

# The same where each example takes as many entries as make its own phi smallest.
OWN_COUNT = {
    "DCT, count per example": transforms.own_count(transforms.dct),
    "DCT in blocks, count per example": transforms.own_count(transforms.block_dct),
    "piecewise linear, count per example": transforms.own_count(transforms.piecewise_linear),
}

# And of shapes that come at several scales: ``scale_paid=True`` has entries pay for theirs.
SCALED = {
    "wavelets, count per example": transforms.own_count(transforms.wavelets),
    "shift-invariant wavelets, OMP": atoms.wavelet_pursuits,
    "Gabor atoms, OMP": atoms.gabor_pursuits,
    "Gabor atoms, MP": functools.partial(atoms.gabor_pursuits, refit=False),
    "random kernels, OMP": atoms.random_pursuits,
}

# Every method, and those that have no candidates for images.
ALL = METHODS | OWN_COUNT | SCALED
SIGNALS_ONLY = {"piecewise linear", "piecewise linear, count per example", *SCALED} - {
    "wavelets, count per example"
}

SCALE_EXAMPLES = 30  # for training, and for validation, of a multiscale SAN


def multiscale_sans(validation: Tensor, **settings) -> Callable:
    """Candidates of a multiscale SAN: the one that `scales.compare_scales` chooses.

    It is learned from `SCALE_EXAMPLES` at most, by the paper's count even where the scale is paid.
    """

    @functools.cache  # learned once for both counts
    def learn(train: Tensor, seed: int) -> MultiscaleSAN:
        parts = train[:SCALE_EXAMPLES], validation[:SCALE_EXAMPLES]
        return compare_scales(*parts, seed=seed, **settings).model

    def candidates(train: Tensor, seed: int, scale_paid: bool = False) -> Iterator[TrainedNetwork]:
        model = learn(train, seed)
        yield TrainedNetwork(MultiscaleSAN(model.prototypes, model.lengths, cost=2 + scale_paid))

    return candidates


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What a method gives on the test examples of a data set.

    ``metrics`` (CR^-1, loss, phi) and ``in_bytes`` (bytes, loss, phi; quantized in ``step``) are of
    ``method``, charged W in every example; ``shared_metrics`` and ``shared_in_bytes`` (with a
    step of its own) of ``shared_method``, where examples share it; all ``(B, 3)``.
    ``entries`` are the A of ``method``, ``(B,)``. ``seconds_fit`` is fitting and choosing among
    all candidates, ``seconds_encode`` encoding one example.
    """

    method: Method
    shared_method: Method
    metrics: Tensor
    shared_metrics: Tensor
    step: float
    in_bytes: Tensor
    shared_in_bytes: Tensor
    entries: Tensor
    seconds_fit: float
    seconds_encode: float

    @property
    def dead(self) -> bool:
        """Whether no example has any entry: a dead network, which describes nothing."""
        return not self.entries.any().item()


@cached
def measure(
    candidates: Callable[[Tensor, int], Iterable], data, seed: int, shared_by: int | None = None
) -> Measurement:
    """Fit on training examples, choose on validation, measure on test.

    ``candidates`` is one of `METHODS`; ``data`` has ``train``, ``validation`` and ``test``, each
    ``(B, *spatial)``, such as `sanbook.data.dataset.DataSet`. ``shared_by`` examples share the
    weights of the shared method, by default all test examples.
    """
    started = time.perf_counter()
    shared_by = shared_by or len(data.test)
    method, shared_method = choose(candidates(data.train, seed), data.validation, shared_by)
    fitted = time.perf_counter()
    code = method.encode(data.test)
    encoded = time.perf_counter()
    step = choose_step(method, data.validation)
    same = shared_method is method
    shared_code = code if same else shared_method.encode(data.test)
    shared_step = (
        step
        if same and method.num_weights == 0
        else choose_step(shared_method, data.validation, shared_by)
    )
    return Measurement(
        method=method,
        shared_method=shared_method,
        metrics=evaluate_code(method, data.test, code),
        shared_metrics=evaluate_code(shared_method, data.test, shared_code, shared_by),
        step=step,
        in_bytes=evaluate_bytes(method, data.test, code, step),
        shared_in_bytes=evaluate_bytes(
            shared_method, data.test, shared_code, shared_step, shared_by
        ),
        entries=entries(code).float(),
        seconds_fit=fitted - started,
        seconds_encode=(encoded - fitted) / len(data.test),
    )
