package convert_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/datasets"
	"github.com/capstan-bench/capstan/datasets/convert"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestGolden imports every file of testdata, each of which stands for some rules,
// and compares what came of it, in short, with the golden file beside it.
func TestGolden(t *testing.T) {
	for _, format := range convert.Formats() {
		sources, err := filepath.Glob(filepath.Join("testdata", format.Name, "*.json*"))
		if err != nil || len(sources) == 0 {
			t.Fatalf("no sources for %s: %v", format.Name, err)
		}
		for _, source := range sources {
			t.Run(format.Name+"/"+filepath.Base(source), func(t *testing.T) {
				var b strings.Builder
				for s, err := range format.Import(source) {
					if err != nil {
						t.Fatal(err)
					}
					if err := datasets.Check(s); err != nil {
						t.Fatal(err)
					}
					describe(t, &b, s)
				}
				golden(t, strings.TrimSuffix(source, filepath.Ext(source))+".golden", b.String())
			})
		}
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// describe writes down what the importers decide.
func describe(t *testing.T, b *strings.Builder, s *schema.Session) {
	fmt.Fprintf(b, "session %s\n", s.ID)
	for _, w := range convert.Warnings(s) {
		fmt.Fprintf(b, "  warning: %s\n", w)
	}
	for i := range s.Trajectories {
		tr := &s.Trajectories[i]
		fmt.Fprintf(b, "  trajectory %s parent %s call %s agent %s title %s; %s, %s; compactions %s, models %v, cost %s\n", tr.TrajectoryID,
			show(tr.ParentTrajectoryID), show(tr.SpawnedByCallIndex), show(tr.AgentName), show(tr.Title), tr.ContentTier, tr.SourceKind,
			show(tr.NumCompactions), tr.Models, show(tr.CostUSD))
	}
	epoch := *s.Calls[0].StartedAt
	for i := range s.Calls {
		c := &s.Calls[i]
		at := c.StartedAt.Sub(epoch).Round(time.Millisecond)
		fmt.Fprintf(b, "  call %s %d at %v took %s first %s gap %s: %s, %s, finish %s, error %s, truncated %s\n", c.TrajectoryID, c.CallIndex, at,
			us(c.CompletedUS), us(c.FirstTokenUS), us(c.GapUS), show(c.RequestModel), c.Trigger, show(c.FinishReason), show(c.ErrorType), show(c.Truncated))
		fmt.Fprintf(b, "    in %s (cached %s, written %s) out %s effort %s response %s\n", show(c.InputTokens), show(c.CacheReadTokens), show(c.CacheWriteTokens),
			show(c.OutputTokens), show(c.ReasoningEffort), show(c.ResponseID))
		for _, a := range c.After {
			fmt.Fprintf(b, "    after %q %d %s %.3f + %s\n", a.TrajectoryID, a.CallIndex, a.Point, a.Share, us(&a.GapUS))
		}
		if c.RequestBodySHA256 != nil {
			describeBody(t, b, s, c)
		}
	}
	for i := range s.ToolCalls {
		tc := &s.ToolCalls[i]
		fmt.Fprintf(b, "  tool %d.%d %s %s wall %s error %s result in call %s, %s bytes\n", tc.CallIndex, tc.ToolIndex, show(tc.ToolCallID), show(tc.ToolName),
			us(tc.WallUS), show(tc.IsError), show(tc.ResultCallIndex), show(tc.ResultBytes))
	}
	for i := range s.Blocks {
		p := &s.Blocks[i]
		fmt.Fprintf(b, "  blocks %s %d: %d of %s %s, then %v; system %s, in %d, out %d, %s\n", p.TrajectoryID, p.CallIndex, p.SharedPrefixBlocks,
			show(p.ParentTrajectoryID), show(p.ParentCallIndex), p.NewBlockIDs, show(p.SystemBlocks), p.InputTokens, p.OutputTokens, p.Scope)
	}
}

// describeBody writes the messages of a body, except for the system prompt, and
// what follows the tools.
func describeBody(t *testing.T, b *strings.Builder, s *schema.Session, c *schema.Call) {
	t.Helper()
	body, err := fold.Body(nil, s, c)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]json.RawMessage
	var messages, tools []json.RawMessage
	for _, err := range []error{json.Unmarshal(body, &got), json.Unmarshal(got["messages"], &messages), json.Unmarshal(got["tools"], &tools)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(tools) != 4 || !strings.HasPrefix(string(messages[0]), `{"role":"system"`) {
		t.Fatalf("%d tools, first message %.60s", len(tools), messages[0])
	}
	for _, m := range messages[1:] {
		fmt.Fprintf(b, "    < %s\n", m)
	}
	if c.OutputStartItem != nil {
		for item := *c.OutputStartItem; item < *c.OutputEndItem; item++ {
			fmt.Fprintf(b, "    > %s\n", *s.Blobs[s.Items[item].ContentSHA256].Content)
		}
	}
	fmt.Fprintf(b, "    model %s stream %s %s\n", got["model"], got["stream"], got["stream_options"])
}

func show[T any](p *T) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprint(*p)
}

func us(p *int64) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprintf("%.3fs", float64(*p)/1e6)
}
