//go:build !unix

package proxy

import "net"

func newTCPSource(c *net.TCPConn) source { return &connSource{conn: c} }
