package cron

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestMoreNext(t *testing.T) {
	cases := []struct{ name, expression, from, want string }{
		{"over midnight", "0 0 * * *", "2024-12-31 23:59:59", "2025-01-01 00:00:00"},
		{"last minute", "59 23 * * *", "2024-05-01 23:58:00", "2024-05-01 23:59:00"},
		{"seconds do not matter", "1 10 * * *", "2024-05-01 10:00:59", "2024-05-01 10:01:00"},
		{"same hour, minute gone", "10 10,12 * * *", "2024-05-01 10:10:00", "2024-05-01 12:10:00"},
		{"first minute of a later hour", "10,50 12 * * *", "2024-05-01 10:20:00", "2024-05-01 12:10:00"},
		{"first minute of a later day", "10,50 12 * * *", "2024-05-01 12:50:00", "2024-05-02 12:10:00"},
		{"no 31 in June", "0 0 31 * *", "2024-05-31 00:00:00", "2024-07-31 00:00:00"},
		{"end of February", "0 0 28 2 *", "2023-02-27 10:00:00", "2023-02-28 00:00:00"},
		{"a star and a weekday", "0 0 * * fri", "2024-05-01 10:00:00", "2024-05-03 00:00:00"},
		{"a day and a star", "0 0 13 * *", "2024-05-01 10:00:00", "2024-05-13 00:00:00"},
		{"starred step and weekday must both match", "0 0 */2 * fri", "2024-05-04 00:00:00", "2024-05-17 00:00:00"},
		{"day and starred weekday must both match", "0 0 13 * */2", "2024-05-01 00:00:00", "2024-06-13 00:00:00"},
		{"either day, the day comes first", "0 0 2 * fri", "2024-05-01 10:00:00", "2024-05-02 00:00:00"},
		{"either day but only in the month", "0 0 2 6 fri", "2024-05-01 10:00:00", "2024-06-02 00:00:00"},
		{"Sunday as 7", "0 0 * * 7", "2024-05-01 10:00:00", "2024-05-05 00:00:00"},
		{"Sunday as 0", "0 0 * * 0", "2024-05-01 10:00:00", "2024-05-05 00:00:00"},
		{"Friday to Sunday", "0 0 * * fri-7", "2024-05-04 10:00:00", "2024-05-05 00:00:00"},
		{"leap day over a century", "0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"},
		{"leap day with starred weekdays", "0 0 29 2 */6", "2024-03-01 00:00:00", "2032-02-29 00:00:00"},
		{"names in any case", "0 0 1 MAR *", "2024-05-01 00:00:00", "2025-03-01 00:00:00"},
		{"hourly", "@hourly", "2024-05-01 10:30:00", "2024-05-01 11:00:00"},
		{"daily", "@daily", "2024-05-01 10:30:00", "2024-05-02 00:00:00"},
		{"weekly", "@weekly", "2024-05-01 10:30:00", "2024-05-05 00:00:00"},
		{"monthly", "@monthly", "2024-05-01 10:30:00", "2024-06-01 00:00:00"},
		{"yearly", " @Yearly ", "2024-05-01 10:30:00", "2025-01-01 00:00:00"},
		{"from a number by steps", "50/4 * * * *", "2024-05-01 10:51:00", "2024-05-01 10:54:00"},
		{"steps do not pass the end", "50/4 * * * *", "2024-05-01 10:58:00", "2024-05-01 11:50:00"},
		{"steps in a range", "0 8-16/4 * * *", "2024-05-01 12:00:00", "2024-05-01 16:00:00"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := MustParse(c.expression).Next(at(c.from)); !got.Equal(at(c.want)) {
				t.Errorf("Next = %v, want %s", got, c.want)
			}
		})
	}
}

func TestNever(t *testing.T) {
	s := MustParse("0 0 30 2 *")
	if got := s.Next(at("2024-01-01")); !got.IsZero() {
		t.Errorf("Next = %v", got)
	}
	if got := s.Prev(at("2024-01-01")); !got.IsZero() {
		t.Errorf("Prev = %v", got)
	}
}

