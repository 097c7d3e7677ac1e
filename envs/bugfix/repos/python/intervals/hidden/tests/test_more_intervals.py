import unittest

from intervals import Interval, covered, gaps, intersect_all, merge, subtract


class TestIntervalEdges(unittest.TestCase):
    def test_needs_order(self):
        with self.assertRaises(ValueError):
            Interval(3, 2)
        self.assertEqual(Interval(3, 3).width, 0)

    def test_equality(self):
        self.assertNotEqual(Interval(1, 2), Interval(1, 3))
        self.assertNotEqual(Interval(0, 2), Interval(1, 2))
        self.assertNotEqual(Interval(0, 2), (0, 2))
        self.assertEqual(len({Interval(1, 2), Interval(1, 2), Interval(2, 3)}), 2)

    def test_contains_both_ends(self):
        self.assertEqual([Interval(1, 4).contains(value) for value in (0, 1, 4, 5)], [False, True, True, False])

    def test_overlaps_at_a_point(self):
        self.assertTrue(Interval(0, 2).overlaps(Interval(2, 3)))
        self.assertTrue(Interval(2, 3).overlaps(Interval(0, 2)))
        self.assertFalse(Interval(5, 6).overlaps(Interval(1, 4)))

    def test_sub(self):
        self.assertEqual(Interval(1, 5).sub(Interval(2, 7)), Interval(-6, 3))

    def test_mul_signs(self):
        self.assertEqual(Interval(-2, 3).mul(Interval(4, 5)), Interval(-10, 15))
        self.assertEqual(Interval(-2, 3).mul(Interval(-7, 1)), Interval(-21, 14))
        self.assertEqual(Interval(2, 3).mul(Interval(4, 5)), Interval(8, 15))

    def test_intersect(self):
        self.assertEqual(Interval(0, 6).intersect(Interval(4, 9)), Interval(4, 6))
        self.assertEqual(Interval(4, 9).intersect(Interval(0, 6)), Interval(4, 6))
        self.assertIsNone(Interval(0, 1).intersect(Interval(2, 3)))

    def test_clamp(self):
        self.assertEqual([Interval(2, 5).clamp(value) for value in (0, 2, 3, 5, 9)], [2, 2, 3, 5, 5])

    def test_split_into_one_and_three(self):
        self.assertEqual(Interval(1, 4).split(1), [Interval(1, 4)])
        self.assertEqual(Interval(1, 7).split(3), [Interval(1, 3), Interval(3, 5), Interval(5, 7)])
        with self.assertRaises(ValueError):
            Interval(1, 4).split(0)


class TestSetEdges(unittest.TestCase):
    def test_merge_touching_and_nested(self):
        self.assertEqual(merge([Interval(0, 2), Interval(2, 3)]), [Interval(0, 3)])
        self.assertEqual(merge([Interval(0, 9), Interval(2, 3)]), [Interval(0, 9)])
        self.assertEqual(merge([Interval(0, 2), Interval(3, 4)]), [Interval(0, 2), Interval(3, 4)])
        self.assertEqual(merge([]), [])
        self.assertEqual(merge([Interval(0, 1), Interval(3, 5), Interval(4, 6)]), [Interval(0, 1), Interval(3, 6)])

    def test_merge_slack(self):
        items = [Interval(0, 2), Interval(3, 4), Interval(6, 7)]
        self.assertEqual(merge(items, slack=1), [Interval(0, 4), Interval(6, 7)])
        self.assertEqual(merge(items, slack=2), [Interval(0, 7)])

    def test_merge_small_gap_stays(self):
        self.assertEqual(len(merge([Interval(0, 1), Interval(1.5, 2)])), 2)

    def test_gaps_outside_and_overhang(self):
        items = [Interval(-9, -5), Interval(-1, 2), Interval(5, 6), Interval(20, 30)]
        self.assertEqual(gaps(items, Interval(0, 10)), [Interval(2, 5), Interval(6, 10)])

    def test_gaps_full_and_empty(self):
        self.assertEqual(gaps([Interval(0, 10)], Interval(0, 10)), [])
        self.assertEqual(gaps([Interval(-5, 15)], Interval(0, 10)), [])
        self.assertEqual(gaps([], Interval(0, 10)), [Interval(0, 10)])
        self.assertEqual(gaps([Interval(12, 13)], Interval(0, 10)), [Interval(0, 10)])

    def test_gaps_at_the_ends(self):
        self.assertEqual(gaps([Interval(0, 3)], Interval(0, 5)), [Interval(3, 5)])
        self.assertEqual(gaps([Interval(3, 5)], Interval(0, 5)), [Interval(0, 3)])

    def test_subtract(self):
        self.assertEqual(subtract(Interval(0, 10), [Interval(1, 3), Interval(2, 5)]), 6)
        self.assertEqual(covered([]), 0)

    def test_intersect_all(self):
        self.assertEqual(intersect_all([Interval(0, 9), Interval(2, 8), Interval(1, 5)]), Interval(2, 5))
        self.assertEqual(intersect_all([Interval(0, 9)]), Interval(0, 9))
        self.assertIsNone(intersect_all([Interval(0, 1), Interval(2, 3), Interval(0, 5)]))
        with self.assertRaises(ValueError):
            intersect_all([])
