package secrets

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
)

func wordish(c byte) bool { return wordy(c) || c == '=' }
func pathy(c byte) bool   { return wordy(c) || c == '/' }

// secretish is what a secret that people choose may have. Quotes, backslashes
// and brackets are not in it: they belong to the text around.
func secretish(c byte) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune("\"'`\\,;()[]{}<>", rune(c))
}

// run is where bytes of the class starting at i end.
func run(text []byte, i int, class func(byte) bool) int {
	for i < len(text) && class(text[i]) {
		i++
	}
	return i
}

// runBack is where bytes of the class ending at i begin, not far back: a run
// would be gone over again for each literal in it.
func runBack(text []byte, i int, class func(byte) bool) int {
	for least := max(0, i-128); i > least && class(text[i-1]); {
		i--
	}
	return i
}

func (p *place) has(i int, s string) bool {
	return i >= 0 && len(p.text)-i >= len(s) && string(p.text[i:i+len(s)]) == s
}

// starts says that no word runs into the literal.
func (p *place) starts() bool { return p.at == 0 || !word(p.text[p.at-1]) }

// follow reports the literal and the run behind it.
func (p *place) follow(r *rule) {
	if !p.starts() {
		return
	}
	hi := run(p.text, p.end, r.class)
	if n := hi - p.end; n < r.min || n > r.max || dull(p.text[p.end:hi]) {
		return
	}
	if hi < len(p.text) && alnum(p.text[hi]) {
		return
	}
	p.report(p.at, hi)
}

// dull says that a value is none: an example, a variable, or one character all
// along. Placeholders of ours are of this kind.
func dull(v []byte) bool {
	c := count(v)
	if c.distinct < 5 || c.digit == 0 && c.upper == 0 && c.n < 24 {
		return true
	}
	low := bytes.ToLower(v)
	return bytes.Contains(low, []byte("example")) || bytes.Contains(low, []byte("xxxxx")) ||
		bytes.Contains(low, []byte("redacted")) || bytes.Contains(low, []byte("your_")) || bytes.Contains(low, []byte("your-"))
}

