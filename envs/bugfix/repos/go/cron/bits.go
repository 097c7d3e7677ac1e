package cron

import "math/bits"

// bitset is a set of numbers from 0 to 63.
type bitset uint64

// span is the set of low, low+step, ... up to and with high.
func span(low, high, step int) bitset {
	var set bitset
	for n := low; n <= high; n += step {
		set |= 1 << uint(n)
	}
	return set
}

func (b bitset) has(n int) bool {
	return n >= 0 && n < 64 && b&(1<<uint(n)) != 0
}

// from is the least member that is n or more, or -1.
func (b bitset) from(n int) int {
	if n > 63 {
		return -1
	}
	rest := b >> uint(n) << uint(n)
	if rest == 0 {
		return -1
	}
	return bits.TrailingZeros64(uint64(rest))
}

// upTo is the greatest member that is n or less, or -1.
func (b bitset) upTo(n int) int {
	if n < 0 {
		return -1
	}
	rest := b << uint(63-n) >> uint(63-n)
	return bits.Len64(uint64(rest)) - 1
}

func (b bitset) count() int {
	return bits.OnesCount64(uint64(b))
}

// members lists the set in ascending order.
func (b bitset) members() []int {
	var all []int
	for n := b.from(0); n >= 0; n = b.from(n + 1) {
		all = append(all, n)
	}
	return all
}
