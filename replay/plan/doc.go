// Package plan turns sessions into what a replay sends, and says when.
package plan
