package datasets_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/bundle"
)

// TestVerifyDamage damages every file of a dataset after the fact, and its
// manifest.
func TestVerifyDamage(t *testing.T) {
	base := create(t, session(t, "a", "x"), session(t, "b", "y"))
	f := func(file, damage, want string, do func([]byte) []byte) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "dataset")
		if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(file))
		sound, _ := os.ReadFile(path) // one case adds a file
		if b := do(sound); b == nil {
			os.Remove(path)
		} else if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		r, err := datasets.Verify(dir)
		if err != nil {
			t.Fatal(err)
		}
		if r.OK() || !strings.Contains(r.Problems[0].Text, want) {
			t.Errorf("%s %s: %+v, want a problem with %q", file, damage, r.Problems, want)
		}
		if r.Sessions > 0 {
			t.Errorf("%s %s: a file with the wrong hash was parsed", file, damage)
		}
	}
	flip := func(at func(n int) int) func([]byte) []byte {
		return func(b []byte) []byte { b[at(len(b))] ^= 0x10; return b }
	}
	for _, file := range files(t, base) {
		f(file, "flipped at its start", "was changed", flip(func(n int) int { return 0 }))
		f(file, "flipped in the middle", "was changed", flip(func(n int) int { return n / 2 }))
		f(file, "flipped at its end", "was changed", flip(func(n int) int { return n - 1 }))
		f(file, "cut", "bytes, want", func(b []byte) []byte { return b[:len(b)-1] })
		f(file, "emptied", "got 0 bytes, want", func([]byte) []byte { return []byte{} })
		f(file, "longer", "bytes, want", func(b []byte) []byte { return append(b, 0) })
		f(file, "removed", "is missing", func([]byte) []byte { return nil })
	}
	f("manifest.json", "removed", "manifest.json is missing", func([]byte) []byte { return nil })
	f("manifest.json", "cut", "cut off", func(b []byte) []byte { return b[:len(b)/2] })
	f("manifest.json", "of another kind", "it holds a result", replace(`"kind": "dataset"`, `"kind": "result"`))
	f("manifest.json", "of the future", "reads version 1.x.x", replace(`"schema_version": "1`, `"schema_version": "9`))
	f("data/calls/part-00001.parquet", "added", "is not in manifest.json", func([]byte) []byte { return []byte("x") })
}

func replace(from, to string) func([]byte) []byte {
	return func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), from, to)) }
}

// TestVerifyContent has true manifests and wrong tables.
func TestVerifyContent(t *testing.T) {
	f := func(want string, damage func(*rows)) {
		t.Helper()
		r := rowsOf(session(t, "a", "x"), session(t, "b", "y"))
		r.attributes = map[string]string{datasets.AttributeSessions: "2", datasets.AttributeCalls: "8"}
		damage(r)
		report, err := datasets.Verify(r.write(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Problems {
			if strings.Contains(p.Place+": "+p.Text, want) {
				return
			}
		}
		t.Errorf("Problems = %+v, want one with %q", report.Problems, want)
	}
	if r, err := datasets.Verify(rowsOf(session(t, "a", "x"), session(t, "b", "y")).write(t)); err != nil || !r.OK() || r.Bodies != 8 {
		t.Fatalf("Verify of sound tables = %+v, %v", r, err)
	}
	other := func(text string) (string, *string) {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:]), &text
	}
	wrong, _ := other("wrong")

	f(`session "a" trajectory "root" call 1: the rebuilt request body has the hash`, func(r *rows) { r.calls[1].RequestBodySHA256 = &wrong })
	f("want the recorded", func(r *rows) { *r.calls[1].RequestBodyBytes++ })
	f("is longer than the recorded", func(r *rows) { *r.calls[1].RequestBodyBytes = 3 })
	f("request_body_bytes is 1099511627776", func(r *rows) { *r.calls[1].RequestBodyBytes = 1 << 40 })
	f("its content has another hash", func(r *rows) {
		b := &r.blobs[1]
		b.Content = ptr(strings.Repeat("x", int(b.ContentBytes)))
	})
	f("its content was withheld", func(r *rows) { r.blobs[1].Content = nil })
	f("is missing", func(r *rows) { r.blobs = append(r.blobs[:1:1], r.blobs[2:]...) })
	f("it is stored twice", func(r *rows) { r.blobs = append(r.blobs, r.blobs[1]) })
	f("no session uses it", func(r *rows) {
		b := r.blobs[1]
		b.ContentSHA256, b.Content = other("nobody")
		b.ContentBytes = int64(len(*b.Content))
		r.blobs = append(r.blobs, b)
	})
	f("manifest.json: it says 3 sessions, the tables have 2", func(r *rows) { r.attributes[datasets.AttributeSessions] = "3" })
	f("manifest.json: it says many calls, the tables have 8", func(r *rows) { r.attributes[datasets.AttributeCalls] = "many" })
	f(`manifest.json: it says "1\n2" sessions`, func(r *rows) { r.attributes[datasets.AttributeSessions] = "1\n2" })
	f("output_end_item 99", func(r *rows) { r.calls[2].OutputEndItem = ptr(int32(99)) })
	f(`session "b" trajectory "root" call 0: it waits for`, func(r *rows) {
		r.calls[4].After = []schema.After{{TrajectoryID: "root", CallIndex: 2, Point: schema.PointDone}}
	})
}

