import unittest

from agenda import Heap, Scheduler, assign


class TestHeapMore(unittest.TestCase):
    def test_many(self):
        for count in (1, 2, 3, 4, 7, 20):
            heap = Heap()
            for number in range(count):
                heap.push(number, (number * 7) % count)
            self.assertEqual(len(heap), count)
            priorities = [heap.pop()[1] for _ in range(count)]
            self.assertEqual(priorities, sorted(priorities))
            self.assertEqual(len(heap), 0)

    def test_descending_pushes(self):
        heap = Heap()
        for number in range(12, 0, -1):
            heap.push(str(number), number)
            self.assertEqual(heap.peek(), (str(number), number))

    def test_ties_keep_order(self):
        heap = Heap()
        for item in "abcdefg":
            heap.push(item, 1)
        heap.push("z", 0)
        self.assertEqual(heap.drain(), list("zabcdefg"))

    def test_peek(self):
        heap = Heap()
        with self.assertRaisesRegex(IndexError, "the heap is empty"):
            heap.peek()
        heap.push("a", 4)
        self.assertEqual(heap.peek(), ("a", 4))
        self.assertEqual(len(heap), 1)

    def test_change(self):
        heap = Heap()
        for number in range(8):
            heap.push(number, number)
        heap.change(6, -1)
        heap.change(0, 9)
        heap.change(3, 3)
        self.assertEqual(heap.drain(), [6, 1, 2, 3, 4, 5, 7, 0])
        with self.assertRaises(KeyError):
            heap.change(5, 1)

    def test_change_to_a_tie(self):
        heap = Heap()
        for item in "abc":
            heap.push(item, ord(item))
        heap.change("c", ord("a"))
        self.assertEqual(heap.drain(), ["a", "c", "b"])

    def test_drain_limit(self):
        heap = Heap()
        for number in (5, 1, 4, 2):
            heap.push(number, number)
        self.assertEqual(heap.drain(limit=4), [1, 2, 4])
        self.assertEqual(heap.drain(limit=4), [])
        self.assertEqual(heap.drain(limit=5), [5])


class TestSchedulerMore(unittest.TestCase):
    def test_due_exactly_now(self):
        clock = Scheduler(start=10)
        clock.after(0, lambda: clock.now)
        clock.after(5, lambda: clock.now)
        self.assertEqual(clock.advance(0), [10])
        self.assertEqual(clock.advance(5), [15])
        self.assertEqual(clock.now, 15)

    def test_repeats(self):
        clock = Scheduler()
        clock.after(1, lambda: clock.now, every=2)
        self.assertEqual(clock.advance(6), [1, 3, 5])
        self.assertEqual(clock.now, 6)
        self.assertEqual(clock.advance(1), [7])

    def test_times(self):
        clock = Scheduler()
        clock.after(1, lambda: clock.now, every=1, times=3)
        self.assertEqual(clock.advance(10), [1, 2, 3])
        clock.after(1, lambda: clock.now, every=1, times=1)
        self.assertEqual(clock.advance(10), [11])

    def test_mixed_order(self):
        clock = Scheduler()
        clock.after(2, lambda: "a", every=2)
        clock.after(3, lambda: "b")
        self.assertEqual(clock.advance(5), ["a", "b", "a"])

    def test_planned_by_an_action(self):
        clock = Scheduler()
        clock.after(2, lambda: clock.after(3, lambda: "inner"))
        self.assertEqual(clock.advance(4), [1])
        self.assertEqual(clock.advance(1), ["inner"])

    def test_cancel(self):
        clock = Scheduler()
        first = clock.after(1, lambda: "a", every=1)
        second = clock.after(1, lambda: "b", every=1)
        self.assertEqual((first, second), (0, 1))
        clock.cancel(first)
        self.assertEqual(clock.advance(2), ["b", "b"])

    def test_bad_times(self):
        clock = Scheduler()
        for delay, every in ((-1, None), (1, 0), (1, -2), (-1, 1)):
            with self.assertRaises(ValueError):
                clock.after(delay, lambda: None, every=every)
        clock.after(0, lambda: None, every=0.5, times=1)


class TestAssignMore(unittest.TestCase):
    def test_ties(self):
        self.assertEqual(assign([2, 2, 2], 2), [[0, 2], [1]])
        self.assertEqual(assign([1, 5, 1, 5], 3), [[1], [3], [0, 2]])

    def test_more_workers_than_jobs(self):
        self.assertEqual(assign([7], 3), [[0], [], []])
        self.assertEqual(assign([], 1), [[]])

    def test_one_worker(self):
        self.assertEqual(assign([1, 3, 2], 1), [[1, 2, 0]])
        with self.assertRaises(ValueError):
            assign([1], 0)

    def test_balance(self):
        self.assertEqual(assign([4, 8, 3, 6, 5], 2), [[1, 0], [3, 4, 2]])
