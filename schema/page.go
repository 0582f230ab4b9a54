package schema

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Bounds of what a page may claim.
const (
	maxPageHeader = 1 << 20 // holds at most the smallest and largest value of a column with statistics
	maxPageBytes  = maxRowBytes + 64<<20
	maxPageValues = maxRowBytes / 4 // the shortest element of a list takes 4 bytes
)

// checkPages walks over the page headers of row group g, of those columns that
// will be decoded. Bodies carry checksums, headers do not; so headers are
// compared with the footer, which has the sums of what they say, before
// parquet-go allocates by them.
func (f *file) checkPages(g int) error {
	group := &f.parquet.Metadata().RowGroups[g]
	for c := range group.Columns {
		meta := &group.Columns[c].MetaData
		path := strings.Join(meta.PathInSchema, ".")
		if f.want != nil && !f.want[path] {
			continue
		}
		leaf, _ := f.parquet.Schema().Lookup(meta.PathInSchema...)
		p := pages{
			meta:          meta,
			flat:          leaf.MaxRepetitionLevel == 0,
			nullable:      leaf.MaxDefinitionLevel > 0,
			maxRepetition: leaf.MaxRepetitionLevel,
			maxDefinition: leaf.MaxDefinitionLevel,
		}
		if err := p.walk(f.os, group.NumRows); err != nil {
			return fmt.Errorf("column %s: %w", shown(path), err)
		}
	}
	return nil
}

// pages adds up what the page headers of one chunk say.
type pages struct {
	meta     *format.ColumnMetaData
	flat     bool // one value a row
	nullable bool

	maxRepetition, maxDefinition int

	dictionary bool // was seen
	rows       int64
	values     int64
	nulls      int64
	plain      int64 // bytes before compression, headers included
}

func (p *pages) walk(r io.ReaderAt, rows int64) error {
	at, end := span(p.meta)
	for at < end {
		h, size, err := pageHeader(r, at, end)
		if err != nil {
			return fmt.Errorf("page at %d: %w", at, err)
		}
		if h.Type == format.DataPageV2 && p.rows == 0 && at != p.meta.DataPageOffset {
			return fmt.Errorf("page at %d: the first, the footer says %d", at, p.meta.DataPageOffset)
		}
		body := at + int64(size)
		if err := p.add(h, size, end-body); err != nil {
			return fmt.Errorf("page at %d: %w", at, err)
		}
		if err := checksum(r, h, body); err != nil {
			return fmt.Errorf("page at %d: %w", at, err)
		}
		if err := p.checkBody(r, h, body); err != nil {
			return fmt.Errorf("page at %d: %w", at, err)
		}
		at = body + int64(h.CompressedPageSize)
	}
	switch {
	case p.rows != rows:
		return fmt.Errorf("pages have %d rows, the row group has %d", p.rows, rows)
	case p.values != p.meta.NumValues:
		return fmt.Errorf("pages have %d values, the footer says %d", p.values, p.meta.NumValues)
	case p.nulls != p.meta.Statistics.NullCount:
		return fmt.Errorf("pages have %d nulls, the footer says %d", p.nulls, p.meta.Statistics.NullCount)
	case p.plain != p.meta.TotalUncompressedSize:
		return fmt.Errorf("pages have %d bytes, the footer says %d", p.plain, p.meta.TotalUncompressedSize)
	}
	return nil
}

// add checks header h of size bytes, whose page has room for left bytes.
func (p *pages) add(h *format.PageHeader, size int, left int64) error {
	if n := int64(h.CompressedPageSize); n < 0 || n > left {
		return fmt.Errorf("%d bytes where %d are left", n, left)
	}
	if n := h.UncompressedPageSize; n < 0 || n > maxPageBytes {
		return fmt.Errorf("%d bytes before compression", n)
	}
	p.plain += int64(size) + int64(h.UncompressedPageSize)
	switch {
	case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid && !h.DataPageHeaderV2.Valid:
		return p.addDictionary(&h.DictionaryPageHeader.V, h)
	case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid && !h.DictionaryPageHeader.Valid:
		return p.addData(&h.DataPageHeaderV2.V, h)
	}
	return fmt.Errorf("a page of type %v is not allowed", h.Type)
}

