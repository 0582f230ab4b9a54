package codec

import (
	"errors"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// window is how far back a frame of zstd may refer: RFC 9659 allows no more in a
// content coding. The decoder allocates what a frame asks for.
const window = 8 << 20

// zstds hold decoders that decode in the goroutine that calls them.
var zstds = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(window))
	if err != nil {
		panic("codec: internal error: " + err.Error()) // the options are constant
	}
	return d
}}

// zstded is "zstd": frames one after another (RFC 8878).
type zstded struct {
	*zstd.Decoder
	any bool // plain bytes came out
}

func newZstd(src io.Reader) *zstded {
	d := zstds.Get().(*zstd.Decoder)
	if err := d.Reset(src); err != nil {
		panic("codec: internal error: " + err.Error()) // it starts no decoding
	}
	return &zstded{Decoder: d}
}

func (z *zstded) Read(p []byte) (int, error) {
	n, err := z.Decoder.Read(p)
	z.any = z.any || n > 0
	if errors.Is(err, zstd.ErrMagicMismatch) && z.any {
		err = errTrailing
	}
	return n, err
}

func (z *zstded) free() {
	if z.Reset(nil) == nil {
		zstds.Put(z.Decoder)
	}
}
