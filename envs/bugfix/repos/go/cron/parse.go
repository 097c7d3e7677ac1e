// Package cron understands cron expressions of five fields: minute, hour, day of the month, month, day of the week.
//
// A field is a list, with commas, of "*", a number, or a range "a-b", each with an optional step "/n"; "a/n" runs from
// a to the end. Months and days of the week may be English names of three letters, and both 0 and 7 are Sunday. Where
// both days are restricted (do not begin with "*"), a day that matches either of them will do. "@hourly", "@daily",
// "@weekly", "@monthly" and "@yearly" stand for what they say. Clocks that jump (daylight saving) are not handled: use UTC
// or a fixed zone.
package cron

import (
	"fmt"
	"strconv"
	"strings"
)

// A Schedule is a set of minutes. The zero value matches none; make one with Parse.
type Schedule struct {
	minutes, hours, days, months, weekdays bitset
	anyDay, anyWeekday                     bool
}

type field struct {
	name      string
	low, high int
	names     []string // the first stands for low
}

var (
	minuteField  = field{"minute", 0, 59, nil}
	hourField    = field{"hour", 0, 23, nil}
	dayField     = field{"day", 1, 31, nil}
	monthField   = field{"month", 1, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")}
	weekdayField = field{"weekday", 0, 7, strings.Fields("sun mon tue wed thu fri sat")}
)

var macros = map[string]string{
	"@hourly":  "0 * * * *",
	"@daily":   "0 0 * * *",
	"@weekly":  "0 0 * * 0",
	"@monthly": "0 0 1 * *",
	"@yearly":  "0 0 1 1 *",
}

// Parse reads a cron expression. The error names the field and what is wrong with it.
func Parse(text string) (Schedule, error) {
	var s Schedule
	expression := strings.ToLower(strings.TrimSpace(text))
	if long, ok := macros[expression]; ok {
		expression = long
	}
	parts := strings.Fields(expression)
	if len(parts) != 5 {
		return s, fmt.Errorf("cron: %q has %d fields, not 5", text, len(parts))
	}
	fields := []field{minuteField, hourField, dayField, monthField, weekdayField}
	sets := []*bitset{&s.minutes, &s.hours, &s.days, &s.months, &s.weekdays}
	for i, f := range fields {
		set, err := f.parse(parts[i])
		if err != nil {
			return Schedule{}, fmt.Errorf("cron: %s: %w", f.name, err)
		}
		*sets[i] = set
	}
	if s.weekdays.has(7) {
		s.weekdays = s.weekdays&^(1<<7) | 1
	}
	s.anyDay = strings.HasPrefix(parts[2], "*")
	s.anyWeekday = strings.HasPrefix(parts[4], "*")
	return s, nil
}

// MustParse is Parse for expressions that are known to be right; it panics where they are not.
func MustParse(text string) Schedule {
	s, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return s
}

func (f field) parse(text string) (bitset, error) {
	var set bitset
	for _, item := range strings.Split(text, ",") {
		one, err := f.parseItem(item)
		if err != nil {
			return 0, err
		}
		set |= one
	}
	return set, nil
}

// parseItem reads "*", "a" or "a-b", with or without "/n".
func (f field) parseItem(text string) (bitset, error) {
	values, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		n, err := strconv.Atoi(stepText)
		if err != nil || n < 1 {
			return 0, fmt.Errorf("bad step %q", stepText)
		}
		step = n
	}
	if values == "*" {
		return span(f.low, f.last(), step), nil
	}
	lowText, highText, ranged := strings.Cut(values, "-")
	low, err := f.number(lowText)
	if err != nil {
		return 0, err
	}
	high := low
	if ranged {
		if high, err = f.number(highText); err != nil {
			return 0, err
		}
	} else if stepped {
		high = f.last()
	}
	if high < low {
		return 0, fmt.Errorf("the range %q is backwards", values)
	}
	return span(low, high, step), nil
}

// last is the greatest value that "*" stands for; 7 is only another name for Sunday.
func (f field) last() int {
	if f.name == weekdayField.name {
		return 6
	}
	return f.high
}

func (f field) number(text string) (int, error) {
	for i, name := range f.names {
		if text == name {
			return f.low + i, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("bad value %q", text)
	}
	if n < f.low || n > f.high {
		return 0, fmt.Errorf("%d is not from %d to %d", n, f.low, f.high)
	}
	return n, nil
}
