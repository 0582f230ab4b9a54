package launch

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Inherited is what the user's environment and the harness's configuration say
// about reaching providers, as far as a recording has to keep to it.
type Inherited struct {
	Via       *url.URL          // the user's proxy, through which ours has to reach the world
	Providers map[string]string // base URLs whose hosts are not on the record list, by provider
	Notes     []string          // what a person should know
}

// Inherit reads what the user had set. It is pure. hosts is the record list, and
// empty in the base-URL way.
//
// A proxy becomes that of the recording proxy. A base URL that leads to a
// recorded host is left alone, for its tunnel is opened; one that leads elsewhere
// (a gateway, a model server on this machine) becomes a provider of base-URL
// mode. The certificates that variables name are part of what [NewRun] writes.
func Inherit(base []string, h Harness, settings []Setting, hosts []string) Inherited {
	in := Inherited{Providers: map[string]string{}}
	in.proxy(base)
	in.configured(settings, hosts, false)
	fromVariable := map[string]string{}
	for _, v := range h.urls {
		had := lookup(base, v.name)
		if had == "" {
			continue
		}
		if first, ok := fromVariable[v.provider]; ok && first != had {
			in.Notes = append(in.Notes, fmt.Sprintf("the variable %s has another base URL than others for %s; theirs is used", v.name, v.provider))
			continue
		}
		fromVariable[v.provider] = had
		in.adopt(v.provider, had, "the variable "+v.name, hosts)
	}
	in.configured(settings, hosts, true)
	return in
}

// configured adopts what the configuration says: what a variable goes over, or
// what goes over a variable. Of several settings the last counts.
func (in *Inherited) configured(settings []Setting, hosts []string, over bool) {
	for _, s := range settings {
		if s.Provider != "" && s.URL != "" && (s.Variable != "") == over {
			in.adopt(s.Provider, s.URL, s.File, hosts)
		}
	}
}

// proxy takes the user's proxy over.
func (in *Inherited) proxy(base []string) {
	text := lookup(base, "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy")
	if text == "" || slices.Contains(entries(lookup(base, "NO_PROXY", "no_proxy")), "*") {
		return
	}
	u, err := ParseProxy(text)
	if err != nil {
		in.Notes = append(in.Notes, "the proxy of the environment is not used: "+err.Error())
		return
	}
	in.Via = u
}

// ParseProxy reads the URL of an HTTP proxy; without a scheme it is http. Errors
// do not show the URL, which may hold a password.
func ParseProxy(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("it is no URL of a proxy")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("its scheme is %s, and http and https can be used", u.Scheme)
	}
	return u, nil
}

// adopt makes a provider of a base URL, in the place of one that was adopted for
// it. One whose tunnel will be opened needs none.
func (in *Inherited) adopt(provider, text, from string, hosts []string) {
	u, err := url.Parse(text)
	delete(in.Providers, provider)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		in.Notes = append(in.Notes, fmt.Sprintf("%s holds no http or https URL for %s", from, provider))
	case u.Scheme == "https" && Listed(hosts, u.Hostname()):
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		in.Notes = append(in.Notes, fmt.Sprintf("the base URL of %s in %s has a user or a query, so its calls are not recorded", provider, from))
	case strings.ContainsAny(provider, "/?#% "):
		in.Notes = append(in.Notes, fmt.Sprintf("the provider %q of %s cannot stand in a path, so its calls are not recorded", provider, from))
	default:
		in.Providers[provider] = text
	}
}

// loopback are the entries of NO_PROXY that a child always has.
var loopback = []string{"localhost", "127.0.0.1", "::1"}

// bypass is NO_PROXY for a child: this machine, and what the user had, except
// what would keep recorded hosts from the proxy.
func bypass(had string, hosts []string) []string {
	out := slices.Clone(loopback)
	for _, e := range entries(had) {
		if !slices.Contains(out, e) && !hides(e, hosts) {
			out = append(out, e)
		}
	}
	return out
}

func entries(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// hides tells whether an entry of NO_PROXY keeps a recorded host from the proxy:
// by its name, or by a domain that it lies under.
func hides(entry string, hosts []string) bool {
	if entry == "*" {
		return true
	}
	name := strings.ToLower(entry)
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	name = strings.TrimPrefix(strings.TrimPrefix(name, "*"), ".")
	return Listed(hosts, name) || slices.ContainsFunc(hosts, func(h string) bool {
		domain := strings.TrimPrefix(h, "*.")
		return domain == name || strings.HasSuffix(domain, "."+name)
	})
}

// HidesRecorded returns the entries of a NO_PROXY variable that keep hosts of the
// record list from a proxy.
func HidesRecorded(list string, hosts []string) []string {
	return slices.DeleteFunc(entries(list), func(e string) bool { return !hides(e, hosts) })
}

// Bypassed tells whether NO_PROXY of an environment names a host.
func Bypassed(env []string, host string) bool {
	return len(HidesRecorded(lookup(env, "NO_PROXY", "no_proxy"), []string{strings.ToLower(host)})) > 0
}

// Listed tells whether a host is on a record list, in which a leading *. stands
// for one label or more.
func Listed(hosts []string, host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(hosts, func(pattern string) bool {
		if domain, wild := strings.CutPrefix(pattern, "*."); wild {
			return strings.HasSuffix(host, "."+domain)
		}
		return host == pattern
	})
}
