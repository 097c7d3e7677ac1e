"""The confusion table of certification: planted defects that must be caught, sound tasks that must not be rejected.

    python benchmarks/certification.py [--sound 200] [--sandbox auto|bwrap|docker|none] [--write]

Every defect of `palestra.synth.planted`, and `--sound` tasks over all levels of the registered environments and of what
`palestra env new` makes, are certified in full. `--write` puts the tables into docs/certification.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _common import RESULTS, about, markdown, put

from palestra.envs.environment import Environment
from palestra.envs.registry import list_environments
from palestra.infra.sandbox.sync import Sandboxes
from palestra.services.scaffold.render import write_plugin
from palestra.synth import certify
from palestra.synth.planted.defects import DEFECTS, SOUND, Defect
from palestra.synth.synthesize import attempt

PAGE = Path(__file__).parents[1] / "docs" / "certification.md"
MARK = "confusion"
ENDLESS_SECONDS = 5.0
"""How long a check may take here without a sandbox: one defect never ends."""


@dataclass
class Sound:
    """What came of the sound tasks of one environment."""

    env: str
    tasks: int = 0
    rejected: list[str] = field(default_factory=list)
    cheats: int = 0
    earned: int = 0
    seconds: float = 0.0


def sound_environments(sandboxes: Sandboxes | None, folder: Path) -> list[type[Environment]]:
    """Every registered environment that can be used here, a new plugin made in `folder`, and the sound ones that the
    defects derive from. One that derives from another registered one makes a part of its tasks and is left out.
    """
    registered = [listing.cls for listing in list_environments() if listing.cls is not None]
    found = [cls for cls in registered if not any(cls is not other and issubclass(cls, other) for other in registered)]
    write_plugin("lights", folder)
    sys.path.insert(0, str(folder / "lights"))
    plugin: type[Environment] = importlib.import_module("palestra_lights").Lights
    return [cls for cls in [*found, plugin, *SOUND] if cls.image is None or sandboxes is not None]


def certify_sound(cls: type[Environment], sandboxes: Sandboxes | None, count: int, seed: int) -> Sound:
    """`count` tasks over all levels; draws that proposed nothing are no tasks."""
    told = Sound(cls.id)
    number = 0
    while told.tasks < count and number < 10 * count + 50:
        level = cls.levels[number % len(cls.levels)]
        began = time.perf_counter()
        made = attempt(lambda: cls(sandboxes), seed, number, level, depth="full")
        number += 1
        if made.certified is None:
            continue
        told.tasks += 1
        told.seconds += time.perf_counter() - began
        team = made.certified.certificate.evidence("red_team")
        told.cheats += team.measured.get("cheats", 0) if team else 0
        told.earned += team.measured.get("earned", 0) if team else 0
        if not made.accepted:
            told.rejected.append(f"{made.certified.task.id} (level {level}): {made.reason}")
            for check in made.certified.certificate.checks:
                if not check.ok:
                    print(f"  {made.certified.task.id} {check.name}: {check.detail[:300]}", flush=True)
    return told


def shares(environments: list[type[Environment]], total: int, few: int) -> dict[str, int]:
    """How many sound tasks each environment gives: `few` where there is a sandbox, the rest alike."""
    light = [cls.id for cls in environments if cls.image is None]
    counts = {cls.id: few for cls in environments if cls.image is not None}
    left = max(0, total - sum(counts.values()))
    return counts | {name: left // len(light) + (at < left % len(light)) for at, name in enumerate(light)}


def main() -> None:
    """Print both tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sound", type=int, default=200)
    parser.add_argument("--few", type=int, default=3, help="sound tasks of each environment with a sandbox")
    parser.add_argument("--seed", type=int, default=random.Random("certification").getrandbits(16))
    parser.add_argument("--sandbox", default="auto")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/certification.md")
    given = parser.parse_args()
    certify.CHECK_SECONDS = ENDLESS_SECONDS
    sandboxes = None if given.sandbox == "none" else Sandboxes(given.sandbox)
    caught = [(defect, _found(defect, sandboxes)) for defect in DEFECTS if sandboxes or not defect.sandboxed]
    certify.CHECK_SECONDS = 60.0
    sound = []
    with tempfile.TemporaryDirectory() as folder:
        environments = sound_environments(sandboxes, Path(folder))
        counts = shares(environments, given.sound, given.few)
        for cls in environments:
            sound.append(certify_sound(cls, sandboxes, counts[cls.id], given.seed))
            print(f"{cls.id}: {sound[-1].tasks} sound tasks, {len(sound[-1].rejected)} rejected", flush=True)
    table = render(caught, sound)
    print(table)
    RESULTS.mkdir(exist_ok=True)
    figures = {**_data(caught, sound), "machine": about()}
    (RESULTS / "certification.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    if given.write:
        put(PAGE, MARK, table)
    if sandboxes is not None:
        sandboxes.close()


def _found(defect: Defect, sandboxes: Sandboxes | None) -> set[str]:
    found = defect.found(lambda: defect.cls(sandboxes if defect.sandboxed else None))
    print(
        f"{'caught' if found & defect.caught_by else 'MISSED'}: {defect.about}: {', '.join(sorted(found))}", flush=True
    )
    return found


def render(caught: list[tuple[Defect, set[str]]], sound: list[Sound]) -> str:
    """The confusion table, the sound environments, and each defect, in Markdown."""
    hit = sum(bool(found & defect.caught_by) for defect, found in caught)
    accepted = sum(not found for _, found in caught)
    tasks, rejected = sum(one.tasks for one in sound), sum(len(one.rejected) for one in sound)
    confusion = [
        [f"{len(caught)} planted defects", f"{len(caught) - accepted} ({hit} by the check that should)", str(accepted)],
        [f"{tasks} sound tasks", str(rejected), str(tasks - rejected)],
    ]
    environments = [
        [one.env, str(one.tasks), str(len(one.rejected)), str(one.cheats), str(one.earned), _pace(one)] for one in sound
    ]
    defects = [
        [defect.about, _names(found & defect.caught_by) or "**nothing**", _names(found - defect.caught_by)]
        for defect, found in caught
    ]
    return "\n\n".join(
        (
            markdown(["", "rejected", "accepted"], confusion),
            markdown(["sound tasks of", "tasks", "rejected", "cheats tried", "that earned", "s / task"], environments),
            markdown(["planted defect", "caught by", "also by"], defects),
        )
    )


def _names(found: set[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(found))


def _pace(one: Sound) -> str:
    return f"{one.seconds / max(1, one.tasks):.2f}"


def _data(caught: list[tuple[Defect, set[str]]], sound: list[Sound]) -> dict[str, Any]:
    names = Counter(name for defect, found in caught for name in found & defect.caught_by)
    return {
        "defects": len(caught),
        "caught": sum(bool(found & defect.caught_by) for defect, found in caught),
        "by_check": dict(names),
        "missed": [defect.about for defect, found in caught if not found & defect.caught_by],
        "sound": {one.env: {"tasks": one.tasks, "rejected": one.rejected, "cheats": one.cheats} for one in sound},
    }


if __name__ == "__main__":
    main()
