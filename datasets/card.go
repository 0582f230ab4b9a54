package datasets

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/capstan-bench/capstan/schema"
)

// Card is what people want to know of a dataset that its tables do not say.
type Card struct {
	Name     string   // heading; "Agent sessions" if empty
	About    string   // prose in Markdown, may be empty
	License  string   // as the Hub names licences, such as "cc-by-4.0"; "unknown" if empty
	Tags     []string // besides the usual ones
	Producer string   // program and version that writes the dataset; "capstan" if empty
}

func (c Card) name() string     { return cmp.Or(c.Name, "Agent sessions") }
func (c Card) license() string  { return cmp.Or(c.License, "unknown") }
func (c Card) producer() string { return cmp.Or(c.Producer, "capstan") }

// part is what the card says of one table.
type part struct {
	spec     schema.Table
	features []feature
	rows     int64
	bytes    int64 // of its files
}

// render returns README.md for a dataset of the given number of sessions and
// the tables that have rows.
func (c Card) render(sessions int, parts []part) []byte {
	var b bytes.Buffer
	b.WriteString("---\n")
	c.frontMatter(&b, sessions, parts)
	b.WriteString("---\n\n")
	fmt.Fprintf(&b, "# %s\n\n", c.name())
	if c.About != "" {
		b.WriteString(strings.TrimRight(c.About, "\n") + "\n\n")
	}
	fmt.Fprintf(&b, "%d recorded sessions of coding agents, as flat Parquet tables in version %s of the capstan format.\n\n",
		sessions, schema.Version)
	b.WriteString("| table | rows | bytes |\n|---|---:|---:|\n")
	for _, p := range parts {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", p.spec.Name, p.rows, p.bytes)
	}
	b.WriteString(contextQuery)
	return b.Bytes()
}

// contextQuery shows how a context is put together without our program.
const contextQuery = `
A call's context is a list of half-open ranges over the items of its session, and
an item is the bytes of one message or tool definition, stored once as a blob.
With DuckDB, the elements of one context in order:

` + "```sql" + `
SELECT i.kind, i.role, b.content
FROM (SELECT session_id, unnest(context_ranges, recursive := true), generate_subscripts(context_ranges, 1) AS nth
      FROM 'data/calls/*.parquet' WHERE call_id = '…') r
JOIN 'data/items/*.parquet' i
  ON i.session_id = r.session_id AND i.item_index >= r.start_item AND i.item_index < r.end_item
JOIN 'data/blobs/*.parquet' b USING (content_sha256)
ORDER BY r.nth, i.item_index;
` + "```" + `

capstan verifies (` + "`capstan verify DIR`" + `), inspects (` + "`capstan inspect DIR`" + `) and replays the dataset.
`

// frontMatter writes the YAML that the Hub reads. Text is quoted as JSON, which
// YAML takes as it is.
func (c Card) frontMatter(b *bytes.Buffer, sessions int, parts []part) {
	fmt.Fprintf(b, "license: %s\n", quote(c.license()))
	fmt.Fprintf(b, "pretty_name: %s\n", quote(c.name()))
	b.WriteString("tags:\n")
	tags := append([]string{"agent-traces", "coding-agent", "llm-inference", "benchmark"}, c.Tags...)
	for i, t := range tags {
		if !slices.Contains(tags[:i], t) {
			fmt.Fprintf(b, "- %s\n", quote(t))
		}
	}
	b.WriteString("task_categories:\n- text-generation\n")
	fmt.Fprintf(b, "size_categories:\n- %s\n", sizeCategory(sessions))
	b.WriteString("configs:\n")
	for i, p := range parts {
		fmt.Fprintf(b, "- config_name: %s\n", p.spec.Name)
		if i == 0 {
			b.WriteString("  default: true\n")
		}
		fmt.Fprintf(b, "  data_files:\n  - split: train\n    path: %s\n", quote(p.spec.Pattern()))
	}
	b.WriteString("dataset_info:\n")
	for _, p := range parts {
		p.info(b)
	}
}

// info writes one element of dataset_info.
func (p part) info(b *bytes.Buffer) {
	fmt.Fprintf(b, "- config_name: %s\n  features:\n", p.spec.Name)
	for _, f := range p.features {
		f.write(b, "  ")
	}
	fmt.Fprintf(b, "  splits:\n  - name: train\n    num_bytes: %d\n    num_examples: %d\n", p.bytes, p.rows)
	fmt.Fprintf(b, "  download_size: %d\n  dataset_size: %d\n", p.bytes, p.bytes)
}

// sizeCategory is the Hub's name for a number of rows.
func sizeCategory(n int) string {
	names := []string{"n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M"}
	limit := 1000
	for _, name := range names {
		if n < limit {
			return name
		}
		limit *= 10
	}
	return "n>10M"
}

func quote(s string) string {
	b, err := json.Marshal(strings.ToValidUTF8(s, "\uFFFD"))
	if err != nil {
		panic("datasets: internal error: " + err.Error()) // a string always marshals
	}
	return string(b)
}
