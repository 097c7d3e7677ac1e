"""The floor checker finds what it is for, and the house as it stands has no breach."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "house" / "floors.py"


def run(root: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, str(SCRIPT), str(root)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_the_house_stands() -> None:
    code, output = run(ROOT)
    assert code == 0, output


@pytest.mark.parametrize(
    ("file", "line", "expected"),
    [
        ("infra/planted.py", "from ..envs.types import Task", "infra may not import envs"),
        ("envs/deep/planted.py", "from ...rollout import types", "envs may not import rollout"),
        ("synth/planted.py", "from .. import policy", "synth may not import policy"),
        ("policy/planted.py", "def f():\n    from ..synth.certify import certify", "policy may not import synth"),
        ("rollout/planted.py", "from palestra.envs.types import Task", "absolute import"),
        ("rollout/planted.py", "import palestra.envs.types", "absolute import"),
        ("verifiers/__init__.py", "", "must not exist"),
        ("envs/long.py", "x = 1\n" * 601, "601 lines"),
    ],
)
def test_a_planted_breach_is_found(tmp_path: Path, file: str, line: str, expected: str) -> None:
    for folder in ("envs", "infra", "kernels", "policy", "rollout", "services", "synth", "verifiers"):
        (tmp_path / folder).mkdir()
    shutil.copytree(ROOT / "src", tmp_path / "src", symlinks=True)
    planted = tmp_path / file
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(line)
    code, output = run(tmp_path)
    assert code == 1
    assert expected in output
