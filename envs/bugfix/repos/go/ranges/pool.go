package ranges

import "fmt"

// A Pool hands out numbers of a set and takes them back.
type Pool struct {
	all, free Set
}

// NewPool is a pool in which every number of a set is free.
func NewPool(all Set) *Pool {
	return &Pool{all: all, free: all}
}

// Free is the set of numbers that can be handed out.
func (p *Pool) Free() Set {
	return p.free
}

// Used is the set of numbers that are handed out.
func (p *Pool) Used() Set {
	return p.all.Minus(p.free)
}

// Take hands out the least free number; false where none is free.
func (p *Pool) Take() (int, bool) {
	block, ok := p.TakeBlock(1, 1)
	return block.Low, ok
}

// TakeBlock hands out size numbers in a row, as low as possible, the first a multiple of align; false where there are none.
// It panics if size or align is less than 1.
func (p *Pool) TakeBlock(size, align int) (Range, bool) {
	if size < 1 || align < 1 {
		panic(fmt.Sprintf("ranges: a block of size %d, aligned to %d", size, align))
	}
	for _, r := range p.free.ranges {
		low := roundUp(r.Low, align)
		if block := (Range{low, low + size - 1}); block.High <= r.High {
			p.free = p.free.Minus(New(block))
			return block, true
		}
	}
	return Range{}, false
}

// Claim hands out exactly these numbers; false, and nothing happens, where one of them is not free.
func (p *Pool) Claim(wanted Set) bool {
	if !p.free.Covers(wanted) {
		return false
	}
	p.free = p.free.Minus(wanted)
	return true
}

// Give takes numbers back. The error names those that were not handed out; then none is taken back.
func (p *Pool) Give(back Set) error {
	if odd := back.Minus(p.Used()); odd.Len() > 0 {
		return fmt.Errorf("ranges: %s not handed out", odd)
	}
	p.free = p.free.Union(back)
	return nil
}

// Fragmentation is the share of free numbers outside of the longest free range, from 0 (one range, or none) to almost 1.
func (p *Pool) Fragmentation() float64 {
	longest := 0
	for _, r := range p.free.ranges {
		longest = max(longest, r.Len())
	}
	if longest == 0 {
		return 0
	}
	return 1 - float64(longest)/float64(p.free.Len())
}

// roundUp is the least multiple of align that is n or more.
func roundUp(n, align int) int {
	rest := n % align
	if rest == 0 {
		return n
	}
	if rest < 0 {
		return n - rest
	}
	return n + align - rest
}
