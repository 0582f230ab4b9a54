package launch

import (
	"net/url"
	"slices"
	"strings"

	"github.com/capstan-bench/capstan/schema/secrets"
)

// Config says how a child reaches the proxy.
type Config struct {
	Harness  Harness
	Way      Way    // empty: the harness's
	Addr     string // required: host and port of the proxy
	Session  string // required: names the run; see [ValidSession]
	Password string // that the proxy asks for; empty: it does not
	// CA and Bundle are PEM files: the certificates to trust besides the
	// system's, and all that are to be trusted. No Bundle: the variables that
	// replace the system's certificates are left alone.
	CA, Bundle string
	// Providers are those that the user names, or had set, by name: the harness is
	// given the proxy in their place in either way.
	Providers map[string]string
	// Settings are what the harness's own configuration says; see [Settings].
	Settings []Setting
	// Folder is where the files of [Files] will be.
	Folder string
	// Hosts is the record list; a leading *. stands for one label or more.
	Hosts []string
}

// ValidSession tells whether a name can stand in a URL and for a user name
// without any escaping: letters, digits, dots, dashes and underscores, 64 at
// most.
func ValidSession(name string) bool {
	return len(name) > 0 && len(name) <= 64 && strings.Trim(name, ".") != "" &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_", r))
		})
}

// way is the way that is taken.
func (c Config) way() Way {
	if c.Way != "" {
		return c.Way
	}
	return c.Harness.Way
}

// ProxyURL is the proxy for a client that asks it for tunnels. The scheme is
// http: Codex takes no other for WebSockets.
func (c Config) ProxyURL() string {
	password := c.Password
	if password == "" {
		password = "x" // some clients send no user without one
	}
	u := url.URL{Scheme: "http", User: url.UserPassword(c.Session, password), Host: c.Addr}
	return u.String()
}

// URL is what a harness is given as the base URL of a provider. suffix is the
// path that it would have for the built-in provider: what the user names takes
// the place of the whole.
func (c Config) URL(provider, suffix string) string {
	if _, named := c.Providers[provider]; named {
		suffix = ""
	}
	return "http://" + c.Addr + "/s/" + c.Session + "/" + provider + suffix
}

// wants tells whether the harness is to be given the proxy for a provider.
func (c Config) wants(provider string) bool {
	_, named := c.Providers[provider]
	return named || c.way() == BaseURL
}

var proxyVariables = []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"}

// bundleVariables replace the certificates that a program trusts: OpenSSL,
// rustls and Go; Codex; requests; curl; the AWS SDKs; Deno; pip.
var bundleVariables = []string{"SSL_CERT_FILE", "CODEX_CA_CERTIFICATE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "DENO_CERT", "PIP_CERT"}

// extraVariable adds to the certificates that Node and Bun trust.
const extraVariable = "NODE_EXTRA_CA_CERTS"

// Environment returns base, the environment of capstan itself, with what makes
// the child use the proxy. It is pure.
//
// In the [Connect] way that is the proxy, in every spelling, with the session as
// its user; NO_PROXY with this machine's own addresses, which some harnesses talk
// to themselves on, and what the user had there except what would keep recorded
// hosts away; and the certificates to trust. In the [BaseURL] way it is the base
// URL of every provider that the harness takes one for from a variable. Either
// way, providers of Config.Providers get the proxy's base URL.
func Environment(base []string, c Config) []string {
	e := environment{base: base}
	noProxy := strings.Join(bypass(lookup(base, "NO_PROXY", "no_proxy"), c.Hosts), ",")
	e.set("NO_PROXY", noProxy)
	e.set("no_proxy", noProxy)
	if c.way() == Connect {
		for _, name := range proxyVariables {
			e.set(name, c.ProxyURL())
		}
		e.set("NODE_USE_ENV_PROXY", "1") // Node ignores the proxy without it
		e.set("AIOHTTP_TRUST_ENV", "True")
		if c.CA != "" {
			e.set(extraVariable, c.CA)
		}
		if c.Bundle != "" {
			for _, name := range bundleVariables {
				e.set(name, c.Bundle)
			}
		}
	}
	for _, v := range c.Harness.urls {
		if c.gives(v, lookup(base, v.name)) {
			e.set(v.name, c.URL(v.provider, v.suffix))
		}
	}
	if c.way() == BaseURL {
		for _, v := range c.Harness.set {
			name, value, _ := strings.Cut(v, "=")
			e.set(name, value)
		}
	}
	if c.Harness.variables != nil {
		for _, v := range c.Harness.variables(func(name string) string { return lookup(base, name) }, c) {
			name, value, _ := strings.Cut(v, "=")
			e.set(name, value)
		}
	}
	e.set("CAPSTAN_SESSION", c.Session)
	return e.result()
}

// gives tells whether a variable gets the proxy's base URL. What the user had set
// stays, unless the proxy was told to send there what it gets.
func (c Config) gives(v urlVariable, had string) bool {
	_, named := c.Providers[v.provider]
	if had != "" {
		return named
	}
	return c.wants(v.provider) && !v.ifSet
}

// environment is base with changes.
type environment struct {
	base    []string
	changed map[string]string
	order   []string
}

func (e *environment) set(name, value string) {
	if e.changed == nil {
		e.changed = map[string]string{}
	}
	if _, again := e.changed[name]; !again {
		e.order = append(e.order, name)
	}
	e.changed[name] = value
}

func (e *environment) result() []string {
	var out []string
	for _, v := range e.base {
		name, _, _ := strings.Cut(v, "=")
		if _, ok := e.changed[name]; !ok {
			out = append(out, v)
		}
	}
	for _, name := range e.order {
		out = append(out, name+"="+e.changed[name])
	}
	return out
}

// lookup returns the value of the first of the variables that is set and not
// empty.
func lookup(env []string, names ...string) string {
	for _, name := range names {
		for _, v := range slices.Backward(env) { // the last one counts
			if n, value, _ := strings.Cut(v, "="); n == name && value != "" {
				return value
			}
		}
	}
	return ""
}

// Learn hands what the child will know of credentials to l, so that they are
// taken out of what it sends.
func Learn(l *secrets.Learned, env []string) { l.Environment(env) }
