package main

import (
	"context"
	"net"
	"sync"
	"testing"
)

// serving runs the server until the test is over.
func serving(t *testing.T, server *Server, ln net.Listener) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Serve(ctx, ln); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	t.Cleanup(func() { stop(); wg.Wait() })
}
