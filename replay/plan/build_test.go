package plan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

var (
	sys   = msg("system", "You are a careful engineer.")
	ask   = msg("user", "Fix the \"bug\" in a.go")
	said  = msg("assistant", "Reading a.go.\n")
	got   = `{"role":"tool","tool_call_id":"c1","content":"package a"}`
	said2 = msg("assistant", "Done.")
	thx   = msg("user", "thanks")
)

// growing is a session of three turns with one list of tools.
func growing(t testing.TB) *schema.Session {
	tools := []string{tool("read"), tool("edit")}
	return session(t, "s1",
		call{messages: []string{sys, ask}, tools: tools, in: 100, out: 10, took: time.Second, more: `,"temperature":0.2,"tool_choice":"auto","user":"u1","stop":["x"]`},
		call{messages: []string{sys, ask, said, got}, tools: tools, in: 130, out: 20, took: 2 * time.Second, gap: 500 * ms},
		call{messages: []string{sys, ask, said, got, said2, thx}, tools: tools, in: 160, took: time.Second, gap: 900 * time.Second})
}

func TestBodies(t *testing.T) {
	exact := func(max int) string {
		return fmt.Sprintf(`,"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":%d,"min_tokens":%[1]d,"ignore_eos":true`, max)
	}
	tools := `],"tools":[` + tool("read") + `,` + tool("edit") + `]`
	salted := func(m, salt string) string {
		return strings.Replace(m, `"content":"`, `"content":"`+salt, 1)
	}
	f := func(name string, cfg plan.Config, s *schema.Session, want ...string) {
		t.Helper()
		script := whole(t, build(t, cfg, s), s.ID)
		var bodies []string
		for i, st := range script.Steps {
			b := sentBody(st.Body, probeSalt, playSalt)
			bodies = append(bodies, b)
			if int64(len(b)) != st.Body.Len {
				t.Errorf("%s: step %d: Len %d, want %d", name, i, st.Body.Len, len(b))
			}
			if len(st.Body.Segs) > 7 {
				t.Errorf("%s: step %d has %d segments, want at most 7", name, i, len(st.Body.Segs))
			}
			decode(t, b)
		}
		if diff := cmp.Diff(want, bodies); diff != "" {
			t.Errorf("%s: bodies (-want +got):\n%s", name, diff)
		}
	}
	head := `{"messages":[` + salted(sys, probeSalt) + `,` + salted(ask, playSalt)
	f("exact", plan.Config{}, growing(t),
		head+tools+exact(10)+`,"temperature":0.2,"tool_choice":"auto"}`,
		head+`,`+said+`,`+got+tools+exact(20)+`}`,
		head+`,`+said+`,`+got+`,`+said2+`,`+thx+tools+exact(20)+`}`)
	f("free", plan.Config{Output: plan.OutputFree, FreeCap: 50, MaxContext: 200, NoSalt: true}, growing(t),
		`{"messages":[`+sys+`,`+ask+tools+`,"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":50,"temperature":0.2,"tool_choice":"auto","stop":["x"]}`,
		`{"messages":[`+sys+`,`+ask+`,`+said+`,`+got+tools+`,"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":50}`,
		`{"messages":[`+sys+`,`+ask+`,`+said+`,`+got+`,`+said2+`,`+thx+tools+`,"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":40}`)
	marked := `{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}`
	bare := `{"role":"user","content":"hi"}`
	odd := func() *schema.Session {
		return session(t, "odd", call{messages: []string{marked}, in: 5, out: 5, more: `,"store":true`})
	}
	f("a first message of the user, cache marks and unknown members", plan.Config{}, odd(),
		`{"messages":[`+strings.Replace(bare, `"hi`, `"`+probeSalt+playSalt+`hi`, 1)+`]`+exact(5)+`}`)
	f("verbatim", plan.Config{Verbatim: true, NoSalt: true}, odd(), `{"messages":[`+marked+`]`+exact(5)+`,"store":true}`)
	image := `{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,"}}]}`
	f("text only in an answer", plan.Config{}, session(t, "image", call{messages: []string{image, said}, in: 5, out: 5}),
		`{"messages":[`+image+`,`+strings.Replace(said, `"Read`, `"`+probeSalt+playSalt+`Read`, 1)+`]`+exact(5)+`}`)
	f("no text at all", plan.Config{}, session(t, "mute", call{messages: []string{image}, in: 5, out: 5}),
		`{"messages":[`+image+`]`+exact(5)+`}`)
}

