// Package semver orders and selects semantic versions.
package semver

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is a semantic version; Pre are its pre-release identifiers, Build its metadata, which has no order.
type Version struct {
	Major, Minor, Patch int
	Pre                 []string
	Build               string
}

// Parse reads a version such as "1.2.3-rc.1+linux"; a leading "v" is allowed, leading zeros are not.
func Parse(text string) (Version, error) {
	rest, build, hasBuild := strings.Cut(strings.TrimPrefix(text, "v"), "+")
	core, pre, hasPre := strings.Cut(rest, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return Version{}, fmt.Errorf("version %q has %d numbers, not 3", text, len(parts))
	}
	var numbers [3]int
	for i, part := range parts {
		n, ok := number(part)
		if !ok {
			return Version{}, fmt.Errorf("version %q: %q is no number", text, part)
		}
		numbers[i] = n
	}
	version := Version{Major: numbers[0], Minor: numbers[1], Patch: numbers[2], Build: build}
	if hasBuild && !identifiers(build, false) {
		return Version{}, fmt.Errorf("version %q: bad build %q", text, build)
	}
	if hasPre {
		if !identifiers(pre, true) {
			return Version{}, fmt.Errorf("version %q: bad pre-release %q", text, pre)
		}
		version.Pre = strings.Split(pre, ".")
	}
	return version, nil
}

// String is the text that Parse reads, without "v".
func (v Version) String() string {
	text := fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch)
	if len(v.Pre) > 0 {
		text += "-" + strings.Join(v.Pre, ".")
	}
	if v.Build != "" {
		text += "+" + v.Build
	}
	return text
}

// Compare is negative, zero or positive as v comes before, with or after other; a pre-release comes before its release.
func (v Version) Compare(other Version) int {
	mine, theirs := v.numbers(), other.numbers()
	for i := range mine {
		if mine[i] != theirs[i] {
			return mine[i] - theirs[i]
		}
	}
	if len(v.Pre) == 0 || len(other.Pre) == 0 {
		return len(other.Pre) - len(v.Pre)
	}
	for i := 0; i < len(v.Pre) && i < len(other.Pre); i++ {
		if order := compareIdentifiers(v.Pre[i], other.Pre[i]); order != 0 {
			return order
		}
	}
	return len(v.Pre) - len(other.Pre)
}

// Bump is the next release at a level: "major", "minor" or "patch". A pre-release of that release becomes it.
func (v Version) Bump(level string) (Version, error) {
	pre := len(v.Pre) > 0
	switch level {
	case "major":
		if pre && v.Minor == 0 && v.Patch == 0 {
			return Version{Major: v.Major}, nil
		}
		return Version{Major: v.Major + 1}, nil
	case "minor":
		if pre && v.Patch == 0 {
			return Version{Major: v.Major, Minor: v.Minor}, nil
		}
		return Version{Major: v.Major, Minor: v.Minor + 1}, nil
	case "patch":
		if pre {
			return Version{Major: v.Major, Minor: v.Minor, Patch: v.Patch}, nil
		}
		return Version{Major: v.Major, Minor: v.Minor, Patch: v.Patch + 1}, nil
	}
	return Version{}, fmt.Errorf("level %q is none of major, minor, patch", level)
}

func (v Version) numbers() [3]int { return [3]int{v.Major, v.Minor, v.Patch} }

// Numbers come before words; numbers are ordered by value, words by bytes.
func compareIdentifiers(a, b string) int {
	x, aIsNumber := number(a)
	y, bIsNumber := number(b)
	switch {
	case aIsNumber && bIsNumber:
		return x - y
	case aIsNumber:
		return -1
	case bIsNumber:
		return 1
	}
	return strings.Compare(a, b)
}

func number(text string) (int, bool) {
	if !digits(text) || len(text) > 9 || (len(text) > 1 && text[0] == '0') {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	return n, err == nil
}

func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// Whether a text is identifiers with dots between; in a pre-release numbers have no leading zero.
func identifiers(text string, pre bool) bool {
	for _, part := range strings.Split(text, ".") {
		if part == "" {
			return false
		}
		for _, c := range part {
			letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
			if !letter && c != '-' && (c < '0' || '9' < c) {
				return false
			}
		}
		if pre && digits(part) && len(part) > 1 && part[0] == '0' {
			return false
		}
	}
	return true
}
