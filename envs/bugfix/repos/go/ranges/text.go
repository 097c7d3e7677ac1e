package ranges

import (
	"fmt"
	"strconv"
	"strings"
)

// String is the text form: "1-5,9", negative numbers in parentheses where they end a range: "-3-(-1)". The empty set is "".
func (s Set) String() string {
	parts := make([]string, len(s.ranges))
	for i, r := range s.ranges {
		parts[i] = r.String()
	}
	return strings.Join(parts, ",")
}

// String is a number alone, or both ends with a hyphen between.
func (r Range) String() string {
	switch {
	case r.Low == r.High:
		return strconv.Itoa(r.Low)
	case r.High < 0:
		return fmt.Sprintf("%d-(%d)", r.Low, r.High)
	default:
		return fmt.Sprintf("%d-%d", r.Low, r.High)
	}
}

// Parse reads the text form; blanks around numbers and commas are allowed, and ranges may come in any order and overlap.
func Parse(text string) (Set, error) {
	if strings.TrimSpace(text) == "" {
		return Set{}, nil
	}
	var parts []Range
	for _, item := range strings.Split(text, ",") {
		r, err := parseRange(strings.TrimSpace(item))
		if err != nil {
			return Set{}, err
		}
		parts = append(parts, r)
	}
	return New(parts...), nil
}

func parseRange(text string) (Range, error) {
	lowText, highText := text, text
	// The first character may be a sign, so the hyphen is looked for behind it.
	if len(text) > 1 {
		if i := strings.IndexByte(text[1:], '-'); i >= 0 {
			lowText, highText = text[:i+1], text[i+2:]
		}
	}
	low, err := parseNumber(lowText)
	if err != nil {
		return Range{}, err
	}
	high, err := parseNumber(highText)
	if err != nil {
		return Range{}, err
	}
	if high < low {
		return Range{}, fmt.Errorf("ranges: %q is backwards", text)
	}
	return Range{low, high}, nil
}

func parseNumber(text string) (int, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "(") && strings.HasSuffix(text, ")") {
		text = text[1 : len(text)-1]
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("ranges: %q is not a number", text)
	}
	return n, nil
}
