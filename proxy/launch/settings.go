package launch

import (
	"encoding/json"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Setting is something in a harness's configuration that bears on where its calls
// go.
type Setting struct {
	File     string // in which it stands
	Key      string // its name there
	Provider string // whose base URL it is, by the harness's name for it; empty: none
	URL      string // the base URL; may hold a user and a password
	Variable string // environment variable that it sets over the child's; empty: none
}

// Shown is the setting for people, without anything secret.
func (s Setting) Shown() string {
	text := s.File + ": " + s.Key
	if s.URL != "" {
		text += " = " + ShownURL(s.URL)
	}
	return text
}

// ShownURL is a URL for people: without user, password and query.
func ShownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "a URL that cannot be read"
	}
	if u.User != nil {
		u.User = url.User("…")
	}
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	shown := u.String()
	return strings.ReplaceAll(shown, "%E2%80%A6", "…")
}

// Settings reads the configuration of a harness: that of the user under home, and
// that of the project around dir. What goes over something else comes behind it.
// Files that are missing or cannot be read are passed over; nothing is ever
// written.
func Settings(h Harness, home, dir string, env []string) []Setting {
	if h.settings == nil {
		return nil
	}
	return h.settings(reading{home: home, dir: dir, env: env})
}

// reading is where configuration is looked for.
type reading struct {
	home, dir string
	env       []string
}

// folder is the one that a variable names, or the default under home.
func (r reading) folder(variable string, under ...string) string {
	if dir := lookup(r.env, variable); dir != "" {
		return dir
	}
	return filepath.Join(append([]string{r.home}, under...)...)
}

// maxSettings bounds what is read of one file.
const maxSettings = 1 << 20

func readSettings(file string) []byte {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSettings))
	if err != nil {
		return nil
	}
	return text
}

// object reads a file of JSON, in which comments and trailing commas may stand.
func object(file string) map[string]any { return parsed(readSettings(file)) }

func parsed(text []byte) map[string]any {
	var v map[string]any
	if json.Unmarshal(plainJSON(text), &v) != nil {
		return nil
	}
	return v
}

// child returns a member that is an object, or nil.
func child(v map[string]any, name string) map[string]any {
	m, _ := v[name].(map[string]any)
	return m
}

// project are the folders around dir whose configuration counts: those up to the
// root of a repository, the outermost first, or dir alone.
func (r reading) project() []string {
	dirs := []string{r.dir}
	for d := r.dir; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(filepath.Join(d, ".git")); err == nil {
			return dirs
		}
		if d == filepath.Dir(d) {
			return []string{r.dir}
		}
		dirs = append([]string{filepath.Dir(d)}, dirs...)
	}
}

// claudeSettings finds what settings.json puts into the environment of Claude
// Code: it goes over what the child is given.
func claudeSettings(r reading) (out []Setting) {
	files := []string{filepath.Join(r.folder("CLAUDE_CONFIG_DIR", ".claude"), "settings.json")}
	for _, dir := range r.project() {
		files = append(files, filepath.Join(dir, ".claude", "settings.json"), filepath.Join(dir, ".claude", "settings.local.json"))
	}
	for _, file := range files {
		var found []Setting
		for name, value := range child(object(file), "env") {
			text, _ := value.(string)
			s := Setting{File: file, Key: "env." + name, Variable: name}
			switch {
			case name == "ANTHROPIC_BASE_URL":
				s.Provider, s.URL = "anthropic", text
			case Steers(name):
			default:
				continue
			}
			found = append(found, s)
		}
		out = append(out, sorted(found)...)
	}
	return out
}

// Steers tells whether a variable decides how a client reaches the world.
func Steers(name string) bool {
	switch strings.ToUpper(name) {
	case "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", extraVariable, "SSL_CERT_FILE", "NODE_USE_ENV_PROXY":
		return true
	}
	return false
}

// codexSettings finds base URLs in config.toml.
func codexSettings(r reading) (out []Setting) {
	file := filepath.Join(r.folder("CODEX_HOME", ".codex"), "config.toml")
	for key, value := range tomlStrings(readSettings(file)) {
		path := strings.Split(key, ".")
		switch {
		case key == "openai_base_url":
			out = append(out, Setting{File: file, Key: key, Provider: "openai", URL: value})
		case key == "chatgpt_base_url":
			out = append(out, Setting{File: file, Key: key, URL: value})
		case len(path) == 3 && path[0] == "model_providers" && path[2] == "base_url":
			out = append(out, Setting{File: file, Key: key, Provider: path[1], URL: value})
		}
	}
	return sorted(out)
}

// opencodeSettings finds providers in opencode.json, and those that the user is
// signed in with.
func opencodeSettings(name string) func(reading) []Setting {
	variable := strings.ToUpper(name)
	return func(r reading) []Setting {
		auth := filepath.Join(r.folder("XDG_DATA_HOME", ".local", "share"), name, "auth.json")
		var out []Setting
		for id := range object(auth) {
			out = append(out, Setting{File: auth, Key: id, Provider: id})
		}
		out = sorted(out)
		folder := filepath.Join(r.folder("XDG_CONFIG_HOME", ".config"), name)
		files := []string{filepath.Join(folder, "config.json"), filepath.Join(folder, name+".json"), filepath.Join(folder, name+".jsonc")}
		if extra := lookup(r.env, variable+"_CONFIG"); extra != "" {
			files = append(files, extra)
		}
		for _, dir := range r.project() {
			files = append(files, filepath.Join(dir, name+".json"), filepath.Join(dir, name+".jsonc"))
		}
		for _, file := range files {
			out = append(out, opencodeProvidersOf(file, object(file))...)
		}
		content := variable + "_CONFIG_CONTENT"
		return append(out, opencodeProvidersOf("$"+content, parsed([]byte(lookup(r.env, content))))...)
	}
}

func opencodeProvidersOf(file string, config map[string]any) (out []Setting) {
	providers := child(config, "provider")
	for id := range providers {
		text, _ := child(child(providers, id), "options")["baseURL"].(string)
		out = append(out, Setting{File: file, Key: "provider." + id + ".options.baseURL", Provider: id, URL: text})
	}
	return sorted(out)
}

// piSettings finds providers in models.json.
func piSettings(r reading) (out []Setting) {
	file := filepath.Join(r.folder("PI_CODING_AGENT_DIR", ".pi", "agent"), "models.json")
	providers := child(object(file), "providers")
	for id := range providers {
		if text, _ := child(providers, id)["baseUrl"].(string); text != "" {
			out = append(out, Setting{File: file, Key: "providers." + id + ".baseUrl", Provider: id, URL: text})
		}
	}
	return sorted(out)
}

// geminiSettings finds a proxy and base URLs in the settings of Gemini CLI and
// its relatives. Their .env files are left to them: they set nothing that is set.
func geminiSettings(folder string) func(reading) []Setting {
	return func(r reading) (out []Setting) {
		for _, base := range []string{r.home, r.dir} {
			file := filepath.Join(base, folder, "settings.json")
			settings := object(file)
			if _, ok := settings["proxy"].(string); ok {
				out = append(out, Setting{File: file, Key: "proxy", Variable: "HTTPS_PROXY"})
			}
			if text, ok := child(child(settings, "security"), "auth")["baseUrl"].(string); ok && text != "" {
				out = append(out, Setting{File: file, Key: "security.auth.baseUrl", Provider: "openai", URL: text})
			}
		}
		return out
	}
}
