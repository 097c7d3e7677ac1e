"""A run that is made to diverge, and what rolling back does about it.

    python benchmarks/stability.py

GRPO from the shipped cold start, with a learning rate a hundred times too high, twice: with rollback on, and with a
tolerance that no fall exceeds. Prints a table of held-out pass@1 by update; writes `benchmarks/results/stability.json`
and `docs/stability.png`.
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

from matplotlib.figure import Figure
from sqlalchemy import create_engine, text

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "examples" / "pipeline" / "4-specialist.toml"
SETTINGS = [
    "checkpoint=coldstart",
    "domains.0.env=search",
    "domains.0.level=3",
    "train_tasks=64",
    "held_out=32",
    "tasks_per_update=6",
    "group=6",
    "max_refills=2",
    "workers=1",
    "threads=1",
]
GUARDS = {
    "rollback": ["rollback.tolerance=0.1", "rollback.slower=0.1", "rollback.most=8"],
    "no rollback": ["rollback.tolerance=1"],
}


def run(name: str, lr: float, updates: int, every: int, seed: int, folder: Path) -> dict[str, Any]:
    """One training; its held-out pass@1, learning rate and number of rollbacks by update."""
    out = folder / name.replace(" ", "-")
    store = f"sqlite:///{out}.db"
    given = [f"lr={lr}", f"updates={updates}", f"eval_every={every}", f"seed={seed}", f"out={out}"]
    command = [sys.executable, "-m", "palestra.services.cli.main", "train", str(RECIPE)]
    began = time.monotonic()
    done = subprocess.run(
        [*command, *SETTINGS, *GUARDS[name], *given, "--store", store, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    run_id = json.loads(done.stdout.splitlines()[-1])["run"]
    return {"seconds": round(time.monotonic() - began, 1), **collect(store, run_id)}


def collect(store: str, run_id: str) -> dict[str, Any]:
    """The curves of a run."""
    wanted = {
        "train/reward": "reward",
        "train/lr": "lr",
        "train/rollbacks": "rollbacks",
        "eval/search/pass@1": "pass@1",
    }
    curves: dict[str, dict[int, float]] = {name: {} for name in wanted.values()}
    with create_engine(store).connect() as connection:
        rows = connection.execute(
            text("select name, step, value from metrics where run_id = :run order by seq"), {"run": run_id}
        ).all()
    for name, step, value in rows:
        if name in wanted:
            curves[wanted[name]][step] = value  # judged again after a rollback: the later one is of the policy kept
    return {name: sorted(curve.items()) for name, curve in curves.items()}


def table(found: dict[str, dict[str, Any]]) -> str:
    """pass@1 by update as Markdown, with the learning rate and the rollbacks so far of the run that has them."""
    guarded = {name: dict(found["rollback"][name]) for name in ("lr", "rollbacks")}
    scores = {name: dict(found[name]["pass@1"]) for name in found}
    lines = [f"| update | {' | '.join(scores)} | learning rate | rollbacks |", "|---" * (len(scores) + 3) + "|"]
    for step in sorted(set().union(*scores.values())):
        shown = [f"{100 * curve[step]:.1f} %" if step in curve else "" for curve in scores.values()]
        lr, rollbacks = guarded["lr"].get(step), guarded["rollbacks"].get(step, 0)
        lines.append(f"| {step} | {' | '.join(shown)} | {'' if lr is None else f'{lr:.1e}'} | {rollbacks:.0f} |")
    return "\n".join(lines)


def plot(found: dict[str, dict[str, Any]], lr: float, path: Path) -> None:
    """Held-out pass@1 over updates, with and without, and where the policy was taken back."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, colour in zip(GUARDS, ("C0", "C3"), strict=True):
        steps, scores = zip(*found[name]["pass@1"], strict=True)
        axes.plot(steps, scores, marker="o", color=colour, label=name)
    before = 0.0
    for step, count in found["rollback"]["rollbacks"]:
        if count > before:
            axes.axvline(step, color="C0", linestyle=":", linewidth=1, label="" if before else "taken back")
        before = count
    axes.set(title=f"GRPO at a learning rate of {lr:g}", xlabel="update", ylabel="pass@1 on held-out tasks")
    axes.set_ylim(-0.02, 1.02)
    axes.grid(alpha=0.25)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Both runs, the table, the JSON, the plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lr", type=float, default=3e-2)
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--every", type=int, default=2, help="updates between two evaluations")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "stability.json")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "stability.png")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {
            name: run(name, given.lr, given.updates, given.every, given.seed, Path(folder).resolve()) for name in GUARDS
        }
    print(table(found))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    about = {"lr": given.lr, "seed": given.seed, "python": platform.python_version(), "torch": version("torch")}
    given.out.write_text(json.dumps(about | {"commit": commit.strip(), "runs": found}, indent=1) + "\n")
    plot(found, given.lr, given.plot)


if __name__ == "__main__":
    main()
