"""A task in words. The text says every rule in full: whoever reads it and asks the tools can judge a plan.

Sentences come in several wordings, drawn with the task, so that prompts do not read alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from .country import clock
from .rules import Journey, Rules, Step, Tiers, Timetable

Pick = Callable[..., str]

_KIND = {"flight": "flights", "coach": "coaches", "train": "trains"}
_NEED = {
    "pets": "We bring a dog, so no hotel whose rules say 'no pets'.",
    "smoking": "One of us smokes, so no hotel whose rules say 'no smoking'.",
    "children": "There is a child among us, so no hotel whose rules say 'no children'.",
}
_NEED_ALONE = {
    "pets": "I bring my dog, so no hotel whose rules say 'no pets'.",
    "smoking": "I smoke, so no hotel whose rules say 'no smoking'.",
    "children": "I bring my child, so no hotel whose rules say 'no children'.",
}


def describe(rng: random.Random, rules: Rules) -> str:
    """The prompt."""

    def pick(*texts: str) -> str:
        return rng.choice(texts)

    wishes = list(_wishes(rules, pick))
    rng.shuffle(wishes)
    paragraphs = [
        _opening(rules, pick),
        " ".join(_places(rules, pick)),
        " ".join(_journey(rules, rules.journey)) if rules.journey else "",
        " ".join(_times(rules, rules.timetable, pick)) if rules.timetable else "",
        "\n".join(
            [pick("What matters to me:", "My wishes:", "Please keep to all of this:"), *map("- {}".format, wishes)]
        )
        if wishes
        else "",
        " ".join(_money(rules)),
        _form(rules, pick),
    ]
    return "\n\n".join(text for text in paragraphs if text)


def _opening(rules: Rules, pick: Pick) -> str:
    days = "one day" if rules.days == 1 else f"{rules.days} days"
    dates = f"{rules.dates[0]} ({rules.weekdays[0]})"
    dates = f"from {dates} to {rules.dates[-1]} ({rules.weekdays[-1]})" if rules.days > 1 else f"on {dates}"
    people = "I travel alone" if rules.party == 1 else f"We are {rules.party} people"
    home = f", starting from {rules.journey.home}" if rules.journey else ""
    return pick(
        f"Please plan a trip of {days} for me, {dates}{home}. {people}.",
        f"I would like to travel for {days}, {dates}{home}. {people}. Can you make the plan?",
        f"Help me with a trip of {days}{home}, {dates}. {people}.",
    )


def _places(rules: Rules, pick: Pick) -> Iterator[str]:
    night = "every day but the last (we go home that evening)" if rules.journey else "every day"
    night = night.replace("we go", "I go") if rules.party == 1 else night
    yield pick(
        "Each day needs a city, a restaurant for lunch, an attraction for the afternoon and another restaurant for "
        f"dinner; {night} also needs a hotel in that city for the night.",
        "For each day choose a city, a lunch restaurant, an afternoon attraction and a dinner restaurant, and for "
        f"{night} also a hotel in that city.",
    )
    yield pick(
        "All of a day's places must be in that day's city, and no city, hotel, restaurant or attraction may come up "
        "twice in the whole trip (lunch and dinner are different restaurants, too).",
        "Every place must lie in the city of its day. Nothing may be repeated: no city, no hotel, no attraction and no "
        "restaurant, neither for lunch nor for dinner.",
    )
    for day, city in sorted(rules.route.items()):
        yield pick(f"Day {day} is in {city}.", f"On day {day} the city is {city}.")


def _journey(rules: Rules, journey: Journey) -> Iterator[str]:
    yield (
        f"Every morning begins with one direct connection to that day's city: on day 1 from {journey.home}, after "
        f"that from the city of the day before. It must run on that weekday and arrive by {clock(journey.arrive_by)} "
        "at the latest."
    )
    yield (
        f"On the last day, after dinner, one direct connection goes from that day's city back to {journey.home}; it "
        f"must run on that weekday, leave at {clock(journey.leave_from)} or later and arrive by "
        f"{clock(journey.home_by)} at the latest. {journey.home} itself is not a city of any day."
    )
    if journey.without:
        kinds = " and no ".join(_KIND[kind] for kind in journey.without)
        yield f"Take no {kinds}."
    if journey.most_minutes is not None:
        yield f"All connections together, the way home included, may take at most {journey.most_minutes} minutes."


def _times(rules: Rules, table: Timetable, pick: Pick) -> Iterator[str]:
    if table.chosen:
        yield (
            f"You choose the times: lunch begins between {_window(table.lunch)} and takes {table.lunch_minutes} "
            f"minutes, the visit of the attraction begins between {_window(table.visit)} and takes the attraction's "
            f"visit_minutes, dinner begins between {_window(table.dinner)} and takes {table.dinner_minutes} minutes "
            "(all bounds included)."
        )
    else:
        lunch, visit, dinner = clock(table.lunch[0]), clock(table.visit[0]), clock(table.dinner[0])
        yield pick(
            f"Lunch begins at {lunch} and takes {table.lunch_minutes} minutes, the visit of the attraction begins at "
            f"{visit} and takes the attraction's visit_minutes, dinner begins at {dinner} and takes "
            f"{table.dinner_minutes} minutes.",
            f"Every day has {table.lunch_minutes} minutes for lunch from {lunch} on, the attraction from {visit} on "
            f"for as long as its visit_minutes say, and {table.dinner_minutes} minutes for dinner from {dinner} on.",
        )
    yield pick(
        "Restaurants and attractions must be open on that day of the week, and for the whole time from beginning to "
        "end (beginning right when they open and ending right when they close is fine).",
        "No place may be closed on that day's weekday, and its opening hours must cover the whole meal or visit (to "
        "begin at opening time and to end at closing time is allowed).",
    )
    if rules.mode:
        yield (
            f"Within a city the way from lunch to the attraction and from there to dinner is made by {rules.mode}, so "
            "the city must have it; the visit begins when lunch and the ride are over or later, and dinner when the "
            "visit and the ride are over or later. Ways to and from the hotel and the station need not be planned."
        )
    else:
        yield "The visit must be over when dinner begins. Ways within a city need not be planned."


def _window(bounds: tuple[int, int]) -> str:
    return f"{clock(bounds[0])} and {clock(bounds[1])}"


def _wishes(rules: Rules, pick: Pick) -> Iterator[str]:
    if rules.hotel_below is not None:
        yield pick(
            f"Every hotel costs less than {rules.hotel_below} CNY per room and night.",
            f"No hotel may cost {rules.hotel_below} CNY or more per room and night.",
        )
    if rules.hotel_rating is not None:
        yield pick(
            f"Every hotel is rated {rules.hotel_rating} or better.",
            f"I want hotels with a rating of at least {rules.hotel_rating}.",
        )
    if rules.meal_rating is not None:
        yield pick(
            f"Every restaurant is rated {rules.meal_rating} or better.",
            f"We eat only in restaurants with a rating of at least {rules.meal_rating}."
            if rules.party > 1
            else f"I eat only in restaurants with a rating of at least {rules.meal_rating}.",
        )
    if rules.weekend_rating is not None:
        yield (
            f"On Saturdays and Sundays every restaurant has a rating of at least {rules.weekend_rating}, for lunch "
            "and for dinner."
        )
    if rules.attraction_rating is not None:
        yield pick(
            f"Every attraction is rated {rules.attraction_rating} or better.",
            f"Attractions need a rating of at least {rules.attraction_rating}.",
        )
    yield from _food(rules, pick)
    yield from ((_NEED if rules.party > 1 else _NEED_ALONE)[need] for need in rules.needs)
    if rules.indoor_when:
        sky = " or ".join(rules.indoor_when)
        yield pick(
            f"If the weather of a day's city on that date is {sky}, that day's attraction must be indoor.",
            f"No outdoor attraction on a day for which the weather in that city is {sky}.",
        )
    for city in rules.visit:
        yield pick(f"One of the days is in {city}.", f"I want to see {city}: it must be the city of one of the days.")
    for city in rules.avoid:
        yield pick(f"No day is in {city}.", f"Leave {city} out: it may not be the city of any day.")
    for category in rules.trip_categories:
        yield f"At least one attraction of the whole trip is of the category '{category}'."
    yield from map(_tiers, rules.tiers)


def _food(rules: Rules, pick: Pick) -> Iterator[str]:
    if rules.no_cuisines:
        kinds = " or ".join(f"'{one}'" for one in rules.no_cuisines)
        yield pick(
            f"No restaurant of the cuisine {kinds}, please.", f"Avoid every restaurant whose cuisine is {kinds}."
        )
    for day, cuisine in sorted(rules.dinner_cuisine.items()):
        yield pick(
            f"Dinner on day {day} is in a restaurant of the cuisine '{cuisine}'.",
            f"On day {day} the cuisine of the dinner is '{cuisine}'.",
        )
    if rules.two_cuisines:
        yield pick(
            "Lunch and dinner of the same day are of different cuisines.",
            "No day has the same cuisine for lunch and for dinner.",
        )
    for cuisine in rules.trip_cuisines:
        yield f"At least one meal of the trip (a lunch or a dinner) is in a restaurant of the cuisine '{cuisine}'."
    if dear := rules.dear_lunch:
        yield (
            f"On any day, if lunch costs {dear.floor} CNY or more per person, dinner must cost less than "
            f"{dear.dinner_below} CNY per person."
        )


def _tiers(tiers: Tiers) -> str:
    """The ranges of one day's hotel price, from the dearest down."""
    texts, above = [], None
    for step in tiers.steps:
        price = f"{step.floor} CNY or more" if above is None else f"{step.floor} CNY or more but less than {above} CNY"
        texts.append(f"if it costs {price}, {_step(step)}")
        above = step.floor
    return (
        f"On day {tiers.day} it depends on the hotel's price per room and night: {'; '.join(texts)}. Below {above} CNY "
        f"there is no such condition."
    )


