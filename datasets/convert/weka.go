package convert

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/capstan-bench/capstan/schema"
)

// Weka imports kv-cache-tester traces: a JSON file with one trace, a JSONL file
// with one on each line, or all files of both kinds below a folder. See the
// package comment.
func Weka(path string) iter.Seq2[*schema.Session, error] {
	return func(yield func(*schema.Session, error) bool) {
		files, err := filesAt(path, ".json", ".jsonl")
		if err != nil {
			yield(nil, err)
			return
		}
		for _, file := range files {
			for s, err := range wekaFile(file) {
				if err != nil {
					yield(nil, err)
					return
				}
				if s != nil && !yield(s, nil) {
					return
				}
			}
		}
	}
}

// wekaFile yields the sessions of a file; nil for a trace without calls.
func wekaFile(path string) iter.Seq2[*schema.Session, error] {
	return func(yield func(*schema.Session, error) bool) {
		if filepath.Ext(path) != ".jsonl" {
			b, err := os.ReadFile(path)
			if err != nil {
				yield(nil, fmt.Errorf("read source: %w", err))
				return
			}
			s, err := importWeka(b)
			yield(s, placeWeka(err, PlaceError{Path: path}))
			return
		}
		for line, err := range linesOf(path) {
			if err != nil {
				yield(nil, err)
				return
			}
			s, err := importWeka(line.text)
			if err := placeWeka(err, PlaceError{Path: path, Line: line.number}); !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// placeWeka says where a trace that cannot be imported stands.
func placeWeka(err error, place PlaceError) error {
	if err == nil {
		return nil
	}
	var at *jsonError
	if errors.As(err, &at) {
		place.Offset = at.offset
		if place.Line == 0 {
			err = at.err
		}
	}
	place.Err = fmt.Errorf("%w; mend the trace or leave it out", err)
	return &place
}

// wekaTrace is one trace. Members that are not named are ignored: builds of the
// format differ in them.
type wekaTrace struct {
	ID           string      `json:"id"`
	BlockSize    number      `json:"block_size"`
	HashIDScope  string      `json:"hash_id_scope"`
	ToolTokens   number      `json:"tool_tokens"`
	SystemTokens number      `json:"system_tokens"`
	Requests     []wekaEntry `json:"requests"`
}

// wekaEntry is a request, or a sub-agent with requests of its own.
type wekaEntry struct {
	T          number   `json:"t"` // s
	Type       string   `json:"type"`
	Model      string   `json:"model"`
	In         number   `json:"in"`  // tokens
	Out        number   `json:"out"` // tokens
	HashIDs    []int64  `json:"hash_ids"`
	InputTypes []string `json:"input_types"`
	Stop       string   `json:"stop"`
	APITime    number   `json:"api_time"` // s
	TTFT       number   `json:"ttft"`     // s

	AgentID      string      `json:"agent_id"`
	SubagentType string      `json:"subagent_type"`
	DurationMS   number      `json:"duration_ms"`
	Status       string      `json:"status"`
	ToolTokens   number      `json:"tool_tokens"`
	SystemTokens number      `json:"system_tokens"`
	Requests     []wekaEntry `json:"requests"`
}

const (
	wekaSubagent = "subagent"
	wekaAsync    = "async_launched"
)

// number is a number that may be missing. One that makes no sense here
// (negative, beyond 10^12, not finite, no number at all) counts as missing.
type number struct {
	v     float64
	known bool
	odd   bool // there was something, but it made no sense
}

func (n *number) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(v >= 0 && v <= 1e12) {
		n.odd = true
		return nil
	}
	n.v, n.known = v, true
	return nil
}

// us turns seconds into microseconds. Times beyond 30 years are cut there, so
// that sums of them stay numbers.
func (n number) us() int64 { return int64(math.Round(min(n.v, 1e9) * 1e6)) }

// parseWeka decodes a trace.
func parseWeka(b []byte) (*wekaTrace, error) {
	t := new(wekaTrace)
	if err := decode(b, t); err != nil {
		plain, found := plainNumbers(b)
		if !found {
			return nil, err
		}
		*t = wekaTrace{}
		if decode(plain, t) != nil {
			return nil, err
		}
	}
	switch {
	case t.ID == "":
		return nil, errors.New("the trace has no id")
	case t.Requests == nil:
		return nil, errors.New("the trace has no requests")
	case t.BlockSize.odd || t.BlockSize.known && (t.BlockSize.v < 1 || t.BlockSize.v > math.MaxInt32):
		return nil, errors.New("block_size: want at least 1")
	case t.HashIDScope != "" && t.HashIDScope != "local" && t.HashIDScope != "global":
		return nil, fmt.Errorf("hash_id_scope %q: want local or global", t.HashIDScope)
	}
	return t, nil
}

// blockSize is 64 where the trace does not say.
func (t *wekaTrace) blockSize() int32 {
	if t.BlockSize.known {
		return int32(t.BlockSize.v)
	}
	return 64
}
