package cost_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/cost"
)

var today = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const priced = `name: n
vendor: v
accelerators: {vendor: v, product: p, count: 8, memory: [{kind: HBM3, gib: 80, gb_per_s: 3350}]}
price: {usd_per_hour: 20, source: list, date: 2026-11-01}
power: {kw: 10.2, class: node, source: BMC}
software: {engine: e, version: "1"}
`

func TestParseSystem(t *testing.T) {
	got, err := cost.ParseSystem("system.yaml", []byte(priced), today)
	if err != nil {
		t.Fatal(err)
	}
	want := cost.System{
		Name: "n", Vendor: "v",
		Accelerators: cost.Accelerators{Vendor: "v", Product: "p", Count: 8, Memory: []cost.Memory{{Kind: "HBM3", GiB: 80, GBPerS: 3350}}},
		Price:        &cost.Price{USDPerHour: 20, Source: "list", Date: "2026-11-01"},
		Power:        &cost.Power{KW: 10.2, Class: cost.Node, Source: "BMC"},
		Software:     cost.Software{Engine: "e", Version: "1"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("ParseSystem: -want +got\n%s", d)
	}
	if err := got.Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
}

func TestValidateRefuses(t *testing.T) {
	s, err := cost.ParseSystem("system.yaml", []byte(priced), today)
	if err != nil {
		t.Fatal(err)
	}
	s.Power.Class = "measured"
	if err := s.Validate(); err == nil || !strings.Contains(err.Error(), "power.class") {
		t.Errorf("Validate() = %v, want it to name power.class", err)
	}
}

// Every message is whole: file, path, what is there, what should be.
func TestRefusals(t *testing.T) {
	f := func(old, new, want string) {
		t.Helper()
		text := strings.Replace(priced, old, new, 1)
		if text == priced {
			t.Fatalf("%q is not in the manifest", old)
		}
		_, err := cost.ParseSystem("system.yaml", []byte(text), today)
		switch {
		case err == nil:
			t.Errorf("%q for %q was accepted, want: %s", new, old, want)
		case err.Error() != "system.yaml: "+want:
			t.Errorf("%q for %q:\n got %s\nwant system.yaml: %s", new, old, err, want)
		}
	}
	const count = "an integer of at least 1 and at most 1e+07"
	const positive = "a number above 0 and at most 1e+12"
	const words = "text of 1 to 10000 characters (numbers in quotes)"
	f("count: 8", "count: -1", "accelerators.count: got -1, want "+count)
	f("count: 8", "count: 0", "accelerators.count: got 0, want "+count)
	f("count: 8", "count: 2.5", "accelerators.count: got 2.5, want "+count)
	f("count: 8", "count: eight", `accelerators.count: got "eight", want `+count)
	f("count: 8", "count: .nan", "accelerators.count: got NaN, want "+count)
	f("count: 8", "count:", "accelerators.count: got nothing, want "+count)
	f("count: 8, ", "", "accelerators.count: missing, want "+count)
	f("count: 8", "count: 8, cuont: 8", "accelerators.cuont: unknown field, want one of count, memory, product, vendor")
	f("kw: 10.2", "kw: 0", "power.kw: got 0, want "+positive)
	f("kw: 10.2", "kw: .inf", "power.kw: got +Inf, want "+positive)
	f("kw: 10.2", "kw: -3", "power.kw: got -3, want "+positive)
	f("kw: 10.2", `kw: "10"`, `power.kw: got "10", want `+positive)
	f("class: node", "class: tdp", `power.class: got "tdp", want one of provisioned, board, node, pdu, wall`)
	f("class: node, ", "", "power.class: missing, want one of provisioned, board, node, pdu, wall")
	f("gib: 80", "gib: 0", "accelerators.memory[0].gib: got 0, want "+positive)
	f("[{kind: HBM3, gib: 80, gb_per_s: 3350}]", "[]", "accelerators.memory: got a list of 0, want a list of 1 to 16")
	f(`version: "1"`, "version: 1.10", "software.version: got 1.1, want "+words)
	f("name: n\n", "", "name: missing, want "+words)
	f("name: n", `name: ""`, `name: got "", want `+words)
	f("date: 2026-11-01", "date: 2026-11-26", "price.date: got 2026-11-26, want a day not after 2026-11-24")
	f("date: 2026-11-01", "date: 2026-02-30", `price.date: got "2026-02-30", want a day that exists, as YYYY-MM-DD`)
	f("date: 2026-11-01", "date: last week", `price.date: got "last week", want a date as YYYY-MM-DD`)
	f("price: {usd_per_hour: 20, source: list, date: 2026-11-01}", "price: 20", "price: got 20, want a group of fields: date, source, usd_per_hour")
	f("name: n\nvendor: v", "name: 1\nvendor: 2", "name: got 1, want "+words+"; vendor: got 2, want "+words)
	f("name: n", "name: n\n\"a\\nb\": 1", `["a\nb"]: unknown field, want one of `+
		"accelerators, cache_policy, disaggregation, kv_cache_type, launch_command, name, notes, owned, parallelism, power, price, quantization, rack, routing, software, speculative_decoding, vendor")
	f("name: n", "name: !!binary Zm9v", "name: got a tagged value, want "+words)
	f("name: n", "name: &a n", "line 1: got a YAML anchor, want it written out")
	f("name: n", "name: n\nname: m", `read YAML: [2:1] mapping key "name" already defined at [1:1]`)
	f("name: n", "---\nname: n\n---\na: 1", "got 2 YAML documents, want one that describes a system")
	f("power: {kw: 10.2, class: node, source: BMC}", "owned: {capex_usd: 1, years: 1, usd_per_kwh: 0, pue: 1, source: s, date: 2026-01-01}",
		"owned: stands beside price, want one of the two; power: missing, want the power that owned pays electricity for")
}

func TestEmptyManifest(t *testing.T) {
	for _, text := range []string{"", "\n", "# a comment\n"} {
		_, err := cost.ParseSystem("system.yaml", []byte(text), today)
		if want := "system.yaml: nothing is in it, want a YAML document that describes a system"; err == nil || err.Error() != want {
			t.Errorf("ParseSystem(%q) = %v, want %s", text, err, want)
		}
	}
}

func TestDateNearMidnight(t *testing.T) {
	text := strings.Replace(priced, "2026-11-01", "2026-11-25", 1)
	if _, err := cost.ParseSystem("s", []byte(text), today); err != nil {
		t.Errorf("a day that has begun east of here was refused: %v", err)
	}
	if _, err := cost.ParseSystem("s", []byte(strings.Replace(priced, "2026-11-01", "2999-01-01", 1)), time.Time{}); err != nil {
		t.Errorf("without a today a date was refused: %v", err)
	}
}

func TestSchemaIsJSON(t *testing.T) {
	var v struct {
		Schema string `json:"$schema"`
	}
	if err := json.Unmarshal([]byte(cost.Schema()), &v); err != nil || !strings.Contains(v.Schema, "2020-12") {
		t.Errorf("Schema() is %q, %v, want draft 2020-12", v.Schema, err)
	}
}

// A manifest of a stranger never panics, and its error is one line.
func FuzzParseSystem(f *testing.F) {
	f.Add([]byte(priced))
	for _, name := range []string{"nvl32.yaml", "sram.yaml", "minimal.yaml"} {
		text, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, s := range []string{"", "- 1", "a: [", "? [1]\n: 2", "&a [*a]", "<<: 1", "name: \xff", "a: !!float x", "1: {2: .nan}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := cost.ParseSystem("f", text, today)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("the error has more than one line: %q", err)
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Errorf("accepted, then refused: %v", err)
		}
		u := cost.Per(capacity(10, 12), s)
		if u.PerAccelerator.Value.Center <= 0 || u.PerAccelerator.Value.Center > 10 {
			t.Errorf("10 agents are %v per accelerator", u.PerAccelerator.Value.Center)
		}
	})
}
