import unittest

from caches import AgingCache, LRUCache


def filled(capacity, count):
    cache = LRUCache(capacity)
    for number in range(count):
        cache.put(number, number * 10)
    return cache


class TestLRUEdges(unittest.TestCase):
    def test_capacity_is_checked(self):
        for bad in (0, -1):
            with self.assertRaises(ValueError):
                LRUCache(bad)
            with self.assertRaises(ValueError):
                LRUCache(1).resize(bad)
        cache = LRUCache(1)
        cache.put("a", 1)
        self.assertEqual(cache.put("b", 2), ["a"])
        self.assertEqual(cache.resize(1), [])

    def test_put_again_replaces(self):
        cache = filled(3, 3)
        self.assertEqual(cache.put(0, 99), [])
        self.assertEqual(cache.keys(), [1, 2, 0])
        self.assertEqual((len(cache), cache.weight, cache.peek(0)), (3, 3, 99))

    def test_peek_has_no_effect(self):
        cache = filled(2, 2)
        self.assertEqual(cache.peek(0), 0)
        self.assertEqual(cache.peek(7, "none"), "none")
        self.assertEqual((cache.keys(), cache.hits, cache.misses), ([0, 1], 0, 0))

    def test_counts(self):
        cache = filled(2, 2)
        self.assertEqual(cache.hit_rate(), 0.0)
        self.assertEqual(cache.get(9, "none"), "none")
        for _ in range(3):
            cache.get(1)
        self.assertEqual((cache.hits, cache.misses, cache.hit_rate()), (3, 1, 0.75))

    def test_weights(self):
        cache = LRUCache(10, weigh=len)
        self.assertEqual(cache.put("a", "xxxx"), [])
        self.assertEqual(cache.put("b", "xxxxxx"), [])
        self.assertEqual(cache.weight, 10)
        self.assertEqual(cache.put("c", "xxxxx"), ["a", "b"])
        self.assertEqual(cache.weight, 5)

    def test_too_heavy_is_not_stored(self):
        cache = LRUCache(4, weigh=len)
        cache.put("a", "xx")
        self.assertEqual(cache.put("b", "xxxxx"), [])
        self.assertEqual((cache.keys(), cache.weight), (["a"], 2))
        self.assertEqual(cache.put("b", "xxxx"), ["a"])
        self.assertEqual(cache.keys(), ["b"])

    def test_drop(self):
        cache = filled(3, 3)
        self.assertIs(cache.drop(1), True)
        self.assertIs(cache.drop(1), False)
        self.assertEqual((cache.keys(), cache.weight), ([0, 2], 2))

    def test_resize(self):
        cache = filled(5, 5)
        self.assertEqual(cache.resize(3), [0, 1])
        self.assertEqual(cache.keys(), [2, 3, 4])
        self.assertEqual(cache.resize(4), [])
        self.assertEqual(cache.put(5, 5), [])
        self.assertEqual(cache.put(6, 6), [2])


class TestAgingEdges(unittest.TestCase):
    def setUp(self):
        self.now = 100
        self.cache = AgingCache(3, 10, lambda: self.now)

    def test_age_limit_is_inclusive(self):
        self.cache.put("a", 1)
        self.now = 110
        self.assertEqual(self.cache.get("a"), 1)
        self.now = 111
        self.assertEqual(self.cache.get("a", "old"), "old")
        self.assertEqual(len(self.cache), 0)

    def test_born_earlier(self):
        self.cache.put("a", 1, age=4)
        self.now = 106
        self.assertEqual(self.cache.get("a"), 1)
        self.now = 107
        self.assertIsNone(self.cache.get("a"))

    def test_default_when_unknown(self):
        self.assertEqual(self.cache.get("z", 5), 5)

    def test_sweep(self):
        self.cache.put("a", 1)
        self.now = 105
        self.cache.put("b", 2)
        self.cache.put("c", 3, age=8)
        self.now = 110
        self.assertEqual(self.cache.sweep(), 1)
        self.assertEqual(len(self.cache), 2)
        self.now = 115
        self.assertEqual(self.cache.sweep(), 1)
        self.assertEqual(self.cache.get("b"), 2)
        self.now = 200
        self.assertEqual(self.cache.sweep(), 1)

    def test_sweep_counts_all(self):
        for key in "abc":
            self.cache.put(key, key)
        self.now = 300
        self.assertEqual(self.cache.sweep(), 3)

    def test_refresh(self):
        self.cache.put("a", 1)
        self.now = 109
        self.assertIs(self.cache.refresh("a"), True)
        self.now = 119
        self.assertEqual(self.cache.get("a"), 1)
        self.assertIs(self.cache.refresh("z"), False)
        self.now = 130
        self.assertIs(self.cache.refresh("a"), False)

    def test_capacity(self):
        for number in range(5):
            self.cache.put(number, number)
        self.assertEqual(len(self.cache), 3)
        self.assertIsNone(self.cache.get(1))