// TestVerifyKeepsOn lists problems of several sessions, up to a bound.
func TestVerifyKeepsOn(t *testing.T) {
	var sessions []*schema.Session
	for i := range 40 {
		sessions = append(sessions, session(t, fmt.Sprint("s", i), "x"))
	}
	r := rowsOf(sessions...)
	for i := range r.calls {
		r.calls[i].RequestBodySHA256 = ptr(strings.Repeat("0", 64))
	}
	report, err := datasets.Verify(r.write(t))
	if err != nil {
		t.Fatal(err)
	}
	if report.Sessions != 40 || report.Bodies != 0 || len(report.Problems) != 100 || report.More != 60 {
		t.Errorf("%d sessions, %d bodies, %d problems and %d more, want 40, 0, 100 and 60", report.Sessions, report.Bodies, len(report.Problems), report.More)
	}
	var text strings.Builder
	if err := report.Text(&text); err != nil || !strings.Contains(text.String(), "and 60 more") {
		t.Errorf("Text = %q, %v", text.String(), err)
	}
}

// TestVerifyRows compares the number of rows with the manifest's, which the hash
// of a file says nothing about.
func TestVerifyRows(t *testing.T) {
	dir := create(t, session(t, "a", "x"))
	reseal(t, dir, func(m *bundle.Manifest) { m.Files[0].Rows++ })
	r, err := datasets.Verify(dir)
	if err != nil || r.OK() || !strings.Contains(r.Problems[0].Text, "manifest.json says") {
		t.Errorf("Verify = %+v, %v", r, err)
	}
}

// reseal makes the manifest true again, then changes it.
func reseal(t testing.TB, dir string, change func(*bundle.Manifest)) {
	t.Helper()
	path := filepath.Join(dir, bundle.ManifestName)
	var m bundle.Manifest
	if err := json.Unmarshal(read(t, path), &m); err != nil {
		t.Fatal(err)
	}
	for i := range m.Files {
		b := read(t, dir, filepath.FromSlash(m.Files[i].Path))
		sum := sha256.Sum256(b)
		m.Files[i].Bytes, m.Files[i].SHA256 = int64(len(b)), hex.EncodeToString(sum[:])
	}
	change(&m)
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyHostile flips bits of every table and makes the manifest true again,
// so that nothing but the readers' own care stands before the damage. Verify must
// come back; what it says is its own affair, but a body that it counts was
// compared with a hash.
func TestVerifyHostile(t *testing.T) {
	base := create(t, session(t, "a", "x"), session(t, "b", "y"))
	dir := filepath.Join(t.TempDir(), "dataset")
	if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	flips := 10
	if testing.Short() {
		flips = 3
	}
	found, tried := 0, 0
	for _, file := range files(t, base) {
		path := filepath.Join(dir, filepath.FromSlash(file))
		sound := read(t, path)
		for range flips {
			b := append([]byte(nil), sound...)
			b[random.IntN(len(b))] ^= 1 << random.IntN(8)
			if err := os.WriteFile(path, b, 0o666); err != nil {
				t.Fatal(err)
			}
			reseal(t, dir, func(*bundle.Manifest) {})
			r, err := datasets.Verify(dir)
			if err != nil {
				t.Fatal(err)
			}
			if tried++; !r.OK() {
				found++
			}
		}
		if err := os.WriteFile(path, sound, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if found < tried/2 {
		t.Errorf("%d of %d damaged datasets were found out", found, tried)
	}
}

func TestVerifyNothing(t *testing.T) {
	if _, err := datasets.Verify(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("Verify takes a folder that is not there")
	}
	if r, err := datasets.Verify(t.TempDir()); err != nil || r.OK() {
		t.Errorf("Verify of an empty folder = %+v, %v", r, err)
	}
}
