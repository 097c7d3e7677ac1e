#pragma once

#include <vector>

#include "lattice/point.hpp"

namespace lattice {

/// The corners in order, without the first one again at the end.
using Polygon = std::vector<Point>;

enum class Side { outside, border, inside };

/// Twice the area, negative where the corners go clockwise; 0 for fewer than three corners.
std::int64_t area_twice(const Polygon& polygon);

/// Where a point lies; the polygon need not be convex. Of no corners everything is outside.
Side locate(const Polygon& polygon, Point point);

/// Whether no two sides meet but neighbours in their common corner. Fewer than three corners are no simple polygon.
bool is_simple(const Polygon& polygon);

/// Whether all turns go one way; corners in a straight line are allowed, but not all of them. For simple polygons.
bool is_convex(const Polygon& polygon);

/// The smallest convex polygon around points: counterclockwise from the least point, without corners in a straight line.
Polygon hull(std::vector<Point> points);

/// The number of lattice points on the border of a simple polygon.
std::int64_t border_points(const Polygon& polygon);

/// The number of lattice points inside a simple polygon, by Pick's theorem.
std::int64_t inner_points(const Polygon& polygon);

/// The square of the greatest distance between two of the points; 0 for fewer than two.
std::int64_t diameter_squared(const std::vector<Point>& points);

}  // namespace lattice
