package plan_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/tokens"
)

// prompt is a call of a source without text.
type prompt struct {
	lane   string
	blocks []int64
	input  int64
	output int64
	system int32 // -1: unknown
}

const blockSize = 64

// hashed makes a session of prompts. Each row names the prompt before it in its
// lane as its parent; the first of a lane, the session's first row.
func hashed(id, scope string, prompts ...prompt) *schema.Session {
	s := &schema.Session{ID: id, Trajectories: []schema.Trajectory{{SessionID: id, TrajectoryID: "root", ContentTier: schema.TierHashed}}}
	type known struct {
		lane   string
		index  int32
		blocks []int64
	}
	last := map[string]known{}
	count := map[string]int32{}
	for _, p := range prompts {
		if p.lane == "" {
			p.lane = "root"
		} else if count[p.lane] == 0 {
			s.Trajectories = append(s.Trajectories, schema.Trajectory{SessionID: id, TrajectoryID: p.lane, ParentTrajectoryID: ptr("root"), SpawnedByCallIndex: ptr(int32(0))})
		}
		c := schema.Call{
			SessionID: id, TrajectoryID: p.lane, CallIndex: count[p.lane], Purpose: schema.PurposeMain, APIFormat: schema.FormatNone,
			InputTokens: ptr(p.input), OutputTokens: ptr(p.output), GapUS: ptr(int64(1000)), CompletedUS: ptr(int64(1_000_000)),
		}
		s.Calls = append(s.Calls, c)
		row := schema.PrefixBlocks{
			SessionID: id, TrajectoryID: p.lane, CallIndex: c.CallIndex, BlockSizeTokens: blockSize, Tokenizer: tokens.O200k, Scope: scope,
			InputTokens: p.input, OutputTokens: p.output, NewBlockIDs: p.blocks,
		}
		if p.system >= 0 {
			row.SystemBlocks = &p.system
		}
		parent, ok := last[p.lane]
		if !ok && len(s.Blocks) > 0 {
			parent, ok = last["root"], true
		}
		if ok {
			n := 0
			for n < len(p.blocks) && n < len(parent.blocks) && p.blocks[n] == parent.blocks[n] {
				n++
			}
			row.ParentTrajectoryID, row.ParentCallIndex = ptr(parent.lane), ptr(parent.index)
			row.SharedPrefixBlocks, row.NewBlockIDs = int32(n), p.blocks[n:]
		}
		s.Blocks = append(s.Blocks, row)
		last[p.lane] = known{p.lane, c.CallIndex, p.blocks}
		count[p.lane]++
	}
	return s
}

// ids are block ids from one to another, both included.
func ids(from, to int64) (out []int64) {
	for id := from; id <= to; id++ {
		out = append(out, id)
	}
	return out
}

// texts are the contents of a body's messages, as role and text.
func texts(t testing.TB, st plan.Step) (roles []string, contents []string) {
	t.Helper()
	for _, m := range decode(t, sentBody(st.Body, "", "")).Messages {
		roles = append(roles, m["role"].(string))
		contents = append(contents, m["content"].(string))
	}
	return roles, contents
}

