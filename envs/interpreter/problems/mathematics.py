"""Number theory, recurrences, linear algebra and counting, too long for the head."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations
from math import prod

from ...errors import ProposeFailed
from .types import Problem, near


def digit_sums(rng: random.Random, level: int) -> Problem:
    """How many numbers up to N avoid some primes and have a digit sum of a kind."""
    bound = rng.randrange(10**3, 10**3 + 4000) * 2**level
    primes = sorted(rng.sample([2, 3, 5, 7, 11, 13], 1 + level // 3))
    modulus = rng.randrange(3, 10)
    rest = rng.randrange(modulus)

    def count(avoid: list[int]) -> int:
        return sum(_digits(n) % modulus == rest for n in range(1, bound + 1) if all(n % p for p in avoid))

    answer = count(primes)
    listed = ", ".join(map(str, primes))
    question = (
        f"How many integers n with 1 <= n <= {bound} are divisible by none of {listed} and have a decimal digit sum "
        f"that leaves the remainder {rest} when divided by {modulus}?"
    )
    code = (
        f"from math import gcd, prod\nm = prod({primes})\ntotal = 0\nfor n in range(1, {bound} + 1):\n"
        f"    total += gcd(n, m) == 1 and sum(map(int, str(n))) % {modulus} == {rest}\nprint(total)"
    )
    return Problem(question, str(answer), (("I count them.", code),), near(answer, rng, count([]), count(primes[1:])))


def _digits(n: int) -> int:
    total = 0
    while n:
        n, digit = divmod(n, 10)
        total += digit
    return total


def coprime(rng: random.Random, level: int) -> Problem:
    """How many numbers of a range share no factor with m, where the range is too long to walk."""
    primes = rng.sample([2, 3, 5, 7, 11, 13, 17, 19, 23, 29], 2 + level // 2)
    m = prod(primes) * rng.choice(primes)
    low = rng.randrange(10**8, 10 ** (8 + level))
    high = low + rng.randrange(10**8, 10 ** (8 + level))

    def upto(n: int) -> int:
        parts = (combinations(primes, size) for size in range(len(primes) + 1))
        return sum((-1) ** len(chosen) * (n // prod(chosen)) for part in parts for chosen in part)

    answer = upto(high) - upto(low - 1)
    question = f"How many integers n with {low} <= n <= {high} have gcd(n, {m}) = 1?"
    code = (
        f"from math import gcd\nm, low, high = {m}, {low}, {high}\nfrom sympy import primefactors, prod\n"
        "r = prod(primefactors(m))  # the pattern repeats after the radical of m\n"
        "block = [gcd(n, r) == 1 for n in range(r)] if r < 10**7 else None\n"
        "whole = sum(block)\nbefore = [0]\nfor free in block: before.append(before[-1] + free)\n"
        "upto = lambda n: n // r * whole + before[n % r + 1] - before[0]"
    )
    if prod(primes) >= 10**6:
        raise ProposeFailed("the pattern is too long")
    cells = (
        ("Coprimality repeats with the radical of m, so I count one period.", code),
        ("Now the difference.", "print(upto(high) - upto(low - 1))"),
    )
    return Problem(question, str(answer), cells, near(answer, rng, upto(high) - upto(low), high - low + 1 - answer))


def recurrence(rng: random.Random, level: int) -> Problem:
    """A linear recurrence far out, modulo a number."""
    order = 2 + level // 3
    factors = [rng.randrange(1, 10) for _ in range(order)]
    start = [rng.randrange(1, 20) for _ in range(order)]
    index, modulus = rng.randrange(10 ** (3 + level), 10 ** (4 + 2 * level)), rng.randrange(10**5, 10**9)
    companion = [factors, *([int(i == j) for j in range(order)] for i in range(order - 1))]

    def at(n: int) -> int:
        power = _power(companion, n, modulus)
        return sum(power[order - 1][j] * start[order - 1 - j] for j in range(order)) % modulus

    answer = at(index)
    law = " + ".join(f"{factor}*a(n-{lag})" for lag, factor in enumerate(factors, start=1))
    given = ", ".join(f"a({n}) = {value}" for n, value in enumerate(start))
    question = f"Let {given} and a(n) = {law} for n >= {order}. What is a({index}) modulo {modulus}?"
    code = (
        f"c, s, M = {factors}, {start}, {modulus}\n"
        "def times(p, q):\n    r = [0] * (2 * len(c) - 1)\n    for i, x in enumerate(p):\n"
        "        for j, y in enumerate(q): r[i + j] = (r[i + j] + x * y) % M\n"
        "    for i in range(len(r) - 1, len(c) - 1, -1):\n        for lag, f in enumerate(c, 1):\n"
        "            r[i - lag] = (r[i - lag] + r[i] * f) % M\n"
        "    return r[:len(c)]"
    )
    last = (
        f"n, x, y = {index}, [1] + [0] * (len(c) - 1), [0, 1] + [0] * (len(c) - 2)\n"
        "while n:\n    if n & 1: x = times(x, y)\n    y = times(y, y); n >>= 1\n"
        "print(sum(a * b for a, b in zip(x, s)) % M)"
    )
    cells = (("I multiply polynomials modulo the characteristic one.", code), ("Then x to the index.", last))
    return Problem(question, str(answer), cells, near(answer, rng, at(index + 1), at(index - 1)))


def _power(matrix: list[list[int]], n: int, modulus: int) -> list[list[int]]:
    size = len(matrix)
    result = [[int(i == j) for j in range(size)] for i in range(size)]
    while n:
        if n & 1:
            result = _product(result, matrix, modulus)
        matrix, n = _product(matrix, matrix, modulus), n >> 1
    return result


def _product(left: list[list[int]], right: list[list[int]], modulus: int) -> list[list[int]]:
    columns = list(zip(*right, strict=True))
    return [[sum(a * b for a, b in zip(row, column, strict=True)) % modulus for column in columns] for row in left]


def determinant(rng: random.Random, level: int) -> Problem:
    """The determinant of an integer matrix, by Bareiss's division-free elimination."""
    size = 3 + level
    matrix = [[rng.randrange(-9, 10) for _ in range(size)] for _ in range(size)]
    answer = _determinant(matrix)
    if answer == 0:
        raise ProposeFailed("the matrix is singular")
    rows = "; ".join(" ".join(map(str, row)) for row in matrix)
    question = f"What is the determinant of this {size} x {size} matrix (rows separated by semicolons)? {rows}"
    code = f"from sympy import Matrix\nprint(Matrix({matrix}).det())"
    minor = _determinant([row[1:] for row in matrix[1:]])
    return Problem(question, str(answer), (("SymPy is exact.", code),), near(answer, rng, -answer, minor))


