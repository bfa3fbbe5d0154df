"""What all tests share: repeatable randomness, and the command line in an empty folder."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from typer.testing import CliRunner

settings.register_profile("ci", derandomize=True, max_examples=30, deadline=None)
settings.load_profile("ci")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that is the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def hybridrl(tmp_path, monkeypatch):
    """Runs the command line in an empty folder: ``hybridrl("list", "envs")`` gives the result."""
    from hybridrl.cli import app

    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    return lambda *words: runner.invoke(app, [str(word) for word in words])
