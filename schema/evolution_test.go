package schema_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

// plain writes rows of any struct with the library.
func plain[T any](t testing.TB, rows ...T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plain.parquet")
	writePlain(t, path, rows)
	return path
}

// The versions of a table of these tests: v1 of a file, and v2 of a program.
type (
	linkV1 struct {
		Call int32 `parquet:"call"`
	}
	rowV1 struct {
		ID    string   `parquet:"id"`
		Links []linkV1 `parquet:"links,list"`
	}
	linkV2 struct {
		Call int32  `parquet:"call"`
		Note *int64 `parquet:"note,optional"`
	}
	rowV2 struct {
		Before *string  `parquet:"before,optional"`
		ID     string   `parquet:"id"`
		Count  *int64   `parquet:"count,optional"`
		Links  []linkV2 `parquet:"links,list"`
		Tags   []string `parquet:"tags,optional,list"`
	}
)

func TestOldFileReadsIntoNewRow(t *testing.T) {
	path := plain(t, rowV1{"a", []linkV1{{1}, {2}}}, rowV1{"b", []linkV1{}}, rowV1{"c", []linkV1{{3}}})
	got, err := read[rowV2](path)
	if err != nil {
		t.Fatal(err)
	}
	want := []rowV2{{ID: "a", Links: []linkV2{{Call: 1}, {Call: 2}}}, {ID: "b", Links: []linkV2{}}, {ID: "c", Links: []linkV2{{Call: 3}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNewFileReadsIntoOldRow(t *testing.T) {
	path := plain(t,
		rowV2{Before: ptr("x"), ID: "a", Count: ptr(int64(1)), Links: []linkV2{{1, ptr(int64(5))}, {2, nil}}, Tags: []string{"t"}},
		rowV2{ID: "b", Links: []linkV2{}})
	got, err := read[rowV1](path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]rowV1{{"a", []linkV1{{1}, {2}}}, {"b", []linkV1{}}}, got); diff != "" {
		t.Error(diff)
	}
}

// Where a list's column is nullable, null and empty differ; this is why a list
// that a later version adds can be told from an empty one.
func TestNullListIsNotEmpty(t *testing.T) {
	rows := []rowV2{{ID: "a", Links: []linkV2{}, Tags: nil}, {ID: "b", Links: []linkV2{}, Tags: []string{}}, {ID: "c", Links: []linkV2{}, Tags: []string{""}}}
	got, err := read[rowV2](plain(t, rows...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Error(diff)
	}
}

// A missing required column would read as zeros.
func TestColumnsMustMatch(t *testing.T) {
	f := func(path, column, reason string) {
		t.Helper()
		rows, err := read[schema.Blob](path)
		var wrong *schema.ColumnError
		if !errors.As(err, &wrong) {
			t.Errorf("got %d rows and error %v, want a ColumnError for %s", len(rows), err, column)
			return
		}
		if wrong.File != path || wrong.Column != column || wrong.Reason != reason {
			t.Errorf("got %q of %s: %q, want %q: %q", wrong.Column, wrong.File, wrong.Reason, column, reason)
		}
		if msg := err.Error(); !strings.Contains(msg, path) || !strings.Contains(msg, column) || strings.Contains(msg, "\n") {
			t.Errorf("error %q does not name file and column on one line", msg)
		}
	}
	type base struct {
		ContentSHA256 string  `parquet:"content_sha256"`
		MediaType     string  `parquet:"media_type,dict"`
		Content       *string `parquet:"content,optional"`
	}
	f(plain(t, base{}), "content_bytes", "missing")
	f(plain(t, struct {
		base
		ContentBytes int32 `parquet:"content_bytes"`
	}{}), "content_bytes", "got INT(32,true), want INT(64,true)")
	f(plain(t, struct {
		base
		ContentBytes *int64 `parquet:"content_bytes,optional"`
	}{}), "content_bytes", "got optional INT(64,true), want INT(64,true)")
	f(plain(t, struct {
		base
		ContentBytes []int64 `parquet:"content_bytes,list"`
	}{}), "content_bytes", "got group, want INT(64,true)")
	f(plain(t, struct {
		base
		ContentBytes  int64  `parquet:"content_bytes"`
		RedactedBytes []byte `parquet:"redacted_bytes"`
	}{}), "redacted_bytes", "got BYTE_ARRAY, want optional INT(64,true)")
}

// A struct within a list is compared as well.
func TestColumnsMustMatchWithinLists(t *testing.T) {
	type rangeV0 struct {
		StartItem int32 `parquet:"start_item"`
		EndItem   int32 `parquet:"end_item"`
	}
	type old struct {
		ContextRanges []rangeV0 `parquet:"context_ranges,list"`
	}
	type now struct {
		ContextRanges []schema.Range `parquet:"context_ranges,list"`
	}
	_, err := read[now](plain(t, old{}))
	var wrong *schema.ColumnError
	if !errors.As(err, &wrong) || wrong.Column != "context_ranges.list.element.slot" || wrong.Reason != "missing" {
		t.Errorf("got error %v, want slot missing", err)
	}
}

func TestTableAndVersionMustMatch(t *testing.T) {
	f := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got error %v, want %q in one line", err, want)
		}
	}
	path := write(t, fullItem(0))
	_, err := read[schema.Blob](path)
	f(err, path+": the file holds table items, want blobs")

	later := filepath.Join(t.TempDir(), "later.parquet")
	writePlain(t, later, []schema.Item{fullItem(0)}, parquet.KeyValueMetadata("schema_version", "2.0.0"))
	_, err = read[schema.Item](later)
	f(err, later+": schema version 2.0.0: this program reads version 1.x.x")
}

// A later minor version is read.
func TestMinorVersionIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "minor.parquet")
	writePlain(t, path, []schema.Item{fullItem(0)}, parquet.KeyValueMetadata("schema_version", "1.7.0"))
	got, err := read[schema.Item](path)
	if err != nil || len(got) != 1 {
		t.Errorf("got %d rows and error %v, want one row", len(got), err)
	}
}
