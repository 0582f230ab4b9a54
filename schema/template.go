package schema

// Template sorts the items of the call's context as chat templates do: the system
// prompt, the tools wherever they stand in the body, the rest. The system prompt is
// the system items that have no role, which stand outside the messages, and those
// that lead the messages. Ranges that leave items are passed over.
func (r *Call) Template(items []Item) (system, tools, rest []int32) {
	for _, g := range r.ContextRanges {
		for item := max(g.StartItem, 0); item < g.EndItem && int(item) < len(items); item++ {
			switch it := &items[item]; {
			case it.Kind == KindTools:
				tools = append(tools, item)
			case it.Kind == KindSystem && (it.Role == nil || len(rest) == 0):
				system = append(system, item)
			default:
				rest = append(rest, item)
			}
		}
	}
	return system, tools, rest
}
