"""The lock installs everywhere: for each platform and Python every package has a wheel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PLATFORMS = (
    "x86_64-manylinux_2_28",
    "aarch64-manylinux_2_28",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
)


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_lock_resolves_from_wheels(tmp_path, platform, python):
    command = [sys.executable, "-m", "uv", "pip", "compile", "--no-config", "--quiet"]
    command += ["--only-binary", ":all:"]
    command += ["--python-platform", platform, "--python-version", python]
    resolved = subprocess.run(
        [*command, str(ROOT / "requirements.txt"), "-o", str(tmp_path / "lock.txt")],
        env={**os.environ, "MACOSX_DEPLOYMENT_TARGET": "14.0"},
        capture_output=True,
        text=True,
    )
    assert resolved.returncode == 0, resolved.stderr
