package semver

import "testing"

func TestMoreAllows(t *testing.T) {
	cases := []struct {
		constraint, version string
		want                bool
	}{
		{"<=1.2.0", "1.2.0", true}, {"<=1.2.0", "1.2.1", false}, {">1.2.0", "1.2.0", false}, {">1.2.0", "1.2.1", true},
		{"<1.2.0", "1.1.9", true}, {">=1.2.0", "1.1.9", false}, {"!=1.2.0", "1.2.0", false}, {"!=1.2.0", "1.2.1", true},
		{"=1.2.0", "1.2.0", true}, {"1.2.0", "1.2.1", false}, {"^1.2.3", "1.2.2", false}, {"^0.2.3", "0.2.9", true},
		{"^0.2.3", "0.3.0", false}, {"^0.0.3", "0.0.3", true}, {"^0.0.3", "0.0.4", false}, {"^0.0", "0.0.9", true},
		{"^0.0", "0.1.0", false}, {"^0", "0.9.0", true}, {"^0", "1.0.0", false}, {"^2", "2.9.9", true}, {"~1", "1.9.0", true},
		{"~1", "2.0.0", false}, {"~1.2", "1.2.9", true}, {"~1.2", "1.3.0", false}, {"~1.2.3", "1.2.2", false},
		{"1", "1.9.9", true}, {"1", "2.0.0", false}, {"1.2", "1.3.0", false}, {"1.2", "1.1.9", false}, {"1", "0.9.9", false},
		{">=1.0.0, <2", "1.5.0", true}, {">=1.0.0, <2", "2.0.0", false}, {"<1 || >=3.1", "0.5.0", true},
		{"<1 || >=3.1", "3.1.0", true}, {"<1 || >=3.1", "2.0.0", false}, {">= 1.0", "1.0.0", true},
		{"*", "1.0.0-rc.1", false}, {">=1.0.0", "2.0.0-rc.1", false}, {">=2.0.0-rc.1", "2.0.0-rc.2", true},
		{">=2.0.0-rc.2", "2.0.0-rc.1", false}, {">=2.0.0-rc.1", "2.0.1-rc.2", false}, {">=2.0.0-rc.1", "2.0.1", true},
		{"<1 || >=2.0.0-rc.1", "0.5.0-a", false}, {"^1.2.0-beta", "1.2.0-gamma", true}, {"^1.2.0-beta", "1.3.0", true},
		{"1.0.0-a", "1.0.0-a", true}, {"1.0.0-a", "1.0.0", false}, {"1.0.0+x", "1.0.0+y", true}, {"1.0.0+x", "1.0.1", false},
	}
	for _, c := range cases {
		t.Run(c.constraint+" "+c.version, func(t *testing.T) {
			if got := allows(t, c.constraint, c.version); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestConstraintsRefused(t *testing.T) {
	for _, text := range []string{"", "1.2.3.4", ">=", "^x", "1,", "|| 1", "=>1", "1 2"} {
		t.Run(text, func(t *testing.T) {
			if _, err := ParseConstraint(text); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestBest(t *testing.T) {
	c, _ := ParseConstraint("<2")
	versions := []Version{must(t, "1.0.0"), must(t, "1.4.0"), must(t, "2.0.0"), must(t, "1.3.0")}
	if got, ok := c.Best(versions); !ok || got.String() != "1.4.0" {
		t.Errorf("got %v, %v", got, ok)
	}
	if got, ok := c.Best(versions[2:3]); ok {
		t.Errorf("got %v", got)
	}
}

func registry(t *testing.T) Registry {
	t.Helper()
	r := Registry{}
	for _, p := range []struct {
		name, version string
		needs         map[string]string
	}{
		{"app", "1.0.0", map[string]string{"lib": "^1"}}, {"app", "2.0.0", map[string]string{"lib": "^2", "log": "1"}},
		{"lib", "1.0.0", nil}, {"lib", "2.1.0", nil}, {"lib", "2.0.0", nil},
		{"log", "1.1.0", map[string]string{"lib": "<2.1"}}, {"log", "1.0.0", nil}, {"ring", "1.0.0", map[string]string{"ring2": "1"}},
		{"ring2", "1.0.0", map[string]string{"ring": "1"}}, {"zap", "1.0.0", map[string]string{"lib": "^1"}},
		{"lost", "1.0.0", map[string]string{"nowhere": "*"}}, {"back", "1.0.0", map[string]string{"app": "^1"}},
	} {
		if err := r.Add(p.name, p.version, p.needs); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestResolve(t *testing.T) {
	cases := []struct {
		name   string
		wanted map[string]string
		want   map[string]string
	}{
		{"nothing", nil, map[string]string{}},
		{"newest of all", map[string]string{"app": "*"}, map[string]string{"app": "2.0.0", "lib": "2.1.0", "log": "1.0.0"}},
		{"older", map[string]string{"app": "1"}, map[string]string{"app": "1.0.0", "lib": "1.0.0"}},
		{"goes back", map[string]string{"app": "*", "zap": "*"}, map[string]string{"app": "1.0.0", "lib": "1.0.0", "zap": "1.0.0"}},
		{"pinned", map[string]string{"app": "2", "lib": "2.0.0"}, map[string]string{"app": "2.0.0", "lib": "2.0.0", "log": "1.1.0"}},
		{"a circle", map[string]string{"ring": "*"}, map[string]string{"ring": "1.0.0", "ring2": "1.0.0"}},
		{"needs the chosen", map[string]string{"app": "*", "back": "*"}, map[string]string{"app": "1.0.0", "back": "1.0.0", "lib": "1.0.0"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := registry(t).Resolve(c.wanted)
			if err != nil || len(got) != len(c.want) {
				t.Fatalf("got %v, %v", got, err)
			}
			for name, version := range c.want {
				if got[name].String() != version {
					t.Errorf("%s is %v", name, got[name])
				}
			}
		})
	}
}

func TestResolveFails(t *testing.T) {
	for name, wanted := range map[string]map[string]string{
		"unknown": {"none": "*"}, "too new": {"lib": ">2.1"}, "against one another": {"zap": "*", "lib": "2"},
		"lost": {"lost": "*"}, "bad text": {"lib": "?"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := registry(t).Resolve(wanted); err == nil {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAddRefuses(t *testing.T) {
	r := Registry{}
	if r.Add("a", "1", nil) == nil || r.Add("a", "1.0.0", map[string]string{"b": "x"}) == nil || len(r) != 0 {
		t.Errorf("got %v", r)
	}
}

func TestNewestFirst(t *testing.T) {
	if lib := registry(t)["lib"]; lib[0].Version.String() != "2.1.0" || lib[2].Version.String() != "1.0.0" || lib[1].Name != "lib" {
		t.Errorf("got %v", lib)
	}
}
