package semver

import "testing"

func must(t *testing.T, text string) Version {
	t.Helper()
	v, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestParse(t *testing.T) {
	for _, text := range []string{"1.2.3", "0.0.0", "1.0.0-rc.1", "2.1.0+linux.5"} {
		t.Run(text, func(t *testing.T) {
			if got := must(t, text).String(); got != text {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"1.2", "a.b.c", "01.0.0", "1.0.0-"} {
		t.Run(text, func(t *testing.T) {
			if _, err := Parse(text); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestCompare(t *testing.T) {
	for _, c := range [][2]string{{"1.2.3", "1.2.4"}, {"1.9.0", "1.10.0"}, {"1.0.0-rc.1", "1.0.0"}} {
		t.Run(c[0]+" "+c[1], func(t *testing.T) {
			if must(t, c[0]).Compare(must(t, c[1])) >= 0 {
				t.Error("not before")
			}
		})
	}
}

func TestBump(t *testing.T) {
	for level, want := range map[string]string{"major": "2.0.0", "minor": "1.3.0", "patch": "1.2.4"} {
		t.Run(level, func(t *testing.T) {
			got, err := must(t, "1.2.3").Bump(level)
			if err != nil || got.String() != want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
