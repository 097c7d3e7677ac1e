package semver

import "testing"

func TestMoreTexts(t *testing.T) {
	for text, want := range map[string]string{
		"v1.2.3": "1.2.3", "1.0.0-alpha-1.x": "1.0.0-alpha-1.x", "1.0.0-0A.Z9+b-c": "1.0.0-0A.Z9+b-c", "10.20.30": "10.20.30",
		"1.0.0+007": "1.0.0+007", "1.0.0-0": "1.0.0-0", "999999999.0.0": "999999999.0.0", "1.0.0+a-b": "1.0.0+a-b",
	} {
		t.Run(text, func(t *testing.T) {
			if got := must(t, text).String(); got != want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestMoreRefused(t *testing.T) {
	for _, text := range []string{
		"", "1.2.3.4", "1.2.", "1.00.0", "1.2.3-a..b", "1.2.3-01", "1.2.3+", "1.2.3-a_b", "1.2.3+a/b", "-1.2.3", "vv1.2.3",
		"1000000000.0.0", "1.2.3-a:b", "1.2.3-a@b", "1.2.3-a[b", "1.2.3-a{b", "1.2.3-a`b",
	} {
		t.Run(text, func(t *testing.T) {
			if got, err := Parse(text); err == nil {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestFields(t *testing.T) {
	v := must(t, "4.5.6-x.7+y")
	if v.Major != 4 || v.Minor != 5 || v.Patch != 6 || len(v.Pre) != 2 || v.Pre[1] != "7" || v.Build != "y" {
		t.Errorf("got %#v", v)
	}
}

// The order of semver.org, and then some.
func TestOrder(t *testing.T) {
	order := []string{
		"0.9.9", "1.0.0-0", "1.0.0-1", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2",
		"1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1-a", "1.0.1", "1.1.0", "1.10.0", "2.0.0",
	}
	for i, a := range order {
		for j, b := range order {
			got := must(t, a).Compare(must(t, b))
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("Compare(%s, %s) = %d", a, b, got)
			}
		}
	}
}

func TestBuildHasNoOrder(t *testing.T) {
	if must(t, "1.0.0+b").Compare(must(t, "1.0.0+a")) != 0 {
		t.Error("ordered")
	}
}

func TestBumps(t *testing.T) {
	cases := [][3]string{
		{"1.0.0-rc.1", "major", "1.0.0"}, {"1.1.0-rc.1", "major", "2.0.0"}, {"1.0.1-rc.1", "major", "2.0.0"},
		{"1.1.0-rc.1", "minor", "1.1.0"}, {"1.1.1-rc.1", "minor", "1.2.0"}, {"3.1.2-rc.1", "patch", "3.1.2"},
		{"0.0.0", "patch", "0.0.1"}, {"1.2.3+x", "patch", "1.2.4"}, {"3.9.9", "minor", "3.10.0"}, {"3.0.0", "major", "4.0.0"},
	}
	for _, c := range cases {
		t.Run(c[0]+" "+c[1], func(t *testing.T) {
			if got, err := must(t, c[0]).Bump(c[1]); err != nil || got.String() != c[2] {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	if _, err := must(t, "1.0.0").Bump("build"); err == nil {
		t.Error("no error for an unknown level")
	}
}

func TestSort(t *testing.T) {
	versions := []Version{must(t, "1.0.0"), must(t, "0.1.0+b"), must(t, "0.1.0+a"), must(t, "0.0.9")}
	Sort(versions)
	for i, want := range []string{"0.0.9", "0.1.0+b", "0.1.0+a", "1.0.0"} {
		if versions[i].String() != want {
			t.Errorf("%d is %v", i, versions[i])
		}
	}
}
