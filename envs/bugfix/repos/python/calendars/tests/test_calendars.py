import unittest

from calendars import DateRange, add_months, day_number, from_number, is_leap, weekday, workdays


class TestDays(unittest.TestCase):
    def test_leap(self):
        self.assertTrue(is_leap(2024))
        self.assertFalse(is_leap(2023))

    def test_numbers(self):
        self.assertEqual(day_number((1, 1, 1)), 0)
        self.assertEqual(from_number(day_number((2021, 7, 15))), (2021, 7, 15))

    def test_weekday(self):
        self.assertEqual(weekday((2024, 5, 1)), 2)

    def test_add_months(self):
        self.assertEqual(add_months((2024, 1, 15), 2), (2024, 3, 15))


class TestRanges(unittest.TestCase):
    def test_length(self):
        self.assertEqual(len(DateRange((2024, 1, 1), (2024, 1, 31))), 31)

    def test_workdays(self):
        self.assertEqual(workdays((2024, 5, 6), 3), (2024, 5, 9))
