package wire

import (
	"strings"

	"github.com/tidwall/gjson"
)

// kept is what builders have in common.
type kept struct {
	id, model string
	usage     []byte
	tools     []ToolCall
	left      int
	truncated bool
}

const (
	entryCost = 4 << 10  // of a tool call, a block, an item or a part: 4,096 of them at most, since places are looked for one by one
	maxUsage  = 16 << 10 // bytes of a usage object that is kept
)

// take says whether there is room for n more bytes, and takes it.
func (k *kept) take(n int) bool {
	if n > k.left {
		k.left, k.truncated = 0, true
		return false
	}
	k.left -= n
	return true
}

// append adds to what is kept, as long as there is room.
func (k *kept) append(dst []byte, text string) []byte {
	if !k.take(len(text)) {
		return dst
	}
	return append(dst, text...)
}

// raw keeps a value as it stands.
func (k *kept) raw(v gjson.Result) []byte { return k.append(nil, v.Raw) }

// names keeps the id and the model of an answer: the first that come.
func (k *kept) names(id, model gjson.Result) {
	if k.id == "" {
		k.id = strings.Clone(text(id))
	}
	if k.model == "" {
		k.model = strings.Clone(text(model))
	}
}

// use keeps a usage object in place of the one before.
func (k *kept) use(v gjson.Result) {
	if v.IsObject() && len(v.Raw) <= maxUsage {
		k.usage = []byte(v.Raw)
	}
}

// call adds a tool call and returns its place, -1 where there is no room for it.
func (k *kept) call(id, name gjson.Result, at Mark) int {
	if !k.take(entryCost + len(id.String()) + len(name.String())) {
		return -1
	}
	k.tools = append(k.tools, ToolCall{ID: strings.Clone(id.String()), Name: strings.Clone(name.String()), Began: at, Ended: at})
	return len(k.tools) - 1
}

// withMembers is an object with members set: in their place where it has them, else
// at its end. White space between members is left out.
func withMembers(object []byte, set ...Member) []byte {
	out := []byte{'{'}
	add := func(key string, value []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(appendString(out, key), ':'), value...)
	}
	for m, err := range Members(object) {
		if err != nil {
			break
		}
		value := m.Value
		for i := range set {
			if set[i].Key == m.Key {
				value, set[i].Key = set[i].Value, ""
			}
		}
		add(m.Key, value)
	}
	for _, m := range set {
		if m.Key != "" {
			add(m.Key, m.Value)
		}
	}
	return append(out, '}')
}

// quoted is text as a JSON string.
func quoted(text []byte) []byte { return appendString(nil, string(text)) }
