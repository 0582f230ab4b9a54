//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package agent

import "net"

// alive can't tell here. A dead connection is found when the request fails on
// it, and replaced then.
func alive(net.Conn) bool { return true }
