package cost

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxManifest bounds the size of a manifest: results of strangers are read too.
const maxManifest = 1 << 20

// ParseSystem reads the system manifest text (YAML, so JSON too) and checks it.
// The name of the file begins every error, which is one line and names each
// wrong field by its path, what it holds and what is expected:
//
//	system.yaml: accelerators.count: got 0, want an integer of at least 1
//
// A date of a price must not lie after today; a zero today leaves dates unchecked
// (a result keeps its manifest, and was written on another day).
func ParseSystem(name string, text []byte, today time.Time) (System, error) {
	v, err := decode(text)
	if err != nil {
		return System{}, fmt.Errorf("%s: %w", name, err)
	}
	if wrong := check(v); len(wrong) > 0 {
		return System{}, fmt.Errorf("%s: %s", name, strings.Join(wrong, "; "))
	}
	s, err := fill(v)
	if err != nil {
		return System{}, fmt.Errorf("%s: %w", name, err)
	}
	if wrong := s.contradictions(today); len(wrong) > 0 {
		return System{}, fmt.Errorf("%s: %s", name, strings.Join(wrong, "; "))
	}
	return s, nil
}

// decode turns YAML into the values that JSON has.
func decode(text []byte) (v any, err error) {
	if len(text) > maxManifest {
		return nil, fmt.Errorf("got %d bytes, want at most %d", len(text), maxManifest)
	}
	if err := CheckNesting(text); err != nil {
		return nil, err
	}
	defer func() { // the text may be anything, and the reader is not ours
		if r := recover(); r != nil {
			err = fmt.Errorf("read YAML: %s", oneLine(fmt.Sprint(r)))
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, fmt.Errorf("read YAML: %s", oneLine(err.Error()))
	}
	if len(file.Docs) == 1 && file.Docs[0].Body == nil {
		return nil, errors.New("nothing is in it, want a YAML document that describes a system")
	}
	if len(file.Docs) != 1 {
		return nil, fmt.Errorf("got %d YAML documents, want one that describes a system", len(file.Docs))
	}
	if err := refuseAliases(file.Docs[0].Body); err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(text, &v); err != nil {
		return nil, fmt.Errorf("read YAML: %s", oneLine(err.Error()))
	}
	return v, nil
}

// refuseAliases keeps out references, which could unfold a small text without end.
func refuseAliases(body ast.Node) error {
	for _, t := range []ast.NodeType{ast.AliasType, ast.AnchorType, ast.MergeKeyType} {
		if found := ast.Filter(t, body); len(found) > 0 {
			return fmt.Errorf("line %d: got a YAML %s, want it written out", found[0].GetToken().Position.Line, strings.ToLower(t.String()))
		}
	}
	return nil
}

// oneLine keeps the first line of a message that draws the text below it.
func oneLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

// fill puts checked values into their fields.
func fill(v any) (System, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return System{}, fmt.Errorf("encode manifest: %w", err)
	}
	var s System
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return System{}, fmt.Errorf("decode manifest: %w", err)
	}
	return s, nil
}

// Validate reports the first value that a manifest could not hold. A System that
// came from ParseSystem is valid.
func (s *System) Validate() error {
	text, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("decode manifest: %w", err)
	}
	wrong := append(check(v), s.contradictions(time.Time{})...)
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

// contradictions are what a schema cannot see in a manifest.
func (s *System) contradictions(today time.Time) []string {
	var wrong []string
	if s.Price != nil && s.Owned != nil {
		wrong = append(wrong, "owned: stands beside price, want one of the two")
	}
	if s.Owned != nil && s.Power == nil {
		wrong = append(wrong, "power: missing, want the power that owned pays electricity for")
	}
	if s.Price != nil {
		wrong = append(wrong, checkDate("price.date", s.Price.Date, today)...)
	}
	if s.Owned != nil {
		wrong = append(wrong, checkDate("owned.date", s.Owned.Date, today)...)
	}
	if usd, ok := s.USDPerHour(); ok && (math.IsInf(usd, 0) || usd <= 0) {
		wrong = append(wrong, fmt.Sprintf("owned: comes to %v $/h, want a price that can be divided by", usd))
	}
	return wrong
}

// checkDate refuses a day that does not exist, or that has begun nowhere on
// earth: local dates run up to 14 hours ahead.
func checkDate(path, date string, today time.Time) []string {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return []string{fmt.Sprintf("%s: got %q, want a day that exists, as YYYY-MM-DD", path, date)}
	}
	if !today.IsZero() && day.After(today.UTC().Add(14*time.Hour)) {
		return []string{fmt.Sprintf("%s: got %s, want a day not after %s", path, date, today.UTC().Format(time.DateOnly))}
	}
	return nil
}
