"""Ranges of days."""

from calendars.days import day_number, from_number, weekday


class DateRange:
    """The days from first to last, both included."""

    def __init__(self, first, last):
        if day_number(first) > day_number(last):
            raise ValueError(f"{first} is after {last}")
        self.first = first
        self.last = last

    def __eq__(self, other):
        return isinstance(other, DateRange) and (self.first, self.last) == (other.first, other.last)

    def __hash__(self):
        return hash((self.first, self.last))

    def __repr__(self):
        return f"DateRange({self.first}, {self.last})"

    def __len__(self):
        return day_number(self.last) - day_number(self.first) + 1

    def __contains__(self, date):
        return day_number(self.first) <= day_number(date) <= day_number(self.last)

    def overlap(self, other):
        """How many days two ranges share."""
        first = max(day_number(self.first), day_number(other.first))
        last = min(day_number(self.last), day_number(other.last))
        return max(0, last - first + 1)

    def chunks(self, days):
        """Cut the range into pieces of so many days; the last may be shorter."""
        if days < 1:
            raise ValueError("days must be at least 1")
        pieces = []
        at = day_number(self.first)
        end = day_number(self.last)
        while at <= end:
            stop = min(at + days - 1, end)
            pieces.append(DateRange(from_number(at), from_number(stop)))
            at = stop + 1
        return pieces


def merge_ranges(ranges):
    """Join ranges that overlap or follow one another without a free day, in order of time."""
    merged = []
    for item in sorted(ranges, key=lambda one: day_number(one.first)):
        if merged and day_number(item.first) <= day_number(merged[-1].last) + 1:
            last = max(merged[-1].last, item.last)
            merged[-1] = DateRange(merged[-1].first, last)
        else:
            merged.append(item)
    return merged


def workdays(date, count, holidays=()):
    """The day that is count working days after a date; Saturdays, Sundays and holidays do not count."""
    if count < 0:
        raise ValueError("count must not be negative")
    number = day_number(date)
    while count > 0:
        number += 1
        day = from_number(number)
        if weekday(day) < 5 and day not in holidays:
            count -= 1
    return from_number(number)
