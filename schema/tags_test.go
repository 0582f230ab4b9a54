package schema_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/schema"
	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
)

func rowTypes() map[string]reflect.Type {
	return map[string]reflect.Type{
		"trajectories":  reflect.TypeFor[schema.Trajectory](),
		"calls":         reflect.TypeFor[schema.Call](),
		"tool_calls":    reflect.TypeFor[schema.ToolCall](),
		"items":         reflect.TypeFor[schema.Item](),
		"blobs":         reflect.TypeFor[schema.Blob](),
		"prefix_blocks": reflect.TypeFor[schema.PrefixBlocks](),
		"samples":       reflect.TypeFor[schema.Sample](),
	}
}

var columnName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// lint returns what is wrong with the tags of a row type. Each rule stands for
// a way in which parquet-go, or a reader of its files, goes wrong.
func lint(row reflect.Type) (faults []string) {
	for i := range row.NumField() {
		field := row.Field(i)
		name, rest, _ := strings.Cut(field.Tag.Get("parquet"), ",")
		options := strings.FieldsFunc(rest, func(r rune) bool { return r == ',' })
		add := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("%s.%s: ", row.Name(), field.Name)+fmt.Sprintf(format, args...))
		}
		if !columnName.MatchString(name) {
			add("column name %q is not in snake case", name)
		}
		if slices.Contains([]string{"end", "in", "from", "to", "order", "group", "select", "where", "table", "index"}, name) {
			add("column name %q is a word of SQL", name)
		}
		for _, o := range options {
			// uuid writes a pointer instead of the text; enum, json and variant
			// make some readers refuse the column or the file.
			if !slices.Contains([]string{"optional", "list", "dict", "delta", "timestamp(microsecond)"}, o) {
				add("option %s is not allowed", o)
			}
		}
		for _, fault := range lintType(field, options) {
			add("%s", fault)
		}
		if elem := structIn(field.Type); elem != nil {
			faults = append(faults, lint(elem)...)
		}
	}
	return faults
}

func lintType(field reflect.StructField, options []string) (faults []string) {
	kind := field.Type.Kind()
	optional, list := slices.Contains(options, "optional"), slices.Contains(options, "list")
	if kind != reflect.Slice && optional != (kind == reflect.Pointer) {
		faults = append(faults, "optional and pointer go together: on values it turns 0 and false into null")
	}
	if list != (kind == reflect.Slice) {
		faults = append(faults, "list and slice go together: a bare repeated field is read in two ways")
	}
	if slices.Contains(options, "delta") && kind != reflect.Int32 && kind != reflect.Int64 {
		faults = append(faults, "delta panics on all but plain integers: lists want parquet-element")
	}
	if e := field.Tag.Get("parquet-element"); e != "" && (e != ",delta" || kind != reflect.Slice || !isInt(field.Type.Elem())) {
		faults = append(faults, fmt.Sprintf("parquet-element %q", e))
	}
	if isTime := base(field.Type) == reflect.TypeFor[time.Time](); isTime != slices.Contains(options, "timestamp(microsecond)") {
		faults = append(faults, "timestamp(microsecond) and time.Time go together")
	}
	switch base(field.Type).Kind() {
	case reflect.Bool, reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64, reflect.String, reflect.Struct:
	default:
		faults = append(faults, fmt.Sprintf("type %s is not one that every reader knows", field.Type))
	}
	return faults
}

func isInt(t reflect.Type) bool { return t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64 }

func base(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		return t.Elem()
	}
	return t
}

func structIn(t reflect.Type) reflect.Type {
	if b := base(t); b.Kind() == reflect.Struct && b != reflect.TypeFor[time.Time]() {
		return b
	}
	return nil
}

func TestTags(t *testing.T) {
	for _, row := range rowTypes() {
		for _, fault := range lint(row) {
			t.Error(fault)
		}
	}
}