func TestMorePrev(t *testing.T) {
	cases := []struct{ name, expression, from, want string }{
		{"within the minute", "0 10 * * *", "2024-05-01 10:00:01", "2024-05-01 10:00:00"},
		{"over midnight", "59 23 * * *", "2025-01-01 00:00:00", "2024-12-31 23:59:00"},
		{"last minute of an earlier hour", "10,50 9,12 * * *", "2024-05-01 12:05:00", "2024-05-01 09:50:00"},
		{"last minute of an earlier day", "10,50 9,12 * * *", "2024-05-01 09:10:00", "2024-04-30 12:50:00"},
		{"same hour", "10,50 9,12 * * *", "2024-05-01 12:30:00", "2024-05-01 12:10:00"},
		{"weekday", "0 9 * * mon", "2024-05-05 12:00:00", "2024-04-29 09:00:00"},
		{"leap day", "0 0 29 2 *", "2024-02-29 00:00:00", "2020-02-29 00:00:00"},
		{"the first hour", "30 0 * * *", "2024-05-01 00:31:00", "2024-05-01 00:30:00"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := MustParse(c.expression).Prev(at(c.from)); !got.Equal(at(c.want)) {
				t.Errorf("Prev = %v, want %s", got, c.want)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	s := MustParse("5 10 * * wed")
	for text, want := range map[string]bool{
		"2024-05-01 10:05:59": true, "2024-05-01 10:06:00": false, "2024-05-01 11:05:00": false, "2024-05-02 10:05:00": false,
	} {
		if s.Matches(at(text)) != want {
			t.Errorf("Matches(%s) = %v", text, !want)
		}
	}
}

func TestBetween(t *testing.T) {
	s := MustParse("*/30 * * * *")
	got := s.Between(at("2024-05-01 10:00:00"), at("2024-05-01 11:00:00"))
	if want := []time.Time{at("2024-05-01 10:00:00"), at("2024-05-01 10:30:00")}; !reflect.DeepEqual(got, want) {
		t.Errorf("Between = %v, want %v", got, want)
	}
	if got := s.Between(at("2024-05-01 10:00:01"), at("2024-05-01 10:30:00")); len(got) != 0 {
		t.Errorf("Between = %v, want none", got)
	}
	if got := s.Between(at("2024-05-01 10:00:01"), at("2024-05-01 10:30:01")); len(got) != 1 {
		t.Errorf("Between = %v, want one", got)
	}
}

func TestLocation(t *testing.T) {
	zone := time.FixedZone("east", 3*3600)
	got := MustParse("0 0 * * *").Next(at("2024-05-01 22:30:00").In(zone))
	if want := time.Date(2024, 5, 3, 0, 0, 0, 0, zone); !got.Equal(want) || got.Location() != zone {
		t.Errorf("Next = %v, want %v", got, want)
	}
}

func TestMoreParseErrors(t *testing.T) {
	cases := []struct{ name, expression, want string }{
		{"nothing", "", "0 fields"},
		{"too many", "* * * * * *", "6 fields"},
		{"hour 24", "0 24 * * *", "hour: 24 is not from 0 to 23"},
		{"day 0", "0 0 0 * *", "day: 0 is not from 1 to 31"},
		{"day 32", "0 0 32 * *", "day: 32 is not"},
		{"month 13", "0 0 1 13 *", "month: 13 is not from 1 to 12"},
		{"month 0", "0 0 1 0 *", "month: 0 is not"},
		{"weekday 8", "0 0 * * 8", "weekday: 8 is not from 0 to 7"},
		{"names elsewhere", "0 0 mon * *", "day: bad value \"mon\""},
		{"negative", "-1 * * * *", "minute: bad value \"\""},
		{"open range", "1- * * * *", "minute: bad value \"\""},
		{"range past the end", "0 20-24 * * *", "hour: 24"},
		{"empty item", "1,,2 * * * *", "minute: bad value \"\""},
		{"no step", "*/ * * * *", "minute: bad step \"\""},
		{"negative step", "*/-1 * * * *", "minute: bad step \"-1\""},
		{"macro", "@never", "1 fields"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, err := Parse(c.expression)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
			if s != (Schedule{}) {
				t.Errorf("a schedule beside an error: %v", s)
			}
		})
	}
}

func TestMustParsePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("MustParse did not panic")
		}
	}()
	MustParse("nonsense")
}

func TestMoreString(t *testing.T) {
	cases := []struct{ name, expression, want string }{
		{"pairs stay", "1,2 * * * *", "1,2 * * * *"},
		{"runs with steps", "3,5,7,9,20 * * * *", "3-9/2,20 * * * *"},
		{"two runs", "1-3,10-12 * * * *", "1-3,10-12 * * * *"},
		{"two values are no step", "0,30 * * * *", "0,30 * * * *"},
		{"three values are a step", "0,20,40 * * * *", "*/20 * * * *"},
		{"a single value", "0 0 1 1 *", "0 0 1 1 *"},
		{"all days of a month in numbers", "0 0 1-31 * fri", "0 0 1-31 * 5"},
		{"starred days with step", "0 0 */2 * fri", "0 0 */2 * 5"},
		{"all weekdays in numbers", "0 0 13 * 0-6", "0 0 13 * 0-6"},
		{"Sunday is 0", "0 0 * * 7", "0 0 * * 0"},
		{"Friday to Sunday", "0 0 * * 5-7", "0 0 * * 0,5,6"},
		{"unordered", "9,1,5 * * * *", "1-9/4 * * * *"},
		{"months", "0 0 1 jan-mar,dec *", "0 0 1 1-3,12 *"},
		{"months by two", "0 0 1 */2 *", "0 0 1 */2 *"},
		{"minutes from the third", "3-59/4 * * * *", "3-59/4 * * * *"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := MustParse(c.expression)
			if got := s.String(); got != c.want {
				t.Errorf("String = %q, want %q", got, c.want)
			}
			if MustParse(s.String()) != s {
				t.Errorf("%q reads as another schedule", s.String())
			}
		})
	}
}

func TestStarThatMatters(t *testing.T) {
	for _, expression := range []string{"0 0 */20 * fri", "0 0 13 * */4", "0 0 */31 * fri", "0 0 *,5 * fri"} {
		s := MustParse(expression)
		again := MustParse(s.String())
		from := at("2024-01-01")
		for i := 0; i < 20; i++ {
			if !s.Next(from).Equal(again.Next(from)) {
				t.Fatalf("%q prints as %q: Next(%v) is %v and %v", expression, s, from, s.Next(from), again.Next(from))
			}
			from = s.Next(from)
		}
	}
}
