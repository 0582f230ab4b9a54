package schema_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema"
	"github.com/google/go-cmp/cmp"
)

func roundTrip[T any](t *testing.T, rows ...T) {
	t.Helper()
	got, err := read[T](write(t, rows...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(rows, got); diff != "" {
		t.Errorf("rows came back changed (-written +read):\n%s", diff)
	}
}

// The zero values among the rows (0 tokens, exit code, false, "") are values,
// not nulls.
func TestRoundTrip(t *testing.T) {
	roundTrip(t, fullCall(0), bareCall(1), fullCall(2))
	roundTrip(t, fullTrajectory(), schema.Trajectory{
		SessionID: "s", TrajectoryID: "t", ContentTier: schema.TierHashed, SourceKind: schema.SourceProxy, Models: []string{}, Tags: []string{},
	})
	roundTrip(t, fullToolCall(), schema.ToolCall{SessionID: "s", TrajectoryID: "t", TimingSource: schema.TimingImport})
	roundTrip(t, fullItem(0), schema.Item{SessionID: "s", ItemIndex: 1, Kind: schema.KindOther, ContentSHA256: hashOf("")})
	roundTrip(t, fullBlob("\x00é\x1e,\x1e"), blobOf(""), schema.Blob{ContentSHA256: hashOf("x"), MediaType: schema.MediaEnvelope, ContentBytes: 5})
	roundTrip(t, fullBlocks(), schema.PrefixBlocks{
		SessionID: "s", TrajectoryID: "t", BlockSizeTokens: 1, Tokenizer: "x", Scope: schema.ScopeDataset, NewBlockIDs: []int64{},
	})
	roundTrip(t, fullSample(), schema.Sample{SessionID: "s", TrajectoryID: "t", Role: schema.RolePrime})
	roundTrip[schema.Item](t) // a table without rows
}

// The samples of this test have no column null, so a column that the library
// dropped would show.
func TestSamplesAreFull(t *testing.T) {
	f := func(row any) {
		t.Helper()
		v := reflect.ValueOf(row)
		for i := range v.NumField() {
			switch field := v.Field(i); field.Kind() {
			case reflect.Pointer, reflect.Slice:
				if field.IsNil() {
					t.Errorf("%T.%s is nil", row, v.Type().Field(i).Name)
				}
			}
		}
	}
	f(fullCall(0))
	f(fullTrajectory())
	f(fullToolCall())
	f(fullItem(0))
	f(fullBlob("x"))
	f(fullBlocks())
	f(fullSample())
}

// A nil list is written as an empty one: only lists whose column is nullable
// could tell them apart, and the tables have none.
func TestNilListReadsEmpty(t *testing.T) {
	c := bareCall(0)
	c.After, c.Patches, c.ChunkTokens = nil, nil, nil
	got, err := read[schema.Call](write(t, c))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]schema.Call{bareCall(0)}, got); diff != "" {
		t.Error(diff)
	}
}

func randomCall(r *rand.Rand, i int32) schema.Call {
	c := fullCall(i)
	v := reflect.ValueOf(&c).Elem()
	for f := range v.NumField() {
		if v.Field(f).Kind() == reflect.Pointer && r.IntN(3) == 0 {
			v.Field(f).SetZero()
		}
	}
	if (c.OutputStartItem == nil) != (c.OutputEndItem == nil) {
		c.OutputStartItem, c.OutputEndItem = nil, nil
	}
	n := r.IntN(5)
	c.ChunkOffsetsUS = make([]int64, n)
	for k := range n {
		c.ChunkOffsetsUS[k] = r.Int64N(1 << 40)
	}
	slices.Sort(c.ChunkOffsetsUS)
	c.ChunkBytes, c.ChunkTokens, c.ChunkKinds = make([]int32, n), []int32{}, []int32{}
	c.After = slices.Repeat(c.After, r.IntN(3))
	c.ExtraJSON = ptr(noise(r, r.IntN(100)))
	return c
}

func TestRoundTripRandom(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	rows := make([]schema.Call, 300)
	for i := range rows {
		rows[i] = randomCall(r, int32(i))
	}
	roundTrip(t, rows...)
}

// A loop may keep rows: later rows must not be written into their lists.
func TestRowsDoNotShareMemory(t *testing.T) {
	rows := make([]schema.PrefixBlocks, 100)
	for i := range rows {
		rows[i] = fullBlocks()
		rows[i].NewBlockIDs = []int64{int64(i), int64(i) + 1}
	}
	roundTrip(t, rows...)
}

func TestOutputIsDeterministic(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var rows []schema.Blob
	for i := range 500 {
		rows = append(rows, blobOf(fmt.Sprint(i, noise(r, r.IntN(3000)))))
	}
	create := func(batch int) []byte {
		path := filepath.Join(t.TempDir(), "blobs.parquet")
		w, err := schema.NewWriter[schema.Blob](path, map[string]string{"b": "1", "a": "2", "producer": "test 1"})
		if err != nil {
			t.Fatal(err)
		}
		for part := range slices.Chunk(rows, batch) {
			if err := w.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		stat, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := schema.FileStat{Rows: 500, Bytes: int64(len(b)), SHA256: hashOf(string(b))}
		if stat != want {
			t.Errorf("Close() = %v, want %v", stat, want)
		}
		return b
	}
	first := create(1)
	for _, batch := range []int{1, 7, 64, 500} {
		if !bytes.Equal(create(batch), first) {
			t.Errorf("rows written in batches of %d give other bytes than one at a time", batch)
		}
	}
}

// Reading some of the columns must not touch the others: content is by far the
// largest, and here it is destroyed.
func TestReadProjection(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	path := write(t, blobOf(noise(r, 50_000)), blobOf(noise(r, 60_000)))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The largest part of the file is the content.
	copy(b[len(b)/2:], strings.Repeat("x", 100))
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	type size struct {
		ContentBytes int64  `parquet:"content_bytes"`
		MediaType    string `parquet:"media_type,dict"`
	}
	got, err := read[size](path)
	if err != nil {
		t.Fatal(err)
	}
	if want := []size{{50_000, schema.MediaItem}, {60_000, schema.MediaItem}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := read[schema.Blob](path); err == nil {
		t.Error("reading the damaged column: got no error")
	}
}

func TestReadAgainAndStop(t *testing.T) {
	rows := schema.Read[schema.Item](write(t, fullItem(0), fullItem(1), fullItem(2)))
	for range 2 {
		var got []int32
		for row, err := range rows {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, row.ItemIndex)
			if row.ItemIndex == 1 {
				break
			}
		}
		if !slices.Equal(got, []int32{0, 1}) {
			t.Errorf("got items %v, want 0 and 1", got)
		}
	}
}

// A panic in the loop's body is the caller's, not a damaged file.
func TestReadLetsPanicsOfTheLoopPass(t *testing.T) {
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("recovered %v, want the panic of the loop", p)
		}
	}()
	for range schema.Read[schema.Item](write(t, fullItem(0))) {
		panic("mine")
	}
}
