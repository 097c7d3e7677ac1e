"""How much the quickstart's policy learns: held-out pass@1 before and after GRPO, for several seeds.

    python benchmarks/learning.py --seeds 0 1 2

Each seed is one whole `palestra train examples/quickstart.toml seed=N`: other tasks, other held-out tasks, other
sampling. Writes `benchmarks/results/learning.json`, the plot `docs/learning.png`, the table between the markers of
`docs/learning.md`
and of the README.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from _common import ROOT, put
from sqlalchemy import create_engine, text

RECIPE = ROOT / "examples" / "quickstart.toml"


def run_seed(seed: int, folder: Path, overrides: list[str]) -> dict[str, Any]:
    """One training; what came of it, with its curves."""
    store = f"sqlite:///{folder}/seed{seed}.db"
    command = [sys.executable, "-m", "palestra.services.cli.main", "train", str(RECIPE), f"seed={seed}"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, f"out={folder}/seed{seed}", *overrides, "--store", store, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"seed": seed, "seconds": round(time.monotonic() - began, 1), **collect(store, found)}


def collect(store: str, found: dict[str, Any]) -> dict[str, Any]:
    """The scores and curves of a finished run."""
    with create_engine(store).connect() as connection:
        rows = connection.execute(
            text("select name, step, value from metrics where run_id = :run order by seq"), {"run": found["run"]}
        ).all()
    curves: dict[str, list[list[float]]] = {}
    for name, step, value in rows:
        if "reward" in name or "pass@1" in name:
            curves.setdefault(name, []).append([step, round(value, 4)])
    return {"held_out": found["held_out"], "curves": curves}


def table(results: list[dict[str, Any]]) -> str:
    """A Markdown table, a row per seed and environment."""
    lines = [
        "| seed | environment | before | after | points | held-out tasks | minutes |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        for env, found in result["held_out"].items():
            cells = [interval(found["before"]), interval(found["after"])]
            points = 100 * (found["after"]["value"] - found["before"]["value"])
            minutes = f"{result['seconds'] / 60:.1f}"
            row = [str(result["seed"]), env, *cells, f"{points:+.1f}", str(found["after"]["n"]), minutes]
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines)


def interval(found: dict[str, float]) -> str:
    """A percentage with its 95 % interval."""
    return f"{100 * found['value']:.1f} % [{100 * found['low']:.1f}, {100 * found['high']:.1f}]"


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """Held-out pass@1 (thick) and training reward (thin), a line per seed and environment."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
    for result in results:
        for number, env in enumerate(sorted(result["held_out"])):
            for side, name in ((axes[0], f"train/reward/{env}"), (axes[1], f"eval/{env}/pass@1")):
                points = result["curves"].get(name, [])
                label = env if result is results[0] else None
                side.plot(*zip(*points, strict=True), color=f"C{number}", alpha=0.7, linewidth=1.5, label=label)
    axes[0].set(title="reward while training", xlabel="update", ylim=(0, 1.02))
    axes[1].set(title=f"pass@1 on held-out tasks, {len(results)} seeds", xlabel="update")
    for side in axes:
        side.grid(alpha=0.25)
        side.legend(loc="lower right")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run all seeds, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--keep", action="store_true", help="write the table into docs/learning.md and the README")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in arguments.seeds:
            results.append(run_seed(seed, Path(folder), arguments.overrides))
            print(table(results[-1:]), flush=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False).stdout
    about = {
        "commit": commit.strip(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "machine": platform.machine(),
    }
    (ROOT / "benchmarks" / "results").mkdir(parents=True, exist_ok=True)
    report = json.dumps({"about": about, "overrides": arguments.overrides, "results": results}, indent=1)
    (ROOT / "benchmarks" / "results" / "learning.json").write_text(report + "\n")
    if arguments.keep:
        plot(results, ROOT / "docs" / "learning.png")
        for page in (ROOT / "docs" / "learning.md", ROOT / "README.md"):
            put(page, "learning", table(results))
    print(table(results))


if __name__ == "__main__":
    main()
