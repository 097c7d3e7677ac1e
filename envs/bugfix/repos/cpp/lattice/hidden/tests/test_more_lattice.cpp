#include "check.hpp"
#include "lattice/polygon.hpp"

using namespace lattice;

static const Polygon kSquare{{0, 0}, {4, 0}, {4, 4}, {0, 4}};
static const Polygon kArrow{{0, 0}, {6, 0}, {3, 2}, {6, 6}, {0, 6}};

TEST(turns_away_from_the_origin) {
    CHECK(turn({10, 10}, {12, 11}, {11, 12}) == 1);
    CHECK(turn({10, 10}, {11, 12}, {12, 11}) == -1);
    CHECK(turn({-3, 5}, {-1, 4}, {3, 2}) == 0);
}

TEST(crosses_of_all_signs) {
    CHECK(cross({1, 1}, {4, 2}, {2, 5}) == 11);
    CHECK(cross({1, 1}, {2, 5}, {4, 2}) == -11);
    CHECK(cross({-1, -1}, {2, 0}, {0, 3}) == 11);
}

TEST(large_coordinates) {
    CHECK(turn({-1000000000, -1000000000}, {1000000000, 1000000000}, {999999999, 1000000000}) == 1);
    CHECK(distance_squared({0, 0}, {1000000000, 1000000000}) == 2000000000000000000);
}

TEST(distances_are_symmetric) {
    CHECK(distance_squared({4, 6}, {1, 2}) == 25);
    CHECK(distance_squared({-1, 0}, {1, 0}) == 4);
    CHECK(distance_squared({3, 3}, {3, 3}) == 0);
}

TEST(points_differ) {
    CHECK(Point{1, 2} != Point{1, 3});
    CHECK(Point{1, 2} != Point{2, 2});
    CHECK(Point{1, 2} == Point{1, 2});
}

TEST(order_by_y_only_for_one_x) {
    CHECK(!(Point{2, 0} < Point{1, 5}));
    CHECK(!(Point{1, 3} < Point{1, 2}));
}

TEST(ends_are_on_the_segment) {
    CHECK(on(Segment{{0, 0}, {4, 2}}, {0, 0}));
    CHECK(on(Segment{{0, 0}, {4, 2}}, {4, 2}));
    CHECK(on(Segment{{4, 2}, {0, 0}}, {2, 1}));
}

TEST(on_upright_segments) {
    CHECK(on(Segment{{1, 5}, {1, 1}}, {1, 3}));
    CHECK(!on(Segment{{1, 5}, {1, 1}}, {1, 6}));
    CHECK(!on(Segment{{1, 5}, {1, 1}}, {1, 0}));
}

TEST(on_level_segments) {
    CHECK(on(Segment{{1, 1}, {5, 1}}, {3, 1}));
    CHECK(!on(Segment{{1, 1}, {5, 1}}, {0, 1}));
    CHECK(!on(Segment{{1, 1}, {5, 1}}, {6, 1}));
}

TEST(on_a_point) {
    CHECK(on(Segment{{1, 1}, {1, 1}}, {1, 1}));
    CHECK(!on(Segment{{1, 1}, {1, 1}}, {1, 2}));
    CHECK(!on(Segment{{1, 1}, {1, 1}}, {0, 1}));
}

TEST(segments_in_one_line) {
    CHECK(meet(Segment{{0, 0}, {4, 4}}, Segment{{2, 2}, {6, 6}}));
    CHECK(meet(Segment{{0, 0}, {6, 6}}, Segment{{2, 2}, {4, 4}}));
    CHECK(meet(Segment{{2, 2}, {4, 4}}, Segment{{0, 0}, {6, 6}}));
    CHECK(!meet(Segment{{0, 0}, {1, 1}}, Segment{{2, 2}, {4, 4}}));
}

TEST(segments_touch_at_any_end) {
    CHECK(meet(Segment{{2, 2}, {9, 2}}, Segment{{0, 4}, {4, 0}}));
    CHECK(meet(Segment{{9, 2}, {2, 2}}, Segment{{0, 4}, {4, 0}}));
    CHECK(meet(Segment{{0, 4}, {4, 0}}, Segment{{2, 2}, {9, 2}}));
    CHECK(meet(Segment{{0, 4}, {4, 0}}, Segment{{9, 2}, {2, 2}}));
}

TEST(segments_that_only_one_crosses) {
    CHECK(!meet(Segment{{0, 0}, {10, 0}}, Segment{{12, 1}, {12, -1}}));
    CHECK(!meet(Segment{{12, 1}, {12, -1}}, Segment{{0, 0}, {10, 0}}));
}

TEST(parallel_segments) {
    CHECK(!meet(Segment{{0, 0}, {4, 0}}, Segment{{0, 1}, {4, 1}}));
}

TEST(lattice_points_of_all_ways) {
    CHECK(points_on(Segment{{3, 3}, {3, 3}}) == 1);
    CHECK(points_on(Segment{{0, 5}, {0, 0}}) == 6);
    CHECK(points_on(Segment{{0, 0}, {-9, 6}}) == 4);
    CHECK(points_on(Segment{{1, 1}, {3, 4}}) == 2);
}

TEST(areas_of_few_corners) {
    CHECK(area_twice({}) == 0);
    CHECK(area_twice({{1, 1}}) == 0);
    CHECK(area_twice({{1, 1}, {5, 5}}) == 0);
}

TEST(areas_of_hollow_polygons) {
    CHECK(area_twice(kArrow) == 54);
    CHECK(area_twice({{10, 10}, {14, 10}, {14, 13}}) == 12);
}

