package cron

import (
	"sort"
	"time"
)

// An Event is one minute of a schedule that has a name.
type Event struct {
	Name string
	At   time.Time
}

// An Agenda is a set of named schedules.
type Agenda struct {
	schedules map[string]Schedule
}

// Add puts a schedule in, in place of one of the same name.
func (a *Agenda) Add(name string, s Schedule) {
	if a.schedules == nil {
		a.schedules = make(map[string]Schedule)
	}
	a.schedules[name] = s
}

// Remove takes a schedule out and tells whether it was there.
func (a *Agenda) Remove(name string) bool {
	_, there := a.schedules[name]
	delete(a.schedules, name)
	return there
}

// Upcoming lists the first n events after t, by time and then by name.
func (a *Agenda) Upcoming(t time.Time, n int) []Event {
	var next []Event
	for name, s := range a.schedules {
		if at := s.Next(t); !at.IsZero() {
			next = append(next, Event{name, at})
		}
	}
	var events []Event
	for len(next) > 0 && len(events) < n {
		sort.Slice(next, func(i, j int) bool { return before(next[i], next[j]) })
		first := next[0]
		events = append(events, first)
		next[0].At = a.schedules[first.Name].Next(first.At)
		if next[0].At.IsZero() {
			next = next[1:]
		}
	}
	return events
}

// Clashes lists the minutes from start up to but not including end in which two or more schedules meet, with the names
// in alphabetical order.
func (a *Agenda) Clashes(start, end time.Time) map[time.Time][]string {
	met := make(map[time.Time][]string)
	for name, s := range a.schedules {
		for _, at := range s.Between(start, end) {
			met[at] = append(met[at], name)
		}
	}
	for at, names := range met {
		if len(names) < 2 {
			delete(met, at)
		}
		sort.Strings(names)
	}
	return met
}

func before(a, b Event) bool {
	if !a.At.Equal(b.At) {
		return a.At.Before(b.At)
	}
	return a.Name < b.Name
}