func TestSynthesisedMessages(t *testing.T) {
	s := hashed("h", schema.ScopeSession,
		prompt{blocks: ids(1, 10), input: 10*blockSize + 17, output: 130, system: 4},
		prompt{blocks: ids(1, 20), input: 20 * blockSize, output: 3, system: 4},
		prompt{blocks: ids(1, 21), input: 21*blockSize + 5, output: 3, system: 4},
		prompt{blocks: append(ids(1, 13), ids(30, 40)...), input: 24*blockSize + 63, output: 1, system: 4}, // wound back
		prompt{lane: "sub", blocks: append(ids(1, 4), ids(50, 52)...), input: 7*blockSize + 1, output: 1, system: 4},
		prompt{lane: "tiny", blocks: nil, input: 9, output: 1, system: 4})
	script := whole(t, build(t, plan.Config{}, s), "h")
	counter, err := tokens.Open(tokens.O200k)
	if err != nil {
		t.Fatal(err)
	}
	byCall := map[string]plan.Step{}
	for _, st := range script.Steps {
		ref := script.Calls[st.Call]
		byCall[fmt.Sprint(script.Lanes[ref.Lane], ref.Index)] = st
	}
	f := func(call string, want string) {
		t.Helper()
		st := byCall[call]
		roles, contents := texts(t, st)
		var got []string
		total := 0
		for i, role := range roles {
			n := counter.Count([]byte(contents[i]))
			got = append(got, fmt.Sprintf("%s %d", role, n))
			total += n
		}
		if g := strings.Join(got, ", "); g != want {
			t.Errorf("%s: messages of %s tokens, want %s", call, g, want)
		}
		if int64(total) != st.Input {
			t.Errorf("%s: text has %d tokens, want %d", call, total, st.Input)
		}
	}
	// The node of blocks 11 to 20 is parted at 13, by the prompt that goes back.
	f("root0", "system 256, user 401")
	f("root1", "system 256, user 384, assistant 128, user 64, assistant 128, user 320")
	f("root2", "system 256, user 384, assistant 128, user 64, assistant 128, user 320, assistant 32, user 37")
	f("root3", "system 256, user 384, assistant 128, user 64, assistant 64, user 703")
	f("sub0", "system 256, user 193")
	f("tiny0", "user 9")

	ideal := map[string]int64{}
	for call, st := range byCall {
		ideal[call] = st.Ideal
	}
	want := map[string]int64{"root0": 0, "root1": 640, "root2": 1280, "root3": 13 * 64, "sub0": 256, "tiny0": 0}
	if diff := cmp.Diff(want, ideal); diff != "" {
		t.Errorf("ideal (-want +got):\n%s", diff)
	}
}

func TestSynthesisedTextIsSharedWithinItsScope(t *testing.T) {
	f := func(scope string, same bool) {
		t.Helper()
		one := hashed("one", scope, prompt{blocks: ids(1, 9), input: 600, output: 1, system: 5})
		two := hashed("two", scope, prompt{blocks: append(ids(1, 5), ids(20, 29)...), input: 961, output: 1, system: 5})
		p := build(t, plan.Config{}, one, two)
		a, b := whole(t, p, "one").Steps[0], whole(t, p, "two").Steps[0]
		_, first := texts(t, a)
		_, second := texts(t, b)
		if (first[0] == second[0]) != same || (a.Prompt[0].ID == b.Prompt[0].ID) != same {
			t.Errorf("scope %s: the system text of two sessions is alike: %v, want %v", scope, first[0] == second[0], same)
		}
	}
	f(schema.ScopeDataset, true)
	f(schema.ScopeSession, false)
}

// blocksOf draws the prompts of a session: contexts that grow, are cut and go
// back, in lanes that may share their beginning.
func blocksOf(r *rand.Rand) []prompt {
	var out []prompt
	next := int64(1)
	system := int32(r.IntN(4)) - 1
	base := ids(1, 3)
	for lane := range 1 + r.IntN(3) {
		context := base
		for range 1 + r.IntN(12) {
			if r.IntN(5) == 0 {
				context = context[:r.IntN(len(context)+1)]
			}
			next += 100
			context = append(context[:len(context):len(context)], ids(next, next+int64(r.IntN(6)))...)
			name := ""
			if lane > 0 {
				name = fmt.Sprint("lane", lane)
			}
			out = append(out, prompt{
				lane: name, blocks: context, input: int64(len(context)*blockSize + r.IntN(200) - 40),
				output: int64(r.IntN(300)), system: system,
			})
		}
	}
	return out
}

