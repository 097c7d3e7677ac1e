"""Search in graphs given as {node: {neighbour: cost}}."""

from graphs.order import components, cycle, layers, topological
from graphs.paths import distances, grid_path, shortest, spanning

__all__ = ["components", "cycle", "distances", "grid_path", "layers", "shortest", "spanning", "topological"]