// The rules find what they are for.
func TestTagsFindsFaults(t *testing.T) {
	f := func(row any, want string) {
		t.Helper()
		if faults := strings.Join(lint(reflect.TypeOf(row)), "; "); !strings.Contains(faults, want) {
			t.Errorf("lint(%T) = %q, want %q in it", row, faults, want)
		}
	}
	f(struct {
		A string `parquet:"a,uuid"`
	}{}, "option uuid is not allowed")
	f(struct {
		A string `parquet:"a,enum"`
	}{}, "option enum is not allowed")
	f(struct {
		A string `parquet:"a,json"`
	}{}, "option json is not allowed")
	f(struct {
		A string `parquet:"a,variant"`
	}{}, "option variant is not allowed")
	f(struct {
		A int64 `parquet:"a,optional"`
	}{}, "optional and pointer")
	f(struct {
		A *int64 `parquet:"a"`
	}{}, "optional and pointer")
	f(struct {
		A []int64 `parquet:"a"`
	}{}, "list and slice")
	f(struct {
		A *int64 `parquet:"a,optional,delta"`
	}{}, "delta panics")
	f(struct {
		A []int64 `parquet:"a,list,delta"`
	}{}, "delta panics")
	f(struct {
		A []string `parquet:"a,list" parquet-element:",delta"`
	}{}, "parquet-element")
	f(struct {
		A time.Time `parquet:"a"`
	}{}, "timestamp")
	f(struct {
		A uint64 `parquet:"a"`
	}{}, "every reader knows")
	f(struct {
		A int64
	}{}, "snake case")
	f(struct {
		A int64 `parquet:"end"`
	}{}, "word of SQL")
	f(struct {
		A []struct {
			B string `parquet:"b,uuid"`
		} `parquet:"a,list"`
	}{}, "option uuid")
}

// A change of this text is a change of the format: see FORMAT.md, "Evolution".
func TestGoldenSchema(t *testing.T) {
	var got strings.Builder
	for _, name := range slices.Sorted(maps.Keys(rowTypes())) {
		fmt.Fprintf(&got, "%s\n%s\n\n", name, parquet.SchemaOf(reflect.New(rowTypes()[name]).Interface()))
	}
	path := filepath.Join("testdata", "schema.txt")
	if *update {
		if err := os.WriteFile(path, []byte(got.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("the schema changed (-golden +now); -update accepts it:\n%s", diff)
	}
}

func TestTables(t *testing.T) {
	f := func(got schema.Table, ok bool, name, pattern, first string) {
		t.Helper()
		if !ok || got.Name != name || got.Pattern() != pattern || got.File(0) != first {
			t.Errorf("got %q %q %q %v, want %q %q %q", got.Name, got.Pattern(), got.File(0), ok, name, pattern, first)
		}
	}
	table, ok := schema.TableOf[schema.Call]()
	f(table, ok, "calls", "data/calls/*.parquet", "data/calls/part-00000.parquet")
	table, ok = schema.TableOf[schema.Sample]()
	f(table, ok, "samples", "samples/*.parquet", "samples/part-00000.parquet")
	if _, ok := schema.TableOf[schema.Range](); ok {
		t.Error("TableOf[Range]: got a table")
	}
	var names []string
	for _, table := range schema.Tables() {
		names = append(names, table.Name)
	}
	for name := range rowTypes() {
		if name != "samples" && !slices.Contains(names, name) {
			t.Errorf("table %s is not in Tables", name)
		}
	}
	if len(names) != len(rowTypes())-1 {
		t.Errorf("Tables() = %q, want one for each row type of a dataset", names)
	}
}

func TestCheckVersion(t *testing.T) {
	f := func(v string, ok bool) {
		t.Helper()
		if err := schema.CheckVersion(v); (err == nil) != ok {
			t.Errorf("CheckVersion(%q) = %v, want ok %v", v, err, ok)
		}
	}
	f(schema.Version, true)
	f("1.99.7", true)
	f("2.0.0", false)
	f("0.1.0", false)
	for _, v := range []string{"", "1", "1.0", "1.0.0.0", "1.0.x", "1.-1.0", "+1.0.0", "v1.0.0", "1..0"} {
		f(v, false)
	}
}
