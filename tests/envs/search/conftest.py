"""Corpora of these tests lie in a folder of their own."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for corpora that the tests of a session share, so that a world is indexed once."""
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture(autouse=True)
def _corpora(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALESTRA_CORPORA", str(shelf))
    monkeypatch.delenv("PALESTRA_SEARCH_CORPUS", raising=False)
