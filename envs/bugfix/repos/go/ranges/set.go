// Package ranges keeps sets of whole numbers as ranges.
package ranges

import "sort"

// A Range holds the numbers from Low up to and with High.
type Range struct{ Low, High int }

// Len is how many numbers a range holds.
func (r Range) Len() int {
	if r.High < r.Low {
		return 0
	}
	return r.High - r.Low + 1
}

// A Set is a set of numbers. The zero value is empty; operations give new sets and leave their operands alone.
type Set struct {
	ranges []Range // ascending, with at least one number missing between two
}

// New is the set of all numbers in these ranges, in any order; ranges whose High is below their Low hold nothing.
func New(parts ...Range) Set {
	sorted := make([]Range, 0, len(parts))
	for _, r := range parts {
		if r.Len() > 0 {
			sorted = append(sorted, r)
		}
	}
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Low < sorted[j].Low })
	var s Set
	for _, r := range sorted {
		last := len(s.ranges) - 1
		if last >= 0 && r.Low <= s.ranges[last].High+1 {
			if r.High > s.ranges[last].High {
				s.ranges[last].High = r.High
			}
		} else {
			s.ranges = append(s.ranges, r)
		}
	}
	return s
}

// Of is the set of these numbers.
func Of(numbers ...int) Set {
	parts := make([]Range, len(numbers))
	for i, n := range numbers {
		parts[i] = Range{n, n}
	}
	return New(parts...)
}

// Ranges lists the ranges of the set in ascending order, as few as possible.
func (s Set) Ranges() []Range {
	return append([]Range(nil), s.ranges...)
}

// Len is how many numbers the set holds.
func (s Set) Len() int {
	n := 0
	for _, r := range s.ranges {
		n += r.Len()
	}
	return n
}

// index is that of the first range that ends at n or later.
func (s Set) index(n int) int {
	return sort.Search(len(s.ranges), func(i int) bool { return s.ranges[i].High >= n })
}

// Has tells whether a number is in the set.
func (s Set) Has(n int) bool {
	i := s.index(n)
	return i < len(s.ranges) && s.ranges[i].Low <= n
}

// Covers tells whether every number of another set is in this one.
func (s Set) Covers(other Set) bool {
	for _, r := range other.ranges {
		i := s.index(r.High)
		if i == len(s.ranges) || s.ranges[i].Low > r.Low {
			return false
		}
	}
	return true
}

// Equal tells whether two sets hold the same numbers.
func (s Set) Equal(other Set) bool {
	return len(s.ranges) == len(other.ranges) && s.Covers(other) && other.Covers(s)
}

// Next is the least number of the set that is n or more; false where there is none.
func (s Set) Next(n int) (int, bool) {
	i := s.index(n)
	if i == len(s.ranges) {
		return 0, false
	}
	if s.ranges[i].Low > n {
		return s.ranges[i].Low, true
	}
	return n, true
}

// At is the number at a position, the least one having position 0; false outside.
func (s Set) At(position int) (int, bool) {
	if position < 0 {
		return 0, false
	}
	for _, r := range s.ranges {
		if position < r.Len() {
			return r.Low + position, true
		}
		position -= r.Len()
	}
	return 0, false
}

// Rank is how many numbers of the set are less than n.
func (s Set) Rank(n int) int {
	rank := 0
	for _, r := range s.ranges {
		if r.Low >= n {
			break
		}
		rank += Range{r.Low, min(r.High, n-1)}.Len()
	}
	return rank
}

// Union is the set of numbers that are in either.
func (s Set) Union(other Set) Set {
	return New(append(s.Ranges(), other.ranges...)...)
}

// Intersect is the set of numbers that are in both.
func (s Set) Intersect(other Set) Set {
	var both Set
	i, j := 0, 0
	for i < len(s.ranges) && j < len(other.ranges) {
		a, b := s.ranges[i], other.ranges[j]
		if r := (Range{max(a.Low, b.Low), min(a.High, b.High)}); r.Len() > 0 {
			both.ranges = append(both.ranges, r)
		}
		if a.High < b.High {
			i++
		} else {
			j++
		}
	}
	return both
}

// Minus is the set of numbers that are in this set but not in the other.
func (s Set) Minus(other Set) Set {
	if len(s.ranges) == 0 {
		return s
	}
	return s.Intersect(other.Within(Range{s.ranges[0].Low, s.ranges[len(s.ranges)-1].High}))
}

// Within is the set of numbers of a range that are not in the set.
func (s Set) Within(whole Range) Set {
	var gaps Set
	low := whole.Low
	for i := s.index(low); i < len(s.ranges) && s.ranges[i].Low <= whole.High; i++ {
		if gap := (Range{low, s.ranges[i].Low - 1}); gap.Len() > 0 {
			gaps.ranges = append(gaps.ranges, gap)
		}
		low = s.ranges[i].High + 1
	}
	if rest := (Range{low, whole.High}); rest.Len() > 0 {
		gaps.ranges = append(gaps.ranges, rest)
	}
	return gaps
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func max(a, b int) int {
	if a > b {
		return a
	}
	return b
}
