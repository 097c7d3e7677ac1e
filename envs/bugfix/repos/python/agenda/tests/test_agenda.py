import unittest

from agenda import Heap, Scheduler, assign


class TestHeap(unittest.TestCase):
    def test_order(self):
        heap = Heap()
        for item, priority in (("c", 3), ("a", 1), ("b", 2)):
            heap.push(item, priority)
        self.assertEqual([heap.pop() for _ in range(3)], [("a", 1), ("b", 2), ("c", 3)])

    def test_empty(self):
        with self.assertRaises(IndexError):
            Heap().pop()


class TestScheduler(unittest.TestCase):
    def test_runs_what_is_due(self):
        clock = Scheduler()
        clock.after(5, lambda: "late")
        clock.after(1, lambda: "soon")
        self.assertEqual(clock.advance(3), ["soon"])
        self.assertEqual(clock.advance(3), ["late"])

    def test_assign(self):
        self.assertEqual(assign([5, 3, 4], 2), [[0], [2, 1]])
