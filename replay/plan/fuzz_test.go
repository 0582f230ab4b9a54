package plan_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

// values are what mangled numbers become.
var values = []int64{0, 1, 2, 3, 5, 63, 64, 100, 1 << 20, math.MaxInt32, math.MaxInt64, -1, -2, math.MinInt32, math.MinInt64, 1 << 24}

// texts that mangled strings become.
var words = []string{"", "root", "a", "sub", "done", "sent", "token", "start", "openai.chat", "none", "title", "retry", "tools", "system", "o200k_base", "dataset"}

// mangler changes one field of a session at a time, as bytes tell it to.
type mangler struct {
	s    *schema.Session
	data []byte
}

func (m *mangler) byte() int {
	if len(m.data) == 0 {
		return 0
	}
	b := m.data[0]
	m.data = m.data[1:]
	return int(b)
}

func (m *mangler) value() int64     { return values[m.byte()%len(values)] }
func (m *mangler) small() int32     { return int32(m.value()) }
func (m *mangler) word() string     { return words[m.byte()%len(words)] }
func (m *mangler) pointer() *int64  { return ptr(m.value()) }
func (m *mangler) time() *time.Time { return ptr(time.Unix(m.value()%(1<<40), 0)) }

func (m *mangler) run() {
	for len(m.data) > 0 {
		switch m.byte() % 4 {
		case 0, 1:
			if len(m.s.Calls) > 0 {
				m.call(&m.s.Calls[m.byte()%len(m.s.Calls)])
			}
		case 2:
			if len(m.s.Blocks) > 0 {
				m.row(&m.s.Blocks[m.byte()%len(m.s.Blocks)])
			}
		case 3:
			m.rest()
		}
	}
}

func (m *mangler) call(c *schema.Call) {
	switch m.byte() % 24 {
	case 0:
		c.TrajectoryID = m.word()
	case 1:
		c.CallIndex = m.small()
	case 2:
		c.Attempt = m.small()
	case 3:
		c.Purpose = m.word()
	case 4, 5, 6:
		c.After = append(c.After, schema.After{TrajectoryID: m.word(), CallIndex: int32(m.byte() % 4), Point: m.word(), Share: float32(m.byte()) / 64, GapUS: m.value()})
	case 7:
		c.APIFormat = m.word()
	case 8:
		c.ErrorType = ptr(m.word())
	case 9:
		c.HTTPStatus = ptr(m.small())
	case 10:
		c.InputTokens = m.pointer()
	case 11:
		c.OutputTokens = m.pointer()
	case 12:
		c.InputTokens, c.OutputTokens = nil, nil
	case 13:
		c.GapUS = m.pointer()
	case 14:
		c.CompletedUS = m.pointer()
	case 15:
		c.FirstTokenUS, c.LastTokenUS = m.pointer(), m.pointer()
	case 16:
		c.ContextRanges = append(c.ContextRanges, schema.Range{StartItem: m.small(), EndItem: m.small(), Slot: m.small()})
	case 17:
		c.ContextRanges = nil
	case 18:
		c.Patches = append(c.Patches, schema.Patch{Item: m.small(), Off: m.small(), Del: m.small(), Ins: m.word()})
	case 19:
		c.EnvelopeSHA256 = ptr(m.word())
	case 20:
		c.StartedAt = m.time()
	case 21:
		c.RefInputTokens, c.RefOutputTokens = m.pointer(), m.pointer()
	case 22:
		c.After = nil
	case 23:
		c.After = append(c.After, schema.After{TrajectoryID: "root", CallIndex: int32(m.byte() % 4), Point: "done"})
	}
}

func (m *mangler) row(p *schema.PrefixBlocks) {
	switch m.byte() % 11 {
	case 0:
		p.TrajectoryID = m.word()
	case 1:
		p.CallIndex = m.small()
	case 2:
		p.BlockSizeTokens = m.small()
	case 3:
		p.Tokenizer = m.word()
	case 4:
		p.Scope = m.word()
	case 5:
		p.ParentTrajectoryID, p.ParentCallIndex = ptr(m.word()), ptr(int32(m.byte()%4))
	case 6:
		p.SharedPrefixBlocks = m.small()
	case 7:
		p.NewBlockIDs = append(p.NewBlockIDs, m.value())
	case 8:
		p.InputTokens, p.OutputTokens = m.value()%10000, m.value()
	case 9:
		p.SystemBlocks = ptr(m.small())
	case 10:
		p.SystemBlocks, p.NewBlockIDs = nil, nil
	}
}

