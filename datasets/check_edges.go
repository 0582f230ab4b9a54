package datasets

import "github.com/capstan-bench/capstan/schema"

// edges checks that causes exist, lie before their effects, and form no circle.
func (c *checker) edges() {
	waits := make(map[node]int, len(c.nodes))    // causes that have not been followed
	after := make(map[node][]node, len(c.nodes)) // effects of a call
	for i := range c.s.Calls {
		call := &c.s.Calls[i]
		n := node{c.lanes[call.TrajectoryID], call.CallIndex}
		for _, e := range call.After {
			if e.Point == schema.PointStart {
				continue
			}
			cause, ok := c.node(e.TrajectoryID, e.CallIndex)
			if !ok {
				c.fail(placeOf(call.TrajectoryID, call.CallIndex), "it waits for %s, which does not exist", placeOf(e.TrajectoryID, e.CallIndex))
				continue
			}
			if cause == n && call.Attempt > 0 {
				continue // an attempt follows the one before it
			}
			c.earlier(call, n, cause)
			waits[n]++
			after[cause] = append(after[cause], n)
		}
	}
	c.circle(waits, after)
}

// earlier checks that cause lies before the call n.
func (c *checker) earlier(call *schema.Call, n, cause node) {
	before := &c.s.Calls[c.nodes[cause]]
	late := cause.lane == n.lane && cause.call >= n.call
	if call.StartedAt != nil && before.StartedAt != nil && before.StartedAt.After(*call.StartedAt) {
		late = true
	}
	if late {
		c.fail(placeOf(call.TrajectoryID, call.CallIndex), "it waits for %s, which is not earlier", placeOf(before.TrajectoryID, before.CallIndex))
	}
}

// circle follows the causes from the calls that wait for none (Kahn's
// topological sort); what it does not reach waits for itself.
func (c *checker) circle(waits map[node]int, after map[node][]node) {
	ready := make([]node, 0, len(c.nodes))
	for n := range c.nodes {
		if waits[n] == 0 {
			ready = append(ready, n)
		}
	}
	reached := 0
	for ; len(ready) > 0; reached++ {
		n := ready[len(ready)-1]
		ready = ready[:len(ready)-1]
		for _, effect := range after[n] {
			if waits[effect]--; waits[effect] == 0 {
				ready = append(ready, effect)
			}
		}
	}
	if reached < len(c.nodes) {
		c.fail("session", "%d calls wait for each other in a circle", len(c.nodes)-reached)
	}
}
