package datasets

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
	"github.com/capstan-bench/capstan/schema/fold"
)

// maxProblems is how many problems a Report lists.
const maxProblems = 100

// Problem is one thing that is wrong with a dataset.
type Problem struct {
	Place string `json:"place"` // file, or session and row
	Text  string `json:"text"`
}

// Report is what Verify found. The dataset is good if OK says so.
type Report struct {
	Hash         string    `json:"hash"` // of the dataset, see Dataset.Hash
	Sessions     int       `json:"sessions"`
	Calls        int       `json:"calls"`
	Bodies       int       `json:"bodies"`        // request bodies that were rebuilt and have the recorded hash
	LogicalBytes int64     `json:"logical_bytes"` // of those bodies
	StoredBytes  int64     `json:"stored_bytes"`  // of the tables on disk
	Problems     []Problem `json:"problems"`      // the first 100
	More         int       `json:"more_problems"` // beyond those
}

// OK reports whether there is no problem.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

// Text writes the report for people: what was read, as far as that went, and
// what is wrong.
func (r *Report) Text(w io.Writer) error {
	var err error
	say := func(format string, args ...any) {
		_, werr := fmt.Fprintf(w, format, args...)
		err = errors.Join(err, werr)
	}
	if r.Hash != "" {
		say("dataset   %s\n", r.Hash)
	}
	if r.Sessions > 0 {
		say("sessions  %d\ncalls     %d\n", r.Sessions, r.Calls)
		if r.Bodies > 0 || !r.OK() {
			say("bodies    %d rebuilt, each with the hash it was stored under\nbytes     %d of request bodies from %d on disk\n",
				r.Bodies, r.LogicalBytes, r.StoredBytes)
		} else {
			say("bodies    none to rebuild: the sessions were recorded without\nbytes     %d on disk\n", r.StoredBytes)
		}
	}
	for _, p := range r.Problems {
		say("problem   %s: %s\n", p.Place, p.Text)
	}
	if r.More > 0 {
		say("problem   … and %d more\n", r.More)
	}
	return err
}

func (r *Report) fail(place, text string) {
	if len(r.Problems) >= maxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, Problem{place, text})
}

// Verify examines the dataset in dir from the outside in: the files against the
// manifest by name, size and hash; then, only if those agree, every table, every
// row, the sessions as [Check] has it, the content of every blob against its
// hash, and every request body, rebuilt, against its recorded hash and length.
//
// What is wrong stands in the report. The error is not nil only if dir cannot
// be looked at at all.
func Verify(dir string) (Report, error) {
	var r Report
	if _, err := os.Stat(dir); err != nil {
		return r, fmt.Errorf("verify dataset: %w", err)
	}
	d, err := Open(dir)
	if err != nil {
		r.fail(dir, err.Error())
		return r, nil
	}
	r.Hash, r.StoredBytes = d.Hash(), d.StoredBytes()
	if err := d.bundle.Verify(); err != nil {
		for _, err := range split(err) {
			r.fail(dir, err.Error())
		}
		return r, nil
	}
	v := verifier{dataset: d, report: &r, used: make(map[[32]byte]bool)}
	v.tables()
	return r, nil
}

// split undoes errors.Join.
func split(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

type verifier struct {
	dataset *Dataset
	report  *Report
	used    map[[32]byte]bool // blobs that a session names
	rows    map[string]int64  // of the tables read
	body    []byte
}

func (v *verifier) tables() {
	v.rows = make(map[string]int64)
	count := func(table string, rows int64) { v.rows[table] = rows }
	for s, err := range v.dataset.sessions(count, nil) {
		if err != nil {
			v.report.fail(v.dataset.Dir(), err.Error())
			return
		}
		v.session(s)
	}
	if v.blobs() {
		v.counts()
	}
}

func (v *verifier) session(s *schema.Session) {
	v.report.Sessions++
	v.report.Calls += len(s.Calls)
	fail := func(place, text string) { v.report.fail(fmt.Sprintf("session %q %s", s.ID, place), text) }
	sound := true
	check(s, func(place, text string) {
		sound = false
		fail(place, text)
	})
	v.content(s, fail)
	if !sound {
		return
	}
	for i := range s.Calls {
		c := &s.Calls[i]
		if c.RequestBodySHA256 == nil {
			continue
		}
		if err := v.rebuild(s, c); err != nil {
			fail(placeOf(c.TrajectoryID, c.CallIndex), err.Error())
		}
	}
}

// content compares the blobs of a session with their hashes. Only the full tier
// hashes content plainly: other tiers use keys that nobody has.
func (v *verifier) content(s *schema.Session, fail func(place, text string)) {
	full := true
	for i := range s.Trajectories {
		full = full && s.Trajectories[i].ContentTier == schema.TierFull
	}
	for sum := range uses(s) {
		k := keyOf(sum)
		b, ok := s.Blobs[sum]
		if v.used[k] || !ok {
			continue
		}
		v.used[k] = true
		if full && b.Content != nil && hexSum([]byte(*b.Content)) != sum {
			fail("blob "+sum, "its content has another hash")
		}
	}
}

func (v *verifier) rebuild(s *schema.Session, c *schema.Call) error {
	var err error
	if v.body, err = fold.Body(v.body[:0], s, c); err != nil {
		return err
	}
	if got := hexSum(v.body); got != *c.RequestBodySHA256 {
		return fmt.Errorf("the rebuilt request body has the hash %s, recorded is %s", got, *c.RequestBodySHA256)
	}
	v.report.Bodies++
	v.report.LogicalBytes += int64(len(v.body))
	return nil
}

// blobs checks that every blob is used and comes once. It reports whether the
// table could be read.
func (v *verifier) blobs() bool {
	type blobRow struct {
		ContentSHA256 string `parquet:"content_sha256"`
	}
	seen := make(map[[32]byte]bool)
	for row, err := range rowsOf[blobRow](v.dataset.bundle, schema.TableBlobs) {
		if err != nil {
			v.report.fail(v.dataset.Dir(), err.Error())
			return false
		}
		k := keyOf(row.ContentSHA256)
		switch {
		case seen[k]:
			v.report.fail("blob "+row.ContentSHA256, "it is stored twice")
		case !v.used[k]:
			v.report.fail("blob "+row.ContentSHA256, "no session uses it")
		}
		seen[k] = true
		v.rows[schema.TableBlobs.Name]++
	}
	return true
}

// counts compares the rows with what the manifest says of the files.
func (v *verifier) counts() {
	m := v.dataset.Manifest()
	for _, t := range schema.Tables() {
		var want int64
		for _, f := range v.dataset.bundle.Files(t.Dir) {
			want += f.Rows
		}
		if got := v.rows[t.Name]; got != want {
			v.report.fail("table "+t.Name, fmt.Sprintf("it has %d rows, %s says %d", got, bundle.ManifestName, want))
		}
	}
	v.attribute(m, AttributeSessions, v.report.Sessions)
	v.attribute(m, AttributeCalls, v.report.Calls)
}

func (v *verifier) attribute(m *bundle.Manifest, key string, got int) {
	if want, ok := m.Attributes[key]; ok && want != strconv.Itoa(got) {
		v.report.fail(bundle.ManifestName, fmt.Sprintf("it says %s %s, the tables have %d", shown(want), key, got))
	}
}

// shown is text out of a manifest as problems print it: quoted where it could
// break the line or the terminal.
func shown(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
