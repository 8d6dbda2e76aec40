"""PCA and dictionaries: closed forms, and what scikit-learn gives."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import orthogonal_mp_gram
from torch.nn.functional import pad

from sanbook.methods import base as methods
from sanbook.methods import fixed, learned
from sanbook.methods.learned import ConvolutionalDictionary, Dictionary, PrincipalComponents


def test_all_components_lose_nothing(data):
    size = 8 if data.train.ndim == 2 else 4
    patches = learned.patches(data.train, size, count=1000, seed=0)
    mean, (_, _, directions) = patches.mean(dim=0), torch.linalg.svd(patches - patches.mean(dim=0))
    method = PrincipalComponents(size, (directions, mean))
    assert methods.evaluate(method, data.test)[:, 1].max() < 1e-5


def test_one_atom_of_each_patch_is_found():
    atoms = torch.eye(8)[:3]
    x = torch.cat([2 * atoms[0], -3 * atoms[2]])[None]
    code = Dictionary(8, 1e-6, (atoms,)).encode(x)
    assert code.shape == (1, 3, 2)  # atoms, places
    assert code[0].tolist() == [[2, 0], [0, 0], [0, -3]]


def test_codes_are_those_of_scikit_learn(data):
    candidates = list(itertools.islice(learned.dictionaries(data.train, seed=0), 6))
    dictionary = candidates[0]
    atoms = dictionary.weights[0].double().numpy()
    pieces = fixed.cut(data.test, dictionary.size).flatten(data.test.ndim)
    flat = pieces.flatten(0, -2).double().numpy()
    energy = (flat**2).sum(axis=1)
    for candidate in candidates:
        code, tolerance = candidate.encode(data.test), candidate.tolerance
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # atoms that do not suffice
            expected = orthogonal_mp_gram(
                atoms @ atoms.T, atoms @ flat.T, tol=tolerance, norms_squared=energy
            )
        expected = expected.reshape(len(atoms), -1).T
        expected[energy <= tolerance] = 0  # scikit-learn draws one atom even where none is needed
        np.testing.assert_allclose(code.movedim(1, -1).reshape(expected.shape), expected, atol=1e-5)


def test_atom_is_drawn_where_the_code_says(data):
    ndim = data.train.ndim - 1
    atom = torch.arange(1.0, 1 + 3**ndim).view(1, *[3] * ndim)
    code = torch.zeros(1, 1, *[8] * ndim)
    code[(0, 0, *[2] * ndim)] = 2.0
    x = ConvolutionalDictionary(0.1, (atom,)).decode(code, torch.Size([8] * ndim))
    torch.testing.assert_close(x[0], pad(2 * atom[0], [2, 3] * ndim))


@pytest.mark.parametrize("ndim", [1, 2])
def test_learning_from_examples_that_are_nearly_alike_warns_of_nothing(monkeypatch, ndim):
    monkeypatch.setattr(learned, "PATCHES", 200)
    shape = [64, 12][ndim - 1 : ndim] * ndim
    few = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    train = few.repeat(6, *[1] * ndim).round()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for fit in (learned.dictionaries, learned.principal_components):
            for candidate in fit(train, seed=0):
                list(candidate.try_on(few))
