"""English words for numbers."""

SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
SCALES = ((10**9, "billion"), (10**6, "million"), (1000, "thousand"))


def words(number):
    """A whole number below 10**12 in words, with hyphens below one hundred and "and" after hundreds."""
    if number < 0:
        return "minus " + words(-number)
    if number >= 10**12:
        raise ValueError(f"{number} is too large")
    parts = []
    for value, name in SCALES:
        if number >= value:
            parts.append(f"{_below_thousand(number // value)} {name}")
            number %= value
    if number > 0 or not parts:
        joined = parts and number < 100
        parts.append("and " + _below_thousand(number) if joined else _below_thousand(number))
    return " ".join(parts)


def _below_thousand(number):
    """Words for 0 to 999."""
    if number >= 100:
        hundreds, rest = divmod(number, 100)
        text = SMALL[hundreds] + " hundred"
        return text + " and " + _below_thousand(rest) if rest else text
    if number < 20:
        return SMALL[number]
    tens, ones = divmod(number, 10)
    return TENS[tens - 2] + ("-" + SMALL[ones] if ones else "")


def ordinal(number):
    """1st, 2nd, 3rd, 4th, 11th, 21st, ..."""
    if 11 <= number % 100 <= 13:
        return f"{number}th"
    return str(number) + {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def duration(seconds, parts=2):
    """Seconds as days, hours, minutes and seconds; only the largest parts that are not zero, the rest cut off."""
    if seconds < 0:
        raise ValueError("a duration is not negative")
    found = []
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count, seconds = divmod(seconds, size)
        if count and len(found) < parts:
            found.append(f"{count} {name}" if count == 1 else f"{count} {name}s")
    return " ".join(found) or "0 seconds"
