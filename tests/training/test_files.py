"""Tests of the files of trained networks, SANs and multiscale SANs."""

import pytest
import torch
from safetensors.torch import save_file

from san_core import ACTIVATIONS, SAN
from sanbook.scales import MultiscaleSAN
from sanbook.training.files import load_facts, load_model, save_model


@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_saved_san_gives_the_same_codes_when_loaded(tmp_path, activation, ndim):
    sizes = [4, 3, 5, *[2] * 9]  # more than ten, so that their order is not that of their names
    seeded = torch.Generator().manual_seed(0)
    model = SAN(sizes, activation, ndim, border_tolerance=1, generator=seeded)
    state = torch.random.get_rng_state()
    save_model(model, tmp_path / "model.safetensors", {"units": "mV"})
    loaded = load_model(tmp_path / "model.safetensors")
    assert torch.equal(torch.random.get_rng_state(), state)
    for name in ("activation", "ndim", "border_tolerance", "num_weights"):
        assert getattr(loaded, name) == getattr(model, name)
    x = torch.randn(3, *(17, 19)[:ndim], generator=seeded)
    assert torch.equal(loaded.encode(x), model.encode(x))
    assert torch.equal(loaded(x), model(x))
    assert load_facts(tmp_path / "model.safetensors")["units"] == "mV"


def test_saved_multiscale_san_gives_the_same_codes_when_loaded(tmp_path):
    prototypes = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    model, x = MultiscaleSAN(prototypes, [3, 7, 20], cost=3), torch.sin(torch.arange(80.0))[None]
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert (loaded.lengths, loaded.cost) == (model.lengths, 3)
    assert torch.equal(loaded.encode(x), model.encode(x))


def test_saved_san_keeps_double_precision(tmp_path):
    model = SAN([3], "relu").double()
    save_model(model, tmp_path / "model.safetensors")
    (kernel,) = load_model(tmp_path / "model.safetensors").kernels
    assert kernel.dtype == torch.float64
    assert torch.equal(kernel, model.kernels[0])


def test_other_networks_are_not_saved(tmp_path):
    with pytest.raises(TypeError, match="one of SAN, multiscale SAN, but is Linear"):
        save_model(torch.nn.Linear(1, 1), tmp_path / "model")


OF_SAN = {"kind": "SAN", "activation": "relu", "border_tolerance": "2"}
KERNEL, PROTOTYPES = {"kernel 0": torch.ones(3)}, {"prototypes": torch.ones(1, 3)}


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        (KERNEL, None, r"metadata \[\] and the tensors \['kernel 0'\]: the kind must be one of"),
        (KERNEL, OF_SAN | {"kind": "net"}, "but is 'net'"),
        ({"kernel 1": torch.ones(3)}, OF_SAN, r"tensors \['kernel 1'\]"),
        ({"kernel 0": torch.ones(3, 4)}, OF_SAN, r"shapes \[\(3, 4\)\]"),
        (KERNEL | {"kernel 1": torch.ones(3, 3)}, OF_SAN, r"shapes \[\(3,\)"),
        ({"kernel 0": torch.ones(2, 2, 2)}, OF_SAN, "ndim must be 1"),
        ({}, OF_SAN, "kernel_sizes must be one or more"),
        (KERNEL, OF_SAN | {"activation": "softmax"}, "but is 'softmax'"),
        (KERNEL, OF_SAN | {"border_tolerance": "two"}, "'two'"),
        *[
            (PROTOTYPES, {"kind": "multiscale SAN", "lengths": lengths, "cost": "2"}, "no network")
            for lengths in ("3", "[0]", "{")
        ],
    ],
)
def test_file_that_save_did_not_write_is_refused(tmp_path, tensors, metadata, message):
    path = tmp_path / "other.safetensors"
    save_file(tensors, path, metadata)
    with pytest.raises(ValueError, match=rf"other.safetensors: .*{message}"):
        load_model(path)


def test_pickle_and_broken_file_are_refused_and_nothing_in_them_runs(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").touch, ()

    torch.save(Trap(), tmp_path / "model.pt")
    save_model(SAN([30], "relu"), tmp_path / "whole")
    (tmp_path / "cut").write_bytes((tmp_path / "whole").read_bytes()[:-1])
    (tmp_path / "empty").touch()
    for name in ("model.pt", "cut", "empty"):
        with pytest.raises(ValueError, match=f"{name}: is not a whole safeten"):
            load_model(tmp_path / name)
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(FileNotFoundError, match="absent"):
        load_model(tmp_path / "absent")
