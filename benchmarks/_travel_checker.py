"""A second judge of travel plans, written from the tasks' texts and the tools' outputs alone.

It shares no code with the environment's own verifier: it reads the prompt sentence by sentence, looks everything up
through the tools that an agent has, and says yes or no. A sentence that it does not understand is an error, so that no
condition can go unnoticed. `compare` asks both about right plans, plans with one thing changed, and random ones.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from palestra.envs.environment import SolverTools
from palestra.envs.errors import ProposeFailed
from palestra.envs.travel.environment import Travel
from palestra.envs.types import Task, ToolCall

Plan = list[dict[str, str]]
Info = dict[str, Any]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
PLACES = {"hotel": "hotel", "afternoon_restaurant": "restaurant", "afternoon_attraction": "attraction"}
PLACES["evening_restaurant"] = "restaurant"
MEALS = ("afternoon_restaurant", "evening_restaurant")
NEIGHBOURS, RANDOM, MUTANTS = 12, 2, 5
_EVERY_TASK = re.compile(
    r"No place may be closed on|Hand the plan in as|Each day is an object with|Write the date into|"
    r"Every day has \d+ minutes|"
    r"All of a day's places must be|Every place must lie|Nothing may be repeated|"
    r"no city, no hotel, no attraction|Each day needs|every day but|every day also|For each day choose|"
    r"Restaurants and attractions must be open|it may begin|Please plan|Help me|I would like|We are \d+ people|"
    r"I travel alone|Can you make|Every morning begins|on day 1 from|It must run on|it must run on|"
    r"On the last day, after dinner|on the last day only|\w+ itself is not a city of any day|"
    r"Take no (?:flights|coaches)|All connections together|Lunch begins|lunch begins between|"
    r"You choose the times|The visit must be over|the visit begins when|Ways |Within a city the way|"
    r"One room per night is enough|The whole trip may cost|all hotels, meals|No day may cost|"
    r"(?:All \d+|Both) of us pay|for (?:the|each) night we take as (?:many|few) rooms|A taxi is paid per car|"
    r"On the (?:bus|metro) everybody pays|Submit a list|time, city, hotel|time is the date|names and ids|"
    r"The three fields|transport is the id|hotel is an empty text|Day \d+ is in|On day \d+ the city is"
)


class Wrong(Exception):
    """The plan breaks a condition; says which."""


class Asker:
    """What an agent can find out."""

    def __init__(self, task: Task) -> None:
        env = Travel()
        env.start(task)
        self._env = env
        self.call = cache(self._call)

    def _call(self, name: str, **arguments: str) -> Any:
        extra: dict[str, Any] = {"info_keywords": []} if name.startswith("get_infos") else {}
        result = self._env.call(ToolCall(name=name, arguments={**arguments, **extra}))
        return json.loads(result.text) if result.ok else None


def minutes(clock: str) -> int:
    """Minutes since midnight of HH:MM."""
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", clock)
    if not found:
        raise Wrong(f"{clock!r} is no time")
    return int(found[1]) * 60 + int(found[2])


def number(text: str, pattern: str, default: float | None = None) -> float | None:
    """The number that a pattern finds in the prompt."""
    found = re.search(pattern, text)
    return float(found[1]) if found else default


class Judge:
    """One task's conditions, read from its prompt."""

    def __init__(self, prompt: str, ask: Asker) -> None:
        self.text, self.ask = prompt, ask
        days = [date.fromisoformat(found) for found in re.findall(r"(\d{4}-\d\d-\d\d) \(\w+\)", prompt)]
        self.first, self.days = days[0], (days[-1] - days[0]).days + 1
        self.people = int(number(prompt, r"We are (\d+) people", 1) or 1)
        home = re.search(r"starting from (\w+)", prompt)
        self.home = home[1] if home else ""
        self.ride = (re.search(r"is made by (bus|metro|taxi)", prompt) or ["", ""])[1]
        self.chooses = "You choose the times" in prompt
        self.fields = re.search(r"(?:all of them texts|each field holds a text): ([a-z_, ]+)\.", prompt)[1].split(", ")  # type: ignore[index]
        self.wishes = [line[2:] for line in prompt.splitlines() if line.startswith("- ")]
        self._must_be_known()

    def passes(self, plan: Plan) -> bool:
        """Whether a plan keeps to everything that the prompt says."""
        try:
            self._shape(plan)
            found = [self._look_up(day) for day in plan]
            self._common_sense(plan, found)
            if self.home:
                self._travel(plan)
            clocks = [
                self._day_times(day, here, index) for index, (day, here) in enumerate(zip(plan, found, strict=True))
            ]
            assert len(clocks) == self.days
            for wish in self.wishes:
                self._wish(wish, plan, found)
            self._budgets(plan, found)
        except Wrong:
            return False
        return True

    def _must_be_known(self) -> None:
        for line in self.text.splitlines():
            if line.startswith("- ") or line in ("What matters to me:", "My wishes:", "Please keep to all of this:"):
                continue
            for sentence in filter(None, re.split(r"(?<=[.;:?]) ", line)):
                if not _EVERY_TASK.match(sentence):
                    raise AssertionError(f"not understood: {sentence}")

    def _shape(self, plan: Plan) -> None:
        if len(plan) != self.days or any(set(day) != set(self.fields) for day in plan):
            raise Wrong("shape")
        for index, day in enumerate(plan):
            if day["time"] != self._date(index):
                raise Wrong("date")
            last = index == self.days - 1
            if self.home and last != (day["hotel"] == ""):
                raise Wrong("hotel of the last night")
            if self.home and not last and day["return_transport"]:
                raise Wrong("goes home too early")

    def _date(self, index: int) -> str:
        return (self.first + timedelta(days=index)).isoformat()

    def _weekday(self, index: int) -> str:
        return WEEKDAYS[(self.first + timedelta(days=index)).weekday()]

    def _look_up(self, day: dict[str, str]) -> dict[str, Info]:
        """What the tools say of the day's places; all must be in its city."""
        if self.ask.call("get_infos_by_city", city=day["city"]) is None:
            raise Wrong("city")
        here = {}
        for field, kind in PLACES.items():
            if day[field]:
                info = self.ask.call(f"get_infos_by_{kind}", **{kind: day[field]})
                if info is None or info["city"] != day["city"]:
                    raise Wrong(field)
                here[field] = info
            elif field != "hotel" or not self.home:
                raise Wrong(f"no {field}")
        return here

    def _common_sense(self, plan: Plan, found: list[dict[str, Info]]) -> None:
        cities = [day["city"] for day in plan]
        names = [day[field] for day in plan for field in PLACES if day[field]]
        if len(set(cities)) < len(cities) or len(set(names)) < len(names) or self.home in cities:
            raise Wrong("repeated")
        for told in re.finditer(r"(?:Day (\d+) is in|On day (\d+) the city is) (\w+)", self.text):
            if cities[int(told[1] or told[2]) - 1] != told[3]:
                raise Wrong("route")

    def _travel(self, plan: Plan) -> None:
        stops = [self.home, *(day["city"] for day in plan), self.home]
        by = minutes(re.search(r"run on that weekday and arrive by (\d\d:\d\d)", self.text)[1])  # type: ignore[index]
        legs = [(stops[i], stops[i + 1], day["transport"], i, 0, by) for i, day in enumerate(plan)]
        back = re.search(r"leave at (\d\d:\d\d) or later and arrive by (\d\d:\d\d)", self.text)
        assert back
        last = self.days - 1
        legs.append((stops[-2], self.home, plan[-1]["return_transport"], last, minutes(back[1]), minutes(back[2])))
        taken = []
        for origin, destination, wanted, index, earliest, latest in legs:
            offers = self.ask.call("get_inter_city_transport", origin=origin, destination=destination) or []
            offer = next((one for one in offers if one["id"] == wanted), None)
            if offer is None or self._weekday(index) not in offer["runs_on"].split(", "):
                raise Wrong("no such connection")
            if minutes(offer["departs"]) < earliest or minutes(offer["arrives"]) > latest:
                raise Wrong("connection at the wrong time")
            taken.append(offer)
        self.connections = taken
        for kind in ("flight", "coach"):
            plural = {"flight": "flights", "coach": "coaches"}[kind]
            if f"Take no {plural}" in self.text and any(one["kind"] == kind for one in taken):
                raise Wrong(kind)
        most = number(self.text, r"the way home included, may take at most (\d+) minutes")
        if most is not None and sum(one["minutes"] for one in taken) > most:
            raise Wrong("too long on the way")

    def _ride(self, city: str, origin: str, destination: str) -> Info:
        found = self.ask.call("get_city_transport", city=city, origin=origin, destination=destination)
        if found is None or self.ride not in found["transport"]:
            raise Wrong("ride")
        ride: Info = found["transport"][self.ride]
        return ride

    def _day_times(self, day: dict[str, str], here: dict[str, Info], index: int) -> tuple[int, int, int]:
        lunch, visit, dinner = self._begins(day)
        lengths = re.findall(r"takes (\d+) minutes|(\d+) minutes for (?:lunch|dinner)", self.text)
        meal = [int(first or second) for first, second in lengths]
        spans = {
            "afternoon_restaurant": (lunch, lunch + meal[0]),
            "afternoon_attraction": (visit, visit + here["afternoon_attraction"]["visit_minutes"]),
            "evening_restaurant": (dinner, dinner + meal[1]),
        }
        for field, (begin, end) in spans.items():
            opens, closes = map(minutes, here[field]["opening_hours"].split("-"))
            if here[field]["closed_on"] == self._weekday(index) or begin < opens or end > closes:
                raise Wrong(f"{field} closed")
        ways = [0, 0]
        if self.ride:
            stops = [day["afternoon_restaurant"], day["afternoon_attraction"], day["evening_restaurant"]]
            ways = [self._ride(day["city"], a, b)["minutes"] for a, b in pairwise(stops)]
        if spans["afternoon_restaurant"][1] + ways[0] > visit or spans["afternoon_attraction"][1] + ways[1] > dinner:
            raise Wrong("no time for it")
        return lunch, visit, dinner

    def _begins(self, day: dict[str, str]) -> tuple[int, int, int]:
        if not self.chooses:
            found = re.search(
                r"Lunch begins at (\d\d:\d\d) .* attraction begins at (\d\d:\d\d) .* dinner begins at (\d\d:\d\d)|"
                r"for lunch from (\d\d:\d\d) on, the attraction from (\d\d:\d\d) on .* for dinner from (\d\d:\d\d) on",
                self.text,
            )
            assert found
            lunch, visit, dinner = (minutes(clock) for clock in found.groups() if clock)
            return lunch, visit, dinner
        told = [minutes(day[f"{field}_time"]) for field in PLACES if field != "hotel"]
        windows = re.findall(r"begins between (\d\d:\d\d) and (\d\d:\d\d)", self.text)
        assert len(windows) == 3
        for at, (first, last) in zip(told, windows, strict=True):
            if not minutes(first) <= at <= minutes(last):
                raise Wrong("outside of the window")
        return told[0], told[1], told[2]

    def _wish(self, wish: str, plan: Plan, found: list[dict[str, Info]]) -> None:
        for pattern, kept in _WISHES:
            match = re.fullmatch(pattern, wish)
            if match:
                if not kept(self, match, plan, found):
                    raise Wrong(wish)
                return
        raise AssertionError(f"not understood: {wish}")

    def _budgets(self, plan: Plan, found: list[dict[str, Info]]) -> None:
        days = [self._cost(day, here) for day, here in zip(plan, found, strict=True)]
        most = number(self.text, r"No day may cost more than (\d+) CNY")
        if most is not None and max(days) > most:
            raise Wrong("a day's budget")
        whole = number(self.text, r"The whole trip may cost at most (\d+) CNY")
        between = self.people * sum(one["price"] for one in self.connections) if self.home else 0
        if whole is not None and sum(days) + between > whole:
            raise Wrong("budget")

    def _cost(self, day: dict[str, str], here: dict[str, Info]) -> int:
        cost: int = self.people * sum(here[field]["price"] for field in (*MEALS, "afternoon_attraction"))
        if "hotel" in here:
            cost += -(-self.people // here["hotel"]["max_guests"]) * here["hotel"]["price"]
        if self.ride:
            stops = [day["afternoon_restaurant"], day["afternoon_attraction"], day["evening_restaurant"]]
            payers = -(-self.people // 4) if self.ride == "taxi" else self.people
            cost += payers * sum(self._ride(day["city"], a, b)["price"] for a, b in pairwise(stops))
        return cost


Kept = Callable[[Judge, "re.Match[str]", Plan, list[dict[str, Info]]], bool]


def _restaurants(found: list[dict[str, Info]]) -> Iterator[Info]:
    return (here[meal] for here in found for meal in MEALS)


def _hotels(found: list[dict[str, Info]]) -> Iterator[Info]:
    return (here["hotel"] for here in found if "hotel" in here)


def _depends(judge: Judge, match: re.Match[str], plan: Plan, found: list[dict[str, Info]]) -> bool:
    """The hotel's price decides what else holds on that day."""
    here = found[int(match[1]) - 1]
    price = here["hotel"]["price"]
    for clause in match[2].split("; "):
        bounds = re.match(r"if it costs (\d+) CNY or more(?: but less than (\d+) CNY)?, (.*)", clause)
        assert bounds, clause
        if price >= int(bounds[1]) and (not bounds[2] or price < int(bounds[2])):
            return all(_demand(part, here) for part in re.split(r", | and (?=the attraction)", bounds[3]))
    return True


def _demand(text: str, here: dict[str, Info]) -> bool:
    lunch, dinner = (here[meal] for meal in MEALS)
    if match := re.fullmatch(r"lunch and dinner together must cost less than (\d+) CNY per person", text):
        return bool(lunch["price"] + dinner["price"] < int(match[1]))
    if match := re.fullmatch(r"both of that day's restaurants must be rated ([\d.]+) or better", text):
        return bool(min(lunch["rating"], dinner["rating"]) >= float(match[1]))
    if match := re.fullmatch(r"at least one of that day's restaurants must be rated ([\d.]+) or better", text):
        return bool(max(lunch["rating"], dinner["rating"]) >= float(match[1]))
    match = re.fullmatch(r"the attraction must cost less than (\d+) CNY per person", text)
    assert match, f"not understood: {text}"
    return bool(here["afternoon_attraction"]["price"] < int(match[1]))


def _weather(judge: Judge, kinds: str, plan: Plan, found: list[dict[str, Info]]) -> bool:
    for index, (day, here) in enumerate(zip(plan, found, strict=True)):
        told = judge.ask.call("get_weather_by_city_date", city=day["city"], date=judge._date(index))
        if told["weather"] in kinds.split(" or ") and here["afternoon_attraction"]["setting"] == "outdoor":
            return False
    return True


def _weekend(judge: Judge, match: re.Match[str], plan: Plan, found: list[dict[str, Info]]) -> bool:
    free = [here for index, here in enumerate(found) if judge._weekday(index) in ("Saturday", "Sunday")]
    return all(one["rating"] >= float(match[1]) for one in _restaurants(free))


def _cuisines(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


_WISHES: list[tuple[str, Kept]] = [
    (
        r"On day (\d+) it depends on the hotel's price per room and night: (.*)\. "
        r"Below \d+ CNY there is no such condition\.",
        _depends,
    ),
    (
        r"(?:I|We) eat only in restaurants with a rating of at least ([\d.]+)\.",
        lambda j, m, p, f: all(r["rating"] >= float(m[1]) for r in _restaurants(f)),
    ),
    (
        r"Every restaurant is rated ([\d.]+) or better\.",
        lambda j, m, p, f: all(r["rating"] >= float(m[1]) for r in _restaurants(f)),
    ),
    (
        r"On Saturdays and Sundays every restaurant has a rating of at least ([\d.]+), for lunch and for dinner\.",
        _weekend,
    ),
    (
        r"(?:Every attraction is rated|Attractions need a rating of at least) ([\d.]+)(?: or better)?\.",
        lambda j, m, p, f: all(h["afternoon_attraction"]["rating"] >= float(m[1]) for h in f),
    ),
    (
        r"(?:I want|We want) hotels with a rating of at least ([\d.]+)\.",
        lambda j, m, p, f: all(h["rating"] >= float(m[1]) for h in _hotels(f)),
    ),
    (
        r"Every hotel is rated ([\d.]+) or better\.",
        lambda j, m, p, f: all(h["rating"] >= float(m[1]) for h in _hotels(f)),
    ),
    (
        r"(?:Every hotel costs less than (\d+) CNY|No hotel may cost (\d+) CNY or more) per room and night\.",
        lambda j, m, p, f: all(h["price"] < int(m[1] or m[2]) for h in _hotels(f)),
    ),
    (
        r".*, so no hotel whose rules say '([^']*)'\.",
        lambda j, m, p, f: all(m[1] not in re.split(r", ?", h["rules"]) for h in _hotels(f)),
    ),
    (
        r"(?:No restaurant of the cuisine|Avoid every restaurant whose cuisine is) (.*?)(?:, please)?\.",
        lambda j, m, p, f: all(r["cuisine"] not in _cuisines(m[1]) for r in _restaurants(f)),
    ),
    (
        r"At least one meal of the trip \(a lunch or a dinner\) is in a restaurant of the cuisine '([^']*)'\.",
        lambda j, m, p, f: any(r["cuisine"] == m[1] for r in _restaurants(f)),
    ),
    (
        r"Dinner on day (\d+) is in a restaurant of the cuisine '([^']*)'\.",
        lambda j, m, p, f: f[int(m[1]) - 1]["evening_restaurant"]["cuisine"] == m[2],
    ),
    (
        r"On day (\d+) the cuisine of the dinner is '([^']*)'\.",
        lambda j, m, p, f: f[int(m[1]) - 1]["evening_restaurant"]["cuisine"] == m[2],
    ),
    (
        r"No day has the same cuisine for lunch and for dinner\.|"
        r"Lunch and dinner of the same day are of different cuisines\.",
        lambda j, m, p, f: all(h[MEALS[0]]["cuisine"] != h[MEALS[1]]["cuisine"] for h in f),
    ),
    (
        r"On any day, if lunch costs (\d+) CNY or more per person, dinner must cost less than (\d+) CNY per person\.",
        lambda j, m, p, f: all(h[MEALS[0]]["price"] < int(m[1]) or h[MEALS[1]]["price"] < int(m[2]) for h in f),
    ),
    (
        r"One of the days is in (\w+)\.|(?:I|We) want to see (\w+): it must be the city of one of the days\.",
        lambda j, m, p, f: any(d["city"] in m.groups() for d in p),
    ),
    (
        r"(?:No day is in (\w+)\.|Leave (\w+) out: it may not be the city of any day\.)",
        lambda j, m, p, f: all(d["city"] not in m.groups() for d in p),
    ),
    (
        r"No outdoor attraction on a day for which the weather in that city is (.*)\.",
        lambda j, m, p, f: _weather(j, m[1], p, f),
    ),
    (
        r"If the weather of a day's city on that date is (.*), that day's attraction must be indoor\.",
        lambda j, m, p, f: _weather(j, m[1], p, f),
    ),
    (
        r"At least one (?:of the trip's attractions|attraction of the whole trip) is of the category '([^']*)'\.",
        lambda j, m, p, f: any(h["afternoon_attraction"]["category"] == m[1] for h in f),
    ),
]


def compare(count: int, tick: Callable[[int], object]) -> dict[str, Any]:
    """Both judges on `count` tasks of all levels: how many tasks have every plan judged alike, how many plans, of those
    how many right ones; and the first few that were not."""
    alike = plans = right = done = number = 0
    apart: list[dict[str, Any]] = []
    while done < count:
        rng = random.Random(f"checker/{number}")
        level = Travel.levels[number % len(Travel.levels)]
        number += 1
        try:
            task = Travel().propose(rng, level)
        except ProposeFailed:
            continue
        mine = Judge(task.prompt, Asker(task))
        same = True
        for plan in _plans(rng, task, mine):
            ours, theirs = mine.passes(plan), Travel().verify(task, plan, task.world).passed
            plans, right = plans + 1, right + (ours and theirs)
            if ours != theirs:
                same = False
                apart.append({"level": level, "number": number - 1, "checker": ours, "verifier": theirs, "plan": plan})
        alike, done = alike + same, done + 1
        tick(done)
    return {"tasks": done, "tasks_alike": alike, "plans": plans, "right_plans": right, "apart": apart[:10]}


def _plans(rng: random.Random, task: Task, judge: Judge) -> Iterator[Plan]:
    """The oracle's plan, the environment's mutants of it, plans with a field or two changed, and random ones."""
    env = Travel()
    env.start(task)
    right = env.solve(task, SolverTools(env))
    yield right
    for _ in range(MUTANTS):
        mutant = Travel().mutate(rng, task, right)
        if isinstance(mutant, list) and all(isinstance(v, str) for day in mutant for v in day.values()):
            yield mutant
    for _ in range(NEIGHBOURS):
        plan = [dict(day) for day in right]
        for _ in range(rng.choice([1, 1, 1, 2])):
            _change(rng, plan, judge)
        yield plan
    for _ in range(RANDOM):
        plan = [dict(day) for day in right]
        for day in plan:
            day["city"] = rng.choice(judge.ask.call("get_all_cities"))
            for field in PLACES:
                if day[field]:
                    day[field] = rng.choice(_options(judge, day["city"], field))
        yield plan


def _options(judge: Judge, city: str, field: str) -> list[str]:
    found: list[str] = judge.ask.call(f"get_all_{PLACES[field]}s_by_city", city=city)
    return found


def _change(rng: random.Random, plan: Plan, judge: Judge) -> None:
    """Another choice in one place: often it is as good as the right one."""
    index = rng.randrange(len(plan))
    day = plan[index]
    field = rng.choice([name for name in judge.fields if day[name] and name not in ("time", "city")])
    if field in PLACES:
        day[field] = rng.choice(_options(judge, day["city"], field))
    elif field.endswith("_time"):
        later = minutes(day[field]) + rng.choice([-60, -15, -5, -1, 1, 5, 15, 60])
        day[field] = f"{later // 60 % 24:02}:{later % 60:02}"
    else:
        before = plan[index - 1]["city"] if index else judge.home
        ends = (before, day["city"]) if field == "transport" else (day["city"], judge.home)
        offers = judge.ask.call("get_inter_city_transport", origin=ends[0], destination=ends[1]) or [{"id": "T0"}]
        day[field] = rng.choice(offers)["id"]


if __name__ == "__main__":
    print(json.dumps(compare(100, lambda done: None), indent=1))
