package secrets_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/capstan-bench/capstan/schema/secrets"
)

// plant is a credential in the text that it is usually found in. Credentials
// are put together here, so that no source holds one.
type plant struct {
	rule   string
	before string
	secret string // none of it may be left
	after  string
}

func bare(rule, prefix, alphabet string, n int) plant {
	return plant{rule, "", prefix + token(uint64(n)+uint64(len(rule))*131, alphabet, n), ""}
}

func named(rule, before, alphabet string, n int) plant {
	return plant{rule, before, token(uint64(n)+uint64(len(before))*137, alphabet, n), ""}
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func pem(kind, head string) plant {
	var lines []string
	for i := range 12 {
		lines = append(lines, token(uint64(i), base64s, 64))
	}
	dashes := strings.Repeat("-", 5)
	return plant{"private-key", dashes + "BEGIN " + kind + dashes + "\n", head + strings.Join(lines, "\n"), "\n" + dashes + "END " + kind + dashes + "\n"}
}

func plants() []plant {
	return []plant{
		bare("anthropic-api-key", "sk-"+"ant-api03-", wordies, 95), bare("anthropic-admin-key", "sk-"+"ant-admin01-", wordies, 93),
		bare("anthropic-oauth", "sk-"+"ant-oat01-", wordies, 95), bare("anthropic-oauth", "sk-"+"ant-ort01-", wordies, 95),
		bare("openai-project-key", "sk-"+"proj-", wordies, 150), bare("openai-service-key", "sk-"+"svcacct-", wordies, 150),
		bare("openai-service-key", "sk-"+"admin-", wordies, 120), bare("openrouter-key", "sk-"+"or-v1-", hexes, 64),
		bare("model-key", "sk-", alnums, 48), bare("model-key", "sk-", hexes, 32),
		bare("google-api-key", "AI"+"za", wordies, 35), bare("groq-key", "gs"+"k_", alnums, 52), bare("xai-key", "xa"+"i-", alnums, 80),
		bare("cerebras-key", "cs"+"k-", alnums, 48), bare("nvidia-key", "nva"+"pi-", wordies, 64),
		bare("huggingface-token", "h"+"f_", alnums, 34), bare("replicate-token", "r"+"8_", alnums, 37),
		bare("perplexity-key", "ppl"+"x-", alnums, 48), bare("fireworks-key", "f"+"w_", alnums, 24), bare("together-key", "tg"+"p_v1_", wordies, 43),
		named("mistral-key", "MISTRAL_API_KEY=", alnums, 32), bare("langsmith-key", "lsv2"+"_pt_", hexes, 43),
		bare("tavily-key", "tvl"+"y-", alnums, 32), bare("e2b-key", "e2"+"b_", hexes, 40),

		bare("aws-access-key", "AK"+"IA", bigs, 16), bare("aws-access-key", "AS"+"IA", bigs, 16),
		named("aws-secret-key", "aws_secret_access_key = ", base64s, 40), named("aws-secret-key", `"SecretAccessKey": "`, base64s, 40),
		named("aws-session-token", "AWS_SESSION_TOKEN=", base64s, 350), bare("aws-session-token", "IQoJ"+"b3JpZ2lu", base64s, 400),
		bare("gcp-oauth-secret", "GOC"+"SPX-", wordies, 28), bare("gcp-access-token", "ya"+"29.", wordies, 160), bare("gcp-refresh-token", "1/"+"/0", wordies, 60),
		named("gcp-key-id", `"private_key_id": "`, hexes, 40), named("azure-storage-key", "AccountKey=", base64s, 88),
		{"azure-sas", "https://x.blob.core.windows.net/c?sv=2024&sig=", url.QueryEscape(token(5, base64s, 43) + "="), ""},
		bare("azure-client-secret", "aB1"+"8Q~", alnums, 34), bare("digitalocean-token", "do"+"p_v1_", hexes, 64),
		named("cloudflare-token", "CLOUDFLARE_API_TOKEN: ", wordies, 40), bare("cloudflare-origin-key", "v1"+".0-", hexes, 171),
		bare("heroku-key", "HR"+"KU-", wordies, 60), named("heroku-key", "HEROKU_API_KEY=", hexes, 36), bare("flyio-token", "fm"+"2_", base64s, 300),
		bare("databricks-token", "da"+"pi", hexes, 32), bare("supabase-token", "sb"+"p_", hexes, 40), bare("planetscale-token", "pscale"+"_tkn_", wordies, 43),
		named("snowflake-password", "SNOWFLAKE_PASSWORD='", alnums, 20),

		bare("github-token", "gh"+"p_", alnums, 36), bare("github-token", "gh"+"o_", alnums, 36), bare("github-token", "gh"+"u_", alnums, 36),
		bare("github-token", "gh"+"s_", alnums, 36), bare("github-token", "gh"+"r_", alnums, 76), bare("github-fine-token", "github"+"_pat_", alnums+"_", 82),
		bare("gitlab-token", "glp"+"at-", wordies, 20), bare("bitbucket-token", "AT"+"BB", alnums, 32), bare("atlassian-token", "ATA"+"TT3", wordies, 186),
		bare("npm-token", "np"+"m_", alnums, 36), bare("pypi-token", "pyp"+"i-AgEI", wordies, 150), bare("rubygems-key", "rubygems"+"_", hexes, 48),
		bare("crates-token", "ci"+"o", alnums, 32), bare("dockerhub-token", "dckr"+"_pat_", wordies, 27), bare("artifactory-key", "AK"+"Cp", alnums, 69),
		bare("buildkite-token", "bku"+"a_", hexes, 40), bare("circleci-token", "CCI"+"PAT_", alnums, 62), bare("postman-key", "PMA"+"K-", hexes, 59),

		bare("vault-token", "hv"+"s.", wordies, 90), named("vault-token", "VAULT_TOKEN=s.", alnums, 24),
		named("datadog-key", "DD_API_KEY=", hexes, 32), named("datadog-key", "dd-application-key: ", hexes, 40),
		bare("newrelic-key", "NR"+"AK-", bigs, 27), {"newrelic-license", "", token(6, hexes, 36) + "NR" + "AL", ""},
		{"sentry-dsn", "https://", token(7, hexes, 32), "@o123.ingest.sentry.io/456"}, bare("sentry-token", "sntr"+"ys_", base64s, 120),
		bare("grafana-token", "gls"+"a_", alnums+"_", 41), {"terraform-token", "", token(8, alnums, 14) + ".atlas" + "v1." + token(9, alnums, 67), ""},
		bare("pulumi-token", "pu"+"l-", hexes, 40), bare("doppler-token", "dp.p"+"t.", alnums, 43), bare("tailscale-key", "tsk"+"ey-auth-", alnums, 40),
		bare("age-key", "AGE-SECRET"+"-KEY-1", bigs, 58), named("kubeconfig-key", "    client-key-data: ", base64s, 1200),
		pem("RSA PRIVATE KEY", ""), pem("PRIVATE KEY", ""), pem("EC PRIVATE KEY", ""), pem("OPENSSH PRIVATE KEY", ""),
		pem("PGP PRIVATE KEY BLOCK", "Version: 1\n\n"), pem("ENCRYPTED PRIVATE KEY", ""), pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES\n\n"),
		{"putty-key", "Private-" + "Lines: 2\n", token(10, alnums, 64) + "\n" + token(11, alnums, 64), "\nPrivate-MAC"},

		bare("slack-token", "xo"+"xb-", digits+alnums, 56), bare("slack-token", "xa"+"pp-", alnums, 60),
		bare("slack-webhook", "hooks.slack"+".com/services/", bigs, 44), bare("discord-webhook", "discord.com/api"+"/webhooks/", alnums, 88),
		{"discord-token", "Authorization: Bot ", "M" + token(12, alnums, 25) + "." + token(13, alnums, 6) + "." + token(14, wordies, 38), ""},
		{"telegram-token", "", token(15, "123456789", 10) + ":A" + "A" + token(16, wordies, 33), ""},
		bare("stripe-key", "sk"+"_live_", alnums, 24), bare("stripe-key", "wh"+"sec_", alnums, 32), bare("twilio-key", "S"+"K", hexes, 32),
		named("twilio-token", "TWILIO_AUTH_TOKEN=", hexes, 32), {"sendgrid-key", "", "S" + "G." + token(17, wordies, 22) + "." + token(18, wordies, 43), ""},
		bare("mailgun-key", "ke"+"y-", hexes, 32), {"mailchimp-key", "", token(19, hexes, 32) + "-" + "us12", ""}, bare("linear-key", "lin"+"_api_", alnums, 40),
		bare("notion-token", "nt"+"n_", alnums, 46), bare("figma-token", "fig"+"d_", wordies, 40), bare("shopify-token", "shp"+"at_", hexes, 32),
		bare("square-token", "sq0"+"atp-", wordies, 22),

		{"jwt", "", b64("{\"alg\":\"HS256\"}")[:20] + "." + strings.TrimRight(b64("{\"sub\":\"1234\",\"name\":\"x\"}"), "=") + "." + token(20, wordies, 43), ""},
		{"url-password", "postgres://admin:", token(21, alnums, 16), "@db.internal:5432/x"}, {"url-password", "https://", token(22, alnums, 40), "@git.internal/x.git"},
		named("bearer", "Authorization: Bearer ", alnums, 40), {"basic-auth", "Authorization: Basic ", b64("user:" + token(23, alnums, 14)), ""},
		{"netrc", "machine api.internal login me password ", token(24, alnums, 14), "\n"},
		{"cookie", "Cookie: theme=dark; session=", token(25, alnums, 32), "; a=b"},
		named("password", "export DB_PASSWORD=", alnums, 18), named("password", `"passwd": "`, alnums, 18),
		named("assigned-secret", "SharedAccessKey=", alnums, 44), // not the length that its own rule wants
		named("assigned-secret", "client_secret: ", alnums, 32), named("assigned-secret", "MY_API_KEY=", alnums, 32),
		named("assigned-secret", `token: "`, hexes, 40),
	}
}

// shapes put a text where a scanner may meet it.
var shapes = []writing{
	{"raw", func(s string) string { return s }, false},
	{"json", func(s string) string { return `{"text":"before ` + jsonText(s, true) + ` after"}` }, true},
	{"json slash", func(s string) string { return `["` + strings.ReplaceAll(jsonText(s, false), "/", `\/`) + `"]` }, true},
	{"json line", func(s string) string { return `["x\n` + jsonText(s, true) + `\n"]` }, true},
	{"json symbols", func(s string) string { return `["` + symbolsJSON(s) + `"]` }, true},
	{"json in json", func(s string) string { return `["` + jsonText(`{"a":"\n`+jsonText(s, false)+`"}`, true) + `"]` }, true},
	{"percent", func(s string) string { return `{"q":"` + url.QueryEscape(s) + `"}` }, true},
	{"base64", func(s string) string { return `{"data":"` + b64("text "+s+" more") + `"}` }, true},
	{"base64 1", func(s string) string { return `{"data":"` + b64("text: "+s+" more") + `"}` }, true},
	{"base64 url", func(s string) string {
		return `{"data":"` + base64.RawURLEncoding.EncodeToString([]byte("texts: "+s+" more")) + `"}`
	}, true},
}

func TestScannerFindsEveryKind(t *testing.T) {
	scanner := secrets.NewScanner(key)
	seen := map[string]bool{}
	for _, p := range plants() {
		for _, w := range shapes {
			text := []byte(w.as(p.before + p.secret + p.after))
			was := bytes.Clone(text)
			found := scanner.Scan(nil, text)
			if w.name == "raw" && (len(found) != 1 || found[0].Rule != p.rule) {
				t.Errorf("Scan(%q) = %v, want one %s", text, found, p.rule)
			}
			if again := scanner.Replace(text); !slices.Equal(again, found) || len(text) != len(was) {
				t.Errorf("%s in %s: Replace found %v in %d bytes, Scan %v in %d", p.rule, w.name, again, len(text), found, len(was))
			}
			if w.json && !json.Valid(text) {
				t.Errorf("%s in %s: no JSON any more: %s", p.rule, w.name, text)
			}
			if left := leftover(string(was), string(text)); len(found) == 0 || left {
				t.Errorf("%s in %s: %v, still in %.300q, was %.300q", p.rule, w.name, found, text, was)
			}
			checkFindings(t, text, found)
			seen[p.rule] = true
		}
	}
	for _, rule := range secrets.Rules() {
		if !seen[rule] {
			t.Errorf("rule %s is not tried", rule)
		}
	}
	if n := len(secrets.Rules()); n < 45 {
		t.Errorf("%d rules", n)
	}
}

// leftover says that too much of a text is as it was: the secret is most of it.
func leftover(was, is string) bool {
	same := 0
	for i := range len(was) {
		if was[i] == is[i] {
			same++
		}
	}
	return len(was)-same < 6
}

func checkFindings(t *testing.T, text []byte, found []secrets.Finding) {
	t.Helper()
	at := 0
	for _, f := range found {
		if f.Off < at || f.Len <= 0 || f.Off+f.Len > len(text) || f.Rule == "" {
			t.Fatalf("findings %v in %d bytes", found, len(text))
		}
		at = f.Off + f.Len
	}
}

// Text as agents send it, without credentials, though much reminds of them.
func TestScannerLeavesOrdinaryText(t *testing.T) {
	scanner := secrets.NewScanner(key)
	for _, text := range []string{
		"max_tokens: 4096, \"token_count\": 123456789012",
		"password = os.environ[\"DB_PASSWORD1\"]",
		"password=getpass.getpass(prompt1)",
		"token = tokens[i2]; secret := cfg.Secret2Name()",
		"export API_KEY=$OTHER_KEY1 TOKEN=${GITHUB_TOKEN_2}",
		"api_key: YOUR_API_KEY_123, api_key = \"<your-key-1>\"",
		"desk-" + token(4, alnums, 48) + " xgh" + "p_" + token(5, alnums, 36),
		"H" + "F_" + token(6, alnums, 34) + " GL" + "PAT-" + token(7, alnums, 24),
		"task-force desk-lamp risk-free sk-learn scikit-learn",
		"commit 8f08eb6c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f60",
		"\"integrity\": \"sha512-" + token(1, base64s, 86) + "==\"",
		"id bd4c61a8-6d54-4762-b4c9-36659b7c62d3 session_id=bd4c61a8-6d54-4762-b4c9-36659b7c62d3",
		"token_id: bd4c61a8-6d54-4762-b4c9-36659b7c62d3",
		"git clone https://git@host/x.git; http://user:password@host/",
		"https://host:8080/a@b, mailto:someone@host",
		"toolu_01AbCdEfGhIjKlMnOpQrStUv call_9f8e7d6c5b4a msg_01XyZ",
		"The bearer of this letter, bearer authentication, basic understanding",
		"Cookie: theme=dark; lang=en-GB; width=1280",
		"the secret: use version 1.2.3-rc4 of token-bucket-v2",
		"[REDACTED:github-token:0123abcd......] password=[REDACTED:password:12345678]",
		"-----BEGIN PUBLIC KEY-----\n" + token(2, base64s, 64) + "\n-----END PUBLIC KEY-----",
		"data:image/png;base64," + token(3, base64s, 400),
	} {
		if found := scanner.Scan(nil, []byte(text)); len(found) > 0 {
			f := found[0]
			t.Errorf("Scan(%q) = %v: %q", text, found, text[f.Off:f.Off+f.Len])
		}
	}
}

// What stands at random places is found at those places and nothing else is touched.
func TestScannerReplaceInPlace(t *testing.T) {
	scanner := secrets.NewScanner(key)
	rng := rand.New(rand.NewPCG(1, 1))
	filler := "func (s *Server) handle(w http.ResponseWriter, r *http.Request) {\n\treturn s.tokens[r.Header.Get(\"x\")]\n}\n"
	for range 300 {
		p := plants()[rng.IntN(len(plants()))]
		at := rng.IntN(len(filler))
		for at > 0 && filler[at-1] != '\n' && filler[at-1] != ' ' {
			at--
		}
		text := []byte(filler[:at] + p.before + p.secret + p.after + "\n" + filler[at:])
		scanner.Replace(text)
		if !bytes.HasPrefix(text, []byte(filler[:at])) || !bytes.HasSuffix(text, []byte("\n"+filler[at:])) || bytes.Contains(text, []byte(p.secret)) {
			t.Fatalf("%s at %d: %q", p.rule, at, text)
		}
		again := bytes.Clone(text)
		if found := scanner.Replace(again); len(found) > 0 {
			t.Fatalf("%s: its placeholder is found as %v in %q", p.rule, found, text)
		}
	}
}

// The n of a line break must stay, though with what follows it is a token.
func TestScannerKeepsEscapes(t *testing.T) {
	text := []byte(`{"a":"x\n` + "pm_" + token(1, alnums, 36) + `"}`)
	if found := secrets.NewScanner(key).Replace(text); len(found) == 0 || !json.Valid(text) {
		t.Errorf("%v in %s", found, text)
	}
}

// One secret has one placeholder, under one key.
func TestPlaceholdersAreStable(t *testing.T) {
	slashes := []byte(`["AccountKey=` + strings.ReplaceAll(token(5, "/+aB1cD2", 88), "/", `\/`) + `"]`)
	plain := []byte("AccountKey=" + token(5, "/+aB1cD2", 88))
	secrets.NewScanner(key).Replace(slashes)
	secrets.NewScanner(key).Replace(plain)
	if a, b := strings.Split(string(slashes), ":"), strings.Split(string(plain), ":"); len(a) < 3 || len(b) < 3 || a[2][:8] != b[2][:8] {
		t.Errorf("one secret, escaped and not: %s, %s", slashes, plain)
	}
	secret := "gh" + "p_" + token(1, alnums, 36)
	a, b, other := []byte("x "+secret), []byte("a longer text "+secret), []byte("x "+secret)
	secrets.NewScanner(key).Replace(a)
	secrets.NewScanner(key).Replace(b)
	secrets.NewScanner([]byte("other")).Replace(other)
	if !bytes.Equal(a[2:], b[14:]) || bytes.Equal(a, other) || !bytes.HasPrefix(a, []byte("x [REDACTED:github-token:")) || a[len(a)-1] != ']' {
		t.Errorf("placeholders %q, %q, under another key %q", a, b, other)
	}
}

// TestScannerSamples bounds what is found in real trajectories, none of which
// hold live credentials.
func TestScannerSamples(t *testing.T) {
	root := os.Getenv("CAPSTAN_SAMPLES")
	if root == "" {
		t.Skip("CAPSTAN_SAMPLES is not set: it names the folder with the sample trajectories")
	}
	bytes, found := scanTree(t, root, ".json", ".jsonl", ".md", ".traj", ".yaml", ".txt")
	t.Logf("samples: %d findings in %d bytes", found, bytes)
	if perMB := float64(found) / (float64(bytes) / 1e6); perMB > 2 {
		t.Errorf("%.1f findings in a megabyte", perMB)
	}
}

// TestScannerOwnSources bounds what is found in this repository. Tests are left
// out: they plant credentials.
func TestScannerOwnSources(t *testing.T) {
	bytes, found := scanTree(t, "../..", ".go", ".md", ".mod", ".sum", ".txtar", ".yaml")
	t.Logf("sources: %d findings in %d bytes", found, bytes)
	if perMB := float64(found) / (float64(bytes) / 1e6); perMB > 2 {
		t.Errorf("%.1f findings in a megabyte", perMB)
	}
}

func scanTree(t *testing.T, root string, exts ...string) (total, findings int) {
	scanner := secrets.NewScanner(key)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains(exts, filepath.Ext(path)) || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		total += len(text)
		for _, f := range scanner.Scan(nil, text) {
			findings++
			t.Logf("%s:%d: %s: %.80q", path, f.Off, f.Rule, text[f.Off:f.Off+f.Len])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return total, findings
}

func FuzzScanner(f *testing.F) {
	for _, p := range plants() {
		f.Add([]byte(p.before + p.secret[:len(p.secret)/2]))
	}
	for _, w := range shapes {
		p := plants()[30]
		f.Add([]byte(w.as(p.before + p.secret + p.after)))
	}
	scanner := secrets.NewScanner(key)
	f.Fuzz(func(t *testing.T, text []byte) {
		valid := json.Valid(text)
		was := bytes.Clone(text)
		found := scanner.Scan(nil, text)
		if !bytes.Equal(text, was) {
			t.Fatal("Scan changed the text")
		}
		checkFindings(t, text, found)
		scanner.Replace(text)
		if len(text) != len(was) || valid && !json.Valid(text) {
			t.Fatalf("%q became %q", was, text)
		}
	})
}

func BenchmarkScanner(b *testing.B) {
	text := body(1 << 20)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	scanner := secrets.NewScanner(key)
	var found []secrets.Finding
	for b.Loop() {
		found = scanner.Scan(found[:0], text)
	}
	if len(found) > 0 {
		b.Fatal(found)
	}
}

// BenchmarkScannerHostile is text that leads to checks at every turn.
func BenchmarkScannerHostile(b *testing.B) {
	for _, unit := range []string{"sk-or-", "-eyJ", "pwd=", "PRIVATE KEY ", "cookie:", "://", `\\u005c`, "token=a1B", "-us"} {
		b.Run(fmt.Sprintf("unit=%s", url.QueryEscape(unit)), func(b *testing.B) {
			text := bytes.Repeat([]byte(unit), 1<<18/len(unit))
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				secrets.NewScanner(key).Scan(nil, text)
			}
		})
	}
}
