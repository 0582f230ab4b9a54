package plan_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

// fan is a session of 10 s: a root of three turns, and two sub-agents that the
// first turn starts and the second one waits for.
//
//	root  0–1 s, 5.5–6.5 s, 9–10 s
//	a     0.75–2.75 s (first token 0.8), 3–4 s
//	b     1.25–5 s
func fan(t testing.TB) *schema.Session {
	c := func(lane string, text string, took time.Duration, after ...schema.After) call {
		return call{lane: lane, messages: []string{sys, msg("user", text)}, in: 100, out: 10, took: took, first: took / 2, after: after}
	}
	return session(t, "fan",
		c("", "root 0", 1000*ms),
		c("", "root 1", 1000*ms, on("a", 1, schema.PointDone, 0), on("b", 0, schema.PointDone, 500*ms)),
		c("", "root 2", 1000*ms, on("root", 1, schema.PointDone, 2500*ms)),
		c("a", "a 0", 2000*ms, onToken("root", 0, 0.5, 0)),
		c("a", "a 1", 1000*ms, on("a", 0, schema.PointDone, 250*ms)),
		c("b", "b 0", 3750*ms, on("root", 0, schema.PointDone, 250*ms)))
}

// entered is play 0 of a lone session, for the first agent that starts where the
// test wants to be: the ring is the session, and agents are all over it.
func entered(t *testing.T, p *plan.Plan, from, to time.Duration) *plan.Script {
	t.Helper()
	pop := p.Population(3, 1)
	for agent := range 10000 {
		at := pop.Offset(agent)
		if at >= from && at < to {
			script, _ := pop.Play(agent, 0)
			return script
		}
	}
	t.Fatalf("no agent starts in [%v,%v)", from, to)
	return nil
}

func TestPlayFromTheMiddle(t *testing.T) {
	p := build(t, plan.Config{}, fan(t))
	full := whole(t, p, "fan")
	if p.Ring() != 10*time.Second {
		t.Fatalf("Ring() = %v, want 10s", p.Ring())
	}
	// Steps: 0 root 0, 1 a 0, 2 b 0, 3 a 1, 4 root 1, 5 root 2.
	type line struct {
		Step  int32
		Role  plan.Role
		After []plan.Edge
	}
	const tolerance = 10 * ms // the agent starts within it behind the wanted time
	f := func(at time.Duration, want ...line) {
		t.Helper()
		s := entered(t, p, at, at+tolerance)
		var got []line
		for i, st := range s.Steps {
			if st.Role == plan.Skip {
				continue
			}
			got = append(got, line{int32(i), st.Role, st.After})
			if st.Role == plan.Prime && (st.Output != 1 || s.Sample(int32(i)).Role != schema.RolePrime) {
				t.Errorf("at %v: prime %d gives %d tokens", at, i, st.Output)
			}
		}
		near := cmp.Comparer(func(a, b time.Duration) bool { return a-b <= tolerance && b-a <= tolerance })
		if diff := cmp.Diff(want, got, near); diff != "" {
			t.Errorf("at %v (-want +got):\n%s", at, diff)
		}
	}
	prime := []plan.Edge{start(0)}
	// root 0 is being answered and both sub-agents are still to come; the token
	// that starts a has passed.
	f(600*ms, line{0, plan.Prime, prime}, line{1, plan.Measured, []plan.Edge{done(0, 150*ms)}},
		line{2, plan.Measured, []plan.Edge{done(0, 650*ms)}}, line{3, plan.Measured, []plan.Edge{done(1, 250*ms)}},
		line{4, plan.Measured, []plan.Edge{done(0, 0), done(2, 500*ms), done(3, 0)}}, line{5, plan.Measured, []plan.Edge{done(4, 2500*ms)}})
	// Both sub-agents are being answered; root waits for them.
	f(2*time.Second, line{0, plan.Prime, prime}, line{1, plan.Prime, prime}, line{2, plan.Prime, prime},
		line{3, plan.Measured, []plan.Edge{done(1, 1000*ms)}},
		line{4, plan.Measured, []plan.Edge{done(0, 3500*ms), done(3, 0)}}, line{5, plan.Measured, []plan.Edge{done(4, 2500*ms)}})
	// Only root lives on; the sub-agents' lanes are not primed.
	f(7*time.Second, line{4, plan.Prime, prime}, line{5, plan.Measured, []plan.Edge{done(4, 2000*ms)}})
	// Nothing is left to send: the agent waits and plays the next session whole.
	f(9500*ms, line{0, plan.Measured, []plan.Edge{start(500 * ms)}}, line{1, plan.Measured, full.Steps[1].After},
		line{2, plan.Measured, full.Steps[2].After}, line{3, plan.Measured, full.Steps[3].After},
		line{4, plan.Measured, full.Steps[4].After}, line{5, plan.Measured, full.Steps[5].After})
}

