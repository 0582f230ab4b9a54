package schema

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is the version of the format that FORMAT.md describes, as
// MAJOR.MINOR.PATCH. A new nullable column raises MINOR; whatever an older
// reader would misread raises MAJOR.
const Version = "1.0.0"

// CheckVersion returns an error unless this package can read what was written
// in version v: unless v is a version of the same major number.
func CheckVersion(v string) error {
	major, err := majorOf(v)
	if err != nil {
		return err
	}
	if ours, _ := majorOf(Version); major != ours {
		return fmt.Errorf("schema version %s: this program reads version %d.x.x", v, ours)
	}
	return nil
}

func majorOf(v string) (int, error) {
	parts := strings.Split(v, ".")
	if len(parts) != 3 {
		return 0, fmt.Errorf("schema version %q: want three numbers with dots between", v)
	}
	for _, p := range parts {
		if n, err := strconv.Atoi(p); err != nil || n < 0 || p[0] == '+' || p[0] == '-' {
			return 0, fmt.Errorf("schema version %q: want three numbers with dots between", v)
		}
	}
	return strconv.Atoi(parts[0])
}
