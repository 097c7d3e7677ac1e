"""Knights and knaves, models of formulas, seatings."""

from __future__ import annotations

import random
from itertools import permutations, product

from ...errors import ProposeFailed
from ...names import Names
from .types import Problem, near

Statement = tuple[str, int, int]
"""(kind, a, b): what somebody says of the persons a and b."""
_SAYS = {
    "same": "{a} and {b} are of the same kind",
    "knave": "{a} is a knave",
    "either": "at least one of {a} and {b} is a knight",
    "neither": "{a} and {b} are both knaves",
    "more": "if {a} is a knight, then {b} is a knight",
}
_CODE = {
    "same": "k[{a}] == k[{b}]",
    "knave": "not k[{a}]",
    "either": "k[{a}] or k[{b}]",
    "neither": "not k[{a}] and not k[{b}]",
    "more": "not k[{a}] or k[{b}]",
}


def knights(rng: random.Random, level: int) -> Problem:
    """Who tells the truth? Exactly one assignment fits the statements."""
    names = sorted(_people(rng, 4 + level))
    people = range(len(names))
    said: list[Statement] = []
    for speaker in people:
        a, b = rng.sample([other for other in people if other != speaker], 2)
        said.append((rng.choice(sorted(_SAYS)), a, b))
    fitting = [
        k for k in product((False, True), repeat=len(names)) if all(k[i] == _holds(s, k) for i, s in enumerate(said))
    ]
    if len(fitting) != 1 or not 0 < sum(fitting[0]) < len(names):
        raise ProposeFailed(f"{len(fitting)} assignments fit")
    lines = "\n".join(
        f'{names[i]} says: "{_SAYS[kind].format(a=names[a], b=names[b])}."' for i, (kind, a, b) in enumerate(said)
    )
    question = (
        "On an island knights always tell the truth and knaves always lie; everybody is one or the other.\n"
        f"{lines}\nWho are the knights? Answer with their names in alphabetical order, separated by commas and a space."
    )
    claims = ", ".join(_CODE[kind].format(a=a, b=b) for kind, a, b in said)
    code = (
        f"from itertools import product\nnames = {names}\n"
        f"found = [k for k in product([True, False], repeat=len(names)) if all(bool(x) == y for x, y in "
        f"zip(({claims},), k))]\n"
        "assert len(found) == 1"
    )
    last = "print(', '.join(name for name, truthful in zip(names, found[0]) if truthful))"
    cells = (("I try all assignments.", code), ("One is left.", last))
    answer = _listed(names, fitting[0])
    flipped = [_listed(names, tuple(t != (i == at) for i, t in enumerate(fitting[0]))) for at in people]
    wrong = [_listed(names, tuple(not t for t in fitting[0])), *flipped]
    return Problem(question, answer, cells, tuple(w for w in dict.fromkeys(wrong) if w and w != answer), names=True)


def _holds(statement: Statement, k: tuple[bool, ...]) -> bool:
    kind, a, b = statement
    return {
        "same": k[a] == k[b],
        "knave": not k[a],
        "either": k[a] or k[b],
        "neither": not (k[a] or k[b]),
        "more": k[b] or not k[a],
    }[kind]


def _listed(names: list[str], chosen: tuple[bool, ...]) -> str:
    return ", ".join(name for name, picked in zip(names, chosen, strict=True) if picked)


def _people(rng: random.Random, count: int) -> list[str]:
    names = Names(rng)
    return [names.draw(2) for _ in range(count)]


def models(rng: random.Random, level: int) -> Problem:
    """How many truth assignments satisfy a formula in conjunctive form."""
    variables = 6 + level
    clauses = [
        [rng.choice((-1, 1)) * v for v in sorted(rng.sample(range(1, variables + 1), 3))] for _ in range(2 * variables)
    ]

    def count(rules: list[list[int]]) -> int:
        worlds = range(1 << variables)
        return sum(all(any((w >> abs(v) - 1 & 1) == (v > 0) for v in rule) for rule in rules) for w in worlds)

    answer = count(clauses)
    if answer < 3:
        raise ProposeFailed("hardly any assignment fits")
    text = " and ".join(
        "(" + " or ".join(f"{'not ' if v < 0 else ''}x{abs(v)}" for v in rule) + ")" for rule in clauses
    )
    question = f"How many assignments of truth values to x1, ..., x{variables} satisfy this formula?\n{text}"
    code = (
        "def count(rules, left):\n    if any(not rule for rule in rules): return 0\n    if not left: return 1\n    v "
        "= left[0]\n"
        "    given = lambda l: [[x for x in rule if x != -l] for rule in rules if l not in rule]\n"
        "    return count(given(v), left[1:]) + count(given(-v), left[1:])\n"
        f"print(count({clauses}, list(range(1, {variables + 1}))))"
    )
    slips = (count(clauses[1:]), count(clauses[:-1]), (1 << variables) - answer)
    return Problem(
        question, str(answer), (("I split on one variable after the other.", code),), near(answer, rng, *slips)
    )


def seatings(rng: random.Random, level: int) -> Problem:
    """In how many orders can people stand, given who stands where to whom."""
    names = sorted(_people(rng, min(8, 5 + level // 2)))
    size = len(names)
    rules: list[tuple[str, int, int]] = []
    for _ in range(2 + level // 2):
        a, b = rng.sample(range(size), 2)
        rules.append((rng.choice(["left", "apart", "beside", "far"]), a, b))
    says = {
        "left": "{a} stands somewhere to the left of {b}",
        "apart": "{a} and {b} do not stand next to each other",
        "beside": "{a} and {b} stand next to each other",
        "far": "at least two people stand between {a} and {b}",
    }

    def count(chosen: list[tuple[str, int, int]]) -> int:
        return sum(all(_stands(rule, at) for rule in chosen) for at in permutations(range(size)))

    answer = count(rules)
    if answer < 2:
        raise ProposeFailed("hardly any order is left")
    lines = "\n".join(f"- {says[kind].format(a=names[a], b=names[b])}" for kind, a, b in rules)
    question = f"{', '.join(names)} stand in a row. In how many orders can they stand if all of this holds?\n{lines}"
    tests = {
        "left": "p.index({a}) < p.index({b})",
        "apart": "abs(p.index({a}) - p.index({b})) != 1",
        "beside": "abs(p.index({a}) - p.index({b})) == 1",
        "far": "abs(p.index({a}) - p.index({b})) > 2",
    }
    held = " and ".join(tests[kind].format(a=a, b=b) for kind, a, b in rules)
    code = f"from itertools import permutations\nprint(sum(1 for p in permutations(range({size})) if {held}))"
    slips = (count(rules[1:]), count(rules[:-1]))
    return Problem(question, str(answer), (("I try all orders.", code),), near(answer, rng, *slips))


def _stands(rule: tuple[str, int, int], at: tuple[int, ...]) -> bool:
    """`at` gives each person's place."""
    kind, a, b = rule
    if kind == "left":
        return at[a] < at[b]
    gap = abs(at[a] - at[b])
    return {"apart": gap > 1, "beside": gap == 1, "far": gap >= 3}[kind]
