package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// piVersions is the last version of pi's logs that is known here.
const piVersions = 3

// piEntry is one line of a pi log. Which fields count depends on Type.
type piEntry struct {
	Type      string  `json:"type"`
	ID        string  `json:"id"`
	ParentID  *string `json:"parentId"`
	Timestamp instant `json:"timestamp"`
	Version   int     `json:"version"` // of the header

	Message          *piMessage `json:"message"`
	ThinkingLevel    string     `json:"thinkingLevel"`
	Summary          string     `json:"summary"`             // of a compaction or a branch
	FirstKeptEntryID string     `json:"firstKeptEntryId"`    // of a compaction
	FirstKeptIndex   *int       `json:"firstKeptEntryIndex"` // of a compaction, version 1; counts the header
	Content          piContent  `json:"content"`             // of a custom_message
	Name             string     `json:"name"`                // of a session_info
	line             int
}

// answers reports whether the entry is the answer of a call.
func (e *piEntry) answers() bool { return e.Type == "message" && e.Message.Role == "assistant" }

// piMessage is the message of an entry.
type piMessage struct {
	Role         string          `json:"role"`
	Content      piContent       `json:"content"`
	Timestamp    instant         `json:"timestamp"`
	Provider     string          `json:"provider"`
	Model        string          `json:"model"`
	ResponseID   string          `json:"responseId"`
	Usage        json.RawMessage `json:"usage"`
	StopReason   string          `json:"stopReason"`
	ErrorMessage string          `json:"errorMessage"`
	ToolCallID   string          `json:"toolCallId"`
	IsError      bool            `json:"isError"`
	Summary      string          `json:"summary"`

	// Of a command that the user ran.
	Command            string `json:"command"`
	Output             string `json:"output"`
	ExitCode           *int   `json:"exitCode"`
	Cancelled          bool   `json:"cancelled"`
	ExcludeFromContext bool   `json:"excludeFromContext"`
}

func (m *piMessage) failed() bool { return m.StopReason == "aborted" || m.StopReason == "error" }

// piBlock is a part of a message.
type piBlock struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	Thinking  string          `json:"thinking"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
	MimeType  string          `json:"mimeType"`
}

// piContent is a string or a list of blocks.
type piContent []piBlock

func (c *piContent) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		block := piBlock{Type: "text"}
		*c = piContent{block}
		return json.Unmarshal(b, &(*c)[0].Text)
	}
	return json.Unmarshal(b, (*[]piBlock)(c))
}

// instant is a time as a text in RFC 3339 or as milliseconds since 1970. Zero
// where there is none.
type instant struct{ time.Time }

func (t *instant) UnmarshalJSON(b []byte) error {
	if bytes.Equal(b, []byte("null")) || bytes.Equal(b, []byte(`""`)) {
		return nil
	}
	if b[0] == '"' {
		return json.Unmarshal(b, &t.Time)
	}
	var ms float64
	if err := json.Unmarshal(b, &ms); err != nil {
		return err
	}
	if ms < 0 || ms > 253402300799999 { // the year 9999
		return fmt.Errorf("timestamp %v: want milliseconds since 1970", ms)
	}
	t.Time = time.UnixMilli(int64(ms)).UTC()
	return nil
}

// piLog is one file.
type piLog struct {
	path    string
	header  piEntry
	entries []piEntry
}

func (l *piLog) fail(line int, format string, args ...any) error {
	return &PlaceError{Path: l.path, Line: line, Err: fmt.Errorf(format, args...)}
}

// readPi reads a log whole: its last entry decides which of the others count.
func readPi(path string) (*piLog, error) {
	l := &piLog{path: path}
	for line, err := range linesOf(path) {
		if err != nil {
			return nil, err
		}
		e := piEntry{line: line.number}
		if err := decode(line.text, &e); err != nil {
			return nil, &PlaceError{Path: path, Line: line.number,
				Err: fmt.Errorf("%w; mend the line, or cut the file off before it", err)}
		}
		if e.Type == "message" && e.Message == nil {
			return nil, l.fail(line.number, "a message entry without a message")
		}
		if l.header.Type == "" {
			if err := l.begin(e); err != nil {
				return nil, err
			}
			continue
		}
		l.entries = append(l.entries, e)
	}
	if l.header.Type == "" {
		return nil, &PlaceError{Path: path, Line: 1, Err: errors.New("the file is empty, want a pi session log")}
	}
	return l, nil
}

func (l *piLog) begin(header piEntry) error {
	switch {
	case header.Type != "session":
		return l.fail(header.line, "an entry of type %q where the header is expected: this is no pi session log", header.Type)
	case header.ID == "":
		return l.fail(header.line, "the header has no id")
	case header.Version > piVersions:
		return l.fail(header.line, "version %d: this program knows versions 1 to %d", header.Version, piVersions)
	}
	l.header = header
	return nil
}

// branch returns the entries from the root to the last one. Version 1 has no
// tree: all entries are on the branch.
func (l *piLog) branch() ([]*piEntry, error) {
	if l.header.Version < 2 {
		path := make([]*piEntry, len(l.entries))
		for i := range l.entries {
			path[i] = &l.entries[i]
		}
		return path, nil
	}
	byID, err := l.index()
	if err != nil || len(l.entries) == 0 {
		return nil, err
	}
	var path []*piEntry
	for e := &l.entries[len(l.entries)-1]; ; {
		path = append(path, e)
		if e.ParentID == nil || *e.ParentID == "" {
			break
		}
		parent := byID[*e.ParentID]
		if parent == nil {
			return nil, l.fail(e.line, "entry %q has the parent %q, which is not in the file", e.ID, *e.ParentID)
		}
		if len(path) > len(l.entries) {
			return nil, l.fail(e.line, "entry %q is its own ancestor", e.ID)
		}
		e = parent
	}
	for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
		path[i], path[j] = path[j], path[i]
	}
	return path, nil
}

func (l *piLog) index() (map[string]*piEntry, error) {
	byID := make(map[string]*piEntry, len(l.entries))
	for i := range l.entries {
		e := &l.entries[i]
		if e.ID == "" {
			return nil, l.fail(e.line, "an entry without an id in a log of version %d", l.header.Version)
		}
		if byID[e.ID] != nil {
			return nil, l.fail(e.line, "entry %q comes twice, first on line %d", e.ID, byID[e.ID].line)
		}
		byID[e.ID] = e
	}
	return byID, nil
}

// firstKept returns the place on the branch of the first entry that a compaction
// keeps; the branch's length if it keeps none.
func (l *piLog) firstKept(branch []*piEntry, compaction *piEntry) int {
	for i, e := range branch {
		switch {
		case compaction.FirstKeptIndex != nil && l.header.Version < 2:
			if k := *compaction.FirstKeptIndex - 1; k >= 0 && k < len(l.entries) && e == &l.entries[k] {
				return i
			}
		case compaction.FirstKeptEntryID != "" && e.ID == compaction.FirstKeptEntryID:
			return i
		}
	}
	return len(branch)
}
