"""Days, ranges of days, and working days, without a clock or a time zone."""

from calendars.days import add_months, day_number, from_number, is_leap, month_length, weekday
from calendars.ranges import DateRange, merge_ranges, workdays

__all__ = [
    "DateRange",
    "add_months",
    "day_number",
    "from_number",
    "is_leap",
    "merge_ranges",
    "month_length",
    "weekday",
    "workdays",
]
