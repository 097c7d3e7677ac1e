"""Order and structure of graphs."""


def topological(graph):
    """All nodes so that each comes before those it points to; ValueError when there is a cycle.

    Of several possible nodes the smallest comes first.
    """
    incoming = dict.fromkeys(graph, 0)
    for node in graph:
        for neighbour in graph[node]:
            incoming[neighbour] = incoming.get(neighbour, 0) + 1
    ready = sorted(node for node, count in incoming.items() if count == 0)
    order = []
    while ready:
        node = ready.pop(0)
        order.append(node)
        for neighbour in graph.get(node, {}):
            incoming[neighbour] -= 1
            if incoming[neighbour] == 0:
                ready.append(neighbour)
        ready.sort()
    if len(order) < len(incoming):
        raise ValueError("the graph has a cycle")
    return order


def cycle(graph):
    """The nodes of some cycle in order, beginning with the first one found, or None."""
    done = set()
    for start in graph:
        found = _follow(graph, start, [], done)
        if found is not None:
            return found
    return None


def _follow(graph, node, way, done):
    """Look for a cycle depth first; way holds the nodes that lead here."""
    if node in way:
        return way[way.index(node) :]
    if node in done:
        return None
    for neighbour in graph.get(node, {}):
        found = _follow(graph, neighbour, [*way, node], done)
        if found is not None:
            return found
    done.add(node)
    return None


def layers(graph, start, depth=None):
    """Sorted lists of the nodes that are 0, 1, 2, ... steps away from start, up to depth."""
    seen = {start}
    found = [[start]]
    while depth is None or len(found) <= depth:
        step = {neighbour for node in found[-1] for neighbour in graph.get(node, {}) if neighbour not in seen}
        if not step:
            break
        seen |= step
        found.append(sorted(step))
    return found


def components(graph, least=1):
    """Sorted lists of nodes that hang together (edges count in both directions) with at least so many nodes."""
    both = {node: set() for node in graph}
    for node in graph:
        for neighbour in graph[node]:
            both[node].add(neighbour)
            both.setdefault(neighbour, set()).add(node)
    rest = set(both)
    found = []
    for start in sorted(both):
        if start not in rest:
            continue
        group = [node for layer in layers(both, start) for node in layer]
        rest -= set(group)
        if len(group) >= least:
            found.append(sorted(group))
    return found
