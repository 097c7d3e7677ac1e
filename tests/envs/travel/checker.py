"""A second opinion on travel plans from the prompt's text and the tools' answers alone; `envs.travel` is not read.

Sentences that it does not know make it raise, so that no rule of a prompt can be passed over.
"""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from palestra.envs.types import ToolCall, ToolResult

Call = Callable[[ToolCall], ToolResult]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class Refused(Exception):
    """A plan breaks a rule."""


def passes(prompt: str, call: Call, plan: Any) -> bool:
    """Whether the plan keeps every rule of the prompt."""
    try:
        Checker(prompt, call).check(plan)
    except Refused:
        return False
    return True


def need(holds: object) -> None:
    if not holds:
        raise Refused


def at(clock: str) -> int:
    need(re.fullmatch(r"\d\d:\d\d", clock) and clock < "24:00" and clock[3:] < "60")
    return int(clock[:2]) * 60 + int(clock[3:])


class Checker:
    def __init__(self, prompt: str, call: Call) -> None:
        self.prompt, self._call = prompt, call
        start, self.days = re.search(r"(\d{4}-\d\d-\d\d) \(", prompt), self._number_of_days()
        assert start
        first = date.fromisoformat(start[1])
        self.dates = [first + timedelta(days=n) for n in range(self.days)]
        many = self.find(r"We are (\d) people\.")
        assert many or "I travel alone." in prompt
        self.party = int(many) if many else 1
        self.home = self.find(r"starting from (\w+)")
        self.chosen = "You choose the times" in prompt
        self.mode = self.find(r"is made by (bus|metro|taxi)")
        fields = re.search(r"texts?: ([a-z_, ]+)\.", prompt)
        assert fields
        self.fields = fields[1].split(", ")
        wishes = re.findall(r"^- (.*)$", prompt, re.MULTILINE)
        self.wishes = [(self._understand(wish), wish) for wish in wishes]

    def find(self, pattern: str) -> str:
        found = re.search(pattern, self.prompt)
        return found[1] if found else ""

    def _number_of_days(self) -> int:
        found = re.search(r"(\d+) days", self.prompt)
        return int(found[1]) if found else 1

    def ask(self, tool: str, **arguments: Any) -> Any:
        result = self._call(ToolCall(name=tool, arguments=arguments))
        need(result.ok)
        try:
            return json.loads(result.text)
        except ValueError:
            return result.text

    def check(self, plan: Any) -> None:
        need(isinstance(plan, list) and len(plan) == self.days)
        for day in plan:
            need(isinstance(day, dict) and set(day) == set(self.fields))
            need(all(isinstance(value, str) for value in day.values()))
        for number, day in enumerate(plan):
            need(day["time"] == self.dates[number].isoformat())
            need(day["city"] in self.ask("get_all_cities"))
        nights = plan[:-1] if self.home else plan
        for slots, days in (
            (["city"], plan),
            (["hotel"], nights),
            (["afternoon_restaurant", "evening_restaurant"], plan),
            (["afternoon_attraction"], plan),
        ):
            names = [day[slot] for day in days for slot in slots]
            need(len(set(names)) == len(names))
        self.info = [self._look_up(day, day in nights) for day in plan]
        for number, city in re.findall(r"(?:Day|On day) (\d+) (?:is in|the city is) (\w+)\.", self.prompt):
            need(plan[int(number) - 1]["city"] == city)
        if self.home:
            self._travel(plan)
        for number, day in enumerate(plan):
            if "begins" in self.prompt or "for lunch from" in self.prompt:
                self._clock(number, day)
        for rule, _ in self.wishes:
            rule(plan)
        self._money(plan)

    def _look_up(self, day: dict[str, str], night: bool) -> dict[str, Any]:
        info = {
            "lunch": self.ask("get_infos_by_restaurant", restaurant=day["afternoon_restaurant"], info_keywords=[]),
            "sight": self.ask("get_infos_by_attraction", attraction=day["afternoon_attraction"], info_keywords=[]),
            "dinner": self.ask("get_infos_by_restaurant", restaurant=day["evening_restaurant"], info_keywords=[]),
        }
        if night:
            info["hotel"] = self.ask("get_infos_by_hotel", hotel=day["hotel"], info_keywords=[])
        else:
            need(day["hotel"] == "")
        need(all(one["city"] == day["city"] for one in info.values()))
        return info

    def _travel(self, plan: list[dict[str, str]]) -> None:
        self.ways: list[dict[str, Any]] = []
        by = at(self.find(r"arrive by (\d\d:\d\d) at the latest\. On the last day"))
        leave, home_by = (
            at(self.find(r"leave at (\d\d:\d\d)")),
            at(self.find(r"and arrive by (\d\d:\d\d) at the\s+latest\. \w+ itself")),
        )
        before = self.home
        for number, day in enumerate(plan):
            need(day["city"] != self.home)
            way = self._way(before, day["city"], day["transport"], number)
            need(at(way["arrives"]) <= by)
            before = day["city"]
            if number < len(plan) - 1:
                need(day["return_transport"] == "")
        way = self._way(before, self.home, plan[-1]["return_transport"], len(plan) - 1)
        need(at(way["departs"]) >= leave and at(way["arrives"]) <= home_by)
        most = self.find(r"may take at most (\d+) minutes")
        need(not most or sum(way["minutes"] for way in self.ways) <= int(most))
        for kind in re.findall(r"Take no (\w+)\.", self.prompt):
            need(all(way["kind"] not in kind for way in self.ways))

    def _way(self, origin: str, end: str, name: str, number: int) -> dict[str, Any]:
        ways = {way["id"]: way for way in self.ask("get_inter_city_transport", origin=origin, destination=end)}
        need(name in ways and WEEKDAYS[self.dates[number].weekday()] in ways[name]["runs_on"].split(", "))
        self.ways.append(ways[name])
        found: dict[str, Any] = ways[name]
        return found

    def _clock(self, number: int, day: dict[str, str]) -> None:
        info, text = self.info[number], self.prompt
        if self.chosen:
            windows = re.findall(r"between (\d\d:\d\d) and (\d\d:\d\d)", text)
            assert len(windows) == 3
            slots = ("afternoon_restaurant_time", "afternoon_attraction_time", "evening_restaurant_time")
            begins = [at(day[slot]) for slot in slots]
            need(all(at(a) <= b <= at(c) for (a, c), b in zip(windows, begins, strict=True)))
            lasts = re.search(r"takes (\d+) minutes, the visit .* takes (\d+) minutes", text)
        elif found := re.search(r"Lunch begins at (\S+) and.* begins at (\S+) and.* dinner begins at (\S+) and", text):
            begins = [at(clock) for clock in found.groups()]
            lasts = re.search(r"takes (\d+) minutes, the visit .* takes (\d+) minutes", text)
        else:
            found = re.search(r"lunch from (\S+) on, the attraction from (\S+) on .* dinner from (\S+) on\.", text)
            assert found
            begins = [at(clock) for clock in found.groups()]
            lasts = re.search(r"has (\d+) minutes for lunch .* and (\d+) minutes for dinner", text)
        assert lasts
        minutes = [int(lasts[1]), info["sight"]["visit_minutes"], int(lasts[2])]
        places = [info["lunch"], info["sight"], info["dinner"]]
        for place, begin, last in zip(places, begins, minutes, strict=True):
            need(place["closed_on"] != WEEKDAYS[self.dates[number].weekday()])
            opens, closes = place["opening_hours"].split("-")
            need(at(opens) <= begin and begin + last <= at(closes))
        for one in (0, 1):
            way = self._ride(day["city"], places[one], places[one + 1])[0] if self.mode else 0
            need(begins[one] + minutes[one] + way <= begins[one + 1])

    def _ride(self, city: str, one: dict[str, Any], other: dict[str, Any]) -> tuple[int, int]:
        rides = self.ask("get_city_transport", city=city, origin=one["name"], destination=other["name"])["transport"]
        need(self.mode in rides)
        return rides[self.mode]["minutes"], rides[self.mode]["price"]

    def _day_cost(self, number: int, day: dict[str, str]) -> int:
        info = self.info[number]
        cost = sum(info[what]["price"] for what in ("lunch", "sight", "dinner")) * self.party
        if "hotel" in info:
            rooms = (self.party + info["hotel"]["max_guests"] - 1) // info["hotel"]["max_guests"]
            cost += info["hotel"]["price"] * rooms
        if self.mode:
            for one, other in (("lunch", "sight"), ("sight", "dinner")):
                fare = self._ride(day["city"], info[one], info[other])[1]
                cost += fare if self.mode == "taxi" else fare * self.party
        return int(cost)

    def _money(self, plan: list[dict[str, str]]) -> None:
        costs = [self._day_cost(number, day) for number, day in enumerate(plan)]
        daily, total = self.find(r"No day may cost more than (\d+) CNY"), self.find(r"trip may cost at most (\d+) CNY")
        need(not daily or max(costs) <= int(daily))
        whole = sum(costs) + sum(way["price"] * self.party for way in (self.ways if self.home else []))
        need(not total or whole <= int(total))

    def _all(self, what: tuple[str, ...], holds: Callable[[dict[str, Any]], bool]) -> Callable[[Any], None]:
        return lambda plan: need(all(holds(info[one]) for info in self.info for one in what if one in info))

    def _understand(self, wish: str) -> Callable[[list[dict[str, str]]], None]:
        number = [float(one) for one in re.findall(r"\d+(?:\.\d+)?", wish)]
        quoted = re.findall(r"'([^']+)'", wish)
        if re.match(r"On day \d+ it depends", wish):
            return lambda plan: self._tiers(wish)
        if "per room and night" in wish:
            return self._all(("hotel",), lambda one: one["price"] < number[0])
        if re.match(r"On any day, if lunch costs", wish):
            return lambda plan: need(
                all(i["lunch"]["price"] < number[0] or i["dinner"]["price"] < number[1] for i in self.info)
            )
        if wish.startswith("On Saturdays and Sundays"):
            return lambda plan: need(
                all(min(info["lunch"]["rating"], info["dinner"]["rating"]) >= number[0]
                    for day, info in zip(self.dates, self.info, strict=True) if day.weekday() >= 5)
            )  # fmt: skip
        if rated := re.search(r"(hotel|restaurant|ttraction)s?\b.*(?:is rated|rating of at least) \d\.\d", wish):
            what = {"hotel": ("hotel",), "restaurant": ("lunch", "dinner"), "ttraction": ("sight",)}[rated[1]]
            return self._all(what, lambda one: one["rating"] >= number[0])
        if "no hotel whose rules say" in wish:
            return self._all(("hotel",), lambda one: quoted[0] not in one["rules"].split(", "))
        if "indoor" in wish or "outdoor" in wish:
            skies = re.findall(r"\b(rain|storm)\b", wish)
            return lambda plan: need(
                all(info["sight"]["setting"] == "indoor"
                    or self.ask("get_weather_by_city_date", city=day["city"], date=day["time"])["weather"] not in skies
                    for day, info in zip(plan, self.info, strict=True))
            )  # fmt: skip
        return self._understand_more(wish, quoted, number)

    def _understand_more(self, wish: str, quoted: list[str], number: list[float]) -> Callable[[Any], None]:
        if re.match(r"No restaurant of the cuisine|Avoid every restaurant", wish):
            return self._all(("lunch", "dinner"), lambda one: one["cuisine"] not in quoted)
        if re.match(r"(Dinner on|On) day \d+ (is in a restaurant|the cuisine)", wish):
            return lambda plan: need(self.info[int(number[0]) - 1]["dinner"]["cuisine"] == quoted[0])
        if re.match(r"Lunch and dinner of the same day|No day has the same cuisine", wish):
            return lambda plan: need(all(i["lunch"]["cuisine"] != i["dinner"]["cuisine"] for i in self.info))
        if wish.startswith("At least one meal"):
            return lambda plan: need(
                any(quoted[0] in (i["lunch"]["cuisine"], i["dinner"]["cuisine"]) for i in self.info)
            )
        if wish.startswith("At least one attraction"):
            return lambda plan: need(any(info["sight"]["category"] == quoted[0] for info in self.info))
        if found := re.fullmatch(r"(?:One of the days is in|I want to see) (\w+)[.:].*", wish):
            wanted = found[1]
            return lambda plan: need(any(day["city"] == wanted for day in plan))
        if found := re.fullmatch(r"(?:No day is in|Leave) (\w+)\b.*", wish):
            unwanted = found[1]
            return lambda plan: need(all(day["city"] != unwanted for day in plan))
        raise AssertionError(f"a sentence nobody can read: {wish}")

    def _tiers(self, wish: str) -> None:
        day = re.match(r"On day (\d+)", wish)
        assert day
        info = self.info[int(day[1]) - 1]
        price = info["hotel"]["price"]
        for part in re.findall(r"if it costs ([^;.]*(?:\.\d[^;.]*)*)", wish):
            low = re.match(r"(\d+) CNY or more", part)
            high = re.search(r"but less than (\d+) CNY,", part)
            assert low
            if price >= int(low[1]) and (high is None or price < int(high[1])):
                self._range(part, info)

    def _range(self, part: str, info: dict[str, Any]) -> None:
        if meals := re.search(r"lunch and dinner together must cost less than (\d+)", part):
            need(info["lunch"]["price"] + info["dinner"]["price"] < int(meals[1]))
        rated = re.search(r"(both|at least one) of that day's restaurants must be rated (\d\.\d)", part)
        assert rated
        good = [info[meal]["rating"] >= float(rated[2]) for meal in ("lunch", "dinner")]
        need(all(good) if rated[1] == "both" else any(good))
        if sight := re.search(r"the attraction must cost less than (\d+)", part):
            need(info["sight"]["price"] < int(sight[1]))
