// Package launch gets a coding agent to talk through the recording proxy: it
// holds the certificate authority that the agent is told to trust, and knows
// what each harness has to be given so that it uses the proxy.
//
// # The authority
//
// An [Authority] belongs to one user on one machine and is made on first use.
// Its key never leaves the folder it was made in. It can vouch for the hosts of
// the record list and for nothing else: its certificate carries critical name
// constraints, excludes addresses, and is good for servers only, so that a
// stolen key is no key to the rest of the user's traffic. It is never put into a
// store of the system. What a run trusts is a file of that run ([Run]).
//
// # The environment
//
// A harness reaches the proxy in one of two ways ([Way]). As its HTTP proxy,
// which needs a few variables only; or as the base URL of its providers, which
// some take from variables, some from arguments and some from a configuration.
// [Environment] and [Arguments] are pure: equal inputs give equal outputs, and
// nothing is read or written. What must lie in a file ([Files]) goes to a folder
// of the run. The user's own configuration is never changed, so nothing of a run
// is left in it however the run ends.
//
// What the user had set stays in force where it can: see [Inherit].
package launch
