package secrets

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
)

// Header learns what a header field of a request holds of credentials. Answers
// are not for it: their cookies change with each, and would push out what agents
// can repeat.
//
// Of a user and a password only the password is secret: a proxy's user names the
// session. Signatures, as of AWS, are good for one request and are not learned.
func (l *Learned) Header(name, value string) {
	name = strings.ToLower(name)
	switch {
	case name == "authorization" || name == "proxy-authorization":
		l.authorization(name, value)
	case name == "cookie":
		for pair := range strings.SplitSeq(value, ";") {
			if _, v, ok := strings.Cut(pair, "="); ok {
				l.Add("cookie", strings.Trim(strings.TrimSpace(v), `"`), false)
			}
		}
	case name == "sec-websocket-protocol":
		for proto := range strings.SplitSeq(value, ",") {
			l.protocol(strings.TrimSpace(proto))
		}
	case !keeps(name) && secretName(name):
		_, token, two := strings.Cut(value, " ") // a scheme may stand before it
		l.Add(name, value, false)
		if two {
			l.Add(name, token, false)
		}
	}
}

func (l *Learned) authorization(name, value string) {
	scheme, token, two := strings.Cut(strings.TrimSpace(value), " ")
	token = strings.TrimSpace(token)
	switch scheme = strings.ToLower(scheme); {
	case !two:
		l.Add(name, value, false)
	case strings.HasPrefix(scheme, "aws4-"), scheme == "digest", scheme == "signature":
	case scheme == "basic":
		plain, err := base64.StdEncoding.DecodeString(token)
		if err != nil {
			plain, err = base64.RawStdEncoding.DecodeString(token)
		}
		if _, pass, ok := strings.Cut(string(plain), ":"); err == nil && ok {
			if l.Add(name, pass, false) {
				l.Add(name, token, false)
			}
			return
		}
		l.Add(name, token, false)
	default:
		l.Add(name, token, false)
	}
}

// protocol learns the token that browsers put where they can't set a header:
// "openai-insecure-api-key.TOKEN", "base64url.bearer.authorization.TOKEN".
func (l *Learned) protocol(proto string) {
	name, token, ok := strings.Cut(proto, ".")
	if !ok {
		return
	}
	if i := strings.LastIndexByte(proto, '.'); strings.HasPrefix(name, "base64") {
		token = proto[i+1:]
		if plain, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(token, "=")); err == nil {
			l.Add("sec-websocket-protocol", string(plain), false)
		}
	}
	l.Add("sec-websocket-protocol", token, false)
}

// Target learns what the target of a request, or any URL, holds of credentials:
// the password, or the user if it stands alone, and values of the query by name.
func (l *Learned) Target(target string) { l.target(target, false) }

func (l *Learned) target(target string, pinned bool) {
	u, err := url.Parse(target)
	if err != nil {
		return
	}
	if pass, ok := u.User.Password(); ok {
		l.Add("url-password", pass, pinned)
	} else if u.User != nil {
		l.Add("url-user", u.User.Username(), pinned)
	}
	for name, values := range u.Query() {
		low := strings.ToLower(name)
		if strings.HasPrefix(low, "x-amz-") && low != "x-amz-security-token" || !secretName(name) || slices.Contains(keptQueries, low) {
			continue
		}
		for _, v := range values {
			l.Add("query-"+low, v, pinned)
		}
	}
}

// Environment learns from variables in the form NAME=value, for good: values
// whose name looks secret, passwords in URLs, and whatever looks like a
// credential in others.
func (l *Learned) Environment(vars []string) {
	for _, v := range vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || value == "" {
			continue
		}
		if strings.Contains(value, "://") {
			l.target(strings.TrimSpace(value), true)
		} else if secretName(name) {
			l.Add(strings.ToLower(name), value, true)
		}
		if strings.HasSuffix(strings.ToLower(name), "headers") { // lines of "Name: value"
			for line := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == '\n' || r == ',' }) {
				if field, v, ok := strings.Cut(line, ":"); ok && secretName(field) {
					l.Add(strings.ToLower(strings.TrimSpace(field)), v[strings.LastIndexByte(strings.TrimSpace(v), ' ')+1:], true)
				}
			}
		}
		for _, f := range scan([]byte(value)) {
			l.Add(f.Rule, f.plain, true)
		}
	}
}

// Words of names whose values are secret, and last words of names whose values
// only tell about one.
var (
	secretWords = []string{
		"key", "keys", "apikey", "token", "tokens", "secret", "secrets", "password", "passwd", "pass", "passphrase", "pwd", "pw",
		"credential", "credentials", "creds", "auth", "authorization", "cookie", "signature", "sig", "private", "pat", "dsn",
		"bearer", "jwt", "webhook", "accesskey", "secretkey", "authtoken", "accesstoken",
	}
	aboutWords = []string{
		"file", "files", "path", "dir", "directory", "sock", "socket", "name", "header", "type", "ttl", "limit", "count", "size",
		"length", "enabled", "disabled", "method", "algorithm", "provider", "mode", "version", "url", "uri", "host", "port",
		"timeout", "max", "min", "budget", "store", "ring", "parallelism", "format", "expiry", "expires", "scope", "scopes",
	}
)

// secretName says that a header, a variable or a parameter holds a credential,
// by the words in its name.
func secretName(name string) bool {
	words := nameWords(name)
	if len(words) == 0 || slices.Contains(aboutWords, words[len(words)-1]) {
		return false
	}
	if len(words) == 1 && (words[0] == "pwd" || words[0] == "oldpwd") {
		return false
	}
	return slices.ContainsFunc(words, func(w string) bool {
		return slices.Contains(secretWords, w) || len(w) > 6 && (strings.HasSuffix(w, "apikey") || strings.HasSuffix(w, "token") || strings.HasSuffix(w, "secret") || strings.HasSuffix(w, "password"))
	})
}

// nameWords splits HTTP_API_KEY, x-api-key and accessToken.
func nameWords(name string) []string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case !alnum(c):
			b.WriteByte(' ')
			continue
		case upper(c) && i > 0 && lower(name[i-1]):
			b.WriteByte(' ')
		}
		b.WriteByte(name[i] | 0x20)
	}
	return strings.Fields(b.String())
}
