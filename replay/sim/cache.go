package sim

// cache is the memory of a pool: blocks of tokens that hold prompts and answers.
// Blocks in use are pinned. When an ask ends its blocks stay as they are, in the
// order in which they will be forgotten: last used longest ago first, and of one
// ask the tail first. This is what a queue of single blocks does, as in vLLM. The
// cache keeps stretches of blocks instead, one for each run of a prompt: an ask
// uses all blocks of a run or none, so those that are left of a run always are
// its first, and a count says which.
type cache struct {
	blocks int64 // in all
	free   int64 // that hold nothing
	idle   int64 // that hold what nobody uses; in the queue
	bytes  int64 // thousandths of a byte that a block holds
	root   node
	queue  node // ring; next is what goes first
	spare  *node
}

// run identifies a run below its parent.
type run struct {
	id    uint64
	bytes int32
}

// node is a prefix that ends with a run, or garbage: blocks that nothing finds.
// A block belongs to the run in which it ends.
type node struct {
	run
	parent *node // nil for garbage
	first  *node // a child
	others map[run]*node
	pins   int32
	full   int32 // blocks that end in the run
	held   int64 // the first of these that are computed; of garbage, all
	// Neighbours in the queue; nil outside. prev also links spare nodes.
	prev, next *node
}

func newCache(blocks, milliBytes int64) *cache {
	c := &cache{blocks: blocks, free: blocks, bytes: milliBytes}
	c.queue.prev, c.queue.next = &c.queue, &c.queue
	return c
}

// used is the number of pinned blocks.
func (c *cache) used() int64 { return c.blocks - c.free - c.idle }

// reserve pins need blocks for an ask: those of its prompt's runs, and private
// ones for the rest. It appends the runs' nodes to path and tells how many of the
// first blocks are computed. Where memory is short it changes nothing and ok is
// false.
func (c *cache) reserve(path []*node, prompt []Run, need int64) (_ []*node, hit, private int64, ok bool) {
	path, missing, mine := c.walk(path, prompt, need)
	if missing > c.free+c.idle-mine {
		return path, 0, 0, false
	}
	private = need
	whole := true
	for _, n := range path {
		if n.pins++; n.pins == 1 {
			c.leave(n)
			c.idle -= n.held
		}
		if whole {
			hit += n.held
			whole = n.held == int64(n.full)
		}
		private -= int64(n.full)
	}
	path, rest := c.grow(path, prompt)
	private -= rest
	c.take(missing)
	return path, hit, private, true
}

// walk appends the nodes that are there for a prompt. missing is how many of need
// blocks have to be found; mine of the idle ones are among those nodes'.
func (c *cache) walk(path []*node, prompt []Run, need int64) (_ []*node, missing, mine int64) {
	n := &c.root
	for _, r := range prompt {
		if r.Bytes <= 0 {
			continue
		}
		if n = n.child(run{r.ID, r.Bytes}); n == nil {
			break
		}
		path = append(path, n)
		if n.pins > 0 {
			need -= int64(n.full)
		} else {
			need -= n.held
			mine += n.held
		}
	}
	return path, need, mine
}

// grow adds and pins the nodes of a prompt that path does not have yet. blocks is
// how many blocks end in them.
func (c *cache) grow(path []*node, prompt []Run) (_ []*node, blocks int64) {
	n, bytes, seen := &c.root, int64(0), 0
	for _, r := range prompt {
		if r.Bytes <= 0 {
			continue
		}
		before := bytes * thousand / c.bytes
		bytes += int64(r.Bytes)
		if seen < len(path) {
			n = path[seen]
			seen++
			continue
		}
		child := c.node()
		child.run, child.parent, child.pins = run{r.ID, r.Bytes}, n, 1
		child.full = int32(bytes*thousand/c.bytes - before)
		n.add(child)
		n = child
		blocks += int64(child.full)
		path = append(path, n)
		seen++
	}
	return path, blocks
}

// release unpins a path. Of the private blocks, written hold something, and are
// garbage now; the others are free.
func (c *cache) release(path []*node, private, written int64) {
	c.free += private - written
	if written > 0 {
		g := c.node()
		g.held = written
		c.join(g)
	}
	for i := len(path) - 1; i >= 0; i-- {
		n := path[i]
		if n.pins--; n.pins == 0 {
			c.free += int64(n.full) - n.held
			c.join(n)
		}
	}
}

// take turns n blocks from free or idle into pinned ones.
func (c *cache) take(n int64) {
	for c.free < n {
		old := c.queue.next
		gone := min(n-c.free, old.held)
		old.held -= gone
		c.idle -= gone
		c.free += gone
		if old.held == 0 {
			c.forget(old)
		}
	}
	c.free -= n
}

// forget removes a node without blocks. It has no children: whatever used one of
// them used it too, and put it into the queue behind them.
func (c *cache) forget(n *node) {
	c.leave(n)
	if n.first != nil || len(n.others) > 0 {
		panic("sim: internal error: forgot a prefix before what follows it")
	}
	if n.parent != nil {
		n.parent.remove(n)
	}
	*n = node{prev: c.spare}
	c.spare = n
}

func (c *cache) node() *node {
	n := c.spare
	if n == nil {
		return &node{}
	}
	c.spare, n.prev = n.prev, nil
	return n
}

// join puts a node at the end of the queue.
func (c *cache) join(n *node) {
	c.idle += n.held
	n.prev, n.next = c.queue.prev, &c.queue
	n.prev.next, n.next.prev = n, n
}

func (c *cache) leave(n *node) {
	n.prev.next, n.next.prev = n.next, n.prev
	n.prev, n.next = nil, nil
}

func (n *node) child(r run) *node {
	if f := n.first; f != nil && f.run == r {
		return f
	}
	return n.others[r]
}

func (n *node) add(child *node) {
	if n.first == nil {
		n.first = child
		return
	}
	if n.others == nil {
		n.others = map[run]*node{}
	}
	n.others[child.run] = child
}

func (n *node) remove(child *node) {
	if n.first == child {
		n.first = nil
		return
	}
	delete(n.others, child.run)
}
