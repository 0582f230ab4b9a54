package datasets

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// feature describes one column in the words of the Hugging Face datasets
// library. Exactly one of dtype, list and fields is set.
type feature struct {
	name   string
	dtype  string
	list   *feature  // a list of these; its name is empty
	fields []feature // a struct
}

// featuresOf returns the columns of a row type in order, from its struct tags.
func featuresOf(row reflect.Type) []feature {
	var out []feature
	for i := range row.NumField() {
		tag := row.Field(i).Tag.Get("parquet")
		name, _, _ := strings.Cut(tag, ",")
		f := featureOf(row.Field(i).Type)
		f.name = name
		out = append(out, f)
	}
	return out
}

func featureOf(t reflect.Type) feature {
	switch t.Kind() {
	case reflect.Pointer:
		return featureOf(t.Elem())
	case reflect.Slice:
		element := featureOf(t.Elem())
		return feature{list: &element}
	case reflect.String:
		return feature{dtype: "string"}
	case reflect.Bool:
		return feature{dtype: "bool"}
	case reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64:
		return feature{dtype: t.Kind().String()}
	}
	if t == reflect.TypeFor[time.Time]() {
		return feature{dtype: "timestamp[us, tz=UTC]"}
	}
	if t.Kind() == reflect.Struct {
		return feature{fields: featuresOf(t)}
	}
	panic(fmt.Sprintf("datasets: internal error: no feature for a column of type %s", t))
}

// write appends the feature as an element of a YAML list. Names are quoted: to
// YAML 1.1, off is a truth value.
func (f feature) write(b *bytes.Buffer, indent string) {
	fmt.Fprintf(b, "%s- name: %s\n", indent, quote(f.name))
	switch {
	case f.list != nil && f.list.fields != nil:
		fmt.Fprintf(b, "%s  list:\n", indent)
		f.writeFields(b, f.list.fields, indent)
	case f.list != nil:
		fmt.Fprintf(b, "%s  list: %s\n", indent, f.list.dtype)
	case f.fields != nil:
		fmt.Fprintf(b, "%s  struct:\n", indent)
		f.writeFields(b, f.fields, indent)
	default:
		fmt.Fprintf(b, "%s  dtype: %s\n", indent, f.dtype)
	}
}

func (f feature) writeFields(b *bytes.Buffer, fields []feature, indent string) {
	for _, field := range fields {
		field.write(b, indent+"  ")
	}
}