def _determinant(matrix: list[list[int]]) -> int:
    rows, sign, before = [row[:] for row in matrix], 1, 1
    for k in range(len(rows) - 1):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k]), None)
        if pivot is None:
            return 0
        if pivot != k:
            rows[k], rows[pivot], sign = rows[pivot], rows[k], -sign
        for i in range(k + 1, len(rows)):
            for j in range(k + 1, len(rows)):
                rows[i][j] = (rows[i][j] * rows[k][k] - rows[i][k] * rows[k][j]) // before
        before = rows[k][k]
    return sign * rows[-1][-1]


def equations(rng: random.Random, level: int) -> Problem:
    """One unknown of a linear system, as a reduced fraction, by Cramer's rule."""
    size = 2 + level
    matrix = [[rng.randrange(-9, 10) for _ in range(size)] for _ in range(size)]
    right = [rng.randrange(-20, 21) for _ in range(size)]
    wanted = rng.randrange(size)
    whole = _determinant(matrix)
    if whole == 0:
        raise ProposeFailed("the system is singular")
    values = [
        Fraction(_determinant([[*r[:k], b, *r[k + 1 :]] for r, b in zip(matrix, right, strict=True)]), whole)
        for k in range(size)
    ]
    answer = values[wanted]
    if answer.denominator < 10:
        raise ProposeFailed("the answer is too round")
    lines = "\n".join(f"{_sum(row)} = {b}" for row, b in zip(matrix, right, strict=True))
    question = f"Solve for x{wanted + 1} and answer with a fraction in lowest terms (like -7/12):\n{lines}"
    code = f"from sympy import Matrix\nsolution = Matrix({matrix}).LUsolve(Matrix({right}))\nprint(solution[{wanted}])"
    others = [str(value) for value in values if value != answer]
    slips = [
        str(-answer),
        str(1 / answer) if answer else "1",
        str(answer + 1),
        str(answer.numerator),
        str(answer - 1),
        *others,
    ]
    return Problem(question, str(answer), (("An exact solution.", code),), tuple(dict.fromkeys(slips)))


