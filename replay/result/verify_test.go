package result_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/replay/result"
	"github.com/capstan-bench/capstan/schema"
)

// relist makes the manifest agree with a changed file.
func relist(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	path := filepath.Join(dir, "manifest.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	for _, f := range m["files"].([]any) {
		if f := f.(map[string]any); f["path"] == name {
			f["bytes"], f["sha256"] = len(content), hex.EncodeToString(sum[:])
		}
	}
	if text, err = json.Marshal(m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
}

// What an honest search writes is sound, whatever it came upon: steep worlds and
// flat ones, quiet and noisy, calls cut off while they waited, tiers that nothing
// fails and that nothing meets.
func TestVerifyHonest(t *testing.T) {
	n := 0
	for _, in := range []world{{1, 0.01, 0}, {30, 0.6, 40}, {1e6, 0.3, 40}} {
		n++
		dir, found := written(t, in, uint64(n))
		problems, err := result.Verify(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%+v, %d probes: %v", in, len(found.Probes), p)
		}
	}
}

// Whoever changes a figure and the hashes with it is found out by the samples.
func TestVerifyFindsChanges(t *testing.T) {
	at := func(v any, path ...any) map[string]any {
		for _, p := range path {
			switch p := p.(type) {
			case string:
				v = v.(map[string]any)[p]
			case int:
				v = v.([]any)[p]
			}
		}
		return v.(map[string]any)
	}
	f := func(change func(search map[string]any), place, text string) {
		t.Helper()
		dir, _ := damaged(t)
		rewrite(t, dir, func(doc map[string]any) { change(at(doc, "search")) })
		problems, err := result.Verify(dir)
		if err != nil {
			t.Errorf("%s: %v", place, err)
			return
		}
		for _, p := range problems {
			if p.Place == place && strings.Contains(p.Text, text) {
				return
			}
		}
		t.Errorf("got problems %v, want one at %s that says %q", problems, place, text)
	}
	f(func(s map[string]any) { at(s, "probes", 0, "judgements", 0)["verdict"] = "FAIL" }, "probes[0].judgements[0].verdict", `got "FAIL", recomputed`)
	f(func(s map[string]any) { at(s, "probes", 1, "judgements", 1, "conds", 0, "estimate")["lo"] = 0.5 }, "probes[1].judgements[1].conds[0].estimate.lo", "got 0.5, recomputed")
	f(func(s map[string]any) { at(s, "probes", 2)["calls"] = 7 }, "probes[2].calls", "got 7")
	f(func(s map[string]any) { at(s, "probes", 2, "ask")["level"] = 5 }, "samples/probe-002.parquet: row 0", "at level 64, want")
	f(func(s map[string]any) { at(s, "probes", 0)["from_ns"] = 120e9 }, "samples/probe-000.parquet: row 0", "within the window")
	f(func(s map[string]any) { at(s, "probes", 0)["settled"] = false }, "probes[0].judgements[0].verdict", `recomputed "FAIL"`)
	f(func(s map[string]any) { at(s, "curve", 3, "speed_p25")["center"] = 99 }, "curve[3].speed_p25.center", "got 99, recomputed")
	f(func(s map[string]any) { a := at(s, "answers", 0); a["l"], a["lo"] = 3.0, 3.0 }, "answers[0]", "no probe that counts passed there")
	f(func(s map[string]any) { a := at(s, "answers", 0); a["l"], a["lo"], a["point"] = 16.0, 16.0, 16.0 }, "answers[0]", "l is 16, but level")
	f(func(s map[string]any) { a := at(s, "answers", 0); a["u"], a["hi"] = 0.0, 0.0 }, "answers[0]", "u is 0, but level")
	f(func(s map[string]any) { at(s, "answers", 0)["hi"] = 100000.0 }, "answers[0]", "want lo = l < u and hi = u-1")
	f(func(s map[string]any) { at(s, "answers", 1)["point"] = 1e6 }, "answers[1]", "got point 1e+06")
	f(func(s map[string]any) { at(s, "answers", 1)["confirms"] = []int{0} }, "answers[1]", "probe 0 is named as a confirmation")
	f(func(s map[string]any) { at(s, "answers", 1)["confirmed"] = false }, "answers[1]", "got confirmed false")
	f(func(s map[string]any) { s["answers"] = s["answers"].([]any)[:1] }, "answers", "got 1, want one for each of the 2 tiers")

	// A verdict that is not there, or does not count, is as good as a changed one.
	f(func(s map[string]any) {
		p := at(s, "probes", 0)
		p["judgements"] = p["judgements"].([]any)[1:]
	}, "probes[0].judgements", "want one for each tier in order")
	f(func(s map[string]any) {
		j := at(s, "probes", 0)["judgements"].([]any)
		j[0], j[1] = j[1], j[0]
	}, "probes[0].judgements", "want one for each tier in order")
	f(func(s map[string]any) { at(s, "probes", 1)["warnings"] = []string{"interrupted"} }, "probes[1]", "the search went on after it")
	f(func(s map[string]any) { at(s, "answers", 1)["slo"] = "p25(speed)>=20 & p95(ttft)<=10s" }, "answers[1].slo", "want the tier p25(speed)>=60")
	f(func(s map[string]any) {
		a := s["answers"].([]any)
		a[0], a[1] = a[1], a[0]
	}, "answers[0].slo", "want the tier p25(speed)>=20")
	f(func(s map[string]any) { at(s, "probes", 0)["phase"] = "confirm" }, "probes[0]", "its window could only grow to")
	f(func(s map[string]any) { at(s, "probes", 0)["phase"] = "x" }, "probes[0]", "want ramp, narrow or confirm")
	f(func(s map[string]any) { s["horizon_ns"] = -1 }, "horizon_ns", "want more than 0")
	f(func(s map[string]any) { s["horizon_ns"] = 1e16 }, "answers[1]", "did not PASS level")
	f(func(s map[string]any) { at(s, "probes", 0)["plays"] = 1e6 }, "probes[0].plays", "got 1000000")
	f(func(s map[string]any) { at(s, "probes", 0)["sessions"] = 1e6 }, "probes[0].sessions", "got 1000000")
	f(func(s map[string]any) { at(s, "probes", 0)["duty"] = 0.001 }, "probes[0].duty", "the samples alone make")
	f(func(s map[string]any) { s["curve"] = s["curve"].([]any)[1:] }, "curve", "one for each probe with calls")
	f(func(s map[string]any) { at(s, "curve", 0)["probe"] = 99 }, "curve", "the first that is not right is [0]")
	f(func(s map[string]any) {
		c := s["curve"].([]any)
		s["curve"] = append(c, c[0])
	}, "curve", "the first that is not right is")
	f(func(s map[string]any) {
		p := s["probes"].([]any)
		s["probes"] = p[:len(p)-1]
	}, "curve", "one for each probe with calls")
	f(func(s map[string]any) { s["probes"] = s["probes"].([]any)[:1] }, "samples/probe-001.parquet", "holds 1 probes")
}

func TestVerifyHashes(t *testing.T) {
	dir, _ := damaged(t)
	for _, name := range []string{"README.md", "samples/probe-001.parquet"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text[len(text)/2] ^= 1
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	problems, err := result.Verify(dir)
	if err != nil || len(problems) != 2 {
		t.Fatalf("Verify = %v, %v, want two changed files", problems, err)
	}
	for i, name := range []string{"README.md", "samples/probe-001.parquet"} {
		if !strings.Contains(problems[i].String(), name) {
			t.Errorf("problem %d is %v, want it to name %s", i, problems[i], name)
		}
	}
}

// A damaged samples file whose hash was made to fit is a problem, not a panic.
func TestVerifyDamagedSamples(t *testing.T) {
	dir, _ := damaged(t)
	name := "samples/probe-000.parquet"
	path := filepath.Join(dir, filepath.FromSlash(name))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Repeat([]byte("x"), len(text))
	if err := os.WriteFile(path, text, 0o666); err != nil {
		t.Fatal(err)
	}
	relist(t, dir, name, text)
	problems, err := result.Verify(dir)
	if err != nil || len(problems) != 1 || problems[0].Place != name {
		t.Errorf("Verify = %v, %v, want one problem at %s", problems, err, name)
	}
}

// A samples file that is gone or cut short is a problem that names it.
func TestVerifyMissingSamples(t *testing.T) {
	f := func(damage string, do func(path string) error) {
		t.Helper()
		dir, _ := damaged(t)
		const name = "samples/probe-001.parquet"
		if err := do(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Fatal(err)
		}
		problems, err := result.Verify(dir)
		if err != nil || len(problems) != 1 || !strings.Contains(problems[0].Text, name) {
			t.Errorf("%s: Verify = %v, %v, want one problem that names %s", damage, problems, err, name)
		}
	}
	f("gone", os.Remove)
	f("cut short", func(path string) error { return os.Truncate(path, 100) })
}

func TestVerifyNothing(t *testing.T) {
	if _, err := result.Verify(t.TempDir()); err == nil {
		t.Error("Verify of an empty folder has no error")
	}
}

// The samples that a reader gets are those that were measured.
func TestSamples(t *testing.T) {
	dir, found := damaged(t)
	r, err := result.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	samples, err := r.Samples(1)
	if err != nil || len(samples) != found.Probes[1].Calls {
		t.Fatalf("Samples(1): %d, %v, want %d", len(samples), err, found.Probes[1].Calls)
	}
	if s := samples[0]; s.Level != 32 || s.Role != schema.RoleMeasured || *s.OutputTokens != 100 || s.CachedTokens != nil {
		t.Errorf("first sample of probe 1 is %+v", s)
	}
	if _, err := r.Samples(len(found.Probes)); err == nil {
		t.Error("samples of a probe that never ran were read")
	}
}
