import unittest

from graphs import components, distances, grid_path, layers, shortest, topological

ROADS = {"a": {"b": 2, "c": 9}, "b": {"a": 2, "c": 3}, "c": {"a": 9, "b": 3}}


class TestPaths(unittest.TestCase):
    def test_shortest(self):
        self.assertEqual(shortest(ROADS, "a", "c"), (5, ["a", "b", "c"]))

    def test_distances(self):
        self.assertEqual(distances(ROADS, "a"), {"a": 0, "b": 2, "c": 5})

    def test_grid(self):
        self.assertEqual(grid_path(["..", "#."], (0, 0), (1, 1)), 2)


class TestOrder(unittest.TestCase):
    def test_topological(self):
        self.assertEqual(topological({"x": {"y": 1}, "y": {"z": 1}, "z": {}}), ["x", "y", "z"])

    def test_layers(self):
        self.assertEqual(layers({1: {2: 1}, 2: {3: 1}, 3: {}}, 1), [[1], [2], [3]])

    def test_components(self):
        self.assertEqual(components({1: {2: 1}, 2: {}, 3: {}}), [[1, 2], [3]])
