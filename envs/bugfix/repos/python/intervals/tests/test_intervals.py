import unittest

from intervals import Interval, covered, gaps, merge


class TestInterval(unittest.TestCase):
    def test_contains(self):
        self.assertTrue(Interval(1, 4).contains(2))
        self.assertFalse(Interval(1, 4).contains(7))

    def test_overlaps(self):
        self.assertTrue(Interval(0, 5).overlaps(Interval(3, 9)))
        self.assertFalse(Interval(0, 2).overlaps(Interval(3, 9)))

    def test_add_and_width(self):
        self.assertEqual(Interval(1, 2).add(Interval(10, 20)), Interval(11, 22))
        self.assertEqual(Interval(1, 8).width, 7)

    def test_split(self):
        self.assertEqual(Interval(0, 4).split(2), [Interval(0, 2), Interval(2, 4)])


class TestSets(unittest.TestCase):
    def test_merge(self):
        self.assertEqual(merge([Interval(5, 8), Interval(0, 3), Interval(2, 4)]), [Interval(0, 4), Interval(5, 8)])

    def test_gaps(self):
        self.assertEqual(gaps([Interval(2, 4)], Interval(0, 10)), [Interval(0, 2), Interval(4, 10)])

    def test_covered(self):
        self.assertEqual(covered([Interval(0, 4), Interval(2, 6), Interval(8, 9)]), 7)