// value finds what is assigned to the name that the literal ends: quotes, spaces,
// a colon, an equals sign or an arrow, then the value, quoted or not.
func (p *place) value(from int, class func(byte) bool) (lo, hi int, quoted bool) {
	i := run(p.text, from, func(c byte) bool { return c == '"' || c == '\'' || c == ']' })
	i = run(p.text, i, blank)
	switch {
	case p.has(i, "=>"), p.has(i, ":="), p.has(i, "=="):
		i += 2
	case p.has(i, ":"), p.has(i, "="):
		i++
	default:
		return 0, 0, false
	}
	i = run(p.text, i, blank)
	if quote := run(p.text, i, func(c byte) bool { return c == '"' || c == '\'' || c == '`' }); quote > i {
		i, quoted = quote, true
	}
	return i, run(p.text, i, class), quoted
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

// assigned reports the value of a name with a known kind of value.
func (p *place) assigned(class func(byte) bool, min, max int) {
	lo, hi, _ := p.value(p.end, class)
	if n := hi - lo; n < min || n > max || dull(p.text[lo:hi]) {
		return
	}
	p.report(lo, hi)
}

// password reports values of names like password. They have no shape, so they
// must look random, and not like code.
func password(p *place) {
	from := run(p.text, p.end, word)
	if from-p.end > 24 || from > p.end && p.text[p.end] == 's' {
		return
	}
	lo, hi, quoted := p.value(from, secretish)
	for !quoted && hi > lo && strings.ContainsRune(".:!?&", rune(p.text[hi-1])) {
		hi-- // of the sentence
	}
	v := p.text[lo:hi]
	if len(v) < 8 || len(v) > 512 || dull(v) || uuid(v) {
		return
	}
	if !quoted && hi < len(p.text) && strings.ContainsRune("([{<", rune(p.text[hi])) || v[0] == '$' || v[0] == '%' || v[0] == '/' {
		return // a call, a variable, a path
	}
	c := count(v)
	if c.digit == 0 || c.lower+c.upper == 0 || c.bits < 3 || c.n < 16 && c.kinds() < 3 || c.n >= 16 && c.bits < 3.3 {
		return
	}
	if bytes.Contains(v, []byte("://")) || codelike(v) {
		return
	}
	p.report(lo, hi)
}

// codelike says that a value is made of words: identifiers, paths, versions.
func codelike(v []byte) bool {
	words, random := 0, 0
	for part := range bytes.FieldsFuncSeq(v, func(r rune) bool { return strings.ContainsRune("._-/:+=@&|*#$~^%", r) }) {
		words++
		c := count(part)
		if turns(part) > 2 || c.digit >= 6 || c.n > 20 {
			random++
		}
	}
	return words > 1 && random == 0 && !bytes.ContainsAny(v, "!@#$%^*~") || words == 1 && random == 0 && turns(v) <= 1
}

// turns counts changes between letters and digits: words and versions have few.
func turns(v []byte) (n int) {
	for i := 1; i < len(v); i++ {
		if digit(v[i]) != digit(v[i-1]) {
			n++
		}
	}
	return n
}

func uuid(v []byte) bool {
	if len(v) != 36 {
		return false
	}
	for i, c := range v {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || !dash && !hexa(c) {
			return false
		}
	}
	return true
}

// jwt is three parts of base64, the first two JSON objects. The third is empty
// where nothing is signed.
func jwt(p *place) {
	if p.at > 0 && wordy(p.text[p.at-1]) {
		return
	}
	one := run(p.text, p.end, wordy)
	if one-p.at < 10 || !p.has(one, ".eyJ") {
		return
	}
	two := run(p.text, one+1, wordy)
	if two-one < 10 || !p.has(two, ".") {
		return
	}
	p.report(p.at, run(p.text, two+1, wordy))
}

// pemKey reports the body of a PEM block, up to its end line or as far as it goes.
func pemKey(p *place) {
	start := runBack(p.text, p.at, func(c byte) bool { return bigs(c) || c == ' ' })
	if !p.has(start-5, "-----") {
		return
	}
	i := p.end
	if p.has(i, " BLOCK") {
		i += len(" BLOCK")
	}
	if !p.has(i, "-----") {
		return
	}
	lo := i + 5
	hi := lo
	for hi < len(p.text) && !p.has(hi, "-----") && (base64ish(p.text[hi]) || strings.ContainsRune(" \t\r\n:,.()", rune(p.text[hi]))) {
		hi++
	}
	for lo < hi && strings.ContainsRune(" \t\r\n", rune(p.text[lo])) {
		lo++
	}
	if hi-lo < 40 || count(p.text[lo:hi]).distinct < 16 {
		return
	}
	p.report(lo, hi)
}

func puttyKey(p *place) {
	lo := run(p.text, p.end, func(c byte) bool { return digit(c) || c == ' ' || c == '\r' || c == '\n' })
	hi := run(p.text, lo, func(c byte) bool { return base64ish(c) && c != '-' && c != '_' || c == '\r' || c == '\n' })
	if hi-lo >= 40 {
		p.report(lo, hi)
	}
}

func ageKey(p *place) {
	if hi := run(p.text, p.end, bigs); hi-p.end == 58 {
		p.report(p.at, hi)
	}
}

// azureSAS is the signature of a shared access URL: base64, percent-encoded.
func azureSAS(p *place) {
	hi := run(p.text, p.end, func(c byte) bool { return base64ish(c) || c == '%' })
	if n := hi - p.end; n < 43 || n > 120 || p.at > 0 && !strings.ContainsRune("?&;", rune(p.text[p.at-1])) {
		return
	}
	p.report(p.end, hi)
}

func azureSecret(p *place) {
	class := func(c byte) bool { return dotted(c) || c == '~' }
	lo, hi := p.at-3, run(p.text, p.end, class)
	if lo < 0 || hi-p.end < 31 || hi-p.end > 34 || lo > 0 && class(p.text[lo-1]) || !only(string(p.text[lo:p.at]), alnum) {
		return
	}
	p.report(lo, hi)
}

func newRelic(p *place) {
	if lo := runBack(p.text, p.at, hexa); p.at-lo == 36 && (p.end == len(p.text) || !word(p.text[p.end])) {
		p.report(lo, p.end)
	}
}

func sentryDSN(p *place) {
	host := runBack(p.text, p.at, dotted)
	if host == 0 || p.text[host-1] != '@' {
		return
	}
	if lo := runBack(p.text, host-1, func(c byte) bool { return hexa(c) || c == ':' }); host-1-lo >= 32 {
		p.report(lo, host-1)
	}
}

func terraform(p *place) {
	lo, hi := runBack(p.text, p.at, alnum), run(p.text, p.end, wordy)
	if p.at-lo == 14 && hi-p.end >= 60 {
		p.report(lo, hi)
	}
}

func discordBot(p *place) {
	lo := p.end - 1
	hi := run(p.text, lo, dotted)
	if v := p.text[lo:hi]; len(v) >= 59 && len(v) <= 80 && bytes.Count(v, []byte(".")) == 2 {
		p.report(lo, hi)
	}
}

func telegram(p *place) {
	lo, hi := runBack(p.text, p.at, digit), run(p.text, p.at+1, wordy)
	if n := p.at - lo; n >= 8 && n <= 10 && hi-p.at-1 == 35 {
		p.report(lo, hi)
	}
}

func mailchimp(p *place) {
	lo, hi := runBack(p.text, p.at, hexa), run(p.text, p.end, digit)
	if p.at-lo == 32 && hi > p.end && hi-p.end <= 2 && (lo == 0 || !word(p.text[lo-1])) {
		p.report(lo, hi)
	}
}

// urlPassword is what stands before the @ of a URL: the password, or a token
// that is the user.
func urlPassword(p *place) {
	class := func(c byte) bool { return secretish(c) && c != '/' && c != '@' && c != '?' && c != '#' }
	user := run(p.text, p.end, func(c byte) bool { return class(c) && c != ':' })
	if p.has(user, "@") {
		if v := p.text[p.end:user]; len(v) >= 20 && !dull(v) && worthy(string(v)) {
			p.report(p.end, user)
		}
		return
	}
	if !p.has(user, ":") {
		return
	}
	hi := run(p.text, user+1, class)
	v := string(p.text[user+1 : hi])
	if !p.has(hi, "@") || len(v) < 3 || strings.HasPrefix(v, "$") || strings.Contains(v, "REDACTED") || strings.Trim(v, "*x.") == "" {
		return
	}
	if !slices.Contains([]string{"pass", "password", "pwd", "secret", "token", "pw"}, strings.ToLower(v)) {
		p.report(user+1, hi)
	}
}

func bearer(p *place) {
	hi := run(p.text, p.end, func(c byte) bool { return base64ish(c) || c == '.' || c == '~' })
	v := p.text[p.end:hi]
	if c := count(v); p.starts() && c.n >= 16 && c.digit > 0 && c.bits >= 3 && !dull(v) && turns(v) > 2 {
		p.report(p.end, hi)
	}
}

// basic is base64 of a user and a password.
func basic(p *place) {
	hi := run(p.text, p.end, base64ish)
	v := strings.TrimRight(string(p.text[p.end:hi]), "=")
	if len(v) < 8 || !p.starts() {
		return
	}
	plain, err := base64.RawStdEncoding.DecodeString(v)
	if i := bytes.IndexByte(plain, ':'); err == nil && i >= 0 && i < len(plain)-1 && readable(plain) {
		p.report(p.end, hi)
	}
}

func readable(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// netrc is "machine … login … password …" on one line or several.
func netrc(p *place) {
	before := p.text[max(0, p.at-200):p.at]
	login := bytes.LastIndex(before, []byte("login "))
	if login < 0 || !bytes.Contains(before[:login], []byte("machine ")) && !bytes.Contains(before[:login], []byte("default")) {
		return
	}
	if hi := run(p.text, p.end, secretish); hi-p.end >= 4 && !dullShort(p.text[p.end:hi]) {
		p.report(p.end, hi)
	}
}

func dullShort(v []byte) bool { return count(v).distinct < 3 || bytes.Contains(v, []byte("REDACTED")) }

// cookie reports the values of a cookie header whose names tell of a session.
func cookie(p *place) {
	i := run(p.text, p.end, func(c byte) bool { return c == '"' || c == '\'' })
	if !p.has(i, ":") {
		return
	}
	i = run(p.text, i+1, func(c byte) bool { return c == ' ' || c == '"' || c == '\'' })
	for range 50 {
		name := i
		i = run(p.text, i, dotted)
		if i == name || !p.has(i, "=") {
			return
		}
		lo := i + 1
		hi := run(p.text, lo, func(c byte) bool { return base64ish(c) || c == '.' || c == '%' || c == ':' || c == '~' })
		if c := count(p.text[lo:hi]); c.n >= 16 && c.bits >= 3 && c.digit > 0 && !dull(p.text[lo:hi]) && sessionName(string(p.text[name:i])) {
			p.report(lo, hi)
		}
		if i = run(p.text, hi, func(c byte) bool { return c == ';' || c == ' ' }); i == hi {
			return
		}
	}
}

func sessionName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"sess", "sid", "auth", "token", "jwt", "csrf", "login", "secret", "cf_"}, func(s string) bool { return strings.Contains(name, s) })
}
