package plan

// radix holds the block lists of a session as one prefix tree. A node is a run
// of blocks that lists share as a whole or not at all; node 0 is empty.
type radix struct {
	nodes []radixNode
	kids  map[radixEdge]int32
}

type radixNode struct {
	parent int32
	start  int // blocks before the node
	ids    []int64
	born   int32 // the row that brought it in
}

// radixEdge leads from a node to the child that begins with a block.
type radixEdge struct {
	node int32
	id   int64
}

func newRadix() *radix {
	return &radix{nodes: []radixNode{{parent: -1, born: -1}}, kids: map[radixEdge]int32{}}
}

func (r *radix) end(node int32) int { return r.nodes[node].start + len(r.nodes[node].ids) }

// border makes depth, on the way from node 0 to a node, the end of a node, and
// returns that one. The node itself keeps its number.
func (r *radix) border(node int32, depth int) int32 {
	for r.nodes[node].start >= depth && node != 0 {
		node = r.nodes[node].parent
	}
	n := r.nodes[node]
	if node == 0 || n.start+len(n.ids) == depth {
		return node
	}
	upper := int32(len(r.nodes))
	cut := depth - n.start
	r.nodes = append(r.nodes, radixNode{parent: n.parent, start: n.start, ids: n.ids[:cut], born: n.born})
	r.kids[radixEdge{n.parent, n.ids[0]}] = upper
	r.kids[radixEdge{upper, n.ids[cut]}] = node
	r.nodes[node].parent, r.nodes[node].start, r.nodes[node].ids = upper, depth, n.ids[cut:]
	return upper
}

// extend adds the list that goes on with ids after the end of a node, and
// returns the node at whose end it ends.
func (r *radix) extend(node int32, ids []int64, row int32) int32 {
	for len(ids) > 0 {
		child, ok := r.kids[radixEdge{node, ids[0]}]
		if !ok {
			child = int32(len(r.nodes))
			r.nodes = append(r.nodes, radixNode{parent: node, start: r.end(node), ids: ids, born: row})
			r.kids[radixEdge{node, ids[0]}] = child
			return child
		}
		have := r.nodes[child].ids
		same := 0
		for same < len(have) && same < len(ids) && have[same] == ids[same] {
			same++
		}
		node = r.border(child, r.nodes[child].start+same)
		ids = ids[same:]
	}
	return node
}
