package stats_test

import (
	"math"
	"testing"

	"github.com/capstan-bench/capstan/schema"
)

// TestDuty holds the length of a session to what its causes say. Every call takes
// 10 s, its first token comes after 2 s.
func TestDuty(t *testing.T) {
	f := func(name string, length float64, after ...[]schema.After) {
		t.Helper()
		s := &schema.Session{ID: "s", Trajectories: []schema.Trajectory{{SessionID: "s", TrajectoryID: "root"}}}
		for i, a := range after {
			s.Calls = append(s.Calls, schema.Call{
				SessionID: "s", TrajectoryID: "root", CallIndex: int32(i), After: a,
				CompletedUS: ptr(int64(10e6)), FirstTokenUS: ptr(int64(2e6)),
			})
		}
		sum := inspect(t, s)
		if got, want := *sum.Duty, 10*float64(len(after))/length; math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: duty = %v, want %v", name, got, want)
		}
	}
	on := func(call int32, point string, share float32, gap float64) schema.After {
		e := schema.After{TrajectoryID: "root", CallIndex: call, Point: point, Share: share, GapUS: int64(gap * 1e6)}
		if point == schema.PointStart {
			e.TrajectoryID = ""
		}
		return e
	}
	f("one call", 10, nil)
	f("after the end", 25, nil, []schema.After{on(0, schema.PointDone, 0, 5)})
	f("gap over the cap", 320, nil, []schema.After{on(0, schema.PointDone, 0, 86400)})
	f("after the sending", 15, nil, []schema.After{on(0, schema.PointSent, 0, 5)})
	f("at half of the answer", 17, nil, []schema.After{on(0, schema.PointToken, 0.5, 1)})
	f("from the start", 17, nil, []schema.After{on(0, schema.PointStart, 0, 7)})
	f("the session begins with its first call", 10, []schema.After{on(0, schema.PointStart, 0, 7)})
	f("the later of two causes", 40, nil,
		[]schema.After{on(0, schema.PointDone, 0, 20)},
		[]schema.After{on(0, schema.PointDone, 0, 8), on(0, schema.PointSent, 0, 5)})
	f("a cause listed later", 30, []schema.After{on(2, schema.PointDone, 0, 0)}, []schema.After{on(0, schema.PointDone, 0, 0)}, nil)
	f("waiting for itself", 10, []schema.After{on(0, schema.PointDone, 0, 0)})
	f("a cause that does not exist", 10, []schema.After{on(9, schema.PointDone, 0, 5)})
}

// TestUnknownTimes puts calls that were not timed behind the call before them.
func TestUnknownTimes(t *testing.T) {
	s := session()
	s.Calls[1].StartedAt = nil
	if got, want := *inspect(t, s).IdealWithin, *inspect(t, session()).IdealWithin; got != want {
		t.Errorf("ideal hits = %v, want %v", got, want)
	}
}
