"""Questions about CSV files with the flaws that real ones have; every rule that settles a doubt is in the question."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

from ...errors import ProposeFailed
from ...names import Names
from .types import Problem

CENT = Decimal("0.01")


def orders(rng: random.Random, level: int) -> Problem:
    """The turnover of one region: duplicates, missing amounts, cancellations and currencies in the way."""
    names = Names(rng)
    regions = [names.draw() for _ in range(3)]
    rates = {code: Decimal(rng.randrange(50, 900)) / 100 for code in rng.sample(["ARA", "BOR", "CEL", "DUR", "ENT"], 3)}
    rows = _orders(rng, 60 * level, regions, sorted(rates))
    region, quarter = rng.choice(regions), rng.randrange(1, 5)

    def total(*, last: bool = True, cancelled: bool = False, convert: bool = True) -> str:
        kept: dict[str, list[str]] = {}
        for row in rows:
            if last or row[0] not in kept:
                kept[row[0]] = row
        right = [row for row in kept.values() if row[2] == region and (int(row[1][5:7]) + 2) // 3 == quarter and row[3]]
        counted = [row for row in right if cancelled or row[5] != "cancelled"]
        return _money(sum((Decimal(r[3]) * (rates[r[4]] if convert else 1) for r in counted), Decimal(0)))

    answer = total()
    wrong = [total(last=False), total(cancelled=True), total(convert=False)]
    question = (
        "/work/orders.csv has the columns id, date, region, amount, currency, status; /work/rates.csv tells how many "
        "crowns "
        "one unit of a currency is worth. An id that occurs more than once was corrected: only its last row counts. "
        "Rows "
        "without an amount and cancelled ones do not count. What did the orders of "
        f"{region} dated in quarter {quarter} (calendar quarters) amount to, in crowns? Add up exactly, then round "
        f"half to "
        "even to two decimals; answer with the number alone, like 1234.50."
    )
    load = (
        "import csv\nfrom decimal import Decimal, ROUND_HALF_EVEN\nlatest = {}\n"
        "for row in csv.DictReader(open('/work/orders.csv')): latest[row['id']] = row\n"
        "rates = {r['currency']: Decimal(r['crowns']) for r in csv.DictReader(open('/work/rates.csv'))}"
    )
    add = (
        "total = Decimal(0)\nfor row in latest.values():\n"
        f"    if row['region'] != {region!r} or not row['amount'] or row['status'] == 'cancelled': continue\n"
        f"    if int(row['date'].split('-')[1]) not in {[3 * quarter - 2, 3 * quarter - 1, 3 * quarter]}: continue\n"
        "    total += Decimal(row['amount']) * rates[row['currency']]\n"
        "print(total.quantize(Decimal('0.01'), ROUND_HALF_EVEN))"
    )
    files = {
        "orders.csv": _csv(["id", "date", "region", "amount", "currency", "status"], rows),
        "rates.csv": _csv(["currency", "crowns"], [[code, str(rate)] for code, rate in sorted(rates.items())]),
    }
    cells = (("I read both files, the last row of an id wins.", load), ("Now I add up what counts.", add))
    return _checked(Problem(question, answer, cells, _others(answer, wrong, rng), files))


def _orders(rng: random.Random, count: int, regions: list[str], currencies: list[str]) -> list[list[str]]:
    rows = []
    for number in range(count):
        day = date(2024, 1, 1) + timedelta(days=rng.randrange(366))
        amount = "" if rng.random() < 0.05 else str(Decimal(rng.randrange(100, 99999)) / 100)
        status = rng.choices(["paid", "open", "cancelled"], [6, 2, 1])[0]
        rows.append([f"A{number:04}", day.isoformat(), rng.choice(regions), amount, rng.choice(currencies), status])
    for row in rng.sample(rows, count // 8):
        corrected = [*row[:3], str(Decimal(rng.randrange(100, 99999)) / 100), *row[4:]]
        rows.insert(rng.randrange(rows.index(row) + 1, len(rows) + 1), corrected)
    return rows


def staff(rng: random.Random, level: int) -> Problem:
    """Which department has the highest median pay, among those hired after a day."""
    names = Names(rng)
    departments = {f"D{number}": names.draw() for number in range(1, 4 + level)}
    people = []
    for number in range(40 * level):
        hired = date(2010, 1, 1) + timedelta(days=rng.randrange(5000))
        code = "" if rng.random() < 0.05 else rng.choice(sorted(departments))
        people.append([str(number), names.draw(4), code, hired.isoformat(), str(rng.randrange(2000, 9000))])
    after = date(2010, 1, 1) + timedelta(days=rng.randrange(500, 3500))
    medians = _medians(people, after.isoformat())
    ranked = sorted(medians, key=lambda code: medians[code], reverse=True)
    if len(ranked) < 4 or medians[ranked[0]] == medians[ranked[1]]:
        raise ProposeFailed("no department stands out")
    everybody = _medians(people, "")
    answer = departments[ranked[0]]
    question = (
        "/work/people.csv has the columns id, name, department (a code), hired, pay; /work/departments.csv gives the "
        "name of "
        "each code. People without a department do not count. Which department has the highest median pay among the "
        "people "
        f"hired after {after.isoformat()} (that day not included)? The median of an even number of values is the "
        f"mean of the "
        "middle two. Answer with the department's name."
    )
    load = (
        "import pandas as pd\npeople = pd.read_csv('/work/people.csv', dtype={'department': str})\n"
        "names = pd.read_csv('/work/departments.csv', dtype=str).set_index('code')['name']"
    )
    pick = (
        f"late = people[(people.hired > '{after.isoformat()}') & people.department.notna()]\n"
        "print(names[late.groupby('department').pay.median().idxmax()])"
    )
    files = {
        "people.csv": _csv(["id", "name", "department", "hired", "pay"], people),
        "departments.csv": _csv(["code", "name"], [[code, name] for code, name in departments.items()]),
    }
    slip = departments[max(sorted(everybody), key=lambda code: everybody[code])]
    wrong = [slip, *(departments[code] for code in ranked[1:]), *(name + "s" for name in departments.values())]
    cells = (("I load both tables.", load), ("Group, median, the largest.", pick))
    return Problem(question, answer, cells, tuple(w for w in dict.fromkeys(wrong) if w != answer), files, names=True)


def _medians(people: Iterable[Sequence[str]], after: str) -> dict[str, Fraction]:
    pays: dict[str, list[int]] = {}
    for _, _, code, hired, pay in people:
        if code and hired > after:
            pays.setdefault(code, []).append(int(pay))
    return {
        code: Fraction(sum(sorted(found)[(len(found) - 1) // 2 : len(found) // 2 + 1]), 2 - len(found) % 2)
        for code, found in pays.items()
    }


def streaks(rng: random.Random, level: int) -> Problem:
    """The longest run of days on which a series lies above the mean of the days before."""
    days, window = 80 * level, rng.randrange(3, 8)
    level_now, values = 500, []
    for _ in range(days):
        level_now = max(0, level_now + rng.randrange(-40, 43))
        values.append(level_now)
    missing = set(rng.sample(range(window, days), days // 20))
    kept = [(date(2023, 1, 1) + timedelta(days=d), value) for d, value in enumerate(values) if d not in missing]

    def longest(strict: bool, over: int) -> int:
        best = run = 0
        for at in range(over, len(kept)):
            mean = Fraction(sum(value for _, value in kept[at - over : at]), over)
            run = run + 1 if kept[at][1] > mean or (not strict and kept[at][1] == mean) else 0
            best = max(best, run)
        return best

    answer = longest(True, window)
    if answer < 3:
        raise ProposeFailed("there is no run")
    shuffled = rng.sample(kept, len(kept))
    question = (
        "/work/series.csv has the columns date and value, in no order; days that are missing were not measured and "
        "are passed "
        f"over. A measured day is high if its value is greater than the mean of the {window} measured days before it "
        f"(the "
        f"first {window} are never high). How many measured days in a row are high, at most?"
    )
    load = "import pandas as pd\ns = pd.read_csv('/work/series.csv').sort_values('date').value.reset_index(drop=True)"
    run = (
        f"total = s.rolling({window}).sum().shift(1)\nhigh = s * {window} > total\n"
        "print(high.groupby((~high).cumsum()).sum().max())"
    )
    files = {"series.csv": _csv(["date", "value"], [[day.isoformat(), str(value)] for day, value in shuffled])}
    slips = [
        longest(True, window + 1),
        longest(True, window - 1),
        answer + 1,
        answer - 1,
        answer + 2,
        2 * answer + 1,
        0,
    ]
    wrong = tuple(str(slip) for slip in dict.fromkeys(slips) if slip != answer)
    return Problem(question, str(answer), (("In order of dates.", load), ("Sums avoid rounding.", run)), wrong, files)


def _csv(head: list[str], rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([head, *rows])
    return out.getvalue()


def _money(value: Decimal) -> str:
    return str(value.quantize(CENT, ROUND_HALF_EVEN))


def _others(answer: str, wrong: list[str], rng: random.Random) -> tuple[str, ...]:
    value = Decimal(answer)
    more = [value + CENT, value - CENT, value + rng.randrange(1, 500), value * 2 + 1, value / 2 + 3]
    return tuple(w for w in dict.fromkeys([*wrong, *map(_money, more)]) if w != answer)


def _checked(problem: Problem) -> Problem:
    if Decimal(problem.answer) == 0:
        raise ProposeFailed("nothing counts")
    return problem
