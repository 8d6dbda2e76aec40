"""Networks that another page trained, or that are trained here if that page was not made."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import torch

from san_core import SAN
from sanbook import reports, show
from sanbook.data.dataset import DataSet
from sanbook.methods.networks import TrainedNetwork, trained_sans
from sanbook.scales import MultiscaleSAN
from sanbook.training import PROTOCOLS, sweep

# How the SANs are trained here.
OF_LABELLED = replace(PROTOCOLS["mnist"], epochs=10, batch_size=16)
SIZES = {"uci-epilepsy": range(8, 23, 2), "mnist": range(1, 7), "fashion-mnist": range(1, 7)}
HERE = "SANs that this page trains with a coarse grid of kernel sizes"


class PaperSANs:
    """The SANs of the paper on several data sets, one candidate or more for each function.

    A SAN comes from the results of the data set's own PhysioNet page, which selected its kernel
    size on validation. Where that page has no results from the same data, SANs are trained here.

    Args:
        used: the data sets.
        results: folder of the results, see `sanbook.reports.find_results`.
        seed: of the SANs that are trained here.
    """

    def __init__(self, used: Mapping[str, DataSet], results: str, seed: int) -> None:
        self.used, self.seed = used, seed
        found = {name: reports.find_results(f"physionet/{name}", results) for name in used}
        self.found = {
            name: page
            for name, page in found.items()
            if page and page.results["cards"][name]["source"] == used[name].card.source
        }

    def candidates(self, name: str, activation: str) -> Iterator[TrainedNetwork]:
        """The SANs of a data set and activation function."""
        examples = self.used[name]
        protocol = OF_LABELLED if examples.labels else PROTOCOLS["physionet"]
        if name in self.found:
            kernel = torch.tensor(self.found[name].results["kernels"][activation])
            model = SAN([len(kernel)], activation, border_tolerance=protocol.border_tolerance)
            yield TrainedNetwork(model).with_weights((kernel,))
            return
        sizes = SIZES.get(name, range(1, 250, 12))
        trained = sweep(examples, activation, sizes, seeds=[self.seed], protocol=protocol)
        yield from trained_sans(trained)

    def origins(self) -> show.Shown:
        """Where the SANs of the paper come from, in a sentence."""
        names: dict[str, list[str]] = {}
        for name in self.used:
            found = self.found.get(name)
            origin = found.origin if found else HERE
            names.setdefault(origin, []).append(name)
        each = [f"{origin} ({reports.listed(of_origin)})" for origin, of_origin in names.items()]
        return show.say(f"The SANs of the paper on this page come from {reports.listed(each)}.")


def multiscale_sans(used: Mapping[str, DataSet], results: str) -> dict[str, MultiscaleSAN]:
    """The multiscale SANs of the page on them, of the data sets that it had."""
    found = reports.find_results("scales", results)
    if not found:
        return {}
    cards = found.results["cards"]
    return {
        name: MultiscaleSAN(torch.tensor(network["prototypes"]), network["lengths"])
        for name, network in found.results["networks"].items()
        if name in used and cards[name]["source"] == used[name].card.source
    }


def multiscale_candidates(model: MultiscaleSAN) -> Callable:
    """A trained multiscale SAN as the one candidate of a method, its scales paid or not."""

    def candidates(train, seed: int, scale_paid: bool = False) -> list[TrainedNetwork]:
        charged = MultiscaleSAN(model.prototypes, model.lengths, 2 + scale_paid)
        return [TrainedNetwork(charged)]

    return candidates
