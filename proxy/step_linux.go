package proxy

// stepBulk passes on what waits inside the kernel, where both ends are plain and
// there is much; 0 says that a read and a write serve better.
func stepBulk(d dir, from, to *end, most int, t tap) (n int, err error) {
	if src, plain := from.src.(*tcpSource); !plain || !src.full {
		return 0, nil
	}
	return stepBehind(d, from, to, nil, most, t)
}

// stepBehind is stepBulk with something that goes out first, together with what
// waits. Where it returns 0, nothing has gone out.
func stepBehind(d dir, from, to *end, first []byte, most int, t tap) (n int, err error) {
	src, plain := from.src.(*tcpSource)
	dst, alsoPlain := to.src.(*tcpSource)
	if !plain || !alsoPlain || most < bulk {
		return 0, nil
	}
	if n, err = src.await(); err != nil || n < bulk {
		src.full = false
		return 0, err
	}
	kept, err := takePipe()
	if err != nil {
		return 0, nil // out of descriptors: the slow way serves too
	}
	n, at, err := src.move(dst, kept, first, min(most, pipeSize/2))
	if err != nil {
		kept.close()
		return 0, err
	}
	t.moved(d, at, kept, len(first)+n)
	return n, nil
}
