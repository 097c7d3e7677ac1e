"""What the agent is told: symptoms, as the users of a project would report them, never the place."""

from __future__ import annotations

import random
import re

from .breaking import Bug
from .knowledge import FAR, Knowledge
from .symptoms import read_symptom, scenario
from .types import Function

LANGUAGES = {
    "python": "Python",
    "java": "Java",
    "javascript": "JavaScript",
    "typescript": "TypeScript",
    "c": "C",
    "cpp": "C++",
    "go": "Go",
    "php": "PHP",
}
MAX_SYMPTOMS, _USED = 3, 3
_SECRET_CHARACTERS = 12
_OPENINGS = (
    "Since the last release of `{project}` ({language}) some of our results are wrong.",
    "We use `{project}`, a {language} project, and something in it is off.",
    "A customer found that `{project}` ({language}) does not do what it promises.",
    "Please look into `{project}`, written in {language}: it misbehaves for some inputs.",
)
_RULES = (
    "The repository is in the current directory. Find the cause and repair it. Your work is judged by the visible "
    "tests and by tests that you cannot see. Only source files count: changes to tests, to the build or to other "
    "configuration are ignored, and sources may not newly reach for processes, files, the runtime's insides or the "
    "test runner. Call submit when you are done."
)


def write_issue(rng: random.Random, known: Knowledge, bug: Bug, level: int) -> str:
    """The prompt of a task. The higher the level, the farther from the mistake is what it speaks of."""
    opening = rng.choice(_OPENINGS).format(project=known.project.name, language=LANGUAGES[known.project.language])
    lines = []
    for test in _chosen(rng, known, bug, level):
        line = _symptom(known, bug, test, level)
        if line and line not in lines and not gives_away(known, bug, line):
            lines.append(line)
    seen = "\n".join(f"- {line}" for line in lines)
    seen = (
        f"What we see:\n{seen}" if seen else "We could not tell which inputs are affected; some results are just wrong."
    )
    count = f" There may be up to {len(bug.sites)} separate mistakes." if len(bug.sites) > 1 else ""
    return f"{opening}{count}\n\n{seen}\n\n{_RULES}"


def gives_away(known: Knowledge, bug: Bug, text: str) -> bool:
    """Whether a text names a changed file, or quotes what was changed or what stands there now."""
    for path, broken in bug.broken.items():
        name = path.rpartition("/")[2]
        if path in text or re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text):
            return True
        before, after = (broken or "").splitlines(), known.project.files.get(path, "").splitlines()
        ours = {line.strip() for line in {*before} ^ {*after}}
        if any(len(line) >= _SECRET_CHARACTERS and line in text for line in ours):
            return True
    return any(
        len(part) >= _SECRET_CHARACTERS and part in text
        for _, mutation in bug.sites
        for part in (mutation.old.strip(), mutation.new.strip())
    )


def _chosen(rng: random.Random, known: Knowledge, bug: Bug, level: int) -> list[str]:
    """Failing tests to tell of: near the mistake at the first level, far from it at high ones."""
    tests = sorted(bug.f2p)
    rng.shuffle(tests)
    names = _places(bug)
    distances = {test: min((known.distance([test], name) for name in names), default=FAR) for test in tests[:60]}
    ordered = sorted(distances, key=lambda test: distances[test] if level == 1 else -distances[test] % (FAR + 1))
    return ordered[: 1 if level >= 5 else 2 if level >= 3 else MAX_SYMPTOMS]


def _places(bug: Bug) -> set[str]:
    return {mutation.function.rpartition(".")[2] for _, mutation in bug.sites}


def _symptom(known: Knowledge, bug: Bug, test: str, level: int) -> str:
    """One line: which use of the library shows it, and what was seen."""
    case = next((case for case in bug.ran.report.cases if case.id == test), None)
    symptom = read_symptom(case.message) if case else None
    said = symptom.said if symptom else "nothing comes back at all"
    about, used = scenario(test), _used(known, bug, test, level)
    what = f'In the case "{about}"' if about else "In one case"
    using = f", which uses {used}," if used else ","
    return f"{what}{using} {said}."


def _used(known: Knowledge, bug: Bug, test: str, level: int) -> str:
    """Public functions that the test calls, without the mistaken ones where there are others or the level is high."""
    spoken, places = known.tested(test), _places(bug)
    public = [item for item in known.functions if item.public and item.short in spoken]
    away = [item for item in public if item.short not in places]
    shown = away if away or level >= 3 else public
    ordered = sorted(shown, key=lambda item: (item.path, item.name))
    names = list(dict.fromkeys(_title(item) for item in ordered))[:_USED]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _title(function: Function) -> str:
    """A function as users know it: special methods by their class."""
    return f"`{function.name.partition('.__')[0]}`"
