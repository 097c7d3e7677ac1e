package ranges

import "testing"

func TestTake(t *testing.T) {
	p := NewPool(must(t, "3,5"))
	for _, want := range []int{3, 5} {
		if got, ok := p.Take(); !ok || got != want {
			t.Errorf("Take = %d, %v", got, ok)
		}
	}
	if _, ok := p.Take(); ok {
		t.Error("took from an empty pool")
	}
}

func TestTakeBlock(t *testing.T) {
	p := NewPool(must(t, "1-20"))
	if got, _ := p.TakeBlock(4, 4); got != (Range{4, 7}) {
		t.Errorf("TakeBlock = %v", got)
	}
	if got := p.Free().String(); got != "1-3,8-20" {
		t.Errorf("Free = %s", got)
	}
}

func TestGive(t *testing.T) {
	p := NewPool(must(t, "1-9"))
	p.Claim(must(t, "2-5"))
	if err := p.Give(must(t, "3-4")); err != nil {
		t.Error(err)
	}
	if got := p.Used().String(); got != "2,5" {
		t.Errorf("Used = %s", got)
	}
	if err := p.Give(must(t, "3")); err == nil {
		t.Error("gave back twice")
	}
}
