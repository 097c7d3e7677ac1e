import unittest

from calendars import (
    DateRange,
    add_months,
    day_number,
    from_number,
    is_leap,
    merge_ranges,
    month_length,
    weekday,
    workdays,
)


class TestDaysMore(unittest.TestCase):
    def test_centuries(self):
        self.assertEqual([is_leap(year) for year in (1900, 2000, 2100, 2400, 1999)], [False, True, False, True, False])

    def test_month_length(self):
        lengths = [month_length(2023, month) for month in range(1, 13)]
        self.assertEqual(lengths, [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
        self.assertEqual((month_length(2024, 2), month_length(2024, 1), month_length(2024, 3)), (29, 31, 31))
        for month in (0, 13, -1):
            with self.assertRaises(ValueError):
                month_length(2024, month)

    def test_known_numbers(self):
        self.assertEqual(day_number((1970, 1, 1)), 719162)
        self.assertEqual(day_number((2000, 3, 1)), 730179)
        self.assertEqual(day_number((401, 1, 1)), 146097)
        self.assertEqual(day_number((1, 12, 31)), 364)

    def test_no_such_day(self):
        for date in ((2023, 2, 29), (2023, 4, 31), (2023, 1, 0), (0, 1, 1)):
            with self.assertRaises(ValueError):
                day_number(date)
        with self.assertRaises(ValueError):
            from_number(-1)
        self.assertEqual(from_number(0), (1, 1, 1))

    def test_round_trip(self):
        for date in ((4, 12, 31), (5, 1, 1), (100, 2, 28), (2000, 2, 29), (1999, 12, 31), (2024, 10, 31), (1, 2, 1)):
            self.assertEqual(from_number(day_number(date)), date)
        for number in range(0, 1500, 13):
            self.assertEqual(day_number(from_number(number)), number)
        for number in range(360, 370):
            self.assertEqual(day_number(from_number(number)), number)

    def test_weekdays_follow(self):
        self.assertEqual([weekday((2024, 2, day)) for day in range(26, 30)], [0, 1, 2, 3])
        self.assertEqual((weekday((2024, 3, 3)), weekday((1970, 1, 1))), (6, 3))

    def test_add_months_ends(self):
        self.assertEqual(add_months((2024, 1, 31), 1), (2024, 2, 29))
        self.assertEqual(add_months((2023, 12, 31), 2), (2024, 2, 29))
        self.assertEqual(add_months((2024, 3, 30), -3), (2023, 12, 30))
        self.assertEqual(add_months((2024, 12, 1), 1), (2025, 1, 1))
        self.assertEqual(add_months((2024, 11, 5), 1), (2024, 12, 5))
        self.assertEqual(add_months((2024, 5, 31), 13), (2025, 6, 30))


class TestRangesMore(unittest.TestCase):
    def test_order_is_checked(self):
        with self.assertRaises(ValueError):
            DateRange((2024, 1, 2), (2024, 1, 1))
        self.assertEqual(len(DateRange((2024, 1, 2), (2024, 1, 2))), 1)

    def test_equality(self):
        one = DateRange((2024, 1, 2), (2024, 1, 3))
        self.assertNotEqual(one, DateRange((2024, 1, 2), (2024, 1, 4)))
        self.assertNotEqual(one, "range")
        self.assertEqual(len({one, DateRange((2024, 1, 2), (2024, 1, 3))}), 1)

    def test_contains(self):
        days = DateRange((2024, 1, 30), (2024, 2, 2))
        inside = [(2024, 1, 29) in days, (2024, 1, 30) in days, (2024, 2, 2) in days, (2024, 2, 3) in days]
        self.assertEqual(inside, [False, True, True, False])

    def test_overlap(self):
        days = DateRange((2024, 1, 10), (2024, 1, 20))
        self.assertEqual(days.overlap(DateRange((2024, 1, 20), (2024, 2, 20))), 1)
        self.assertEqual(days.overlap(DateRange((2024, 1, 1), (2024, 1, 12))), 3)
        self.assertEqual(days.overlap(DateRange((2024, 1, 12), (2024, 1, 13))), 2)
        self.assertEqual(days.overlap(DateRange((2024, 1, 21), (2024, 1, 30))), 0)
        self.assertEqual(days.overlap(DateRange((2024, 2, 21), (2024, 2, 25))), 0)

    def test_chunks(self):
        days = DateRange((2024, 2, 27), (2024, 3, 4))
        self.assertEqual([len(piece) for piece in days.chunks(3)], [3, 3, 1])
        self.assertEqual(days.chunks(7), [days])
        self.assertEqual(days.chunks(100), [days])
        self.assertEqual([len(piece) for piece in days.chunks(1)], [1] * 7)
        self.assertEqual(days.chunks(4)[1].first, (2024, 3, 2))
        with self.assertRaisesRegex(ValueError, "at least 1"):
            days.chunks(0)

    def test_merge(self):
        a = DateRange((2024, 1, 1), (2024, 1, 31))
        b = DateRange((2024, 2, 1), (2024, 2, 5))
        c = DateRange((2024, 2, 7), (2024, 2, 9))
        inner = DateRange((2024, 1, 3), (2024, 1, 4))
        self.assertEqual(merge_ranges([c, b, a, inner]), [DateRange((2024, 1, 1), (2024, 2, 5)), c])
        self.assertEqual(merge_ranges([]), [])
        d = DateRange((2024, 2, 8), (2024, 2, 20))
        self.assertEqual(merge_ranges([d, c, a]), [a, DateRange((2024, 2, 7), (2024, 2, 20))])

    def test_workdays(self):
        self.assertEqual(workdays((2024, 5, 3), 1), (2024, 5, 6))
        self.assertEqual(workdays((2024, 5, 2), 1), (2024, 5, 3))
        self.assertEqual(workdays((2024, 5, 4), 0), (2024, 5, 4))
        self.assertEqual(workdays((2024, 4, 30), 2, holidays=[(2024, 5, 1)]), (2024, 5, 3))
        self.assertEqual(workdays((2024, 5, 6), 10), (2024, 5, 20))
        with self.assertRaises(ValueError):
            workdays((2024, 5, 6), -1)