// A context that was cut, edited or wound back costs a few more segments, not a
// copy of what follows.
func TestEditedContextsShareBytes(t *testing.T) {
	long := func(i int) string { return msg("assistant", fmt.Sprint(i)+strings.Repeat(" text", 200)) }
	history := []string{sys, ask}
	var calls []call
	for i := range 40 {
		history = append(history, long(i), msg("user", fmt.Sprint("result ", i)))
		sent := slices.Clone(history)
		if i > 10 {
			sent[2+2*(i-8)] = msg("assistant", fmt.Sprint("pruned ", i)) // an edit that moves on
		}
		calls = append(calls, call{messages: append(sent, msg("user", fmt.Sprint("reminder ", i))), in: int64(100 * i), out: 5})
	}
	s := session(t, "edits", calls...)
	unique := 0
	for _, it := range s.Items {
		unique += int(it.ContentBytes)
	}
	script := whole(t, build(t, plan.Config{}, s), "edits")
	seen := map[*byte]int{}
	for i, st := range script.Steps {
		if len(st.Body.Segs) > 12 {
			t.Errorf("step %d has %d segments", i, len(st.Body.Segs))
		}
		b := sentBody(st.Body, "", "")
		want := `{"messages":[` + strings.Join(calls[i].messages, ",") + `]`
		if !strings.HasPrefix(b, want) {
			t.Errorf("step %d: body begins %.60s, want %.60s", i, b, want)
		}
		for _, seg := range st.Body.Segs {
			for j := range seg {
				seen[&seg[j]] = 1
			}
		}
	}
	if got := len(seen); got > unique*11/10 {
		t.Errorf("bodies hold %d bytes, items %d", got, unique)
	}
}

func TestSteps(t *testing.T) {
	f := func(name string, cfg plan.Config, s *schema.Session, want ...plan.Step) {
		t.Helper()
		script := whole(t, build(t, cfg, s), s.ID)
		var got []plan.Step
		for _, st := range script.Steps {
			got = append(got, plan.Step{Call: st.Call, Lane: st.Lane, After: st.After, Input: st.Input, Output: st.Output, Turn: st.Turn})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: steps (-want +got):\n%s", name, diff)
		}
	}
	f("lane order, the default cap, the median of outputs", plan.Config{}, growing(t),
		plan.Step{After: []plan.Edge{start(0)}, Input: 100, Output: 10},
		plan.Step{Call: 1, After: []plan.Edge{done(0, 500*ms)}, Input: 130, Output: 20, Turn: 1},
		plan.Step{Call: 2, After: []plan.Edge{done(1, 300*time.Second)}, Input: 160, Output: 20, Turn: 2})
	f("scale and cap", plan.Config{GapScale: 2, GapCap: -1}, growing(t),
		plan.Step{After: []plan.Edge{start(0)}, Input: 100, Output: 10},
		plan.Step{Call: 1, After: []plan.Edge{done(0, time.Second)}, Input: 130, Output: 20, Turn: 1},
		plan.Step{Call: 2, After: []plan.Edge{done(1, 1800*time.Second)}, Input: 160, Output: 20, Turn: 2})
	f("no gaps, cut at the context", plan.Config{NoGaps: true, MaxContext: 149}, growing(t),
		plan.Step{After: []plan.Edge{start(0)}, Input: 100, Output: 10})

	m := []string{sys, ask}
	c := func(lane string, took time.Duration, after ...schema.After) call {
		return call{lane: lane, messages: m, in: 10, out: 10, took: took, first: took / 2, after: after}
	}
	f("sub-agents", plan.Config{}, session(t, "fan",
		c("", time.Second),
		c("", time.Second, on("a", 0, schema.PointDone, 0), on("b", 1, schema.PointDone, 5*ms)),
		c("a", 3*time.Second, onToken("root", 0, 0.5, 10*ms)),
		c("b", time.Second, on("root", 0, schema.PointSent, 20*ms)),
		c("b", time.Second, on("b", 0, schema.PointDone, 0), schema.After{Point: schema.PointStart, GapUS: 100})),
		plan.Step{After: []plan.Edge{start(0)}, Input: 10, Output: 10},
		plan.Step{Call: 3, Lane: 2, After: []plan.Edge{sent(0, 20*ms)}, Input: 10, Output: 10},
		plan.Step{Call: 2, Lane: 1, After: []plan.Edge{token(0, 0.5, 10*ms)}, Input: 10, Output: 10},
		plan.Step{Call: 4, Lane: 2, After: []plan.Edge{start(100 * time.Microsecond), done(1, 0)}, Input: 10, Output: 10, Turn: 1},
		plan.Step{Call: 1, After: []plan.Edge{done(2, 0), done(3, 5*ms)}, Input: 10, Output: 10, Turn: 1})

	retry := c("", time.Second)
	retry.attempt, retry.gap = 1, 20*ms
	broken := c("", time.Second)
	broken.failed, broken.gap = "overloaded", 7*ms
	side := c("", time.Second)
	side.purpose, side.gap = schema.PurposeTitle, 3*ms
	f("failed attempts leave their place, side calls are no turns", plan.Config{}, session(t, "retry",
		c("", time.Second), broken, retry, side, c("", time.Second, on("root", 1, schema.PointDone, 9*ms))),
		plan.Step{After: []plan.Edge{start(0)}, Input: 10, Output: 10},
		plan.Step{Call: 2, After: []plan.Edge{done(0, 27*ms)}, Input: 10, Output: 10, Turn: 1},
		plan.Step{Call: 3, After: []plan.Edge{done(1, 3*ms)}, Input: 10, Output: 10, Turn: 2},
		plan.Step{Call: 4, After: []plan.Edge{done(1, 9*ms)}, Input: 10, Output: 10, Turn: 2})
}

