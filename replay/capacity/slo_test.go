package capacity_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/capacity"
)

func TestParseSLO(t *testing.T) {
	f := func(text, canon string, want ...capacity.Cond) {
		t.Helper()
		got, err := capacity.ParseSLO(text)
		if err != nil {
			t.Errorf("ParseSLO(%q): %v", text, err)
			return
		}
		if diff := cmp.Diff(want, got.Conds); diff != "" {
			t.Errorf("ParseSLO(%q) (-want +got):\n%s", text, diff)
		}
		if got.String() != canon {
			t.Errorf("ParseSLO(%q).String() = %q, want %q", text, got, canon)
		}
	}
	type c = capacity.Cond
	speed, ttft := capacity.Speed, capacity.TTFT
	f("p25(speed)>=20", "p25(speed)>=20", c{"p25", speed, ">=", 20})
	f("p25(speed) >= 20 tok/s", "p25(speed)>=20", c{"p25", speed, ">=", 20})
	f("p25(speed)>20tok/s", "p25(speed)>20", c{"p25", speed, ">", 20})
	f(" \tp25 ( speed )\n>=\r0.5 ", "p25(speed)>=0.5", c{"p25", speed, ">=", 0.5})
	f("p95(ttft)<=10s", "p95(ttft)<=10s", c{"p95", ttft, "<=", 10})
	f("p95(ttft)<=10 s", "p95(ttft)<=10s", c{"p95", ttft, "<=", 10})
	f("p95(ttft)<500ms", "p95(ttft)<500ms", c{"p95", ttft, "<", 0.5})
	f("p95(ttft)<1m30s", "p95(ttft)<1m30s", c{"p95", ttft, "<", 90})
	f("p95(ttft)<=1.001s", "p95(ttft)<=1.001s", c{"p95", ttft, "<=", 1.001})
	f("p95(ttft)<=1.5us", "p95(ttft)<=1.5µs", c{"p95", ttft, "<=", 1.5e-6})
	f("p95(ttft)<=1.5µs", "p95(ttft)<=1.5µs", c{"p95", ttft, "<=", 1.5e-6})
	f("p99.9(e2e)<=100h", "p99.9(e2e)<=100h0m0s", c{"p99.9", capacity.E2E, "<=", 360000})
	f("p050.0(itl)<=1ns", "p50(itl)<=1ns", c{"p50", capacity.ITL, "<=", 1e-9})
	f("p.5(itl)<=50ms", "p0.5(itl)<=50ms", c{"p0.5", capacity.ITL, "<=", 0.05})
	f("mean(e2e)<=1m", "mean(e2e)<=1m0s", c{capacity.Mean, capacity.E2E, "<=", 60})
	f("min(speed)>=1 & max(ttft)<=1s", "min(speed)>=1 & max(ttft)<=1s",
		c{capacity.Min, speed, ">=", 1}, c{capacity.Max, ttft, "<=", 1})
	f("error_rate<=1%", "error_rate<=1%", c{"", capacity.ErrorRate, "<=", 0.01})
	f("error_rate < 0.000001 %", "error_rate<0.000001%", c{"", capacity.ErrorRate, "<", 1e-8})
	f("error_rate<=0%", "error_rate<=0%", c{"", capacity.ErrorRate, "<=", 0})
	f("error_rate<=100%", "error_rate<=100%", c{"", capacity.ErrorRate, "<=", 1})
	f("p25(speed)>=20&p95(ttft)<=10s&error_rate<=2.5%", "p25(speed)>=20 & p95(ttft)<=10s & error_rate<=2.5%",
		c{"p25", speed, ">=", 20}, c{"p95", ttft, "<=", 10}, c{"", capacity.ErrorRate, "<=", 0.025})
	f("p50(ttft)>=1s & p50(ttft)<=2s", "p50(ttft)>=1s & p50(ttft)<=2s", c{"p50", ttft, ">=", 1}, c{"p50", ttft, "<=", 2})
}

