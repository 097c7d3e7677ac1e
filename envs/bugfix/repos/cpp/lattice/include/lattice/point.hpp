#pragma once

#include <cstdint>

namespace lattice {

/// A point with whole coordinates, from -2^30 to 2^30.
struct Point {
    std::int64_t x, y;
};

inline bool operator==(Point a, Point b) { return a.x == b.x && a.y == b.y; }
inline bool operator!=(Point a, Point b) { return !(a == b); }
inline Point operator-(Point a, Point b) { return {a.x - b.x, a.y - b.y}; }

/// By x, then by y.
bool operator<(Point a, Point b);

/// Twice the area of the triangle, positive where a, b, c turn left.
std::int64_t cross(Point a, Point b, Point c);

/// 1 for a turn to the left at b, -1 to the right, 0 for three points in a line.
int turn(Point a, Point b, Point c);

std::int64_t distance_squared(Point a, Point b);

struct Segment {
    Point from, to;
};

/// Whether a point lies on a segment, its ends included.
bool on(const Segment& segment, Point point);

/// Whether two segments have a point in common; touching counts.
bool meet(const Segment& a, const Segment& b);

/// How many points with whole coordinates lie on a segment, its ends included.
std::int64_t points_on(const Segment& segment);

}  // namespace lattice