func (p *pages) addDictionary(d *format.DictionaryPageHeader, h *format.PageHeader) error {
	switch {
	case p.dictionary || p.rows > 0:
		return errors.New("a dictionary that is not the first page")
	case d.Encoding != format.Plain:
		return fmt.Errorf("a dictionary in encoding %v", d.Encoding)
	case d.NumValues < 0 || d.NumValues > h.UncompressedPageSize:
		return fmt.Errorf("a dictionary of %d values in %d bytes", d.NumValues, h.UncompressedPageSize)
	}
	p.dictionary = true
	return nil
}

func (p *pages) addData(d *format.DataPageHeaderV2, h *format.PageHeader) error {
	levels := int64(d.RepetitionLevelsByteLength) + int64(d.DefinitionLevelsByteLength)
	switch {
	case d.NumValues <= 0 || d.NumValues > maxPageValues:
		return fmt.Errorf("%d values", d.NumValues)
	case d.NumNulls < 0 || d.NumNulls > d.NumValues || d.NumNulls > 0 && !p.nullable:
		return fmt.Errorf("%d nulls among %d values", d.NumNulls, d.NumValues)
	case d.NumRows <= 0 || d.NumRows > d.NumValues || p.flat && d.NumRows != d.NumValues:
		return fmt.Errorf("%d rows of %d values", d.NumRows, d.NumValues)
	case d.RepetitionLevelsByteLength < 0 || d.DefinitionLevelsByteLength < 0 || levels > int64(h.CompressedPageSize):
		return fmt.Errorf("levels of %d bytes", levels)
	case p.flat != (d.RepetitionLevelsByteLength == 0) || p.nullable != (d.DefinitionLevelsByteLength > 0):
		return fmt.Errorf("levels of %d and %d bytes", d.RepetitionLevelsByteLength, d.DefinitionLevelsByteLength)
	case d.Encoding == format.RLE:
		// parquet-go rounds each run of truth values up to whole bytes: all that
		// follow would be others.
		return errors.New("truth values in runs, want them in encoding PLAIN")
	case !allowed(d.Encoding) || !slices.Contains(p.meta.Encoding, d.Encoding):
		return fmt.Errorf("encoding %v, the footer says %v", d.Encoding, p.meta.Encoding)
	case d.Encoding == format.RLEDictionary && !p.dictionary:
		return errors.New("no dictionary before it")
	}
	p.rows += int64(d.NumRows)
	p.values += int64(d.NumValues)
	p.nulls += int64(d.NumNulls)
	return nil
}

// pageHeader decodes the page header at offset at, which must end before end,
// and returns its size.
func pageHeader(r io.ReaderAt, at, end int64) (*format.PageHeader, int, error) {
	for window := int64(512); ; window *= 16 {
		b := make([]byte, min(window, end-at))
		if _, err := r.ReadAt(b, at); err != nil {
			return nil, 0, err
		}
		size, err := skim(b)
		if errors.Is(err, io.ErrUnexpectedEOF) && window < end-at && window < maxPageHeader {
			continue // the header is longer than the window
		}
		if err != nil {
			return nil, 0, err
		}
		h := new(format.PageHeader)
		var compact thrift.CompactProtocol
		if err := thrift.NewDecoder(compact.NewReaderFromBytes(b[:size])).Decode(h); err != nil {
			return nil, 0, err
		}
		return h, size, nil
	}
}

// checksum compares a page's body with its checksum where parquet-go does not:
// in dictionaries, and where the checksum is 0, which it takes for none.
func checksum(r io.ReaderAt, h *format.PageHeader, body int64) error {
	if h.CRC != 0 && h.Type != format.DictionaryPage {
		return nil
	}
	b := make([]byte, h.CompressedPageSize)
	if _, err := r.ReadAt(b, body); err != nil {
		return err
	}
	if crc32.ChecksumIEEE(b) != uint32(h.CRC) {
		return errors.New("its checksum is wrong")
	}
	return nil
}
