package schema

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"
)

// errText is the cause when a row holds text that Parquet cannot hold.
var errText = errors.New("text is not UTF-8")

// weigh returns about how many bytes v takes in Parquet before compression, and
// an error if text in v is not UTF-8.
func weigh(v reflect.Value) (int64, error) {
	switch v.Kind() {
	case reflect.String:
		if s := v.String(); !utf8.ValidString(s) {
			return 0, errText
		}
		return 4 + int64(v.Len()), nil
	case reflect.Pointer:
		if v.IsNil() {
			return 1, nil
		}
		return weigh(v.Elem())
	case reflect.Slice:
		return weighList(v)
	case reflect.Struct:
		return weighStruct(v)
	default:
		return int64(v.Type().Size()), nil
	}
}

func weighList(v reflect.Value) (int64, error) {
	switch v.Type().Elem().Kind() {
	case reflect.String, reflect.Struct:
	default: // numbers: all of one size
		return int64(v.Len()) * int64(v.Type().Elem().Size()), nil
	}
	var sum int64
	for i := range v.Len() {
		n, err := weigh(v.Index(i))
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}

func weighStruct(v reflect.Value) (int64, error) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		return 8, nil
	}
	var sum int64
	for i := range v.NumField() {
		n, err := weigh(v.Field(i))
		if err != nil {
			column, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("parquet"), ",")
			return 0, fmt.Errorf("%s: %w", column, err)
		}
		sum += n
	}
	return sum, nil
}
