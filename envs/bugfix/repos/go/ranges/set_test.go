package ranges

import "testing"

func must(t *testing.T, text string) Set {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAlgebra(t *testing.T) {
	cases := []struct{ name, a, b, union, both, minus string }{
		{"apart", "1-3", "7-9", "1-3,7-9", "", "1-3"},
		{"touching", "1-3", "4-6", "1-6", "", "1-3"},
		{"overlapping", "1-5", "4-9", "1-9", "4-5", "1-3"},
		{"inside", "1-9", "4-5", "1-9", "4-5", "1-3,6-9"},
		{"equal", "1-3,5", "1-3,5", "1-3,5", "1-3,5", ""},
		{"empty", "1-3", "", "1-3", "", "1-3"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a, b := must(t, c.a), must(t, c.b)
			if got := a.Union(b).String(); got != c.union {
				t.Errorf("Union = %q, want %q", got, c.union)
			}
			if got := a.Intersect(b).String(); got != c.both {
				t.Errorf("Intersect = %q, want %q", got, c.both)
			}
			if got := a.Minus(b).String(); got != c.minus {
				t.Errorf("Minus = %q, want %q", got, c.minus)
			}
		})
	}
}

func TestHas(t *testing.T) {
	s := must(t, "1-3,7")
	for n, want := range map[int]bool{0: false, 1: true, 3: true, 4: false, 7: true, 8: false} {
		if s.Has(n) != want {
			t.Errorf("Has(%d) = %v", n, !want)
		}
	}
}

func TestParse(t *testing.T) {
	cases := []struct{ name, text, want string }{
		{"sorted", "9,1-3", "1-3,9"},
		{"joined", "1,2,3,5", "1-3,5"},
		{"negative", "-3-(-1)", "-3-(-1)"},
		{"blanks", " 1 - 3 , 5 ", "1-3,5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := must(t, c.text).String(); got != c.want {
				t.Errorf("String = %q, want %q", got, c.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for _, text := range []string{"x", "1,,2", "3-1", "1-"} {
		t.Run(text, func(t *testing.T) {
			if _, err := Parse(text); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestLen(t *testing.T) {
	if got := must(t, "1-3,7,9-10").Len(); got != 6 {
		t.Errorf("Len = %d", got)
	}
}
