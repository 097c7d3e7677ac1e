package ranges

import (
	"strings"
	"testing"
)

func TestBlocksSkipWhatIsTooSmall(t *testing.T) {
	p := NewPool(must(t, "1-2,5-7,10-20"))
	for _, c := range []struct {
		size, align int
		want        string
	}{{3, 1, "5-7"}, {3, 5, "10-12"}, {1, 1, "1"}, {2, 1, "13-14"}, {6, 1, "15-20"}} {
		got, ok := p.TakeBlock(c.size, c.align)
		if !ok || got.String() != c.want {
			t.Errorf("TakeBlock(%d, %d) = %v, %v", c.size, c.align, got, ok)
		}
	}
	if got := p.Free().String(); got != "2" {
		t.Errorf("Free = %s", got)
	}
	if _, ok := p.TakeBlock(2, 1); ok {
		t.Error("took what is not there")
	}
}

func TestAlignedBlocksMustFit(t *testing.T) {
	p := NewPool(must(t, "1-10"))
	if got, ok := p.TakeBlock(3, 8); !ok || got.Low != 8 {
		t.Errorf("TakeBlock = %v, %v", got, ok)
	}
	if _, ok := p.TakeBlock(2, 7); ok {
		t.Error("took across what is used")
	}
}

func TestAlignedBelowZero(t *testing.T) {
	for low, want := range map[int]int{-7: -4, -8: -8, -1: 0, -3: 0, 0: 0, 1: 4} {
		p := NewPool(New(Range{low, 30}))
		if got, _ := p.TakeBlock(2, 4); got.Low != want {
			t.Errorf("from %d: %v", low, got)
		}
	}
}

func TestBadBlocksPanic(t *testing.T) {
	for _, c := range [][2]int{{0, 1}, {1, 0}, {-1, 1}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("TakeBlock(%v) did not panic", c)
				}
			}()
			NewPool(Set{}).TakeBlock(c[0], c[1])
		}()
	}
}

func TestClaimIsAllOrNothing(t *testing.T) {
	p := NewPool(must(t, "1-9"))
	if !p.Claim(must(t, "4")) || p.Claim(must(t, "3-4")) || p.Claim(must(t, "9-10")) {
		t.Error("Claim is wrong")
	}
	if got := p.Free().String(); got != "1-3,5-9" {
		t.Errorf("Free = %s", got)
	}
}

func TestGiveNamesWhatIsOdd(t *testing.T) {
	p := NewPool(must(t, "1-9"))
	p.Claim(must(t, "1-3"))
	err := p.Give(must(t, "2-5,20"))
	if err == nil || !strings.Contains(err.Error(), "4-5,20 not handed out") {
		t.Errorf("error %v", err)
	}
	if got := p.Used().String(); got != "1-3" {
		t.Errorf("Used = %s", got)
	}
}

func TestGivenNumbersComeAgain(t *testing.T) {
	p := NewPool(must(t, "1-3"))
	p.Take()
	p.Take()
	if err := p.Give(Of(1)); err != nil {
		t.Error(err)
	}
	if n, _ := p.Take(); n != 1 {
		t.Errorf("Take = %d", n)
	}
	if n, _ := p.Take(); n != 3 {
		t.Errorf("Take = %d", n)
	}
	if p.Free().Len() != 0 || p.Used().String() != "1-3" {
		t.Errorf("free %v, used %v", p.Free(), p.Used())
	}
}

func TestFragmentation(t *testing.T) {
	p := NewPool(must(t, "1-10"))
	if p.Fragmentation() != 0 {
		t.Errorf("whole: %v", p.Fragmentation())
	}
	p.Claim(must(t, "3-4"))
	if got := p.Fragmentation(); got != 0.25 {
		t.Errorf("in two: %v", got)
	}
	p.Claim(p.Free())
	if p.Fragmentation() != 0 {
		t.Errorf("empty: %v", p.Fragmentation())
	}
}
