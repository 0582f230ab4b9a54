package proxy

import (
	"fmt"

	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema/secrets"
	"github.com/capstan-bench/capstan/schema/wire"
)

// keeper says what is recorded, and what may be kept of it.
type keeper struct {
	journal *journal.Writer
	learned *secrets.Learned
	policy  *secrets.Policy
	wanted  func(method, target string) bool
	paused  func() bool
	scrub   scrubber // touched by the recorder only
}

// ModelCall tells whether a request is about a model call, by its path: an
// answer, a count of tokens, a summary, or the opening of a socket for them.
func ModelCall(method, target string) bool {
	switch wire.DetectFormat(method, target, "", nil).Op {
	case wire.OpCall, wire.OpSocket, wire.OpCountTokens, wire.OpCompact:
		return true
	}
	return false
}

// head is a head as it may be kept. What a request's holds of credentials is
// learned first, so that it is found in the body too.
func (k *keeper) head(d dir, h head) journal.Head {
	out := journal.Head{Line: string(h.line), Wire: len(h.raw)}
	if d == up {
		for n, v := range h.all() {
			k.learned.Header(n, v)
		}
		if method, target, version, ok := h.request(); ok {
			k.learned.Target(target)
			out.Line = method + " " + k.policy.Target(target) + " " + version
		}
	}
	for n, v := range h.all() {
		out.Fields = append(out.Fields, kept(k.policy.Field(n, v)))
	}
	return out
}

// kept writes a field down. Of a value that is not kept stay its length and its
// keyed hash.
func kept(f secrets.Field) journal.Field {
	if f.Kept {
		return journal.Field{Name: f.Name, Value: f.Value}
	}
	return journal.Field{Name: f.Name, Value: fmt.Sprintf("[not kept: %d bytes, %s]", f.Len, f.Hash)}
}
