#include "check.hpp"
#include "lattice/polygon.hpp"

using namespace lattice;

static const Polygon kSquare{{0, 0}, {4, 0}, {4, 4}, {0, 4}};
static const Polygon kArrow{{0, 0}, {6, 0}, {3, 2}, {6, 6}, {0, 6}};

TEST(left_turns) {
    CHECK(turn({0, 0}, {1, 0}, {1, 1}) == 1);
}

TEST(right_turns) {
    CHECK(turn({0, 0}, {1, 0}, {1, -1}) == -1);
}

TEST(straight_on) {
    CHECK(turn({0, 0}, {1, 1}, {3, 3}) == 0);
}

TEST(crosses) {
    CHECK(cross({0, 0}, {3, 0}, {0, 2}) == 6);
}

TEST(distances) {
    CHECK(distance_squared({1, 2}, {4, 6}) == 25);
}

TEST(order) {
    CHECK(Point{1, 5} < Point{2, 0});
    CHECK(Point{1, 0} < Point{1, 2});
    CHECK(!(Point{1, 2} < Point{1, 2}));
}

TEST(points_on_segments) {
    CHECK(on(Segment{{0, 0}, {4, 4}}, {2, 2}));
    CHECK(!on(Segment{{0, 0}, {4, 4}}, {5, 5}));
    CHECK(!on(Segment{{0, 0}, {4, 4}}, {2, 3}));
}

TEST(segments_cross) {
    CHECK(meet(Segment{{0, 0}, {4, 4}}, Segment{{0, 4}, {4, 0}}));
}

TEST(segments_miss) {
    CHECK(!meet(Segment{{0, 0}, {1, 1}}, Segment{{0, 4}, {4, 0}}));
}

TEST(segments_touch) {
    CHECK(meet(Segment{{0, 0}, {2, 2}}, Segment{{0, 4}, {4, 0}}));
}

TEST(lattice_points_on_segments) {
    CHECK(points_on(Segment{{0, 0}, {4, 6}}) == 3);
}

TEST(areas) {
    CHECK(area_twice(kSquare) == 32);
}

TEST(areas_clockwise) {
    CHECK(area_twice({{0, 0}, {0, 2}, {2, 0}}) == -4);
}

TEST(inside) {
    CHECK(locate(kSquare, {1, 3}) == Side::inside);
}

TEST(outside) {
    CHECK(locate(kSquare, {5, 2}) == Side::outside);
    CHECK(locate(kArrow, {5, 2}) == Side::outside);
}

TEST(border) {
    CHECK(locate(kSquare, {4, 2}) == Side::border);
}

TEST(simple_polygons) {
    CHECK(is_simple(kArrow));
    CHECK(!is_simple({{0, 0}, {4, 4}, {4, 0}, {0, 4}}));
}

TEST(convex_polygons) {
    CHECK(is_convex(kSquare));
    CHECK(!is_convex(kArrow));
}

TEST(hulls) {
    CHECK(hull({{2, 2}, {0, 0}, {4, 0}, {4, 4}, {0, 4}, {2, 0}}) == kSquare);
}

TEST(border_counts) {
    CHECK(border_points(kSquare) == 16);
}

TEST(inner_counts) {
    CHECK(inner_points(kSquare) == 9);
}

TEST(diameters) {
    CHECK(diameter_squared({{0, 0}, {1, 1}, {3, 4}}) == 25);
}
