package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/schema"
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
	dataset := filepath.Join("..", "datasets", "smoke", "dataset")
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