func TestCutTakesWhatHangsOnIt(t *testing.T) {
	m := []string{sys, ask}
	big := call{lane: "a", messages: m, in: 1000, out: 10}
	s := session(t, "cut",
		call{messages: m, in: 10, out: 10, took: time.Second},
		call{messages: m, in: 20, out: 10, took: time.Second},
		call{messages: m, in: 30, out: 10, after: []schema.After{on("root", 1, schema.PointDone, 0), on("a", 0, schema.PointDone, 0)}},
		call{messages: m, in: 30, out: 10},
		big)
	p := build(t, plan.Config{MaxContext: 100}, s)
	if n := len(whole(t, p, "cut").Steps); n != 2 || p.Calls() != 2 {
		t.Errorf("%d steps, Calls() = %d, want 2", n, p.Calls())
	}
	if got := p.CutShare(); got != 0.6 {
		t.Errorf("CutShare() = %v, want 0.6", got)
	}
	if _, err := plan.Build(context.Background(), seq(s), plan.Config{Model: "m", MaxContext: 15}); err == nil {
		t.Error("a model that can take no call was accepted")
	}
}

func TestIdealAndMeans(t *testing.T) {
	s := growing(t)
	p := build(t, plan.Config{NoSalt: true}, s)
	script := whole(t, p, "s1")
	var ideal []int64
	size := func(parts ...string) (n float64) {
		for _, part := range parts {
			n += float64(len(part))
		}
		return n
	}
	base := size(sys, ask, tool("read"), tool("edit"))
	second := base + size(said, got)
	third := second + size(said2, thx)
	want := []int64{0, int64(130 * base / second), int64(160 * second / third)}
	for i, st := range script.Steps {
		ideal = append(ideal, st.Ideal)
		var n int64
		for _, piece := range st.Prompt {
			n += int64(piece.Len)
		}
		if want := []float64{base, second, third}[i]; n != int64(want) {
			t.Errorf("step %d: pieces hold %d bytes, want %v", i, n, want)
		}
	}
	if diff := cmp.Diff(want, ideal); diff != "" {
		t.Errorf("ideal (-want +got):\n%s", diff)
	}
	m := p.Means()
	if want := (plan.Means{Input: 130, Uncached: float64(390-want[1]-want[2]) / 3, Output: 50.0 / 3}); cmp.Diff(want, m) != "" {
		t.Errorf("Means() = %+v, want %+v", m, want)
	}
	if got := p.AcrossPlays(); got != m.Uncached {
		t.Errorf("AcrossPlays() = %v without salts, want %v", got, m.Uncached)
	}
	salted := build(t, plan.Config{}, s)
	before := (size(sys, tool("read"), tool("edit")) + plan.SaltLen) / (base + 2*plan.SaltLen)
	if got, want := salted.AcrossPlays(), float64(int64(100*before))/3; got != want {
		t.Errorf("AcrossPlays() = %v, want %v", got, want)
	}
}

