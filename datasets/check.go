package datasets

import (
	"cmp"
	"fmt"

	"github.com/capstan-bench/capstan/schema"
)

// Check returns an error for the first thing in which the rows of a session
// contradict each other. It does not look into content and does not validate
// single rows (readers and writers of package schema do).
//
// What it checks: all rows are of the session. The first trajectory is the root
// and the only one without a parent; parents stand before their children;
// counts and totals add up over the rows. Calls, tool calls and blocks are
// sorted and unique, items are numbered from 0. Ranges, outputs and patches
// stay within the items; every item and envelope has a blob of the recorded
// length. Nothing is longer than a reader must be ready for. Causes name earlier calls, and no call waits for itself. Tool calls
// and blocks belong to calls; a block row's parent stands before it and has as
// many blocks as it lends.
func Check(s *schema.Session) error {
	var first error
	check(s, func(place, text string) {
		if first == nil {
			first = fmt.Errorf("%s: %s", place, text)
		}
	})
	return first
}

// check reports everything that Check would stop at. Where one problem would
// only lead to others, the checks that build on it are left out.
func check(s *schema.Session, report func(place, text string)) {
	c := &checker{s: s, report: report, lanes: make(map[string]int32, len(s.Trajectories))}
	if !c.size() || !c.trajectories() || !c.calls() {
		return
	}
	c.items()
	c.contexts()
	c.toolCalls()
	c.blocks()
	c.edges()
	c.counts()
}

type checker struct {
	s      *schema.Session
	report func(place, text string)
	bad    bool
	lanes  map[string]int32 // trajectory to its place
	nodes  map[node]int32   // first row of a call
}

// node is a call without its attempt: what causes and tool calls refer to.
type node struct{ lane, call int32 }

func (c *checker) fail(place, format string, args ...any) {
	c.bad = true
	c.report(place, fmt.Sprintf(format, args...))
}

func (c *checker) node(trajectory string, call int32) (node, bool) {
	lane, ok := c.lanes[trajectory]
	n := node{lane, call}
	if ok {
		_, ok = c.nodes[n]
	}
	return n, ok
}

func placeOf(trajectory string, call int32) string {
	return fmt.Sprintf("trajectory %q call %d", trajectory, call)
}

// maxRows bounds the rows of a session in one table, and the items of a context. It
// is far beyond what is recorded and keeps a hostile dataset from filling memory.
const maxRows = 1 << 20

// size checks the bounds.
func (c *checker) size() bool {
	for _, t := range []struct {
		table schema.Table
		rows  int
	}{
		{schema.TableTrajectories, len(c.s.Trajectories)}, {schema.TableCalls, len(c.s.Calls)},
		{schema.TableToolCalls, len(c.s.ToolCalls)}, {schema.TableItems, len(c.s.Items)},
		{schema.TablePrefixBlocks, len(c.s.Blocks)},
	} {
		if t.rows > maxRows {
			c.fail("table "+t.table.Name, "%d rows, want at most %d", t.rows, maxRows)
		}
	}
	return !c.bad
}

func (c *checker) trajectories() bool {
	if len(c.s.Trajectories) == 0 {
		c.fail("session", "it has no trajectory")
		return false
	}
	for i := range c.s.Trajectories {
		t := &c.s.Trajectories[i]
		place := fmt.Sprintf("trajectory %q", t.TrajectoryID)
		if t.SessionID != c.s.ID {
			c.fail(place, "its session is %q", t.SessionID)
		}
		if _, ok := c.lanes[t.TrajectoryID]; ok {
			c.fail(place, "it comes twice")
		}
		switch parent := t.ParentTrajectoryID; {
		case i == 0 && parent != nil:
			c.fail(place, "it is the first but has the parent %q", *parent)
		case i > 0 && parent == nil:
			c.fail(place, "it has no parent but is not the first")
		case parent != nil:
			if _, ok := c.lanes[*parent]; !ok {
				c.fail(place, "its parent %q does not stand before it", *parent)
			}
		}
		c.lanes[t.TrajectoryID] = int32(i)
	}
	return !c.bad
}

// calls checks that calls are sorted, of known trajectories, and unique.
func (c *checker) calls() bool {
	c.nodes = make(map[node]int32, len(c.s.Calls))
	ids := make(map[string]bool, len(c.s.Calls))
	for i := range c.s.Calls {
		call := &c.s.Calls[i]
		place := placeOf(call.TrajectoryID, call.CallIndex)
		lane, ok := c.lanes[call.TrajectoryID]
		switch {
		case call.SessionID != c.s.ID:
			c.fail(place, "its session is %q", call.SessionID)
		case !ok:
			c.fail(place, "there is no such trajectory")
		case i > 0 && c.compare(&c.s.Calls[i-1], call) >= 0:
			c.fail(place, "attempt %d is out of order or comes twice", call.Attempt)
		case ids[call.CallID]:
			c.fail(place, "its call_id %q comes twice", call.CallID)
		}
		ids[call.CallID] = true
		n := node{lane, call.CallIndex}
		if _, ok := c.nodes[n]; !ok {
			c.nodes[n] = int32(i)
		}
	}
	return !c.bad
}

func (c *checker) compare(a, b *schema.Call) int {
	return cmp.Or(cmp.Compare(c.lanes[a.TrajectoryID], c.lanes[b.TrajectoryID]),
		cmp.Compare(a.CallIndex, b.CallIndex), cmp.Compare(a.Attempt, b.Attempt))
}

func (c *checker) toolCalls() {
	lastNode, lastTool := node{-1, 0}, int32(0)
	for i := range c.s.ToolCalls {
		t := &c.s.ToolCalls[i]
		place := fmt.Sprintf("%s tool %d", placeOf(t.TrajectoryID, t.CallIndex), t.ToolIndex)
		n, ok := c.node(t.TrajectoryID, t.CallIndex)
		order := cmp.Or(cmp.Compare(lastNode.lane, n.lane), cmp.Compare(lastNode.call, n.call), cmp.Compare(lastTool, t.ToolIndex))
		switch {
		case t.SessionID != c.s.ID:
			c.fail(place, "its session is %q", t.SessionID)
		case !ok:
			c.fail(place, "there is no such call")
		case order >= 0:
			c.fail(place, "it is out of order or comes twice")
		}
		lastNode, lastTool = n, t.ToolIndex
		c.item(place, "arguments_item", t.ArgumentsItem)
		c.item(place, "result_item", t.ResultItem)
		if r := t.ResultCallIndex; r != nil {
			if _, ok := c.node(t.TrajectoryID, *r); !ok || *r <= t.CallIndex {
				c.fail(place, "result_call_index %d is no later call of the trajectory", *r)
			}
		}
		if sub := t.SubTrajectoryID; sub != nil {
			if _, ok := c.lanes[*sub]; !ok {
				c.fail(place, "subagent_trajectory_id %q does not exist", *sub)
			}
		}
	}
}

func (c *checker) item(place, column string, item *int32) {
	if item != nil && (*item < 0 || int(*item) >= len(c.s.Items)) {
		c.fail(place, "%s %d: the session has %d items", column, *item, len(c.s.Items))
	}
}
