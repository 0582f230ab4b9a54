package result

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/capstan-bench/capstan/replay/capacity"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
)

// Problem is one thing in a result that doesn't hold.
type Problem struct {
	Place string // as a path within the directory or within result.json
	Text  string
}

// String reads "probes[3].judgements[0].verdict: got PASS, recomputed FAIL".
func (p Problem) String() string { return p.Place + ": " + p.Text }

// Verify checks the result in dir and says what in it does not hold; none means
// that it is sound. It compares every file with its hash, reads the samples of
// each probe, computes every verdict and the curve again from them, and holds
// the capacities against the verdicts. A directory whose files are not those of
// the manifest has one problem, which names the first. The error is not nil when
// the result could not be read far enough to be checked.
//
// Recomputed figures may differ by 1 part in 10⁹: processors round differently.
func Verify(dir string) ([]Problem, error) {
	if _, err := os.Stat(filepath.Join(dir, bundle.ManifestName)); err != nil {
		return nil, fmt.Errorf("verify result: %w", err)
	}
	b, err := bundle.Open(dir, Kind)
	if err != nil {
		return []Problem{{bundle.ManifestName, err.Error()}}, nil
	}
	if problems := hashes(b); len(problems) > 0 {
		// A file that was changed would only yield false trails.
		return problems, nil
	}
	r, err := Open(dir)
	if err != nil {
		return nil, fmt.Errorf("verify result: %w", err)
	}
	problems := append(r.verifyFiles(b), r.verifyProbes()...)
	problems = append(problems, r.verifyCurve()...)
	return append(problems, r.verifyAnswers()...), nil
}

// VerifyPartial checks what an interrupted search left in dir as Verify checks a
// result, except that there are no hashes and no capacities.
func VerifyPartial(dir string) ([]Problem, error) {
	r, err := OpenPartial(dir)
	if err != nil {
		return nil, fmt.Errorf("verify result: %w", err)
	}
	return r.verifyProbes(), nil
}

// hashes holds every listed file against the manifest, one problem a file.
func hashes(b *bundle.Bundle) []Problem {
	err := b.Verify()
	if err == nil {
		return nil
	}
	errs := []error{err}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		errs = joined.Unwrap()
	}
	var problems []Problem
	for _, e := range errs {
		problems = append(problems, Problem{bundle.ManifestName, e.Error()})
	}
	return problems
}

func (r *Result) verifyProbes() []Problem {
	var problems []Problem
	for i, rec := range r.Search.Probes {
		samples, err := r.Samples(i)
		if err != nil {
			problems = append(problems, Problem{samplesName(i), err.Error()})
			continue
		}
		problems = append(problems, verifySamples(rec, samples)...)
		w := window(rec, samples)
		problems = append(problems, r.verifyRecord(rec, w)...)
		problems = append(problems, r.verifyPoint(w)...)
	}
	return problems
}

// verifySamples makes sure that samples are of this probe and its window. It
// names the first that's not: one cause makes many.
func verifySamples(rec capacity.ProbeRecord, samples []schema.Sample) []Problem {
	for i, s := range samples {
		place := fmt.Sprintf("%s: row %d", samplesName(rec.Ask.Index), i)
		due := time.Duration(s.DueUS) * time.Microsecond
		switch {
		case int(s.Probe) != rec.Ask.Index || int(s.Level) != rec.Ask.Level:
			return []Problem{{place, fmt.Sprintf("got probe %d at level %d, want probe %d at level %d", s.Probe, s.Level, rec.Ask.Index, rec.Ask.Level)}}
		case s.Role != schema.RoleMeasured:
			return []Problem{{place, fmt.Sprintf("got role %q, want %q", s.Role, schema.RoleMeasured)}}
		case due < rec.From.Truncate(time.Microsecond) || due >= rec.To:
			return []Problem{{place, fmt.Sprintf("due at %v, want within the window from %v to %v", due, rec.From, rec.To)}}
		}
	}
	return nil
}