// An entered play sends the same prompts as the whole one, and its ideal counts
// only what it sends itself.
func TestEnteredIdealAndBodies(t *testing.T) {
	p := build(t, plan.Config{}, fan(t))
	full := whole(t, p, "fan")
	s := entered(t, p, 7*time.Second, 7100*ms)
	if got, want := s.Steps[5].Ideal, s.Steps[5].Input*int64(len(sys)+plan.SaltLen)/int64(len(sys)+len(msg("user", "root 2"))+2*plan.SaltLen); got != want {
		t.Errorf("Ideal = %d, want the system message's %d", got, want)
	}
	if s.Steps[4].Ideal != 0 {
		t.Errorf("Ideal of the prime = %d, want 0", s.Steps[4].Ideal)
	}
	prime, whole := sentBody(s.Steps[4].Body, probeSalt, playSalt), sentBody(full.Steps[4].Body, probeSalt, playSalt)
	if want := replaceOnce(replaceOnce(whole, `"max_tokens":10`, `"max_tokens":1`), `"min_tokens":10`, `"min_tokens":1`); prime != want {
		t.Errorf("prime sends %s, want %s", prime, want)
	}
	if int64(len(prime)) != s.Steps[4].Body.Len {
		t.Errorf("prime's Len = %d, want %d", s.Steps[4].Body.Len, len(prime))
	}
	if sentBody(full.Steps[4].Body, probeSalt, playSalt) != whole {
		t.Error("entering changed the shared script")
	}
}

func replaceOnce(s, old, with string) string {
	i := len(s) - len(old)
	for i >= 0 && s[i:i+len(old)] != old {
		i--
	}
	return s[:i] + with + s[i+len(old):]
}

// chain is a session of some turns, each as long.
func chain(t testing.TB, id string, turns int, took, gap time.Duration) *schema.Session {
	var calls []call
	m := []string{sys, msg("user", id)}
	for i := range turns {
		calls = append(calls, call{messages: slices.Clone(m), in: int64(10 + i), out: 5, took: took, gap: gap})
		m = append(m, msg("assistant", fmt.Sprint(i)), msg("user", "go on"))
	}
	return session(t, id, calls...)
}

func TestRing(t *testing.T) {
	var sessions []*schema.Session
	var lengths []time.Duration
	for i := range 7 {
		n := 1 + i*i
		sessions = append(sessions, chain(t, fmt.Sprint("s", i), n, time.Second, 2*time.Second))
		lengths = append(lengths, time.Duration(n)*time.Second+time.Duration(n-1)*2*time.Second)
	}
	p := build(t, plan.Config{}, sessions...)
	var sum time.Duration
	for _, l := range lengths {
		sum += l
	}
	if p.Ring() != sum || p.Sessions() != 7 {
		t.Fatalf("Ring() = %v with %d sessions, want %v with 7", p.Ring(), p.Sessions(), sum)
	}
	for seed := range uint64(20) {
		pop := p.Population(seed, 1000)
		order := map[string]int{}
		for n := range 7 {
			s, _ := pop.Play(0, n+1)
			order[s.Session] = n
		}
		if len(order) != 7 {
			t.Errorf("seed %d: seven plays of %v", seed, order)
		}
		agents := map[string]int{}
		for agent := range 1000 {
			first, _ := pop.Play(agent, 0)
			next, _ := pop.Play(agent, 1)
			if (order[first.Session]+1)%7 != order[next.Session]%7 {
				t.Fatalf("seed %d: agent %d plays %s, then %s; the ring is %v", seed, agent, first.Session, next.Session, order)
			}
			if late := len(first.Steps[0].After) > 0 && first.Steps[0].After[0].Gap > 0; !late {
				agents[first.Session]++
			}
		}
		for i, l := range lengths {
			last := time.Second // the time of the last answer, when nothing is left to send
			want := 1000 * float64(l-last) / float64(sum)
			if got := float64(agents[fmt.Sprint("s", i)]); math.Abs(got-want) > 3 {
				t.Errorf("seed %d: %v agents start in s%d, want %.1f", seed, got, i, want)
			}
		}
	}
}

