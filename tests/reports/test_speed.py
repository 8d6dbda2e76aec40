"""Tests of the page of measurements."""

import pytest

from sanbook.reports import ParameterError, speed


def test_the_committed_measurements_are_shown():
    report = speed.Report("bench.csv")
    sections = (report.about, report.cases, report.sweeps, report.operations, report.limits)
    texts = [section().html for section in sections]
    assert all(texts)
    assert not any("nan" in text for text in (texts[0], texts[-1]))


def test_without_measurements_the_command_and_its_minutes_are_said():
    with pytest.raises(ParameterError, match="Run `make bench`, which takes about six minutes"):
        speed.Report("absent.csv")
