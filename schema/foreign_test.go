package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/schema"
	"github.com/capstan-bench/capstan/schema/fold"
	"github.com/capstan-bench/capstan/schema/wire"
	"github.com/google/go-cmp/cmp"
)

// python returns the interpreter that SCHEMA_TEST_PYTHON names, which must have
// pyarrow and may have duckdb.
func python(t *testing.T) string {
	t.Helper()
	name := os.Getenv("SCHEMA_TEST_PYTHON")
	if name == "" {
		t.Skip("SCHEMA_TEST_PYTHON names no python with pyarrow")
	}
	return name
}

func runPython(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(python(t), append([]string{"-c", script}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run %s: %v\n%s", cmd.Path, err, stderr.String())
	}
	return out
}

// dump prints the rows of a file as JSON, times as microseconds since 1970.
const dump = `
import datetime, json, sys
engine, path = sys.argv[1:]
if engine == "pyarrow":
    import pyarrow.parquet
    rows = pyarrow.parquet.read_table(path).to_pylist()
else:
    import duckdb  # which needs another module to hand out times
    names = [c[0] for c in duckdb.execute("SELECT * FROM read_parquet(?) LIMIT 0", [path]).description]
    times = "REPLACE (epoch_us(started_at) AS started_at)" if "started_at" in names else ""
    result = duckdb.execute(f"SELECT * {times} FROM read_parquet(?)", [path])
    columns = [c[0] for c in result.description]
    rows = [dict(zip(columns, row)) for row in result.fetchall()]
def us(t):
    return int((t - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) / datetime.timedelta(microseconds=1))
json.dump(rows, sys.stdout, default=us)
`

// plainRow turns a row into what JSON gives for the same row.
func plainRow(v reflect.Value) any {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		return float64(v.Interface().(time.Time).UnixMicro())
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plainRow(v.Elem())
	case v.Kind() == reflect.Struct:
		m := make(map[string]any)
		for i := range v.NumField() {
			column, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("parquet"), ",")
			m[column] = plainRow(v.Field(i))
		}
		return m
	case v.Kind() == reflect.Slice:
		list := []any{}
		for i := range v.Len() {
			list = append(list, plainRow(v.Index(i)))
		}
		return list
	case v.CanInt():
		return float64(v.Int())
	case v.CanFloat():
		return v.Float()
	}
	return v.Interface()
}

// foreign reads rows back with another reader and compares every value: row
// counts, nulls, lists of structs, bytes.
func foreign[T any](t *testing.T, engine string, rows ...T) {
	t.Helper()
	want := []any{}
	for _, row := range rows {
		want = append(want, plainRow(reflect.ValueOf(row)))
	}
	var got []any
	if err := json.Unmarshal(runPython(t, dump, engine, write(t, rows...)), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s reads other rows of %T (-written +read):\n%s", engine, *new(T), diff)
	}
}

func TestForeignReaders(t *testing.T) {
	engines := []string{"pyarrow"}
	if err := exec.Command(python(t), "-c", "import duckdb").Run(); err == nil {
		engines = append(engines, "duckdb")
	}
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			foreign(t, engine, fullCall(0), bareCall(1), fullCall(2))
			foreign(t, engine, fullTrajectory())
			foreign(t, engine, fullToolCall(), schema.ToolCall{SessionID: "s", TrajectoryID: "t", TimingSource: schema.TimingImport})
			foreign(t, engine, fullItem(0), fullItem(1))
			foreign(t, engine, fullBlob(`{"a":"é\u0000 `+strings.Repeat("long ", 300_000)+`"}`), blobOf("\x1e,\x1e\x00"), blobOf(""))
			foreign(t, engine, fullBlocks())
			foreign(t, engine, fullSample(), schema.Sample{SessionID: "s", TrajectoryID: "t", Role: schema.RolePrime})
		})
	}
}

// rewrite writes the rows of a file with pyarrow, as FORMAT.md asks writers to.
const rewrite = `
import sys, pyarrow.parquet
path, to, options = sys.argv[1:]
table = pyarrow.parquet.read_table(path).replace_schema_metadata(None)
plain = {f.name: "PLAIN" for f in table.schema if str(f.type) == "bool" and eval(options)["plain"]}
words = [f.name for f in table.schema if str(f.type) == "string" and eval(options)["dictionary"]]
pyarrow.parquet.write_table(table, to, compression="zstd", data_page_version="2.0", write_page_checksum=True,
    use_dictionary=words, column_encoding=plain or None, row_group_size=eval(options)["rows"], data_page_size=eval(options)["page"])
`

// foreignWriter reads rows that another program wrote.
func foreignWriter[T any](t *testing.T, rows ...T) {
	t.Helper()
	path := write(t, rows...)
	for _, options := range []string{
		`{"plain": True, "dictionary": True, "rows": 1000, "page": 1 << 20}`,
		`{"plain": True, "dictionary": False, "rows": 50, "page": 1 << 20}`,
		`{"plain": True, "dictionary": True, "rows": 1000, "page": 100}`,
	} {
		to := filepath.Join(t.TempDir(), "foreign.parquet")
		runPython(t, rewrite, path, to, options)
		got, err := read[T](to)
		if diff := cmp.Diff(rows, got); err != nil || diff != "" {
			t.Errorf("%T written by pyarrow with %s: error %v (-ours +theirs):\n%s", *new(T), options, err, diff)
		}
	}
}

