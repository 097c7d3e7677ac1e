package cron

import (
	"reflect"
	"testing"
)

func TestBitset(t *testing.T) {
	set := span(3, 12, 4)
	if got := set.members(); !reflect.DeepEqual(got, []int{3, 7, 11}) {
		t.Errorf("members = %v", got)
	}
	for n, want := range map[int]int{0: 3, 3: 3, 4: 7, 11: 11, 12: -1, 63: -1, 64: -1} {
		if got := set.from(n); got != want {
			t.Errorf("from(%d) = %d, want %d", n, got, want)
		}
	}
	for n, want := range map[int]int{63: 11, 11: 11, 10: 7, 3: 3, 2: -1, 0: -1, -1: -1} {
		if got := set.upTo(n); got != want {
			t.Errorf("upTo(%d) = %d, want %d", n, got, want)
		}
	}
	if set.count() != 3 || bitset(0).count() != 0 {
		t.Error("count is wrong")
	}
}

func TestBitsetEdges(t *testing.T) {
	set := span(0, 63, 63)
	if !set.has(0) || !set.has(63) || set.has(1) || set.has(-1) || set.has(64) {
		t.Error("has is wrong")
	}
	if set.from(1) != 63 || set.upTo(62) != 0 {
		t.Error("from or upTo is wrong at the edges")
	}
}

func TestUpcomingOfNothing(t *testing.T) {
	var a Agenda
	if got := a.Upcoming(at("2024-05-01"), 3); len(got) != 0 {
		t.Errorf("Upcoming = %v", got)
	}
	if a.Remove("x") {
		t.Error("removed what was not there")
	}
	a.Add("never", MustParse("0 0 31 2 *"))
	a.Add("daily", MustParse("@daily"))
	if got := a.Upcoming(at("2024-05-01"), 2); len(got) != 2 || got[1].At != at("2024-05-03") {
		t.Errorf("Upcoming = %v", got)
	}
	if got := a.Upcoming(at("2024-05-01"), 0); len(got) != 0 {
		t.Errorf("Upcoming of 0 = %v", got)
	}
}

func TestUpcomingMergesByTime(t *testing.T) {
	var a Agenda
	a.Add("z", MustParse("0 */2 * * *"))
	a.Add("m", MustParse("0 */3 * * *"))
	var names string
	for _, event := range a.Upcoming(at("2024-05-01 00:30:00"), 7) {
		names += event.Name
	}
	if names != "zmzmzzm" {
		t.Errorf("order %s", names)
	}
}

func TestUpcomingIsStrictlyLater(t *testing.T) {
	var a Agenda
	a.Add("x", MustParse("0 10 * * *"))
	if got := a.Upcoming(at("2024-05-01 10:00:00"), 1); got[0].At != at("2024-05-02 10:00:00") {
		t.Errorf("Upcoming = %v", got)
	}
}

func TestAddReplaces(t *testing.T) {
	var a Agenda
	a.Add("x", MustParse("0 10 * * *"))
	a.Add("x", MustParse("0 11 * * *"))
	if got := a.Upcoming(at("2024-05-01"), 2); got[0].At != at("2024-05-01 11:00:00") || got[1].At != at("2024-05-02 11:00:00") {
		t.Errorf("Upcoming = %v", got)
	}
}

func TestClashesLeaveTheEndOut(t *testing.T) {
	var a Agenda
	a.Add("a", MustParse("@daily"))
	a.Add("b", MustParse("0 */12 * * *"))
	got := a.Clashes(at("2024-05-01"), at("2024-05-03"))
	if len(got) != 2 || got[at("2024-05-01")] == nil || got[at("2024-05-02")] == nil {
		t.Errorf("Clashes = %v", got)
	}
}

func TestClashesNeedTwo(t *testing.T) {
	var a Agenda
	a.Add("a", MustParse("0 1 * * *"))
	a.Add("b", MustParse("0 2 * * *"))
	if got := a.Clashes(at("2024-05-01"), at("2024-05-09")); len(got) != 0 {
		t.Errorf("Clashes = %v", got)
	}
}

func TestClashesOfThree(t *testing.T) {
	var a Agenda
	for _, name := range []string{"c", "a", "b"} {
		a.Add(name, MustParse("0 1 1 5 *"))
	}
	got := a.Clashes(at("2024-05-01"), at("2024-05-02"))
	if !reflect.DeepEqual(got[at("2024-05-01 01:00:00")], []string{"a", "b", "c"}) {
		t.Errorf("Clashes = %v", got)
	}
}
