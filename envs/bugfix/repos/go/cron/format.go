package cron

import (
	"fmt"
	"strconv"
	"strings"
)

// String is an expression that means the same, each field in its shortest form: "*", "*/n", or a list of numbers, ranges
// and ranges with steps, ascending. A day field that was written with a star keeps one where it matters.
func (s Schedule) String() string {
	return strings.Join([]string{
		minuteField.format(s.minutes, true),
		hourField.format(s.hours, true),
		dayField.format(s.days, s.anyDay),
		monthField.format(s.months, true),
		weekdayField.format(s.weekdays, s.anyWeekday),
	}, " ")
}

// format prints a set; a star may begin it only where that keeps the meaning.
func (f field) format(set bitset, star bool) string {
	if star {
		for step := 1; step <= f.last(); step++ {
			if set == span(f.low, f.last(), step) && (step == 1 || set.count() > 2) {
				return strings.TrimSuffix("*/"+strconv.Itoa(step), "/1")
			}
		}
	}
	var items []string
	members := set.members()
	for len(members) > 0 {
		n, step := run(members)
		items = append(items, formatRun(members[0], members[n-1], step))
		members = members[n:]
	}
	return f.keepStar(strings.Join(items, ","), star)
}

// keepStar makes a list begin with a star where the field was written so and the star matters.
func (f field) keepStar(list string, star bool) string {
	if !star || f.name != dayField.name && f.name != weekdayField.name {
		return list
	}
	return fmt.Sprintf("*/%d,%s", f.last()+1, list)
}

// run is how many of the first members keep the same distance, and that distance; a run has at least three members or
// one alone.
func run(members []int) (n, step int) {
	if len(members) < 3 || members[1]-members[0] != members[2]-members[1] {
		return 1, 1
	}
	step = members[1] - members[0]
	for n = 2; n < len(members) && members[n]-members[n-1] == step; n++ {
	}
	return n, step
}

func formatRun(first, last, step int) string {
	switch {
	case first == last:
		return strconv.Itoa(first)
	case step == 1:
		return fmt.Sprintf("%d-%d", first, last)
	default:
		return fmt.Sprintf("%d-%d/%d", first, last, step)
	}
}