func TestForeignWriter(t *testing.T) {
	var calls []schema.Call
	var items []schema.Item
	for i := range int32(300) { // enough for runs of every kind
		calls, items = append(calls, fullCall(2*i), bareCall(2*i+1)), append(items, fullItem(i))
		calls[2*i].Stream = ptr(i%7 < 3)
	}
	foreignWriter(t, calls...)
	foreignWriter(t, items...)
	foreignWriter(t, fullTrajectory(), fullTrajectory())
	foreignWriter(t, fullToolCall(), schema.ToolCall{SessionID: "s", TrajectoryID: "t", TimingSource: schema.TimingImport})
	foreignWriter(t, fullBlob(`{"a":"é\u0000 `+strings.Repeat("long ", 300_000)+`"}`), blobOf("\x1e,\x1e\x00"), blobOf(""))
	foreignWriter(t, fullBlocks(), fullBlocks())
	foreignWriter(t, fullSample())

	// Read would give other truth values without saying so.
	to := filepath.Join(t.TempDir(), "foreign.parquet")
	runPython(t, rewrite, write(t, calls...), to, `{"plain": False, "dictionary": True, "rows": 1000, "page": 1 << 20}`)
	_, err := read[schema.Call](to)
	refused(t, "truth values in runs", to, err, "column stream: page at")
}

// compareBodies runs the program that FORMAT.md prints over a dataset and compares
// what it builds with the recorded hashes.
const compareBodies = `
built = 0
for call, body in bodies(sys.argv[1]):
    got = hashlib.sha256(body).hexdigest()
    if len(body) != call["request_body_bytes"] or got != call["request_body_sha256"]:
        sys.exit(f"call {call['call_id']}: rebuilt {len(body)} bytes with hash {got}, want {call['request_body_bytes']} {call['request_body_sha256']}")
    built += 1
print(built)
`

func TestFormatProgramRebuildsBodies(t *testing.T) {
	_, rest, _ := strings.Cut(formatText(t), "```python\n")
	program, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("FORMAT.md has no python program")
	}
	dataset := markedDataset(t)
	if built := strings.TrimSpace(string(runPython(t, program+compareBodies, dataset))); built != "3" {
		t.Errorf("the program built %q bodies with patches, want 3", built)
	}
	dataset = filepath.Join("..", "datasets", "smoke", "dataset")
	if _, err := os.Stat(dataset); err != nil {
		t.Skip(err)
	}
	out := runPython(t, program+compareBodies, dataset)
	if built := strings.TrimSpace(string(out)); built == "0" || built == "" {
		t.Errorf("the program built %q bodies", built)
	} else {
		t.Logf("the program of FORMAT.md rebuilt %s bodies byte for byte", built)
	}
}

// markedDataset writes the tables that a request is rebuilt from: contexts with
// cache marks that wander, with an empty array, and with separators that differ.
func markedDataset(t *testing.T) string {
	t.Helper()
	const mark = `,"cache_control":{"type":"ephemeral"}`
	f := fold.New("s")
	f.Trajectory(schema.Trajectory{TrajectoryID: "t", SourceKind: schema.SourceProxy})
	for i, body := range []string{
		`{"messages":[{"role":"system","content":[{"type":"text","text":"é"` + mark + `}]` + mark + `}],"tools":[]}`,
		`{"messages":[{"role":"system","content":[{"type":"text","text":"é"}]}, {"role":"user","content":"a"` + mark + `}],"tools":[{"type":"function"` + mark + `}]}`,
		`{"messages":[{"role":"system","content":[{"type":"text","text":"é"` + mark + `}]} ,{"role":"user","content":"a"},  {"role":"user","content":"b"}],"tools":[{"type":"function"}]}`,
	} {
		l, err := wire.Split(wire.FormatChat, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		c := schema.Call{CallID: fmt.Sprint(i), CallIndex: int32(i), Trigger: schema.TriggerUser, Purpose: schema.PurposeMain, APIFormat: schema.FormatChat}
		if err := f.Call("t", c, l, []byte(body), nil); err != nil {
			t.Fatal(err)
		}
	}
	s := f.Session()
	patches := 0
	for _, c := range s.Calls {
		patches += len(c.Patches)
	}
	if patches < 5 {
		t.Fatalf("the calls have %d patches", patches)
	}
	root := t.TempDir()
	put(t, root, s.Calls)
	put(t, root, s.Items)
	put(t, root, slices.Collect(maps.Values(s.Blobs)))
	return root
}

func put[T any](t *testing.T, root string, rows []T) {
	t.Helper()
	table, _ := schema.TableOf[T]()
	path := filepath.Join(root, filepath.FromSlash(table.File(0)))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(write(t, rows...), path); err != nil {
		t.Fatal(err)
	}
}