// Pieces come in template order, and name the salts that they hold.
func TestPieces(t *testing.T) {
	p := build(t, plan.Config{}, growing(t))
	script := whole(t, p, "s1")
	one := script.Steps[0].Prompt
	lens := func(ps []plan.Piece) (out []int) {
		for _, piece := range ps {
			out = append(out, int(piece.Len)*10+int(piece.Salt))
		}
		return out
	}
	tools := len(tool("read")) + len(tool("edit"))
	want := []int{(len(sys)+plan.SaltLen)*10 + 1, tools * 10, (len(ask)+plan.SaltLen)*10 + 2}
	if diff := cmp.Diff(want, lens(one)); diff != "" {
		t.Errorf("pieces of step 0 (-want +got):\n%s", diff)
	}
	two := script.Steps[1].Prompt
	if diff := cmp.Diff(append(want, (len(said)+len(got))*10), lens(two)); diff != "" {
		t.Errorf("pieces of step 1 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(one, two[:3]); diff != "" {
		t.Errorf("step 1 does not begin with the pieces of step 0:\n%s", diff)
	}
	// The same bytes have the same identity in another session.
	other := session(t, "s2", call{messages: []string{sys, thx}, in: 9, out: 9})
	if id := whole(t, build(t, plan.Config{}, other), "s2").Steps[0].Prompt[0].ID; id != one[0].ID {
		t.Errorf("the system message has identity %x and %x", one[0].ID, id)
	}
	// One that holds both salts.
	alone := session(t, "s3", call{messages: []string{ask}, in: 9, out: 9})
	if diff := cmp.Diff([]int{(len(ask)+2*plan.SaltLen)*10 + 3}, lens(whole(t, build(t, plan.Config{}, alone), "s3").Steps[0].Prompt)); diff != "" {
		t.Errorf("pieces of a lone user message (-want +got):\n%s", diff)
	}
}

func TestHash(t *testing.T) {
	base := build(t, plan.Config{}, growing(t)).Hash()
	if again := build(t, plan.Config{GapScale: 1, GapCap: 300 * time.Second, Output: "exact", FreeCap: 16384}, growing(t)).Hash(); again != base {
		t.Errorf("Hash() = %s and %s for the same plan", base, again)
	}
	seen := map[string]string{base: "base"}
	differs := func(name, hash string) {
		t.Helper()
		if before, ok := seen[hash]; ok {
			t.Errorf("%s has the hash of %s", name, before)
		}
		seen[hash] = name
	}
	for _, cfg := range []plan.Config{
		{Model: "other"}, {GapScale: 2}, {GapCap: time.Second}, {NoGaps: true}, {MaxContext: 1000},
		{Output: "free"}, {Output: "free", FreeCap: 9}, {NoSalt: true}, {Verbatim: true}, {Tokenizer: "bytes/4"},
	} {
		differs(fmt.Sprintf("%+v", cfg), build(t, cfg, growing(t)).Hash())
	}
	for name, change := range map[string]func(s *schema.Session){
		"gap":      func(s *schema.Session) { s.Calls[1].GapUS = ptr(int64(1)) },
		"duration": func(s *schema.Session) { s.Calls[1].CompletedUS = ptr(int64(1)) },
		"output":   func(s *schema.Session) { s.Calls[1].OutputTokens = ptr(int64(1)) },
		"id":       func(s *schema.Session) { s.ID = "x" },
		"byte": func(s *schema.Session) {
			b := s.Blobs[s.Items[0].ContentSHA256]
			b.Content = ptr(strings.Replace(*b.Content, "careful", "careless", 1))
			s.Blobs[s.Items[0].ContentSHA256] = b
		},
	} {
		s := growing(t)
		change(s)
		differs(name, build(t, plan.Config{}, s).Hash())
	}
}

func TestRewrites(t *testing.T) {
	f := func(cfg plan.Config, s *schema.Session, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, build(t, cfg, s).Rewrites()); diff != "" {
			t.Errorf("Rewrites of %s (-want +got):\n%s", s.ID, diff)
		}
	}
	fixed := []string{
		`model is "m"`, "stream is true, and stream_options asks for usage",
		"max_tokens and min_tokens are the recorded output, and ignore_eos is true",
		"messages come first, then tools, then the other members",
		"the first message begins with a salt of the probe",
		"the first user message begins with a salt of the play",
	}
	f(plan.Config{}, growing(t), append(slices.Clone(fixed), "stop is dropped (1 calls)", "user is dropped (1 calls)")...)
	f(plan.Config{Output: plan.OutputFree, NoSalt: true, Verbatim: true, MaxContext: 150}, growing(t),
		fixed[0], fixed[1], "max_tokens is 16384, or what the context leaves", fixed[3],
		"calls past the model's context are cut (1 calls)")
}