// An error names the column, what stands there, and what may stand there.
func TestSyntaxErrorIsShort(t *testing.T) {
	for _, text := range []string{strings.Repeat("x", 1<<20), "p25(speed)>=20" + strings.Repeat(" ", 1<<20) + "x"} {
		if _, err := capacity.ParseSLO(text); err == nil || len(err.Error()) > 1000 {
			t.Errorf("ParseSLO(%.10q…): an error of %d bytes, want one of 1 to 1000", text, len(fmt.Sprint(err)))
		}
	}
}

func TestParseSLOErrors(t *testing.T) {
	f := func(text string, column int, got, want string) {
		t.Helper()
		s, err := capacity.ParseSLO(text)
		var e *capacity.SyntaxError
		if !errors.As(err, &e) {
			t.Errorf("ParseSLO(%q) = %v, %v, want a syntax error", text, s, err)
			return
		}
		if e.Text != text || e.Column != column || e.Got != got || !strings.Contains(e.Want, want) {
			t.Errorf("ParseSLO(%q): %v; want column %d, got %q, want …%s…", text, err, column, got, want)
		}
		if s.Conds != nil {
			t.Errorf("ParseSLO(%q) = %v beside its error", text, s)
		}
	}
	const cond, metric = "a condition such as", "speed, ttft, e2e or itl"
	const speed, duration, rate = "a speed above 0", "a duration above 0 and up to 100h", "0% to 100%"
	f("", 1, "", cond)
	f("  ", 3, "", cond)
	f("fast", 1, "fast", cond)
	f("P25(speed)>=20", 1, "P25", cond)
	f("(speed)>=20", 1, "(", cond)
	f("speed>=20", 1, "speed", cond)
	f("p(speed)>=20", 1, "p", cond)
	f("p0(speed)>=20", 1, "p0", cond)
	f("p100(speed)>=20", 1, "p100", cond)
	f("p99.99999999999999999999(ttft)<=1s", 1, "p99.99999999999999999999", cond)
	f("pnan(speed)>=20", 1, "pnan", cond)
	f("pinf(speed)>=20", 1, "pinf", cond)
	f("p1_0(speed)>=20", 1, "p1_0", cond)
	f("p0x1p3(speed)>=20", 1, "p0x1p3", cond)
	f("p-5(speed)>=20", 1, "p-5", cond)
	f("p2.5.0(speed)>=20", 1, "p2.5.0", cond)
	f("median(speed)>=20", 1, "median", cond)
	f("p25 speed>=20", 5, "speed", `"("`)
	f("p25", 4, "", `"("`)
	f("p25(Speed)>=20", 5, "Speed", metric)
	f("p25()>=20", 5, ")", metric)
	f("p25(error_rate)<=1%", 5, "error_rate", metric)
	f("p25(speed>=20", 10, ">", `")"`)
	f("p25(speed)=20", 11, "=", ">=, <=, >, <")
	f("p25(speed)≥20", 11, "≥20", ">=, <=, >, <")
	f("p25(speed)", 11, "", ">=, <=, >, <")
	f("p25(speed)>=", 13, "", speed)
	f("p25(speed)>=0", 13, "0", speed)
	f("p25(speed)>=-5", 13, "-5", speed)
	f("p25(speed)>=NaN", 13, "NaN", speed)
	f("p25(speed)>=Inf", 13, "Inf", speed)
	f("p25(speed)>=.", 13, ".", speed)
	f("p25(speed)>=1.2.3", 13, "1.2.3", speed)
	f("p25(speed)>=1000000001", 13, "1000000001", speed)
	f("p25(speed)>=1e3", 14, "e3", `"&" or the end`)
	f("p25(speed)>=20s", 15, "s", `"&" or the end`)
	f("p25(speed)>=20,p95(ttft)<=10s", 15, ",p95", `"&" or the end`)
	f("p25(speed)>=20 p95(ttft)<=10s", 16, "p95", `"&" or the end`)
	f("p25(speed)>=20 &", 17, "", cond)
	f("& p25(speed)>=20", 1, "&", cond)
	f("p95(ttft)<=10", 12, "10", duration)
	f("p95(ttft)<=0s", 12, "0s", duration)
	f("p95(ttft)<=-1s", 12, "-1s", duration)
	f("p95(ttft)<=0.1ns", 12, "0.1ns", duration)
	f("p95(ttft)<=101h", 12, "101h", duration)
	f("p95(ttft)<=10 d", 12, "10", duration)
	f("p95(ttft)<=1h30", 12, "1h30", duration)
	f("p95(ttft)<=s", 12, "s", duration)
	f("p95(ttft)<=\xc2s", 12, "\xc2s", duration)
	f("p95(ttft)<=1s\xff", 14, "\xff", `"&" or the end`)
	f("error_rate>=1%", 11, ">", "<=, <")
	f("error_rate<=0.01", 17, "", `"%"`)
	f("error_rate<=1 s", 15, "s", `"%"`)
	f("error_rate<=", 13, "", "a percentage such as 1%")
	f("error_rate<=101%", 13, "101%", rate)
	f("error_rate<=0.0000001%", 13, "0.0000001%", rate)
	f("error_rate<0%", 12, "0%", "<=0% allows no error")
	f("error_rate(speed)<=1%", 11, "(", "<=, <")
	f("p25(speed)>=20 & p25(speed)>=30", 18, "p25(speed)>=30", "one such limit only")
	f("p25(speed)>=20 & p25.0(speed)>20", 18, "p25.0(speed)>20", "one such limit only")
	f("error_rate<=1% & p95(ttft)<1s & error_rate<2%", 33, "error_rate<2%", "one such limit only")
}