TEST(level_with_corners) {
    CHECK(locate(kArrow, {1, 2}) == Side::inside);
    CHECK(locate(kArrow, {-1, 2}) == Side::outside);
    CHECK(locate(kArrow, {-1, 0}) == Side::outside);
    CHECK(locate(kArrow, {7, 6}) == Side::outside);
    CHECK(locate({{0, 0}, {2, -2}, {4, 0}, {2, 2}}, {1, 0}) == Side::inside);
    CHECK(locate({{0, 0}, {2, -2}, {4, 0}, {2, 2}}, {-1, 0}) == Side::outside);
}

TEST(corners_are_border) {
    CHECK(locate(kArrow, {3, 2}) == Side::border);
    CHECK(locate(kArrow, {0, 0}) == Side::border);
    CHECK(locate(kSquare, {2, 0}) == Side::border);
}

TEST(either_way_round) {
    CHECK(locate({{0, 4}, {4, 4}, {4, 0}, {0, 0}}, {1, 1}) == Side::inside);
    CHECK(locate({{0, 4}, {4, 4}, {4, 0}, {0, 0}}, {9, 1}) == Side::outside);
}

TEST(hollows_are_outside) {
    CHECK(locate(kArrow, {4, 2}) == Side::outside);
    CHECK(locate(kArrow, {2, 3}) == Side::inside);
    CHECK(locate(kArrow, {5, 5}) == Side::inside);
}

TEST(nothing_is_in_no_polygon) {
    CHECK(locate({}, {0, 0}) == Side::outside);
}

TEST(few_corners_are_not_simple) {
    CHECK(!is_simple({}));
    CHECK(!is_simple({{0, 0}, {1, 0}}));
    CHECK(is_simple({{0, 0}, {1, 0}, {0, 1}}));
}

TEST(spikes_are_not_simple) {
    CHECK(!is_simple({{0, 0}, {4, 0}, {2, 0}}));
    CHECK(!is_simple({{0, 0}, {4, 0}, {4, 4}, {4, 2}}));
    CHECK(!is_simple({{2, 0}, {4, 0}, {0, 0}, {0, 4}}));
}

TEST(repeated_corners_are_not_simple) {
    CHECK(!is_simple({{0, 0}, {4, 0}, {4, 0}, {0, 4}}));
    CHECK(!is_simple({{0, 0}, {2, 2}, {4, 0}, {4, 4}, {2, 2}, {0, 4}}));
}

TEST(straight_corners_are_simple) {
    CHECK(is_simple({{0, 0}, {2, 0}, {4, 0}, {0, 4}}));
}

TEST(touching_sides_are_not_simple) {
    CHECK(!is_simple({{0, 0}, {6, 0}, {6, 6}, {3, 0}, {0, 6}}));
}

TEST(convex_with_straight_corners) {
    CHECK(is_convex({{0, 0}, {2, 0}, {4, 0}, {0, 4}}));
    CHECK(!is_convex({{0, 0}, {2, 0}, {4, 0}}));
    CHECK(is_convex({{0, 0}, {0, 4}, {4, 0}}));
    CHECK(!is_convex({}));
}

TEST(hollow_at_the_last_corner) {
    CHECK(!is_convex({{1, 1}, {0, 0}, {6, 0}, {0, 6}}));
    CHECK(!is_convex({{0, 0}, {6, 0}, {0, 6}, {1, 1}}));
}

TEST(hulls_of_few_points) {
    CHECK(hull({}).empty());
    CHECK(hull({{1, 1}, {1, 1}}) == Polygon{{1, 1}});
    CHECK(hull({{3, 1}, {1, 1}, {3, 1}}) == Polygon{{1, 1}, {3, 1}});
}

TEST(hulls_of_lines) {
    CHECK(hull({{2, 2}, {0, 0}, {1, 1}, {3, 3}}) == Polygon{{0, 0}, {3, 3}});
}

TEST(hulls_go_left) {
    CHECK(hull({{0, 0}, {1, 3}, {2, 1}, {4, 1}, {3, -2}}) == Polygon{{0, 0}, {3, -2}, {4, 1}, {1, 3}});
}

TEST(hulls_hold_everything) {
    Polygon points;
    for (int i = 0; i < 60; i++) points.push_back({i * 37 % 41 - 20, i * i % 29 - 14});
    Polygon around = hull(points);
    CHECK(is_simple(around) && is_convex(around) && area_twice(around) > 0);
    for (Point point : points) CHECK(locate(around, point) != Side::outside);
}

TEST(counts_agree_with_locate) {
    std::int64_t inside = 0, border = 0;
    for (int x = -1; x < 8; x++) {
        for (int y = -1; y < 8; y++) {
            inside += locate(kArrow, {x, y}) == Side::inside;
            border += locate(kArrow, {x, y}) == Side::border;
        }
    }
    CHECK(inside == inner_points(kArrow) && border == border_points(kArrow));
}

TEST(counts_clockwise) {
    CHECK(inner_points({{0, 4}, {4, 4}, {4, 0}, {0, 0}}) == 9);
    CHECK(inner_points({{0, 0}, {1, 0}, {0, 1}}) == 0);
}

TEST(diameters_of_few_points) {
    CHECK(diameter_squared({}) == 0);
    CHECK(diameter_squared({{5, 5}}) == 0);
    CHECK(diameter_squared({{0, 0}, {0, 3}}) == 9);
    CHECK(diameter_squared(kArrow) == 72);
}