def _step(step: Step) -> str:
    wants = []
    if step.meals_below is not None:
        wants.append(f"lunch and dinner together must cost less than {step.meals_below} CNY per person")
    if step.well_rated:
        who = "both of that day's restaurants" if step.well_rated == 2 else "at least one of that day's restaurants"
        wants.append(f"{who} must be rated {step.rating} or better")
    if step.attraction_below is not None:
        wants.append(f"the attraction must cost less than {step.attraction_below} CNY per person")
    return wants[0] if len(wants) == 1 else f"{', '.join(wants[:-1])} and {wants[-1]}"


def _money(rules: Rules) -> Iterator[str]:
    if rules.budget is None and rules.day_budget is None:
        return
    counted = ["the hotel", "both meals", "the attraction"]
    if rules.mode:
        counted.append("the two rides within the city")
    if rules.day_budget is not None:
        yield (
            (
                f"No day may cost more than {rules.day_budget} CNY for all of us together"
                if rules.party > 1
                else f"No day may cost more than {rules.day_budget} CNY"
            )
            + f", counting {_listed(counted)}"
            + (" but not the connections between cities." if rules.journey else ".")
        )
    if rules.budget is not None:
        whole = ["all hotels", "meals", "attractions"]
        whole += ["rides within the cities"] if rules.mode else []
        whole += ["connections between cities"] if rules.journey else []
        together = " for all of us together" if rules.party > 1 else ""
        yield f"The whole trip may cost at most {rules.budget} CNY{together}: {_listed(whole)}."
    if rules.party == 1:
        yield "One room per night is enough."
    else:
        yield (
            f"{'Both' if rules.party == 2 else f'All {rules.party}'} of us pay for meals, attractions and, where they "
            f"count, connections; for each night we take as few rooms as {rules.party} people need when a room holds "
            "at most the hotel's max_guests, and pay for every room."
        )
    if rules.mode == "taxi":
        yield "A taxi is paid per car, and one car is enough for us." if rules.party > 1 else "A taxi is paid per car."
    elif rules.mode and rules.party > 1:
        yield f"On the {rules.mode} everybody pays."


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _form(rules: Rules, pick: Pick) -> str:
    what = ", ".join(rules.fields)
    lines = [
        pick(
            "Submit a list with one object per day, in order, each with exactly these fields, all of them texts: "
            f"{what}. time is the date (YYYY-MM-DD); names and ids exactly as the tools give them.",
            "Hand the plan in as a list, day by day. Each day is an object with these fields and no others, and each "
            f"field holds a text: {what}. Write the date into time as YYYY-MM-DD, and names and ids just as the tools "
            "do.",
        )
    ]
    if rules.timetable and rules.timetable.chosen:
        lines.append("The three fields that end in _time say when lunch, the visit and dinner begin (HH:MM, 24 hours).")
    if rules.journey:
        lines.append(
            "transport is the id of the morning's connection, return_transport that of the connection home: on the "
            "last day only, an empty text before. hotel is an empty text on the last day."
        )
    return " ".join(lines)
