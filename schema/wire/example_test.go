package wire_test

import (
	"fmt"

	"github.com/capstan-bench/capstan/schema/wire"
)

func ExampleChatStream() {
	stream := "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n" +
		"data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n" +
		"data: [DONE]\n\n"
	var c wire.ChatStream
	emit := func(d wire.Delta) { fmt.Println(d.Bytes, d.Finish, d.Done) }
	for _, piece := range []string{stream[:20], stream[20:]} {
		if err := c.Feed([]byte(piece), emit); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// 3  false
	// 2 stop false
	// 0  true
}

func ExampleSplit() {
	l, err := wire.Split(wire.FormatChat, []byte(`{"model":"m","messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	e := l.Slots[0][0]
	fmt.Printf("%q\n%s %s\n", l.Envelope, e.Kind, e.Bytes)
	// Output:
	// "{\"model\":\"m\",\"messages\":[\x1e,\x1e]}"
	// user {"role":"user","content":"hi"}
}

func ExampleCollector() {
	c, err := wire.NewCollector(wire.FormatMessages, wire.FrameAuto)
	if err != nil {
		fmt.Println(err)
		return
	}
	events, err := wire.Events(wire.FormatMessages, wire.Scripted{
		ID: "msg_1", Model: "m", Usage: wire.Usage{Input: 90, Cached: 80, Output: 7},
		Parts: []wire.Part{{Text: "Looking."}, {Kind: wire.PartTool, ID: "toolu_1", Name: "Read", Text: `{"path":"a"}`}},
	}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range events {
		if err := c.Feed(wire.AppendEvent(nil, e), nil); err != nil {
			fmt.Println(err)
		}
	}
	if err := c.End(nil); err != nil {
		fmt.Println(err)
	}
	r := c.Reply()
	fmt.Println(r.ID, r.Finish, r.Usage.Input, r.Done)
	for _, call := range r.Tools {
		fmt.Printf("%s %s %s, whole after event %d of %d\n", call.ID, call.Name, call.Arguments, call.Ended.Event, len(events))
	}
	fmt.Printf("%s\n", r.Output[0])
	// Output:
	// msg_1 tool_use 90 true
	// toolu_1 Read {"path":"a"}, whole after event 9 of 11
	// {"role":"assistant","content":[{"type":"text","text":"Looking."},{"type":"tool_use","id":"toolu_1","name":"Read","input":{"path":"a"}}]}
}
