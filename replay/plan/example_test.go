package plan_test

import (
	"context"
	"fmt"
	"iter"
	"log"
	"time"

	"github.com/capstan-bench/capstan/replay/plan"
	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

// recorded stands for a dataset: one session of two turns, the second of which
// was sent 2 s after the answer to the first.
func recorded() iter.Seq2[*schema.Session, error] {
	f := fold.New("session-1")
	for i, body := range []string{
		`{"model":"a","messages":[{"role":"user","content":"hi"}]}`,
		`{"model":"a","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"},{"role":"user","content":"fix it"}]}`,
	} {
		l, err := wire.Split(schema.FormatChat, []byte(body))
		if err != nil {
			log.Fatal(err)
		}
		input, output, gap, took := int64(10+20*i), int64(5), int64(2e6), int64(1e6)
		err = f.Call("main", schema.Call{
			CallIndex: int32(i), Purpose: schema.PurposeMain, APIFormat: schema.FormatChat,
			InputTokens: &input, OutputTokens: &output, GapUS: &gap, CompletedUS: &took,
		}, l, []byte(body), nil)
		if err != nil {
			log.Fatal(err)
		}
	}
	return func(yield func(*schema.Session, error) bool) { yield(f.Session(), nil) }
}

func Example() {
	p, err := plan.Build(context.Background(), recorded(), plan.Config{Model: "b"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Sessions(), "session,", p.Calls(), "calls,", p.Ring())

	agents := p.Population(1, 10)
	script, _ := agents.Play(0, 1) // agent 0's first whole session

	// The driver sends what is due and notes what happens, here at once.
	cursor, due := plan.NewCursor(script, agents.Start(0), nil)
	for len(due) > 0 {
		d := due[0]
		st := &script.Steps[d.Step]
		fmt.Printf("%v: send %d bytes, turn %d\n", d.At, st.Body.Len, st.Turn)
		due = cursor.Note(due[1:], d.Step, plan.Sent, 0, d.At)
		due = cursor.Note(due, d.Step, plan.Done, 0, d.At+time.Second)
	}
	fmt.Println("ended:", cursor.Ended())
	// Output:
	// 1 session, 2 calls, 4s
	// 0s: send 199 bytes, turn 0
	// 3s: send 273 bytes, turn 1
	// ended: true
}
