package wire

// LeaveRoom makes a collector believe that it can keep n more bytes.
func LeaveRoom(c *Collector, n int) { c.kept.left = n }
