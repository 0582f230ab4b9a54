package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
)

// checkFor bounds a check. A system that has just been started may take some
// time to its first answer; one that takes longer is not ready to be measured.
const checkFor = time.Minute

// Unready says why an endpoint does not answer.
type Unready struct {
	Class  string // one of the schema's Err constants
	Status int32  // of HTTP; 0 where it came to none
	Text   string // one line without the key
}

func (e *Unready) Error() string { return e.Text }

// Check sends body once and waits for the answer, a minute at most. The error is
// nil if tokens came, or an answer that is whole and empty; that of ctx if ctx
// ended; else an [*Unready].
func (k *Client) Check(ctx context.Context, body []byte) error {
	bounded, cancel := context.WithTimeoutCause(ctx, checkFor, fmt.Errorf("no answer for %v", checkFor))
	defer cancel()
	start := time.Now()
	req := Request{Body: plan.Body{Segs: [][]byte{body}, Len: int64(len(body))}}
	var s schema.Sample
	k.Do(bounded, func() time.Duration { return time.Since(start) }, req, &s, func(plan.Point, float32, time.Duration) {})
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.Error == nil || *s.Error == schema.ErrEmpty {
		return nil
	}
	e := &Unready{Class: *s.Error, Text: *s.ErrorText}
	if e.Class == schema.ErrUnended {
		e.Class = schema.ErrTimeout
	}
	if s.HTTPStatus != nil {
		e.Status = *s.HTTPStatus
	}
	return e
}
