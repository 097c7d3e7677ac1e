package semver

import "testing"

func allows(t *testing.T, constraint, version string) bool {
	t.Helper()
	c, err := ParseConstraint(constraint)
	if err != nil {
		t.Fatal(err)
	}
	return c.Allows(must(t, version))
}

func TestAllows(t *testing.T) {
	cases := []struct {
		constraint, version string
		want                bool
	}{
		{">=1.2.0", "1.2.0", true}, {"<1.2.0", "1.2.0", false}, {"^1.2.3", "1.9.0", true}, {"^1.2.3", "2.0.0", false},
		{"~1.2.3", "1.2.9", true}, {"~1.2.3", "1.3.0", false}, {"1.2", "1.2.7", true}, {"*", "3.1.4", true},
	}
	for _, c := range cases {
		t.Run(c.constraint+" "+c.version, func(t *testing.T) {
			if got := allows(t, c.constraint, c.version); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestResolveTakesTheNewest(t *testing.T) {
	r := Registry{}
	for _, v := range []string{"1.0.0", "1.2.0", "2.0.0"} {
		if err := r.Add("a", v, nil); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Resolve(map[string]string{"a": "^1"})
	if err != nil || got["a"].String() != "1.2.0" {
		t.Errorf("got %v, %v", got, err)
	}
}
