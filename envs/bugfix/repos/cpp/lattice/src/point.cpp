#include "lattice/point.hpp"

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace lattice {

bool operator<(Point a, Point b) { return a.x != b.x ? a.x < b.x : a.y < b.y; }

std::int64_t cross(Point a, Point b, Point c) {
    Point ab = b - a, ac = c - a;
    return ab.x * ac.y - ab.y * ac.x;
}

int turn(Point a, Point b, Point c) {
    std::int64_t area = cross(a, b, c);
    return (area > 0) - (area < 0);
}

std::int64_t distance_squared(Point a, Point b) {
    Point way = b - a;
    return way.x * way.x + way.y * way.y;
}

bool on(const Segment& segment, Point point) {
    auto [left, right] = std::minmax(segment.from.x, segment.to.x);
    auto [low, high] = std::minmax(segment.from.y, segment.to.y);
    return turn(segment.from, segment.to, point) == 0 && left <= point.x && point.x <= right && low <= point.y &&
           point.y <= high;
}

bool meet(const Segment& a, const Segment& b) {
    int b_from = turn(a.from, a.to, b.from), b_to = turn(a.from, a.to, b.to);
    int a_from = turn(b.from, b.to, a.from), a_to = turn(b.from, b.to, a.to);
    if (b_from * b_to < 0 && a_from * a_to < 0) return true;
    return on(a, b.from) || on(a, b.to) || on(b, a.from) || on(b, a.to);
}

std::int64_t points_on(const Segment& segment) {
    Point way = segment.to - segment.from;
    return std::gcd(std::abs(way.x), std::abs(way.y)) + 1;
}

}  // namespace lattice