// verifyRecord computes the verdicts of one probe again.
func (r *Result) verifyRecord(rec capacity.ProbeRecord, w capacity.Window) []Problem {
	place := fmt.Sprintf("probes[%d]", rec.Ask.Index)
	problems := verifyCounts(place, rec, w)
	if text := r.misplaced(rec); text != "" {
		problems = append(problems, Problem{place, text})
	}
	if !slices.Equal(tiersOf(rec.Judgements), r.tiers()) {
		problems = append(problems, Problem{place + ".judgements", fmt.Sprintf("got %s, want one for each tier in order: %s", brief(tiersOf(rec.Judgements)), brief(r.tiers()))})
	}
	for i, j := range rec.Judgements {
		problems = append(problems, differ(fmt.Sprintf("%s.judgements[%d]", place, i), j, capacity.Judge(j.SLO, w))...)
	}
	return problems
}

// verifyPoint computes the curve's point of one probe again.
func (r *Result) verifyPoint(w capacity.Window) []Problem {
	i := slices.IndexFunc(r.Search.Curve, func(p capacity.Point) bool { return p.Probe == w.Ask.Index })
	if i < 0 {
		return nil // see verifyCurve
	}
	return differ(fmt.Sprintf("curve[%d]", i), r.Search.Curve[i], capacity.PointOf(w))
}

// verifyAnswers holds each capacity against the verdicts on its tier.
func (r *Result) verifyAnswers() []Problem {
	var problems []Problem
	if len(r.Search.Answers) != len(r.Run.Tiers) {
		problems = append(problems, Problem{"answers", fmt.Sprintf("got %d, want one for each of the %d tiers", len(r.Search.Answers), len(r.Run.Tiers))})
	}
	if r.Search.Horizon <= 0 {
		problems = append(problems, Problem{"horizon_ns", fmt.Sprintf("got %v, want more than 0", r.Search.Horizon)})
	}
	for i, a := range r.Search.Answers {
		place := fmt.Sprintf("answers[%d]", i)
		if tiers := r.tiers(); i < len(tiers) && a.SLO.String() != tiers[i] {
			problems = append(problems, Problem{place + ".slo", fmt.Sprintf("got %s, want the tier %s", a.SLO, tiers[i])})
		}
		for _, text := range r.verifyAnswer(a) {
			problems = append(problems, Problem{place, text})
		}
	}
	return problems
}

func (r *Result) verifyAnswer(a capacity.Answer) []string {
	probes := r.Search.Probes
	var wrong []string
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	if a.Lo != a.L || a.Hi != max(0, a.U-1) || a.L < 0 || a.U < 0 || a.U > 0 && a.L >= a.U {
		say("got l %d, u %d, lo %d and hi %d, want lo = l < u and hi = u-1", a.L, a.U, a.Lo, a.Hi)
	}
	if a.U > 0 && !(a.Point >= float64(a.L) && a.Point <= float64(a.U)) || a.U == 0 && a.Point != float64(a.L) {
		say("got point %v, want it within l %d and u %d", a.Point, a.L, a.U)
	}
	wrong = append(wrong, verifyBounds(a, probes)...)
	for _, i := range a.Confirms {
		if !r.confirms(a, i) {
			say("probe %d is named as a confirmation, but did not PASS level %d over the horizon in phase confirm", i, a.L)
		}
	}
	if a.Confirmed != (len(a.Confirms) > 0) {
		say("got confirmed %v with %d confirmations", a.Confirmed, len(a.Confirms))
	}
	return wrong
}

func (r *Result) confirms(a capacity.Answer, i int) bool {
	if i < 0 || i >= len(r.Search.Probes) {
		return false
	}
	p := r.Search.Probes[i]
	if p.Ask.Level != a.L || p.Phase != capacity.Confirm || p.To-p.From < r.Search.Horizon {
		return false
	}
	v, ok := verdictOn(a.SLO, p)
	return ok && v == capacity.Pass
}

// verdictOn is a probe's verdict on a tier; false when it counts for none.
func verdictOn(slo capacity.SLO, p capacity.ProbeRecord) (capacity.Verdict, bool) {
	if interrupted(p) {
		return "", false
	}
	for _, j := range p.Judgements {
		if j.SLO.String() == slo.String() {
			return j.Verdict, true
		}
	}
	return "", false
}
