package secrets

// rule is one kind of credential. A literal leads to a place; from there the
// check decides, by characters alone: no expression can run away.
type rule struct {
	name     string
	literals []string
	fold     bool            // case of the literals does not matter
	class    func(byte) bool // of what follows a literal
	min, max int             // how much of it
	window   int             // how far behind the literal the check may look; default 1024 beyond max
	check    func(*place)    // instead of class, min and max
}

// place is where a literal stands in a text.
type place struct {
	text    []byte
	at, end int // of the literal
	report  func(lo, hi int)
}

// prefixed says that credentials of this kind start with one of the literals.
func prefixed(name string, class func(byte) bool, min, max int, literals ...string) rule {
	return rule{name: name, literals: literals, class: class, min: min, max: max}
}

// keyed says that a name stands before the value: it has no shape of its own.
func keyed(name string, class func(byte) bool, min, max int, keys ...string) rule {
	return rule{name: name, literals: keys, fold: true, max: max, check: func(p *place) { p.assigned(class, min, max) }}
}

func found(name string, check func(*place), literals ...string) rule {
	return rule{name: name, literals: literals, check: check}
}

func folded(name string, check func(*place), literals ...string) rule {
	return rule{name: name, literals: literals, check: check, fold: true}
}

// rules are ours. Where two find the same bytes, the longer finding counts, then
// the rule that stands first.
func allRules() []rule {
	return []rule{
		// model providers
		prefixed("anthropic-api-key", wordy, 20, 200, "sk-ant-api"),
		prefixed("anthropic-admin-key", wordy, 20, 200, "sk-ant-admin"),
		prefixed("anthropic-oauth", wordy, 20, 200, "sk-ant-oat", "sk-ant-ort", "sk-ant-sid"),
		prefixed("openai-project-key", wordy, 40, 250, "sk-proj-"),
		prefixed("openai-service-key", wordy, 40, 250, "sk-svcacct-", "sk-admin-"),
		prefixed("openrouter-key", wordy, 40, 120, "sk-or-"),
		prefixed("model-key", alnum, 32, 120, "sk-"), // OpenAI's old form, DeepSeek, Moonshot and others
		prefixed("google-api-key", wordy, 35, 35, "AIza"),
		prefixed("groq-key", alnum, 40, 80, "gsk_"),
		prefixed("xai-key", alnum, 60, 120, "xai-"),
		prefixed("cerebras-key", alnum, 40, 80, "csk-"),
		prefixed("nvidia-key", wordy, 50, 90, "nvapi-"),
		prefixed("huggingface-token", alnum, 30, 50, "hf_", "api_org_"),
		prefixed("replicate-token", alnum, 37, 40, "r8_"),
		prefixed("perplexity-key", alnum, 40, 64, "pplx-"),
		prefixed("fireworks-key", alnum, 20, 40, "fw_"),
		prefixed("together-key", wordy, 30, 80, "tgp_v1_"),
		keyed("mistral-key", alnum, 32, 32, "mistral_api_key", "mistral-api-key", "mistralapikey"),
		prefixed("langsmith-key", word, 40, 60, "lsv2_pt_", "lsv2_sk_"),
		prefixed("tavily-key", wordy, 28, 60, "tvly-"),
		prefixed("e2b-key", hexa, 40, 40, "e2b_"),

		// clouds
		{name: "aws-access-key", literals: []string{"AKIA", "ASIA", "ABIA", "ACCA"}, class: bigs, min: 16, max: 16},
		keyed("aws-secret-key", base64ish, 40, 40, "aws_secret_access_key", "secretaccesskey", "aws_secret_key", "aws-secret-access-key"),
		keyed("aws-session-token", base64ish, 100, 4096, "aws_session_token", "sessiontoken", "x-amz-security-token"),
		prefixed("aws-session-token", base64ish, 100, 4096, "IQoJb3JpZ2lu", "FwoGZXIvYXdz"),
		prefixed("gcp-oauth-secret", wordy, 28, 28, "GOCSPX-"),
		prefixed("gcp-access-token", dotted, 20, 2048, "ya29."),
		prefixed("gcp-refresh-token", wordy, 40, 200, "1//0"),
		keyed("gcp-key-id", hexa, 40, 40, "private_key_id"),
		keyed("azure-storage-key", base64ish, 88, 88, "accountkey", "sharedaccesskey", "azure_storage_key"),
		folded("azure-sas", azureSAS, "sig="),
		found("azure-client-secret", azureSecret, "8Q~", "7Q~"),
		prefixed("digitalocean-token", hexa, 64, 64, "dop_v1_", "doo_v1_", "dor_v1_"),
		keyed("cloudflare-token", wordy, 37, 40, "cloudflare_api_token", "cloudflare_api_key", "cf_api_token", "cf_api_key", "x-auth-key"),
		prefixed("cloudflare-origin-key", wordy, 140, 200, "v1.0-"),
		prefixed("heroku-key", wordy, 36, 80, "HRKU-"),
		keyed("heroku-key", wordy, 36, 36, "heroku_api_key"),
		prefixed("flyio-token", base64ish, 80, 2048, "fm2_", "fo1_"),
		prefixed("databricks-token", wordy, 32, 34, "dapi"),
		prefixed("supabase-token", hexa, 40, 40, "sbp_"),
		prefixed("planetscale-token", wordy, 32, 64, "pscale_tkn_", "pscale_pw_", "pscale_oauth_"),
		keyed("snowflake-password", secretish, 8, 128, "snowflake_password", "snowflake_token", "snowsql_pwd"),

		// code and packages
		prefixed("github-token", alnum, 36, 255, "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
		prefixed("github-fine-token", word, 70, 100, "github_pat_"),
		prefixed("gitlab-token", dotted, 20, 64, "glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glsoat-", "glagent-"),
		prefixed("bitbucket-token", wordish, 32, 240, "ATBB", "ATCTT3"),
		prefixed("atlassian-token", wordish, 100, 240, "ATATT3"),
		prefixed("npm-token", alnum, 36, 36, "npm_"),
		prefixed("pypi-token", wordy, 50, 300, "pypi-AgEI", "pypi-AgEN"),
		prefixed("rubygems-key", hexa, 48, 48, "rubygems_"),
		prefixed("crates-token", alnum, 32, 32, "cio"),
		prefixed("dockerhub-token", wordy, 27, 40, "dckr_pat_", "dckr_oat_"),
		prefixed("artifactory-key", alnum, 60, 80, "AKCp"),
		prefixed("buildkite-token", hexa, 40, 40, "bkua_"),
		prefixed("circleci-token", word, 40, 80, "CCIPAT_"),
		prefixed("postman-key", wordy, 59, 59, "PMAK-"),

		// infrastructure
		prefixed("vault-token", wordy, 24, 300, "hvs.", "hvb.", "hvr."),
		keyed("vault-token", dotted, 24, 300, "vault_token", "x-vault-token"),
		keyed("datadog-key", hexa, 32, 40, "dd_api_key", "dd-api-key", "dd_app_key", "dd-application-key", "datadog_api_key", "datadog_app_key"),
		prefixed("newrelic-key", alnum, 20, 48, "NRAK-", "NRJS-", "NRII-", "NRIQ-"),
		found("newrelic-license", newRelic, "NRAL"),
		found("sentry-dsn", sentryDSN, ".sentry.io/"),
		prefixed("sentry-token", base64ish, 40, 300, "sntrys_", "sntryu_"),
		prefixed("grafana-token", base64ish, 32, 300, "glsa_", "glc_", "eyJrIjoi"),
		found("terraform-token", terraform, ".atlasv1."),
		prefixed("pulumi-token", hexa, 40, 40, "pul-"),
		prefixed("doppler-token", dotted, 40, 60, "dp.pt.", "dp.st.", "dp.ct.", "dp.sa.", "dp.scim.", "dp.audit."),
		prefixed("tailscale-key", wordy, 20, 80, "tskey-"),
		found("age-key", ageKey, "AGE-SECRET-KEY-1"),
		{name: "private-key", literals: []string{"PRIVATE KEY"}, check: pemKey, window: 64 << 10},
		{name: "putty-key", literals: []string{"Private-Lines:"}, check: puttyKey, window: 16 << 10},
		keyed("kubeconfig-key", base64ish, 100, 16384, "client-key-data"),

		// people and money
		prefixed("slack-token", wordy, 20, 300, "xoxb-", "xoxp-", "xoxa-", "xoxs-", "xoxr-", "xoxc-", "xoxd-", "xoxe-", "xapp-"),
		prefixed("slack-webhook", pathy, 40, 120, "hooks.slack.com/services/", "hooks.slack.com/workflows/"),
		prefixed("discord-webhook", pathy, 60, 120, "discord.com/api/webhooks/", "discordapp.com/api/webhooks/"),
		found("discord-token", discordBot, "Bot M", "Bot N", "Bot O"),
		found("telegram-token", telegram, ":AA"),
		prefixed("stripe-key", alnum, 16, 200, "sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_"),
		prefixed("twilio-key", hexa, 32, 32, "SK"),
		keyed("twilio-token", hexa, 32, 32, "twilio_auth_token"),
		prefixed("sendgrid-key", dotted, 64, 72, "SG."),
		prefixed("mailgun-key", hexa, 32, 32, "key-"),
		found("mailchimp-key", mailchimp, "-us"),
		prefixed("linear-key", alnum, 32, 64, "lin_api_", "lin_oauth_"),
		prefixed("notion-token", alnum, 40, 60, "ntn_", "secret_"),
		prefixed("figma-token", wordy, 36, 64, "figd_"),
		prefixed("shopify-token", hexa, 32, 32, "shpat_", "shpca_", "shppa_", "shpss_"),
		prefixed("square-token", wordy, 22, 64, "sq0atp-", "sq0csp-", "EAAA"),

		// protocols and files
		{name: "jwt", literals: []string{"eyJ"}, check: jwt, window: 16 << 10},
		found("url-password", urlPassword, "://", `:\/\/`),
		folded("bearer", bearer, "bearer "),
		folded("basic-auth", basic, "basic "),
		folded("netrc", netrc, "password "),
		{name: "cookie", literals: []string{"cookie"}, fold: true, check: cookie, window: 4 << 10},
		folded("password", password, "password", "passwd", "passphrase", "_pass", "pwd"),
		folded("assigned-secret", password, "secret", "token", "apikey", "api_key", "api-key", "access_key", "accesskey", "auth_key", "private_key", "credential"),
	}
}
