// Package schema holds the row types of datasets and results, and reads and writes them as Parquet.
package schema
