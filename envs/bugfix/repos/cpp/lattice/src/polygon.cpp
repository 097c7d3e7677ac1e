#include "lattice/polygon.hpp"

#include <algorithm>
#include <cstdlib>

namespace lattice {
namespace {

Segment side(const Polygon& polygon, std::size_t i) { return {polygon[i], polygon[(i + 1) % polygon.size()]}; }

// Add a point to a chain that only turns left.
void extend(Polygon& chain, std::size_t least, Point point) {
    while (chain.size() >= least + 2 && turn(chain[chain.size() - 2], chain.back(), point) <= 0) chain.pop_back();
    chain.push_back(point);
}

}  // namespace

std::int64_t area_twice(const Polygon& polygon) {
    std::int64_t area = 0;
    for (std::size_t i = 1; i + 1 < polygon.size(); i++) area += cross(polygon[0], polygon[i], polygon[i + 1]);
    return area;
}

Side locate(const Polygon& polygon, Point point) {
    bool inside = false;
    for (std::size_t i = 0; i < polygon.size(); i++) {
        auto [from, to] = side(polygon, i);
        if (on({from, to}, point)) return Side::border;
        if ((from.y > point.y) == (to.y > point.y)) continue;
        bool left = turn(from, to, point) > 0;
        if (left == (to.y > from.y)) inside = !inside;
    }
    return inside ? Side::inside : Side::outside;
}

bool is_simple(const Polygon& polygon) {
    std::size_t n = polygon.size();
    if (n < 3) return false;
    for (std::size_t i = 0; i < n; i++) {
        Segment one = side(polygon, i), next = side(polygon, (i + 1) % n);
        if (one.from == one.to || on(one, next.to) || on(next, one.from)) return false;
        for (std::size_t j = i + 2; j < n; j++) {
            bool neighbours = i == 0 && j == n - 1;
            if (!neighbours && meet(one, side(polygon, j))) return false;
        }
    }
    return true;
}

bool is_convex(const Polygon& polygon) {
    int seen = 0;
    std::size_t n = polygon.size();
    for (std::size_t i = 0; i < n; i++) {
        int here = turn(polygon[i], polygon[(i + 1) % n], polygon[(i + 2) % n]);
        if (here * seen < 0) return false;
        if (here != 0) seen = here;
    }
    return seen != 0;
}

Polygon hull(std::vector<Point> points) {
    std::sort(points.begin(), points.end());
    points.erase(std::unique(points.begin(), points.end()), points.end());
    if (points.size() < 3) return points;
    Polygon chain;
    for (Point point : points) extend(chain, 0, point);
    std::size_t lower = chain.size() - 1;
    for (std::size_t i = points.size() - 1; i-- > 0;) extend(chain, lower, points[i]);
    chain.pop_back();
    return chain;
}

std::int64_t border_points(const Polygon& polygon) {
    std::int64_t count = 0;
    for (std::size_t i = 0; i < polygon.size(); i++) count += points_on(side(polygon, i)) - 1;
    return count;
}

std::int64_t inner_points(const Polygon& polygon) {
    return (std::abs(area_twice(polygon)) - border_points(polygon)) / 2 + 1;
}

std::int64_t diameter_squared(const std::vector<Point>& points) {
    std::int64_t greatest = 0;
    Polygon corners = hull(points);
    for (std::size_t i = 0; i < corners.size(); i++) {
        for (std::size_t j = i + 1; j < corners.size(); j++) {
            greatest = std::max(greatest, distance_squared(corners[i], corners[j]));
        }
    }
    return greatest;
}

}  // namespace lattice
