"""Figures of results."""

import numpy as np
import pytest

from sanbook.show.figures import apart


def test_labels_far_apart_stay_where_their_values_are():
    assert apart([0.9, 0.1, 0.5], 0.1) == pytest.approx([0.9, 0.1, 0.5])


def test_labels_of_equal_values_spread_around_them():
    assert apart([0.5, 0.5, 0.5], 0.1) == pytest.approx([0.4, 0.5, 0.6])


def test_crowded_labels_are_a_gap_apart_above_zero_and_in_order():
    values = np.array([0.31, 0.06, 0.2, 0.05, 0.19, 0.18, 0.3, 0.01])
    places = apart(values, 0.04)
    assert (np.argsort(places) == np.argsort(values)).all()
    assert np.diff(np.sort(places)).min() == pytest.approx(0.04)
    assert places.min() >= 0.02