// For random sessions: text has the recorded number of tokens, roles alternate
// behind the system's messages, prompts that share blocks share whole pieces,
// and Ideal is exactly the tokens of the blocks that an earlier step shares.
func TestSynthesisByProperty(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		prompts := blocksOf(r)
		s := hashed("p", schema.ScopeSession, prompts...)
		script := whole(t, build(t, plan.Config{NoSalt: seed%2 == 0}, s), "p")
		for i, st := range script.Steps {
			p := prompts[st.Call]
			roles, contents := texts(t, st)
			if got := int64(len(strings.Join(contents, "")) / tokens.FillerBytes); got != p.input {
				t.Errorf("step %d: %d tokens of text, want %d", i, got, p.input)
			}
			checkRoles(t, roles)
			checkPrompt(t, st)
			want := int64(0)
			for _, before := range script.Steps[:i] {
				b := prompts[before.Call]
				n := int64(0)
				for n < full(p) && n < full(b) && p.blocks[n] == b.blocks[n] {
					n++
				}
				want = max(want, n*blockSize)
			}
			if st.Ideal != want {
				t.Errorf("step %d: Ideal = %d, want %d", i, st.Ideal, want)
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// full is how many of a prompt's blocks its tokens fill.
func full(p prompt) int64 { return min(int64(len(p.blocks)), p.input/blockSize) }

func checkRoles(t *testing.T, roles []string) {
	t.Helper()
	i := 0
	for i < len(roles) && roles[i] == "system" {
		i++
	}
	for j := i; j < len(roles); j++ {
		if want := []string{"user", "assistant"}[(j-i)%2]; roles[j] != want {
			t.Errorf("roles %v: message %d is not of the %s", roles, j, want)
		}
	}
	if i == len(roles) || roles[len(roles)-1] != "user" {
		t.Errorf("roles %v do not end with the user", roles)
	}
}

// checkPrompt holds the pieces to the elements of the body: the same bytes.
func checkPrompt(t *testing.T, st plan.Step) {
	t.Helper()
	var pieces, salts int64
	for _, piece := range st.Prompt {
		pieces += int64(piece.Len)
		salts += plan.SaltLen * int64(piece.Salt&1+piece.Salt>>1)
	}
	roles, contents := texts(t, st)
	var elements int64
	for i := range roles {
		elements += int64(len(msg(roles[i], contents[i])))
	}
	if pieces-salts != elements {
		t.Errorf("pieces hold %d bytes, elements %d", pieces-salts, elements)
	}
}

func TestBlocksRefused(t *testing.T) {
	f := func(name, want string, change func(s *schema.Session)) {
		t.Helper()
		s := hashed("h", schema.ScopeSession,
			prompt{blocks: ids(1, 4), input: 256, output: 1, system: 2}, prompt{blocks: ids(1, 6), input: 400, output: 1, system: 2})
		change(s)
		_, err := plan.Build(context.Background(), seq(s), plan.Config{Model: "m"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Build = %v, want an error with %q", name, err, want)
		}
	}
	f("no rows", "no token blocks", func(s *schema.Session) { s.Blocks = nil })
	f("a row is missing", "has none", func(s *schema.Session) { s.Blocks = s.Blocks[:1] })
	f("block size", "block size 0", func(s *schema.Session) { s.Blocks[0].BlockSizeTokens = 0 })
	f("two block sizes", "block size 32", func(s *schema.Session) { s.Blocks[1].BlockSizeTokens = 32 })
	f("parent", "no earlier row", func(s *schema.Session) { s.Blocks[1].ParentCallIndex = ptr(int32(1)) })
	f("shared", "shares 5 blocks", func(s *schema.Session) { s.Blocks[1].SharedPrefixBlocks = 5 })
	f("negative", "shares -1", func(s *schema.Session) { s.Blocks[1].SharedPrefixBlocks = -1 })
	f("tokenizer", `"claude"`, func(s *schema.Session) { s.Blocks[0].Tokenizer = "claude" })
	f("input", "input tokens", func(s *schema.Session) { s.Blocks[1].InputTokens = -1 })
}