// At every level the largest stretch of the ring without an agent is less than
// three times the mean one (Steinhaus: golden-ratio offsets leave gaps of at most
// φ² times the mean).
func TestAgentsAreSpread(t *testing.T) {
	p := build(t, plan.Config{}, chain(t, "s", 100, time.Second, time.Second))
	for _, level := range []int{2, 3, 7, 50, 99, 1000} {
		pop := p.Population(5, level)
		var at []time.Duration
		for agent := range level {
			at = append(at, pop.Offset(agent))
			if want := time.Duration(agent) * plan.Stagger; pop.Start(agent) != want {
				t.Errorf("Start(%d) = %v, want %v", agent, pop.Start(agent), want)
			}
		}
		slices.Sort(at)
		largest := at[0] + p.Ring() - at[level-1]
		for i := 1; i < level; i++ {
			largest = max(largest, at[i]-at[i-1])
		}
		if mean := p.Ring() / time.Duration(level); largest >= 3*mean {
			t.Errorf("%d agents leave %v empty, want less than three times %v", level, largest, mean)
		}
	}
}

// Driven with the recorded durations, all agents together are at all times where
// the ring puts them: an agent reaches the end of its first session when the rest
// of it has passed.
func TestPlaysKeepRecordedTime(t *testing.T) {
	p := build(t, plan.Config{}, fan(t))
	full := whole(t, p, "fan")
	took := map[int32]answer{}
	for i, d := range []time.Duration{1000, 2000, 3750, 1000, 1000, 1000} {
		took[int32(i)] = answer{d * ms / 2, d * ms}
	}
	end := func(s *plan.Script) (last time.Duration) {
		length := func(step int32) answer {
			if s.Steps[step].Role == plan.Prime {
				return answer{}
			}
			return took[step]
		}
		seen := drive(t, s, 0, length)
		check(t, s, 0, seen, length)
		for _, step := range seen {
			last = max(last, step.done)
		}
		return last
	}
	if got := end(full); got != 10*time.Second {
		t.Errorf("the whole session takes %v, want 10s", got)
	}
	pop := p.Population(9, 400)
	for agent := range 400 {
		at := pop.Offset(agent)
		s, _ := pop.Play(agent, 0)
		want := 10*time.Second - at
		if at > 9*time.Second { // nothing left to send: the wait, then a whole session
			want += 10 * time.Second
		}
		if got := end(s); (got - want).Abs() > 10 {
			t.Errorf("agent %d starts at %v and ends after %v, want %v", agent, at, got, want)
		}
	}
}

func TestPopulationIsAFunctionOfTheSeed(t *testing.T) {
	p := build(t, plan.Config{}, fan(t), growing(t), chain(t, "c", 9, time.Second, time.Second))
	type seen struct {
		Session string
		Roles   []plan.Role
		Salt    plan.Salt
	}
	look := func(seed uint64, level int) (out []seen) {
		pop := p.Population(seed, level)
		out = append(out, seen{Salt: pop.ProbeSalt()})
		for agent := range 20 {
			for n := range 4 {
				s, salt := pop.Play(agent, n)
				one := seen{Session: s.Session, Salt: salt}
				for _, st := range s.Steps {
					one.Roles = append(one.Roles, st.Role)
				}
				out = append(out, one)
			}
		}
		return out
	}
	base := look(1, 20)
	if diff := cmp.Diff(base, look(1, 90)); diff != "" {
		t.Errorf("the agents of a level are not among those of a higher one:\n%s", diff)
	}
	if cmp.Equal(base, look(2, 20)) {
		t.Error("two seeds give one population")
	}
	salts := map[plan.Salt]bool{}
	for seed := range uint64(3) {
		for _, s := range look(seed, 20) {
			if salts[s.Salt] {
				t.Errorf("salt %q comes twice", s.Salt)
			}
			salts[s.Salt] = true
			for i, c := range s.Salt {
				if letter := c >= 'a' && c <= 'z' || c >= '2' && c <= '7'; letter == (i == plan.SaltLen-1) {
					t.Errorf("salt %q", s.Salt)
				}
			}
		}
	}
}

// A nonce changes the salts and nothing else.
func TestSalted(t *testing.T) {
	p := build(t, plan.Config{}, fan(t), growing(t))
	plain, zero, salted := p.Population(1, 9), p.Population(1, 9).Salted(0), p.Population(1, 9).Salted(7)
	if zero.ProbeSalt() != plain.ProbeSalt() || salted.ProbeSalt() == plain.ProbeSalt() {
		t.Error("the probe's salt does not follow the nonce")
	}
	for agent := range 9 {
		a, saltA := plain.Play(agent, 1)
		b, saltB := salted.Play(agent, 1)
		_, saltZ := zero.Play(agent, 1)
		if a.Session != b.Session || plain.Offset(agent) != salted.Offset(agent) || plain.Start(agent) != salted.Start(agent) {
			t.Errorf("agent %d plays something else", agent)
		}
		if saltA == saltB || saltA != saltZ {
			t.Errorf("agent %d: salts %q, %q with a nonce, %q with none", agent, saltA, saltB, saltZ)
		}
	}
}
