package ranges

import (
	"fmt"
	"math/rand"
	"reflect"
	"testing"
)

// naive is the same set as a map.
func naive(s Set) map[int]bool {
	m := make(map[int]bool)
	for n := -40; n <= 40; n++ {
		if s.Has(n) {
			m[n] = true
		}
	}
	return m
}

func random(r *rand.Rand) Set {
	var parts []Range
	for i := r.Intn(6); i > 0; i-- {
		low := r.Intn(60) - 30
		parts = append(parts, Range{low, low + r.Intn(8) - 1})
	}
	return New(parts...)
}

func sound(t *testing.T, s Set) {
	t.Helper()
	for i, r := range s.ranges {
		if r.Len() < 1 || i > 0 && r.Low <= s.ranges[i-1].High+1 {
			t.Fatalf("badly kept: %v", s.ranges)
		}
	}
}

func TestAgainstMaps(t *testing.T) {
	for seed := int64(0); seed < 20; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewSource(seed))
			for i := 0; i < 50; i++ {
				a, b := random(r), random(r)
				ma, mb := naive(a), naive(b)
				union, both, minus := a.Union(b), a.Intersect(b), a.Minus(b)
				gaps := a.Within(Range{-10, 10})
				covers := true
				for n := -40; n <= 40; n++ {
					covers = covers && (!mb[n] || ma[n])
					if union.Has(n) != (ma[n] || mb[n]) || both.Has(n) != (ma[n] && mb[n]) || minus.Has(n) != (ma[n] && !mb[n]) {
						t.Fatalf("%v and %v differ at %d", a, b, n)
					}
					if gaps.Has(n) != (n >= -10 && n <= 10 && !ma[n]) {
						t.Fatalf("%v within: %v", a, gaps)
					}
				}
				for _, s := range []Set{a, union, both, minus, gaps} {
					sound(t, s)
				}
				if a.Covers(b) != covers || a.Equal(b) != reflect.DeepEqual(ma, mb) || a.Len() != len(ma) {
					t.Fatalf("Covers, Equal or Len of %v and %v", a, b)
				}
				if again, err := Parse(a.String()); err != nil || !again.Equal(a) {
					t.Fatalf("%q reads as %v, %v", a.String(), again, err)
				}
			}
		})
	}
}

func TestNew(t *testing.T) {
	cases := []struct {
		name  string
		parts []Range
		want  string
	}{
		{"nothing", nil, ""},
		{"backwards is nothing", []Range{{5, 4}, {9, 1}}, ""},
		{"inside another", []Range{{1, 9}, {3, 4}}, "1-9"},
		{"one number apart", []Range{{1, 2}, {4, 5}}, "1-2,4-5"},
		{"the same twice", []Range{{1, 2}, {1, 2}}, "1-2"},
		{"same start", []Range{{1, 2}, {1, 5}}, "1-5"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := New(c.parts...).String(); got != c.want {
				t.Errorf("New = %q, want %q", got, c.want)
			}
		})
	}
}

func TestNext(t *testing.T) {
	s := must(t, "3-5,9")
	for n, want := range map[int]int{-1: 3, 3: 3, 4: 4, 5: 5, 6: 9, 9: 9} {
		if got, ok := s.Next(n); !ok || got != want {
			t.Errorf("Next(%d) = %d, %v", n, got, ok)
		}
	}
	if _, ok := s.Next(10); ok {
		t.Error("a number after the last")
	}
}

func TestAtAndRank(t *testing.T) {
	s := must(t, "3-5,9,20-21")
	for position, want := range []int{3, 4, 5, 9, 20, 21} {
		if got, ok := s.At(position); !ok || got != want {
			t.Errorf("At(%d) = %d, %v", position, got, ok)
		}
		if got := s.Rank(want); got != position {
			t.Errorf("Rank(%d) = %d", want, got)
		}
	}
	for _, position := range []int{-1, 6, 100} {
		if _, ok := s.At(position); ok {
			t.Errorf("At(%d) is there", position)
		}
	}
	for n, want := range map[int]int{0: 0, 6: 3, 8: 3, 10: 4, 99: 6} {
		if got := s.Rank(n); got != want {
			t.Errorf("Rank(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestOperandsStay(t *testing.T) {
	a, b := must(t, "1-3,8"), must(t, "4-6")
	a.Union(b)
	a.Minus(b)
	a.Ranges()[0].High = 99
	if a.String() != "1-3,8" || b.String() != "4-6" {
		t.Errorf("changed: %v, %v", a, b)
	}
}

func TestOf(t *testing.T) {
	if got := Of(3, 1, 2, 7, 1).String(); got != "1-3,7" {
		t.Errorf("Of = %q", got)
	}
}

func TestEqualLooksAtAllRanges(t *testing.T) {
	if must(t, "1-3").Equal(must(t, "1-3,5")) || must(t, "1-3,5").Equal(must(t, "1-3")) || !must(t, "").Equal(Set{}) {
		t.Error("Equal is wrong")
	}
}

func TestNegativeText(t *testing.T) {
	for _, text := range []string{"-5", "-5-5", "-5-0", "-5-(-2),-1-1"} {
		want := text
		if text == "-5-(-2),-1-1" {
			want = "-5-1"
		}
		if got := must(t, text).String(); got != want {
			t.Errorf("%q prints as %q", text, got)
		}
	}
}

func TestMoreParseErrors(t *testing.T) {
	for _, text := range []string{",", "1-2-3", "-", "--1", "1.5", "(1", "5-(4)", "a-b", "1-x"} {
		t.Run(text, func(t *testing.T) {
			if s, err := Parse(text); err == nil || s.Len() != 0 {
				t.Errorf("%v, %v", s, err)
			}
		})
	}
	if s, err := Parse("  "); err != nil || s.Len() != 0 {
		t.Error("blanks are not the empty set")
	}
}
