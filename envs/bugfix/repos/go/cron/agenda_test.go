package cron

import (
	"reflect"
	"testing"
)

func TestUpcoming(t *testing.T) {
	var a Agenda
	a.Add("tea", MustParse("0 16 * * *"))
	a.Add("post", MustParse("0 10,16 * * *"))
	want := []Event{{"post", at("2024-05-01 10:00:00")}, {"post", at("2024-05-01 16:00:00")}, {"tea", at("2024-05-01 16:00:00")}}
	if got := a.Upcoming(at("2024-05-01"), 3); !reflect.DeepEqual(got, want) {
		t.Errorf("Upcoming = %v, want %v", got, want)
	}
}

func TestClashes(t *testing.T) {
	var a Agenda
	a.Add("b", MustParse("0 */6 * * *"))
	a.Add("a", MustParse("0 */4 * * *"))
	got := a.Clashes(at("2024-05-01"), at("2024-05-02"))
	if len(got) != 2 || !reflect.DeepEqual(got[at("2024-05-01 12:00:00")], []string{"a", "b"}) {
		t.Errorf("Clashes = %v", got)
	}
}

func TestRemove(t *testing.T) {
	var a Agenda
	a.Add("a", MustParse("@daily"))
	if !a.Remove("a") || a.Remove("a") {
		t.Error("Remove tells wrongly whether it was there")
	}
	if got := a.Upcoming(at("2024-05-01"), 3); len(got) != 0 {
		t.Errorf("Upcoming = %v", got)
	}
}
