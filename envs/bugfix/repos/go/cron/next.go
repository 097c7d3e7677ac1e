package cron

import "time"

// horizon bounds the search: 29 February of a given weekday comes again within 40 years.
const horizon = 41

// Matches tells whether the minute that t lies in belongs to the schedule.
func (s Schedule) Matches(t time.Time) bool {
	return s.matchesDay(t) && s.hours.has(t.Hour()) && s.minutes.has(t.Minute())
}

func (s Schedule) matchesDay(t time.Time) bool {
	if !s.months.has(int(t.Month())) {
		return false
	}
	day, weekday := s.days.has(t.Day()), s.weekdays.has(int(t.Weekday()))
	if s.anyDay || s.anyWeekday {
		return day && weekday
	}
	return day || weekday
}

// Next is the first minute of the schedule after t, in t's location, or the zero time where there is none (30 February).
// The minute in which t lies does not count.
func (s Schedule) Next(t time.Time) time.Time {
	at := truncate(t).Add(time.Minute)
	day := startOfDay(at)
	for limit := day.AddDate(horizon, 0, 0); day.Before(limit); day = day.AddDate(0, 0, 1) {
		if !s.matchesDay(day) {
			continue
		}
		hour, minute := 0, 0
		if sameDay(day, at) {
			hour, minute = at.Hour(), at.Minute()
		}
		if h, m := s.clockFrom(hour, minute); h >= 0 {
			return onDay(day, h, m)
		}
	}
	return time.Time{}
}

// Prev is the last minute of the schedule that began before t, or the zero time where there is none.
func (s Schedule) Prev(t time.Time) time.Time {
	at := truncate(t.Add(-1))
	day := startOfDay(at)
	for limit := day.AddDate(-horizon, 0, 0); day.After(limit); day = day.AddDate(0, 0, -1) {
		if !s.matchesDay(day) {
			continue
		}
		hour, minute := 23, 59
		if sameDay(day, at) {
			hour, minute = at.Hour(), at.Minute()
		}
		if h, m := s.clockUpTo(hour, minute); h >= 0 {
			return onDay(day, h, m)
		}
	}
	return time.Time{}
}

// clockFrom is the first hour and minute of the schedule at or after the given ones, or -1 and -1.
func (s Schedule) clockFrom(hour, minute int) (int, int) {
	if s.hours.has(hour) {
		if m := s.minutes.from(minute); m >= 0 {
			return hour, m
		}
	}
	h := s.hours.from(hour + 1)
	if h < 0 {
		return -1, -1
	}
	return h, s.minutes.from(0)
}

// clockUpTo is the last hour and minute of the schedule at or before the given ones, or -1 and -1.
func (s Schedule) clockUpTo(hour, minute int) (int, int) {
	if s.hours.has(hour) {
		if m := s.minutes.upTo(minute); m >= 0 {
			return hour, m
		}
	}
	h := s.hours.upTo(hour - 1)
	if h < 0 {
		return -1, -1
	}
	return h, s.minutes.upTo(59)
}

// Between lists the minutes of the schedule from start, itself included, up to but not including end.
func (s Schedule) Between(start, end time.Time) []time.Time {
	var all []time.Time
	for t := s.Next(start.Add(-1)); !t.IsZero() && t.Before(end); t = s.Next(t) {
		all = append(all, t)
	}
	return all
}

func truncate(t time.Time) time.Time {
	return onDay(t, t.Hour(), t.Minute())
}

func startOfDay(t time.Time) time.Time {
	return onDay(t, 0, 0)
}

func onDay(t time.Time, hour, minute int) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), hour, minute, 0, 0, t.Location())
}

func sameDay(a, b time.Time) bool {
	return a.Year() == b.Year() && a.YearDay() == b.YearDay()
}
