package schema_test

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/schema"
	"github.com/google/go-cmp/cmp"
)

func formatText(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// typeName names a column's type as FORMAT.md does, and whether it can be null.
func typeName(t reflect.Type) (name, null string) {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return "timestamp", ""
	case t.Kind() == reflect.Pointer:
		name, _ := typeName(t.Elem())
		return name, "null"
	case t.Kind() == reflect.Slice:
		name, _ := typeName(t.Elem())
		return "list<" + name + ">", ""
	}
	return map[reflect.Kind]string{
		reflect.Bool: "bool", reflect.Int32: "int32", reflect.Int64: "int64", reflect.Float32: "float",
		reflect.Float64: "double", reflect.String: "string", reflect.Struct: "struct",
	}[t.Kind()], ""
}

// columnsOf lists a row type's columns as "name type null", and those of the
// structs in it under the path of their column.
func columnsOf(path string, row reflect.Type, out map[string][]string) {
	for i := range row.NumField() {
		field := row.Field(i)
		column, _, _ := strings.Cut(field.Tag.Get("parquet"), ",")
		name, null := typeName(field.Type)
		out[path] = append(out[path], strings.TrimSpace(fmt.Sprintf("%s %s %s", column, name, null)))
		if elem := structIn(field.Type); elem != nil {
			columnsOf(path+"."+column, elem, out)
		}
	}
}

var (
	tableHeading = regexp.MustCompile("^#+ .*`([a-z_.]+)`$")
	columnLine   = regexp.MustCompile("^\\| `([a-z0-9_]+)` \\| ([a-z0-9<>]+) \\| (null)? ?\\| (\\S.*) \\|$")
)

// FORMAT.md describes every column, in order, with its type and nullness, and no
// other.
func TestFormatNamesEveryColumn(t *testing.T) {
	want := make(map[string][]string)
	for name, row := range rowTypes() {
		columnsOf(name, row, want)
	}
	got := make(map[string][]string)
	section := ""
	for line := range strings.SplitSeq(formatText(t), "\n") {
		if m := tableHeading.FindStringSubmatch(line); m != nil {
			section = m[1]
		} else if strings.HasPrefix(line, "#") {
			section = ""
		}
		if m := columnLine.FindStringSubmatch(line); m != nil {
			got[section] = append(got[section], strings.TrimSpace(m[1]+" "+m[2]+" "+m[3]))
		} else if strings.HasPrefix(line, "| `") && section != "" {
			t.Errorf("FORMAT.md: cannot read the line %q", line)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("FORMAT.md differs from the row types (-types +FORMAT.md):\n%s", diff)
	}
}

// FORMAT.md names the version and every value that a column is restricted to.
func TestFormatNamesEveryValue(t *testing.T) {
	text := formatText(t)
	if !strings.Contains(text, "version "+schema.Version) {
		t.Errorf("FORMAT.md does not name version %s", schema.Version)
	}
	for _, value := range []string{
		schema.PointStart, schema.PointSent, schema.PointToken, schema.PointDone,
		schema.TriggerUser, schema.TriggerToolResult, schema.TriggerSubagent, schema.TriggerRetry,
		schema.TriggerCompaction, schema.TriggerSide, schema.TriggerUnknown,
		schema.PurposeMain, schema.PurposeTitle, schema.PurposeSummary, schema.PurposeSide,
		schema.FormatChat, schema.FormatResponses, schema.FormatMessages, schema.FormatGemini, schema.FormatNone,
		schema.KindSystem, schema.KindTools, schema.KindUser, schema.KindAssistant, schema.KindReasoning,
		schema.KindToolCall, schema.KindToolResult, schema.KindCompaction, schema.KindOther,
		schema.TimingProxyGap, schema.TimingHarness, schema.TimingOTel, schema.TimingImport,
		schema.TierFull, schema.TierScrubbed, schema.TierHashed, schema.SourceProxy, schema.SourceImport + ":",
		schema.MediaItem, schema.MediaEnvelope, schema.ScopeSession, schema.ScopeDataset,
		schema.RoleMeasured, schema.RolePrime,
		schema.ErrConnect, schema.ErrReset, schema.ErrTimeout, schema.ErrStatus, schema.ErrRateLimit,
		schema.ErrContext, schema.ErrStream, schema.ErrTruncated, schema.ErrEmpty, schema.ErrUnended,
	} {
		if !strings.Contains(text, "`"+value) {
			t.Errorf("FORMAT.md does not name the value %q", value)
		}
	}
}

// FORMAT.md names the tables' places.
func TestFormatNamesEveryTable(t *testing.T) {
	text := formatText(t)
	for _, table := range append(schema.Tables(), schema.TableSamples) {
		if !strings.Contains(text, table.Dir+"/") {
			t.Errorf("FORMAT.md does not name the folder %s", table.Dir)
		}
	}
}