func TestSyntaxErrorText(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := capacity.ParseSLO(text); err == nil || err.Error() != want {
			t.Errorf("ParseSLO(%q) = %v, want %s", text, err, want)
		}
	}
	f("p25(speed)", `parse SLO "p25(speed)": column 11: got the end, want >=, <=, >, <`)
	f("p25(speed)>=20,", `parse SLO "p25(speed)>=20,": column 15: got ",", want "&" or the end`)
}

func TestSLOAll(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		s := slo(t, text)
		if got := (capacity.SLO{Conds: s.All()}).String(); got != want {
			t.Errorf("SLO(%s).All() = %s, want %s", text, got, want)
		}
		if s.String() != text {
			t.Errorf("All changed %s to %s", text, s)
		}
	}
	f("p25(speed)>=20", "p25(speed)>=20 & error_rate<=1%")
	f("p25(speed)>=20 & error_rate<5%", "p25(speed)>=20 & error_rate<5%")
}

func TestSLOJSON(t *testing.T) {
	want := struct {
		SLO  capacity.SLO
		Cond capacity.Cond
	}{slo(t, "p25(speed)>=20 & error_rate<0.5%"), slo(t, "p99.9(ttft)<=1.5s").Conds[0]}
	text, err := json.Marshal(want)
	const plain = `{"SLO":"p25(speed)\u003e=20 \u0026 error_rate\u003c0.5%","Cond":"p99.9(ttft)\u003c=1.5s"}`
	if err != nil || string(text) != plain {
		t.Fatalf("Marshal = %s, %v, want %s", text, err, plain)
	}
	got := want
	got.SLO, got.Cond = capacity.SLO{}, capacity.Cond{}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
	bad := func(text, want string) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), &got); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Unmarshal(%s) = %v, want an error with %q", text, err, want)
		}
	}
	bad(`{"SLO":"p25"}`, "column 4")
	bad(`{"Cond":"p25"}`, "column 4")
	bad(`{"Cond":"p25(speed)>=20 & error_rate<1%"}`, "got 2 conditions, want 1")
}

