import unittest

from caches import AgingCache, LRUCache


class TestLRU(unittest.TestCase):
    def test_oldest_goes(self):
        cache = LRUCache(2)
        cache.put("a", 1)
        cache.put("b", 2)
        self.assertEqual(cache.put("c", 3), ["a"])
        self.assertEqual(cache.keys(), ["b", "c"])

    def test_get_makes_recent(self):
        cache = LRUCache(2)
        cache.put("a", 1)
        cache.put("b", 2)
        self.assertEqual(cache.get("a"), 1)
        cache.put("c", 3)
        self.assertIn("a", cache)
        self.assertNotIn("b", cache)

    def test_hit_rate(self):
        cache = LRUCache(2)
        cache.put("a", 1)
        cache.get("a")
        cache.get("z")
        self.assertEqual(cache.hit_rate(), 0.5)


class TestAging(unittest.TestCase):
    def test_forgets(self):
        now = [0]
        cache = AgingCache(3, 10, lambda: now[0])
        cache.put("a", 1)
        self.assertEqual(cache.get("a"), 1)
        now[0] = 50
        self.assertIsNone(cache.get("a"))
