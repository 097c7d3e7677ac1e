package semver

import (
	"fmt"
	"sort"
)

// Package is one version of a named package, with what it needs: constraints by name.
type Package struct {
	Name    string
	Version Version
	Needs   map[string]Constraint
}

// Registry holds the known packages by name, the newest first.
type Registry map[string][]Package

// Add puts a package into the registry; needs are texts of constraints by name.
func (r Registry) Add(name, version string, needs map[string]string) error {
	v, err := Parse(version)
	if err != nil {
		return err
	}
	made := Package{Name: name, Version: v, Needs: map[string]Constraint{}}
	for other, text := range needs {
		if made.Needs[other], err = ParseConstraint(text); err != nil {
			return fmt.Errorf("%s %s needs %s: %w", name, version, other, err)
		}
	}
	all := append(r[name], made)
	sort.SliceStable(all, func(i, j int) bool { return all[i].Version.Compare(all[j].Version) > 0 })
	r[name] = all
	return nil
}

// Resolve selects one version of every package that is wanted or needed, so that all constraints hold: of the packages in
// the order of their names the newest that works. It returns an error where nothing works.
func (r Registry) Resolve(wanted map[string]string) (map[string]Version, error) {
	root := Package{Needs: map[string]Constraint{}}
	for name, text := range wanted {
		constraint, err := ParseConstraint(text)
		if err != nil {
			return nil, err
		}
		root.Needs[name] = constraint
	}
	chosen, ok := r.choose([]Package{root})
	if !ok {
		return nil, fmt.Errorf("no versions satisfy all constraints")
	}
	result := map[string]Version{}
	for _, p := range chosen[1:] {
		result[p.Name] = p.Version
	}
	return result, nil
}

func (r Registry) choose(chosen []Package) ([]Package, bool) {
	name, open := nextOpen(chosen)
	if !open {
		return chosen, true
	}
	for _, candidate := range r[name] {
		if !fits(candidate, chosen) {
			continue
		}
		next := append(append([]Package{}, chosen...), candidate)
		if found, ok := r.choose(next); ok {
			return found, true
		}
	}
	return nil, false
}

// The first name that is needed and not chosen.
func nextOpen(chosen []Package) (string, bool) {
	have := map[string]bool{}
	for _, p := range chosen {
		have[p.Name] = true
	}
	var open []string
	for _, p := range chosen {
		for name := range p.Needs {
			if !have[name] {
				open = append(open, name)
			}
		}
	}
	if len(open) == 0 {
		return "", false
	}
	sort.Strings(open)
	return open[0], true
}

// Whether a candidate is allowed by all that is chosen, and allows it.
func fits(candidate Package, chosen []Package) bool {
	for _, p := range chosen {
		if need, ok := p.Needs[candidate.Name]; ok && !need.Allows(candidate.Version) {
			return false
		}
		if need, ok := candidate.Needs[p.Name]; ok && !need.Allows(p.Version) {
			return false
		}
	}
	return true
}
