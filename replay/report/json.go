package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/replay/cost"
	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/replay/stat"
)

// JSONVersion is that of the document JSON writes. Fields may be added under one
// major version, never renamed.
const JSONVersion = "1.0.0"

type jsonReport struct {
	Format   string       `json:"format"` // "capstan report"
	Version  string       `json:"version"`
	Results  []jsonResult `json:"results"`
	Warnings []string     `json:"warnings"`
}

type jsonResult struct {
	System     cost.System            `json:"system"`
	Run        result.Run             `json:"run"`
	Partial    bool                   `json:"partial"`
	Capacities []jsonCapacity         `json:"capacities"`
	Curve      []capacity.Point       `json:"curve"`
	Probes     []capacity.ProbeRecord `json:"probes"`
	Warnings   []string               `json:"warnings"`
}

type jsonCapacity struct {
	SLO       string              `json:"slo"`
	Agents    stat.Estimate       `json:"agents"`
	L         int                 `json:"l"`
	U         int                 `json:"u"` // 0: no level failed
	Confirmed bool                `json:"confirmed"`
	Calls     int                 `json:"calls"`
	Duty      *float64            `json:"duty"`
	Units     map[string]jsonUnit `json:"units"`
	Warnings  []string            `json:"warnings"`
}

type jsonUnit struct {
	Value        *stat.Estimate `json:"value"` // null: see absent
	Absent       string         `json:"absent,omitempty"`
	Note         string         `json:"note,omitempty"`
	Extrapolated bool           `json:"extrapolated,omitempty"`
}

// JSON prints what Text prints and every probe besides. An interval's end that is
// not known is null. It is a *KeyError if the keys of results differ.
func JSON(w io.Writer, results ...*result.Result) error {
	if err := check(results); err != nil {
		return err
	}
	doc := jsonReport{Format: "capstan report", Version: JSONVersion, Warnings: []string{}}
	if s := mixedPower(results); s != "" {
		doc.Warnings = append(doc.Warnings, s)
	}
	for _, r := range results {
		doc.Results = append(doc.Results, newJSONResult(r))
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func newJSONResult(r *result.Result) jsonResult {
	j := jsonResult{
		System: r.System, Run: r.Run, Partial: r.Partial,
		Capacities: []jsonCapacity{}, Curve: list(r.Search.Curve), Probes: list(r.Search.Probes), Warnings: list(r.Search.Warnings),
	}
	for i, a := range answers(r.Search) {
		w := newRow(i, r, a)
		c := jsonCapacity{
			SLO: a.SLO.String(), Agents: w.agents(), L: a.L, U: a.U, Confirmed: a.Confirmed,
			Calls: w.Calls, Units: map[string]jsonUnit{}, Warnings: list(w.Notes),
		}
		if !math.IsNaN(w.Duty) {
			c.Duty = &w.Duty
		}
		for _, col := range columns {
			u := col.of(w.Units)
			c.Units[col.JSON] = jsonUnit{Value: u.Value, Absent: u.Absent, Note: u.Note, Extrapolated: u.Extrapolated}
		}
		j.Capacities = append(j.Capacities, c)
	}
	return j
}

// list is never null in JSON.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
