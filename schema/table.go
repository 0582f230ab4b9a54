package schema

import (
	"fmt"
	"reflect"
	"slices"
)

// Table names one kind of Parquet file.
type Table struct {
	Name string // as in the files' schema_name and in a card's config_name
	Dir  string // folder within a dataset or result, slash separated
}

// Pattern returns the glob pattern of the table's files within its dataset or
// result.
func (t Table) Pattern() string { return t.Dir + "/*.parquet" }

// File returns the path of the table's file number n, from 0, within its
// dataset or result. Paths sort in the order of n.
func (t Table) File(n int) string { return fmt.Sprintf("%s/part-%05d.parquet", t.Dir, n) }

// The tables.
var (
	TableTrajectories = Table{"trajectories", "data/trajectories"}
	TableCalls        = Table{"calls", "data/calls"}
	TableToolCalls    = Table{"tool_calls", "data/tool_calls"}
	TableItems        = Table{"items", "data/items"}
	TableBlobs        = Table{"blobs", "data/blobs"}
	TablePrefixBlocks = Table{"prefix_blocks", "data/prefix_blocks"}
	TableSamples      = Table{"samples", "samples"}
)

// Tables returns the tables of a dataset in the order in which FORMAT.md
// describes them. The samples table is not among them: it belongs to results.
func Tables() []Table {
	return []Table{
		TableTrajectories, TableCalls, TableToolCalls,
		TableItems, TableBlobs, TablePrefixBlocks,
	}
}

// TableOf returns the table whose row type is T; false if there is none.
func TableOf[T any]() (Table, bool) {
	l, ok := layoutOf(reflect.TypeFor[T]())
	return l.table, ok
}

// layout says how the files of one table are written.
type layout struct {
	table Table
	row   reflect.Type

	// fat columns get neither page statistics nor bounds: parquet-go puts the
	// full smallest and largest value into the footer and every page header,
	// which for long text costs more than the pages save.
	fat []string

	// bloom columns are looked up by value and not sorted.
	bloom []string
}

// bloomBits is the size of a bloom filter in bits per distinct value; 12 give
// about 0.4% false positives.
const bloomBits = 12

func layouts() []layout {
	return []layout{
		{TableTrajectories, reflect.TypeFor[Trajectory](),
			[]string{"title", "extra_json"}, nil},
		{TableCalls, reflect.TypeFor[Call](),
			[]string{"tool_choice", "request_params_json", "patches.list.element.ins", "usage_json", "extra_json"},
			[]string{"call_id", "response_id"}},
		{TableToolCalls, reflect.TypeFor[ToolCall](),
			[]string{"extra_json"}, nil},
		{TableItems, reflect.TypeFor[Item](), nil, nil},
		{TableBlobs, reflect.TypeFor[Blob](),
			[]string{"content"}, []string{"content_sha256"}},
		{TablePrefixBlocks, reflect.TypeFor[PrefixBlocks](), nil, nil},
		{TableSamples, reflect.TypeFor[Sample](),
			[]string{"error_text"}, nil},
	}
}

func layoutOf(row reflect.Type) (layout, bool) {
	all := layouts()
	i := slices.IndexFunc(all, func(l layout) bool { return l.row == row })
	if i < 0 {
		return layout{}, false
	}
	return all[i], true
}
