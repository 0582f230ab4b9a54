package assemble

import (
	"fmt"
	"strings"

	"github.com/capstan-bench/capstan/proxy/journal"
	"github.com/capstan-bench/capstan/schema/wire"
)

// Canonical is the form in which elements are compared.
func Canonical(element []byte) []byte {
	form, _ := canonical(element)
	return form
}

// Identify reads the identity from header lines and the members of a body.
func Identify(header, body string) string {
	var list []journal.Field
	for line := range strings.SplitSeq(header, "\n") {
		name, value, _ := strings.Cut(line, ": ")
		list = append(list, journal.Field{Name: name, Value: value})
	}
	f := fields{}
	f.add(list)
	who := headIdentity(f)
	var members []wire.Member
	for m, err := range wire.Members([]byte(body)) {
		if err == nil {
			members = append(members, m)
		}
	}
	who.bodyIdentity(members, "")
	return fmt.Sprintf("session=%s lane=%s above=%s sub=%v role=%s", who.session, who.lane, who.above, who.sub, who.role)
}
