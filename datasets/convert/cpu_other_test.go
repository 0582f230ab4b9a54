//go:build !unix

package convert_test

import (
	"testing"
	"time"
)

func cpu(tb testing.TB) time.Duration {
	tb.Helper()
	tb.Skip("skipped: no CPU time on this platform")
	return 0
}
