package fold_test

import (
	"fmt"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
)

func ExampleFolder() {
	bodies := []string{
		`{"messages":[{"role":"user","content":"hi"}]}`,
		`{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"yes?"},{"role":"user","content":"go"}]}`,
	}
	f := fold.New("session")
	for i, body := range bodies {
		l, err := wire.Split(wire.FormatChat, []byte(body))
		if err != nil {
			fmt.Println(err)
			return
		}
		c := schema.Call{CallID: fmt.Sprint(i), CallIndex: int32(i), APIFormat: wire.FormatChat}
		if err := f.Call("root", c, l, []byte(body), nil); err != nil {
			fmt.Println(err)
			return
		}
	}
	s := f.Session()
	for i := range s.Calls {
		c := &s.Calls[i]
		body, err := fold.Body(nil, s, c)
		fmt.Println(c.ContextRanges, *c.NewItems, string(body) == bodies[i], err)
	}
	// Output:
	// [{0 1 0}] 1 true <nil>
	// [{0 3 0}] 2 true <nil>
}
