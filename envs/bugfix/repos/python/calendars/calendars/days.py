"""Days of the Gregorian calendar as tuples (year, month, day)."""

LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_leap(year):
    """Whether a year has a 29th of February."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_length(year, month):
    """How many days a month has."""
    if not 1 <= month <= 12:
        raise ValueError(f"no month {month}")
    if month == 2 and is_leap(year):
        return 29
    return LENGTHS[month - 1]


def day_number(date):
    """Days since (1, 1, 1), which is day 0; ValueError for a day that does not exist."""
    year, month, day = date
    if year < 1 or not 1 <= day <= month_length(year, month):
        raise ValueError(f"no such day: {date}")
    before = year - 1
    count = before * 365 + before // 4 - before // 100 + before // 400
    for earlier in range(1, month):
        count += month_length(year, earlier)
    return count + day - 1


def from_number(number):
    """The day that lies so many days after (1, 1, 1); ValueError before it."""
    year = number // 366 + 1
    while day_number((year + 1, 1, 1)) <= number:
        year += 1
    rest = number - day_number((year, 1, 1))
    month = 1
    while rest >= month_length(year, month):
        rest -= month_length(year, month)
        month += 1
    return year, month, rest + 1


def weekday(date):
    """0 for Monday to 6 for Sunday."""
    return day_number(date) % 7


def add_months(date, months):
    """The same day so many months later or earlier; the last day of the month where there is no such day."""
    year, month, day = date
    index = year * 12 + month - 1 + months
    year, month = index // 12, index % 12 + 1
    return year, month, min(day, month_length(year, month))