func TestSample(t *testing.T) {
	script := whole(t, build(t, plan.Config{}, growing(t)), "s1")
	got := script.Sample(1)
	want := schema.Sample{
		SessionID: "s1", TrajectoryID: "root", CallIndex: 1, Turn: 1, Role: schema.RoleMeasured,
		PlannedInput: 130, PlannedOutput: 20, IdealCached: script.Steps[1].Ideal,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Sample(1) (-want +got):\n%s", diff)
	}
}

func TestBuildRefuses(t *testing.T) {
	f := func(name, want string, cfg plan.Config, change func(s *schema.Session)) {
		t.Helper()
		s := growing(t)
		if change != nil {
			change(s)
		}
		_, err := plan.Build(context.Background(), seq(s), cfg)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Build = %v, want an error with %q", name, err, want)
		}
	}
	ok := plan.Config{Model: "m"}
	f("no model", "Model is required", plan.Config{}, nil)
	f("scale", "GapScale", plan.Config{Model: "m", GapScale: -1}, nil)
	f("output", `got "long"`, plan.Config{Model: "m", Output: "long"}, nil)
	f("context", "MaxContext", plan.Config{Model: "m", MaxContext: -1}, nil)
	f("free cap", "FreeCap", plan.Config{Model: "m", FreeCap: -1}, nil)
	f("point", `unknown point "end"`, ok, func(s *schema.Session) { s.Calls[1].After = []schema.After{on("root", 0, "end", 0)} })
	f("cause", `call 7 of trajectory "root"`, ok, func(s *schema.Session) { s.Calls[1].After = []schema.After{on("root", 7, schema.PointDone, 0)} })
	f("circle", "hangs on itself", ok, func(s *schema.Session) { s.Calls[0].After = []schema.After{on("root", 2, schema.PointDone, 0)} })
	f("trajectory", "no such trajectory", ok, func(s *schema.Session) { s.Calls[0].TrajectoryID = "x" })
	f("no trajectories", "there are none", ok, func(s *schema.Session) { s.Trajectories = nil })
	f("format", `"anthropic.messages"`, ok, func(s *schema.Session) { s.Calls[0].APIFormat = schema.FormatMessages })
	f("withheld", "withheld", ok, func(s *schema.Session) {
		for sum, b := range s.Blobs {
			b.Content = nil
			s.Blobs[sum] = b
		}
	})
	f("item", "not valid JSON", ok, func(s *schema.Session) {
		b := s.Blobs[s.Items[0].ContentSHA256]
		b.Content = ptr("{")
		s.Blobs[s.Items[0].ContentSHA256] = b
	})
	f("range", "item", ok, func(s *schema.Session) { s.Calls[0].ContextRanges[0].EndItem = 99 })
	f("outputs", "how many tokens", ok, func(s *schema.Session) {
		for i := range s.Calls {
			s.Calls[i].OutputTokens = nil
		}
	})
	f("input", "input tokens", ok, func(s *schema.Session) { s.Calls[0].InputTokens = ptr(int64(1) << 60) })
	f("nothing", "no answered call", ok, func(s *schema.Session) { s.Calls = nil })

	broken := errors.New("disk on fire")
	_, err := plan.Build(context.Background(), func(yield func(*schema.Session, error) bool) { yield(nil, broken) }, ok)
	if !errors.Is(err, broken) {
		t.Errorf("Build = %v, want the reader's error", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := plan.Build(ctx, seq(growing(t)), ok); !errors.Is(err, context.Canceled) {
		t.Errorf("Build = %v, want %v", err, context.Canceled)
	}
}
