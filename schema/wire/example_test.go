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