func (m *mangler) rest() {
	switch m.byte() % 7 {
	case 0:
		m.s.Trajectories = m.s.Trajectories[:m.byte()%(len(m.s.Trajectories)+1)]
	case 1:
		for i := range m.s.Trajectories {
			m.s.Trajectories[i].DurationUS, m.s.Trajectories[i].StartedAt = m.pointer(), m.time()
		}
	case 2:
		for i := range m.s.Trajectories {
			m.s.Trajectories[i].ParentTrajectoryID, m.s.Trajectories[i].SpawnedByCallIndex = ptr(m.word()), ptr(int32(m.byte()%4))
		}
	case 3:
		if n := len(m.s.Items); n > 0 {
			m.s.Items[m.byte()%n].Kind = m.word()
		}
	case 4:
		if n := len(m.s.Items); n > 0 {
			sum := m.s.Items[m.byte()%n].ContentSHA256
			b := m.s.Blobs[sum]
			b.Content = ptr(m.word() + `{"content":"x"}`)
			m.s.Blobs[sum] = b
		}
	case 5:
		m.s.Calls = m.s.Calls[:m.byte()%(len(m.s.Calls)+1)]
	case 6:
		if n := len(m.s.Blocks); n > 0 {
			m.s.Blocks = m.s.Blocks[:m.byte()%n]
		}
	}
}

// FuzzBuild builds sessions whose fields contradict each other. Either Build
// refuses, or the plan holds what it promises and plays to its end.
func FuzzBuild(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{1, 0, 1, 4, 2, 0, 4, 200, 5})
	f.Add([]byte{2, 2, 1, 6, 3, 2, 2, 7, 5, 2, 0, 8, 5, 1})
	f.Add([]byte{0, 0, 2, 8, 0, 0, 1, 23, 2, 0, 0, 14, 10})
	f.Add([]byte{5, 3, 1, 10, 3, 0, 0, 13, 10, 0, 1, 14, 10})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 200 {
			return
		}
		m := &mangler{data: data}
		cfg := plan.Config{Model: "m"}
		switch mode := m.byte(); mode % 3 {
		case 0:
			m.s = growing(t)
			cfg.Verbatim, cfg.NoSalt = mode&4 != 0, mode&8 != 0
		case 1:
			m.s = fan(t)
			cfg.MaxContext = int64(mode & 128)
		case 2:
			m.s = hashed("h", schema.ScopeSession, prompt{blocks: ids(1, 4), input: 300, output: 5, system: 2},
				prompt{blocks: ids(1, 6), input: 400, output: 7, system: 2}, prompt{lane: "sub", blocks: ids(1, 2), input: 128, output: 1, system: -1})
			cfg.Output = []string{plan.OutputExact, plan.OutputFree}[mode>>3&1]
		}
		m.run()
		p, err := plan.Build(context.Background(), seq(m.s), cfg)
		if err != nil {
			return
		}
		pop := p.Population(1, 4)
		for agent := range 4 {
			for n := range 2 {
				s, _ := pop.Play(agent, n)
				checkScript(t, s)
				length := func(int32) answer { return answer{ms, 2 * ms} }
				check(t, s, 0, drive(t, s, 0, length), length)
			}
		}
	})
}

// checkScript holds a script to what its types promise.
func checkScript(t *testing.T, s *plan.Script) {
	t.Helper()
	if len(s.Steps) == 0 || s.Idle < 0 {
		t.Fatalf("script of %d steps, idle %v", len(s.Steps), s.Idle)
	}
	for i, st := range s.Steps {
		for _, e := range st.After {
			if e.At != plan.PlayStart && int(e.From) >= i || e.Gap < 0 || e.At == plan.Token && !(e.Share > 0 && e.Share <= 1) {
				t.Fatalf("step %d hangs on %+v", i, e)
			}
		}
		if st.Output < 1 || st.Input < 0 || st.Turn < 0 || st.Ideal < 0 || st.Ideal > st.Input || len(st.Prompt) == 0 {
			t.Fatalf("step %d: %+v", i, st)
		}
		body := sentBody(st.Body, probeSalt, playSalt)
		if int64(len(body)) != st.Body.Len || strings.Count(body, probeSalt) > 1 {
			t.Fatalf("step %d: Len %d, body %.200s", i, st.Body.Len, body)
		}
		decode(t, body)
		s.Sample(int32(i))
	}
}
