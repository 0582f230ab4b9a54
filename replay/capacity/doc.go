// Package capacity finds how many agents a system carries at each service level.
package capacity