// The seven tiers of AA-AgentPerf, as published.
func TestTiers(t *testing.T) {
	want := map[string][]string{
		"aa-deepseek-v4-pro": {"p25(speed)>=20 & p95(ttft)<=10s", "p25(speed)>=60 & p95(ttft)<=5s", "p25(speed)>=180 & p95(ttft)<=3s"},
		"aa-gpt-oss-120b": {"p25(speed)>=100 & p95(ttft)<=5s", "p25(speed)>=250 & p95(ttft)<=3s",
			"p25(speed)>=500 & p95(ttft)<=2s", "p25(speed)>=2000 & p95(ttft)<=1s"},
	}
	got := map[string][]string{}
	for _, name := range capacity.TierNames() {
		slos, ok := capacity.Tiers(name)
		if !ok {
			t.Errorf("Tiers(%q) does not know a name of TierNames", name)
		}
		for _, s := range slos {
			got[name] = append(got[name], s.String())
			if diff := cmp.Diff(slo(t, s.String()), s); diff != "" {
				t.Errorf("%s is read back as another (-built in +read):\n%s", s, diff)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tiers (-want +got):\n%s", diff)
	}
	if slos, ok := capacity.Tiers("aa"); ok || slos != nil {
		t.Errorf("Tiers(aa) = %v, %v, want none", slos, ok)
	}
}

func TestFaster(t *testing.T) {
	f := func(text string, factor float64, want string) {
		t.Helper()
		s := slo(t, text)
		got := s.Faster(factor)
		if got.String() != want {
			t.Errorf("SLO(%s).Faster(%v) = %s, want %s", text, factor, got, want)
		}
		if diff := cmp.Diff(slo(t, got.String()), got); diff != "" {
			t.Errorf("%s is read back as another (-read +got):\n%s", got, diff)
		}
		if s.String() != text {
			t.Errorf("Faster changed its receiver to %s", s)
		}
	}
	f("p25(speed)>=20 & p95(ttft)<=10s & mean(e2e)<=1m0s & p50(itl)<=30ms & error_rate<=2%", 60,
		"p25(speed)>=1200 & p95(ttft)<=166.666667ms & mean(e2e)<=1s & p50(itl)<=500µs & error_rate<=2%")
	f("p25(speed)>=20 & p95(ttft)<=10s", 0.5, "p25(speed)>=10 & p95(ttft)<=20s")
}

func TestPercentile(t *testing.T) {
	f := func(s capacity.Stat, want float64, wantOK bool) {
		t.Helper()
		if got, ok := s.Percentile(); ok != wantOK || ok && got != want {
			t.Errorf("Stat(%q).Percentile() = %v, %v, want %v, %v", s, got, ok, want, wantOK)
		}
	}
	f("p25", 25, true)
	f("p99.9", 99.9, true)
	f("p0", 0, false)
	f("p100", 0, false)
	f("pNaN", 0, false)
	f(capacity.Mean, 0, false)
	f("", 0, false)
}

func TestVerdictText(t *testing.T) {
	var v capacity.Verdict
	for _, want := range []capacity.Verdict{capacity.Pass, capacity.Fail, capacity.Undecided} {
		if err := v.UnmarshalText([]byte(want)); err != nil || v != want {
			t.Errorf("UnmarshalText(%s) = %v, %v", want, v, err)
		}
	}
	if err := v.UnmarshalText([]byte("pass")); err == nil || v != capacity.Undecided {
		t.Errorf("UnmarshalText(pass) = %v, %v, want an error and no change", v, err)
	}
}

// Whatever is accepted is written so that it is read back as it was, and every
// error points into the text.
func FuzzParseSLO(f *testing.F) {
	for _, text := range []string{"p25(speed)>=20 & p95(ttft)<=10s", "p99.9(e2e)<1h1m1.000000001s", "error_rate<=0.000001%",
		"mean ( itl )< 1.5 µs&max(ttft)>1ns", "p25(speed)>=0.1tok/s", "min(speed)>1e9", "p\xff", "p5(ttft)<=99h59m59.999999999s", "error_rate<33.333333%"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := capacity.ParseSLO(text)
		if err != nil {
			var e *capacity.SyntaxError
			if !errors.As(err, &e) || e.Column < 1 || e.Column > len(text)+1 || e.Want == "" || !strings.HasPrefix(text[e.Column-1:], e.Got) {
				t.Errorf("ParseSLO(%q): %#v does not point into the text", text, err)
			}
			return
		}
		back, err := capacity.ParseSLO(s.String())
		if err != nil {
			t.Fatalf("ParseSLO(%q) wrote %q: %v", text, s, err)
		}
		if diff := cmp.Diff(s, back); diff != "" {
			t.Errorf("ParseSLO(%q) wrote %q, which is another (-want +got):\n%s", text, s, diff)
		}
		for _, c := range s.Conds {
			if c.Limit < 0 || math.IsNaN(c.Limit) || math.IsInf(c.Limit, 0) {
				t.Errorf("ParseSLO(%q) has the limit %v", text, c.Limit)
			}
		}
	})
}