def _sum(row: list[int]) -> str:
    terms = [f"{'-' if factor < 0 else '+'} {abs(factor)}*x{k}" for k, factor in enumerate(row, start=1) if factor]
    return " ".join(terms).removeprefix("+ ") or "0"


def paths(rng: random.Random, level: int) -> Problem:
    """Monotone lattice paths around blocked points."""
    width, height = rng.randrange(4, 6) + 2 * level, rng.randrange(4, 6) + 2 * level
    points = [(x, y) for x in range(width + 1) for y in range(height + 1)][1:-1]
    blocked = sorted(rng.sample(points, 2 + 2 * level))

    def count(walls: set[tuple[int, int]]) -> int:
        ways = {(0, 0): 1}
        for x in range(width + 1):
            for y in range(height + 1):
                if (x, y) != (0, 0):
                    free = (x, y) not in walls
                    ways[x, y] = (ways.get((x - 1, y), 0) + ways.get((x, y - 1), 0)) if free else 0
        return ways[width, height]

    answer = count(set(blocked))
    if answer < 10:
        raise ProposeFailed("hardly any path is left")
    question = (
        f"A path goes from (0, 0) to ({width}, {height}) in unit steps to the right (x + 1) or up (y + 1) and may not "
        f"visit any of the points {', '.join(f'({x}, {y})' for x, y in blocked)}. How many such paths are there?"
    )
    code = (
        f"from functools import lru_cache\nwalls = {set(blocked)}\n@lru_cache(None)\ndef ways(x, y):\n"
        "    if x < 0 or y < 0 or (x, y) in walls: return 0\n    if x == y == 0: return 1\n"
        f"    return ways(x - 1, y) + ways(x, y - 1)\nprint(ways({width}, {height}))"
    )
    slips = (count(set()), count(set(blocked[1:])), count(set(blocked[:-1])))
    return Problem(question, str(answer), (("I count backwards with a memory.", code),), near(answer, rng, *slips))


def coefficient(rng: random.Random, level: int) -> Problem:
    """A coefficient of a product of powers of small polynomials."""
    factors = [
        ([rng.choice([-3, -2, -1, 1, 2, 3]) for _ in range(rng.randrange(2, 4))], rng.randrange(3, 5 + 2 * level))
        for _ in range(1 + (level + 1) // 2)
    ]
    product = [1]
    for polynomial, power in factors:
        for _ in range(power):
            product = _convolved(product, polynomial)
    wanted = rng.randrange(len(product) // 3, 2 * len(product) // 3 + 1)
    answer = product[wanted]
    if abs(answer) < 20:
        raise ProposeFailed("the coefficient is too small")
    text = " * ".join(f"({_polynomial(polynomial)})^{power}" for polynomial, power in factors)
    question = f"What is the coefficient of x^{wanted} in the expansion of {text}?"
    python = text.replace("^", "**")
    code = f"from sympy import Poly, symbols\nx = symbols('x')\nprint(Poly({python}, x).coeff_monomial(x**{wanted}))"
    return Problem(
        question,
        str(answer),
        (("I expand it.", code),),
        near(answer, rng, product[wanted - 1], product[wanted + 1], -answer),
    )


def _convolved(left: list[int], right: list[int]) -> list[int]:
    result = [0] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            result[i + j] += a * b
    return result


def _polynomial(factors: list[int]) -> str:
    names = ["1", "x", "x^2"]
    terms = [f"{'-' if f < 0 else '+'} {abs(f)}*{names[k]}" if k else str(f) for k, f in enumerate(factors)]
    return " ".join(terms)
