"""Cheap ways through graphs."""

from heapq import heappop, heappush


def distances(graph, start, limit=None):
    """The cost of the cheapest way from start to every node that can be reached for at most limit."""
    best = {}
    queue = [(0, start)]
    while queue:
        cost, node = heappop(queue)
        if node in best:
            continue
        best[node] = cost
        for neighbour, step in graph.get(node, {}).items():
            total = cost + step
            if limit is None or total <= limit:
                heappush(queue, (total, neighbour))
    return best


def shortest(graph, start, goal):
    """The cheapest way as (cost, list of nodes), or None; of equally cheap ways one with the fewest nodes."""
    queue = [(0, 1, [start])]
    done = set()
    while queue:
        cost, length, way = heappop(queue)
        node = way[-1]
        if node == goal:
            return cost, way
        if node in done:
            continue
        done.add(node)
        for neighbour, step in graph.get(node, {}).items():
            if neighbour not in done:
                heappush(queue, (cost + step, length + 1, [*way, neighbour]))
    return None


def spanning(graph):
    """The cheapest set of edges (cost, node, node) that joins all nodes of each component (Kruskal), cheapest first."""
    parent = {node: node for node in graph}

    def root(node):
        while parent[node] != node:
            node = parent[node]
        return node

    edges = sorted((cost, *sorted((a, b))) for a in graph for b, cost in graph[a].items() if a <= b)
    chosen = []
    for cost, a, b in edges:
        if root(a) != root(b):
            parent[root(a)] = root(b)
            chosen.append((cost, a, b))
    return chosen


def grid_path(rows, start, goal):
    """The fewest steps (up, down, left, right) between two cells of a map of texts, where "#" is a wall; -1 if none."""
    height, width = len(rows), len(rows[0])
    steps = {start: 0}
    queue = [start]
    for row, column in queue:
        if (row, column) == goal:
            return steps[goal]
        for next_row, next_column in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            cell = (next_row, next_column)
            inside = 0 <= next_row < height and 0 <= next_column < width
            if inside and cell not in steps and rows[next_row][next_column] != "#":
                steps[cell] = steps[(row, column)] + 1
                queue.append(cell)
    return -1
