package plan

// trie numbers the distinct prefixes of sequences of keys. Node 0 is the empty
// prefix; a node's parent has a smaller number.
type trie struct {
	kids   map[trieEdge]int32
	parent []int32
	key    []int32
	kid    []int32 // how many children
	ends   []bool  // a sequence ends here
	path   []int32 // of the latest sequence, node 0 first
}

type trieEdge struct{ parent, key int32 }

func newTrie() *trie {
	return &trie{
		kids: map[trieEdge]int32{}, parent: []int32{-1}, key: []int32{-1},
		kid: []int32{0}, ends: []bool{false}, path: []int32{0},
	}
}

// insert adds a sequence and returns the node of the whole of it. Sequences most
// often go on from the one before, so that one is tried before the map.
func (t *trie) insert(keys []int32) int32 {
	same := 0
	for same < len(keys) && same+1 < len(t.path) && t.key[t.path[same+1]] == keys[same] {
		same++
	}
	t.path = t.path[:same+1]
	node := t.path[same]
	for _, key := range keys[same:] {
		node = t.child(node, key)
		t.path = append(t.path, node)
	}
	t.ends[node] = true
	return node
}

func (t *trie) child(node, key int32) int32 {
	edge := trieEdge{node, key}
	if child, ok := t.kids[edge]; ok {
		return child
	}
	child := int32(len(t.parent))
	t.kids[edge] = child
	t.kid[node]++
	t.parent = append(t.parent, node)
	t.key = append(t.key, key)
	t.kid = append(t.kid, 0)
	t.ends = append(t.ends, false)
	return child
}

// keys appends the sequence that a node stands for.
func (t *trie) keys(dst []int32, node int32) []int32 {
	mark := len(dst)
	for ; node > 0; node = t.parent[node] {
		dst = append(dst, t.key[node])
	}
	for i, j := mark, len(dst)-1; i < j; i, j = i+1, j-1 {
		dst[i], dst[j] = dst[j], dst[i]
	}
	return dst
}

// byWeight are the keys in an order in which sequences are as contiguous as they
// can be: from every node, the child through which most of the sequences at ends
// go on follows first (a heavy path), so a sequence leaves its run at most log2
// of the number of sequences times. A key stands where it comes first.
func (t *trie) byWeight(ends []int32) []int32 {
	weight := make([]int32, len(t.parent))
	for _, n := range ends {
		weight[n]++
	}
	heavy := make([]int32, len(t.parent)) // 0: none
	for n := len(t.parent) - 1; n > 0; n-- {
		p := t.parent[n]
		weight[p] += weight[n]
		if h := heavy[p]; h == 0 || weight[n] >= weight[h] {
			heavy[p] = int32(n)
		}
	}
	var order []int32
	seen := map[int32]bool{}
	for n := 1; n < len(t.parent); n++ {
		if heavy[t.parent[n]] == int32(n) && t.parent[n] != 0 {
			continue // inside a path
		}
		for at := int32(n); at != 0; at = heavy[at] {
			if key := t.key[at]; !seen[key] {
				seen[key] = true
				order = append(order, key)
			}
		}
	}
	return order
}
