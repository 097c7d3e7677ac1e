package semver

import (
	"fmt"
	"sort"
	"strings"
)

type bound struct {
	sign    string
	version Version
}

// Constraint says which versions are wanted: any of several lists of bounds that must all hold.
type Constraint struct {
	choices [][]bound
}

var signs = []string{"<=", ">=", "!=", "<", ">", "=", "^", "~"}

// ParseConstraint reads bounds such as "^1.2, !=1.4.0 || 2.0.0": commas mean and, "||" means or. "^" allows what keeps the
// first number that is not 0, "~" later patches (later minors after a lone major), "*" everything that is released.
func ParseConstraint(text string) (Constraint, error) {
	var made Constraint
	for _, choice := range strings.Split(text, "||") {
		var bounds []bound
		for _, part := range strings.Split(choice, ",") {
			more, err := parseBounds(strings.TrimSpace(part))
			if err != nil {
				return Constraint{}, err
			}
			bounds = append(bounds, more...)
		}
		made.choices = append(made.choices, bounds)
	}
	return made, nil
}

// Allows says whether a version is wanted. A pre-release is wanted only by a list of bounds that names a pre-release of the
// same three numbers.
func (c Constraint) Allows(v Version) bool {
	for _, bounds := range c.choices {
		if allHold(bounds, v) && (len(v.Pre) == 0 || namesPre(bounds, v)) {
			return true
		}
	}
	return false
}

// Best is the greatest wanted version of several, if there is one.
func (c Constraint) Best(versions []Version) (Version, bool) {
	var best Version
	found := false
	for _, v := range versions {
		if c.Allows(v) && (!found || v.Compare(best) > 0) {
			best, found = v, true
		}
	}
	return best, found
}

// Sort puts versions in order, the least first; equal ones stay in place.
func Sort(versions []Version) {
	sort.SliceStable(versions, func(i, j int) bool { return versions[i].Compare(versions[j]) < 0 })
}

func allHold(bounds []bound, v Version) bool {
	for _, b := range bounds {
		if !b.holds(v) {
			return false
		}
	}
	return true
}

func namesPre(bounds []bound, v Version) bool {
	for _, b := range bounds {
		if len(b.version.Pre) > 0 && b.version.numbers() == v.numbers() {
			return true
		}
	}
	return false
}

func (b bound) holds(v Version) bool {
	order := v.Compare(b.version)
	switch b.sign {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	case ">=":
		return order >= 0
	case "!=":
		return order != 0
	}
	return order == 0
}

func parseBounds(text string) ([]bound, error) {
	if text == "*" {
		return nil, nil
	}
	sign := "="
	for _, s := range signs {
		if strings.HasPrefix(text, s) {
			sign, text = s, strings.TrimSpace(text[len(s):])
			break
		}
	}
	v, given, err := parsePartial(text)
	if err != nil {
		return nil, err
	}
	switch sign {
	case "^":
		return []bound{{">=", v}, {"<", caretEnd(v, given)}}, nil
	case "~":
		return []bound{{">=", v}, {"<", partEnd(v, given, 2)}}, nil
	case "=":
		if given < 3 {
			return []bound{{">=", v}, {"<", partEnd(v, given, 3)}}, nil
		}
	}
	return []bound{{sign, v}}, nil
}

// A version of which the last numbers may be missing, and how many were given.
func parsePartial(text string) (Version, int, error) {
	given := 3
	if !strings.ContainsAny(text, "-+") {
		given = strings.Count(text, ".") + 1
	}
	full := text
	for i := given; i < 3; i++ {
		full += ".0"
	}
	v, err := Parse(full)
	if err != nil {
		return Version{}, 0, fmt.Errorf("bound %q: %w", text, err)
	}
	return v, given, nil
}

// The first version after all that share the first numbers with v: as many as were given, but at most `most`.
func partEnd(v Version, given, most int) Version {
	if given > most {
		given = most
	}
	switch given {
	case 1:
		return Version{Major: v.Major + 1}
	case 2:
		return Version{Major: v.Major, Minor: v.Minor + 1}
	}
	return Version{Major: v.Major, Minor: v.Minor, Patch: v.Patch + 1}
}

func caretEnd(v Version, given int) Version {
	switch {
	case v.Major > 0 || given == 1:
		return partEnd(v, 1, 3)
	case v.Minor > 0 || given == 2:
		return partEnd(v, 2, 3)
	}
	return partEnd(v, 3, 3)
}
