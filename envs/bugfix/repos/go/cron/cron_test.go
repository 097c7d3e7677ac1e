package cron

import (
	"strings"
	"testing"
	"time"
)

const layout = "2006-01-02 15:04:05"

func at(text string) time.Time {
	for len(text) < len(layout) {
		text += "2006-01-01 00:00:00"[len(text):]
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestNext(t *testing.T) {
	cases := []struct{ name, expression, from, want string }{
		{"every minute", "* * * * *", "2024-05-01 10:00:30", "2024-05-01 10:01:00"},
		{"not now", "0 10 * * *", "2024-05-01 10:00:00", "2024-05-02 10:00:00"},
		{"later today", "30 14 * * *", "2024-05-01 10:00:00", "2024-05-01 14:30:00"},
		{"every quarter", "*/15 * * * *", "2024-05-01 10:16:00", "2024-05-01 10:30:00"},
		{"next hour", "5 * * * *", "2024-05-01 10:06:00", "2024-05-01 11:05:00"},
		{"weekdays", "0 9 * * mon-fri", "2024-05-03 12:00:00", "2024-05-06 09:00:00"},
		{"next year", "0 0 1 1 *", "2024-05-01 10:00:00", "2025-01-01 00:00:00"},
		{"leap day", "0 0 29 2 *", "2024-03-01 00:00:00", "2028-02-29 00:00:00"},
		{"either day", "0 0 13 * fri", "2024-05-01 10:00:00", "2024-05-03 00:00:00"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := MustParse(c.expression).Next(at(c.from)); !got.Equal(at(c.want)) {
				t.Errorf("Next = %v, want %s", got, c.want)
			}
		})
	}
}

func TestPrev(t *testing.T) {
	cases := []struct{ name, expression, from, want string }{
		{"every minute", "* * * * *", "2024-05-01 10:00:30", "2024-05-01 10:00:00"},
		{"yesterday", "0 10 * * *", "2024-05-01 10:00:00", "2024-04-30 10:00:00"},
		{"last month", "0 0 31 * *", "2024-05-01 10:00:00", "2024-03-31 00:00:00"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := MustParse(c.expression).Prev(at(c.from)); !got.Equal(at(c.want)) {
				t.Errorf("Prev = %v, want %s", got, c.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	cases := []struct{ name, expression, want string }{
		{"fields", "* * * *", "4 fields"},
		{"range", "60 * * * *", "minute: 60 is not from 0 to 59"},
		{"backwards", "0 9-8 * * *", "hour: the range \"9-8\" is backwards"},
		{"step", "*/0 * * * *", "minute: bad step \"0\""},
		{"value", "0 0 x * *", "day: bad value \"x\""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Parse(c.expression); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

func TestString(t *testing.T) {
	cases := []struct{ name, expression, want string }{
		{"stars", "* * * * *", "* * * * *"},
		{"steps", "0-59/15 */6 1 1 *", "*/15 */6 1 1 *"},
		{"ranges", "1,2,3,7 9-17 * * mon-fri", "1-3,7 9-17 * * 1-5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := MustParse(c.expression).String(); got != c.want {
				t.Errorf("String = %q, want %q", got, c.want)
			}
		})
	}
}
