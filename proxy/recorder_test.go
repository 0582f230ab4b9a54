package proxy

import (
	"testing"
	"time"
)

// An upstream that talks without being asked is not kept in memory.
func TestUnaskedBytesAreBounded(t *testing.T) {
	r := &recorder{room: room{most: 1 << 30}, start: time.Now()}
	tr := &trail{rec: r, talk: &talk{rec: r}}
	for range 100 {
		tr.passed(down, time.Now(), make([]byte, 64<<10))
		r.work()
	}
	kept := 0
	for _, e := range tr.talk.early {
		kept += len(e.text)
	}
	if kept > maxHead || r.stats.unparsed.Load() != 1 {
		t.Errorf("%d bytes are kept, %d times nothing was understood; want at most %d and once", kept, r.stats.unparsed.Load(), maxHead)
	}
}
