package sim

// heap is a binary heap: the first element is one that no other is less than.
type heap[T any] struct {
	items []T
	less  func(a, b T) bool
}

func (h *heap[T]) push(x T) {
	h.items = append(h.items, x)
	for i := len(h.items) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(h.items[i], h.items[up]) {
			return
		}
		h.items[i], h.items[up] = h.items[up], h.items[i]
		i = up
	}
}

func (h *heap[T]) pop() T {
	x := h.items[0]
	last := len(h.items) - 1
	h.items[0] = h.items[last]
	var zero T
	h.items[last] = zero
	h.items = h.items[:last]
	h.down(0)
	return x
}

func (h *heap[T]) down(i int) {
	for {
		k := 2*i + 1
		if k >= len(h.items) {
			return
		}
		if k+1 < len(h.items) && h.less(h.items[k+1], h.items[k]) {
			k++
		}
		if !h.less(h.items[k], h.items[i]) {
			return
		}
		h.items[i], h.items[k] = h.items[k], h.items[i]
		i = k
	}
}

// remove takes out the element for which is holds, and rebuilds the heap: O(n).
func (h *heap[T]) remove(is func(T) bool) {
	for i := range h.items {
		if !is(h.items[i]) {
			continue
		}
		last := len(h.items) - 1
		h.items[i] = h.items[last]
		var zero T
		h.items[last] = zero
		h.items = h.items[:last]
		for k := len(h.items)/2 - 1; k >= 0; k-- {
			h.down(k)
		}
		return
	}
}
