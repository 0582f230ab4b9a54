// Package sim is the engine of a simulated endpoint, in virtual time.
package sim
