import unittest

from graphs import components, cycle, distances, grid_path, layers, shortest, spanning, topological


def both_ways(*edges):
    graph = {}
    for one, other, cost in edges:
        graph.setdefault(one, {})[other] = cost
        graph.setdefault(other, {})[one] = cost
    return graph


TOWN = both_ways(("a", "b", 4), ("a", "c", 1), ("c", "b", 2), ("b", "d", 5), ("c", "d", 8), ("e", "f", 3))


class TestPathsMore(unittest.TestCase):
    def test_distances_limit(self):
        self.assertEqual(distances(TOWN, "a"), {"a": 0, "c": 1, "b": 3, "d": 8})
        self.assertEqual(distances(TOWN, "a", limit=3), {"a": 0, "c": 1, "b": 3})
        self.assertEqual(distances(TOWN, "a", limit=2), {"a": 0, "c": 1})
        self.assertEqual(distances({}, "x"), {"x": 0})

    def test_shortest_more(self):
        self.assertEqual(shortest(TOWN, "a", "d"), (8, ["a", "c", "b", "d"]))
        self.assertEqual(shortest(TOWN, "a", "a"), (0, ["a"]))
        self.assertIsNone(shortest(TOWN, "a", "f"))
        self.assertIsNone(shortest({"a": {}}, "a", "b"))

    def test_fewest_nodes_among_equals(self):
        graph = {"a": {"b": 1, "d": 3}, "b": {"c": 1}, "c": {"d": 1}}
        self.assertEqual(shortest(graph, "a", "d"), (3, ["a", "d"]))

    def test_spanning(self):
        self.assertEqual(spanning(TOWN), [(1, "a", "c"), (2, "b", "c"), (3, "e", "f"), (5, "b", "d")])
        self.assertEqual(spanning({"a": {}}), [])
        square = both_ways((1, 2, 1), (2, 3, 1), (3, 4, 1), (4, 1, 1), (1, 3, 1))
        self.assertEqual(spanning(square), [(1, 1, 2), (1, 1, 3), (1, 1, 4)])

    def test_grid_walls(self):
        rows = ["..#.", ".##.", "...."]
        self.assertEqual(grid_path(rows, (0, 0), (0, 3)), 7)
        self.assertEqual(grid_path(rows, (0, 3), (0, 1)), 8)
        self.assertEqual(grid_path(rows, (2, 2), (2, 2)), 0)
        self.assertEqual(grid_path([".#."], (0, 0), (0, 2)), -1)
        self.assertEqual(grid_path(["...", "###", "..."], (2, 0), (0, 0)), -1)

    def test_grid_edges(self):
        self.assertEqual(grid_path(["..."], (0, 2), (0, 0)), 2)
        self.assertEqual(grid_path([".", ".", "."], (2, 0), (0, 0)), 2)
        self.assertEqual(grid_path([".#", "##", ".#"], (0, 0), (2, 0)), -1)
        self.assertEqual(grid_path([".#.", "##.", "..."], (2, 0), (0, 2)), 4)


class TestOrderMore(unittest.TestCase):
    def test_topological_smallest_first(self):
        self.assertEqual(topological({"d": {"a": 1}, "c": {"a": 1}, "b": {}}), ["b", "c", "d", "a"])
        self.assertEqual(topological({3: {1: 1, 2: 1}, 1: {}, 2: {}, 0: {2: 1}}), [0, 3, 1, 2])
        self.assertEqual(topological({2: {9: 1, 4: 1}, 3: {}}), [2, 3, 4, 9])

    def test_topological_cycle(self):
        with self.assertRaises(ValueError):
            topological({1: {2: 1}, 2: {1: 1}, 3: {}})
        self.assertEqual(topological({}), [])

    def test_cycle(self):
        self.assertEqual(cycle({1: {2: 1}, 2: {3: 1}, 3: {4: 1}, 4: {2: 1}}), [2, 3, 4])
        self.assertEqual(cycle({1: {1: 1}}), [1])
        self.assertIsNone(cycle({1: {2: 1, 3: 1}, 2: {4: 1}, 3: {4: 1}}))
        self.assertEqual(cycle({1: {}, 2: {3: 1}, 3: {2: 1}}), [2, 3])

    def test_cycle_many_diamonds(self):
        graph = {number: {number + 1: 1, number + 2: 1} for number in range(60)}
        self.assertIsNone(cycle(graph))

    def test_layers_depth(self):
        graph = {1: {2: 1, 3: 1}, 2: {4: 1, 1: 1}, 3: {4: 1}, 4: {5: 1}}
        self.assertEqual(layers(graph, 1), [[1], [2, 3], [4], [5]])
        self.assertEqual(layers(graph, 1, depth=2), [[1], [2, 3], [4]])
        self.assertEqual(layers(graph, 1, depth=0), [[1]])
        self.assertEqual(layers(graph, 5), [[5]])

    def test_components_least(self):
        graph = {6: {5: 1}, 1: {2: 1}, 2: {3: 1}, 4: {}, 7: {3: 1}}
        self.assertEqual(components(graph), [[1, 2, 3, 7], [4], [5, 6]])
        self.assertEqual(components(graph, least=2), [[1, 2, 3, 7], [5, 6]])
        self.assertEqual(components(graph, least=3), [[1, 2, 3, 7]])
        self.assertEqual(components({}), [])
