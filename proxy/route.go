package proxy

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Providers are the endpoints that base-URL mode reaches by name:
// /s/SESSION/NAME/… goes to the URL with the rest of the path behind it.
func Providers() map[string]string {
	return map[string]string{
		"anthropic":  "https://api.anthropic.com",
		"openai":     "https://api.openai.com",
		"chatgpt":    "https://chatgpt.com",
		"gemini":     "https://generativelanguage.googleapis.com",
		"openrouter": "https://openrouter.ai",
		"deepseek":   "https://api.deepseek.com",
		"dashscope":  "https://dashscope.aliyuncs.com",
		"moonshot":   "https://api.moonshot.ai",
		"zai":        "https://api.z.ai",
		"xai":        "https://api.x.ai",
		"mistral":    "https://api.mistral.ai",
		"groq":       "https://api.groq.com",
		"fireworks":  "https://api.fireworks.ai",
		"together":   "https://api.together.xyz",
		"opencode":   "https://opencode.ai",
	}
}

// RecordHosts are the hosts whose tunnels are opened to record model calls;
// a leading *. stands for one label or more. Every other host is tunnelled.
func RecordHosts() []string {
	return []string{
		"api.anthropic.com", "api.openai.com", "chatgpt.com",
		"generativelanguage.googleapis.com", "aiplatform.googleapis.com", "*.aiplatform.googleapis.com", "cloudcode-pa.googleapis.com",
		"openrouter.ai", "opencode.ai", "dashscope.aliyuncs.com", "dashscope-intl.aliyuncs.com",
		"api.deepseek.com", "api.moonshot.ai", "api.moonshot.cn", "api.z.ai", "api.x.ai", "api.mistral.ai",
		"api.groq.com", "api.fireworks.ai", "api.together.xyz", "api.githubcopilot.com", "*.githubcopilot.com",
	}
}

// hostList matches host names against patterns.
type hostList []string

func (l hostList) has(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(l, func(pattern string) bool {
		if domain, wild := strings.CutPrefix(pattern, "*."); wild {
			return strings.HasSuffix(host, "."+domain)
		}
		return host == pattern
	})
}

// place is where a request in base-URL mode goes, or one with an absolute URL.
type place struct {
	session  string
	provider string // empty with an absolute URL
	base     *url.URL
	target   string // request target for the upstream
}

// same tells whether both lie at one upstream.
func (p place) same(q place) bool {
	return p.base == q.base || p.provider == q.provider && p.base.Host == q.base.Host && p.base.Scheme == q.base.Scheme
}

// absolute reads a request target that is a whole URL, as clients send it to
// their proxy where there is no TLS.
func absolute(target string) (place, bool) {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return place{}, false
	}
	return place{base: &url.URL{Scheme: u.Scheme, Host: u.Host}, target: u.RequestURI()}, true
}

// routes are the providers of base-URL mode by name.
type routes map[string]*url.URL

func newRoutes(providers map[string]string) (routes, error) {
	r := routes{}
	for name, text := range providers {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("provider %s: want an http or https URL without query and user", name)
		}
		if name == "" || strings.ContainsAny(name, "/?#% ") {
			return nil, fmt.Errorf("provider %q: want a name that can stand in a path", name)
		}
		r[name] = u
	}
	return r, nil
}

// find reads a request target: /s/SESSION/PROVIDER/REST, or /PROVIDER/REST
// without a session.
func (r routes) find(target string) (place, error) {
	rest, slash := strings.CutPrefix(target, "/")
	if !slash {
		return place{}, fmt.Errorf("request target %.80q: want /s/SESSION/PROVIDER/… or a proxy request", target)
	}
	var p place
	if tagged, ok := strings.CutPrefix(rest, "s/"); ok {
		p.session, rest, _ = strings.Cut(tagged, "/")
		name, err := url.PathUnescape(p.session)
		if err != nil || name == "" {
			return place{}, fmt.Errorf("request target %.80q: session %q cannot be read", target, p.session)
		}
		p.session = name
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	p.provider, rest = rest[:end], rest[end:]
	p.base = r[p.provider]
	if p.base == nil {
		return place{}, fmt.Errorf("unknown provider %.40q; known are %s", p.provider, strings.Join(r.names(), ", "))
	}
	p.target = strings.TrimSuffix(p.base.EscapedPath(), "/") + rest
	if !strings.HasPrefix(p.target, "/") {
		p.target = "/" + p.target
	}
	return p, nil
}

func (r routes) names() []string {
	var names []string
	for n := range r {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// address is the host and port to dial for a base URL.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}
