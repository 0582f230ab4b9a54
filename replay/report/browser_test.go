package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/capstan-bench/capstan/replay/result"
)

// browserEnv names the environment variable that holds a Chromium to look at
// the page with.
const browserEnv = "REPORT_TEST_CHROMIUM"

// seen is what a browser makes of the page in a window of some width.
type seen struct {
	Inner, Scroll int      // widths of the window and of what is in it
	Loaded        int      // resources that were fetched besides the page
	Figures       []figure // boxes of the drawings
	Rows          int      // visible rows of the capacity table
	Hidden        []string // texts of cells that nobody sees
	Contrast      float64  // of the body's text on its ground
	Dark          bool     // the ground is
}

type figure struct{ Width, Height float64 }

// look measures the framed page. It runs in a frame around it, because the page
// itself has no script.
const look = `
const box = e => e.getBoundingClientRect();
const frame = document.querySelector('iframe');
frame.onload = () => {
  const d = frame.contentDocument, w = frame.contentWindow;
  const light = c => { const [r, g, b] = c.match(/[\d.]+/g).map(v => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const s = w.getComputedStyle(d.body), a = light(s.color), b = light(s.backgroundColor);
  document.title = JSON.stringify({
    Inner: w.innerWidth, Scroll: d.documentElement.scrollWidth,
    Loaded: w.performance.getEntriesByType('resource').length,
    Figures: [...d.querySelectorAll('figure svg')].map(e => ({Width: box(e).width, Height: box(e).height})),
    Rows: [...d.querySelectorAll('.capacity tbody tr')].filter(e => box(e).height > 0).length,
    Hidden: [...d.querySelectorAll('.capacity td')].filter(e => e.textContent.trim() && (box(e).width < 1 || box(e).right > w.innerWidth + 1)).map(e => e.textContent.trim()),
    Contrast: (Math.max(a, b) + .05) / (Math.min(a, b) + .05),
    Dark: b < a,
  });
};`

var titleOf = regexp.MustCompile(`<title>(.*)</title>`)

// browse opens the page in a window of a width.
func browse(t *testing.T, browser, text string, width int, flags ...string) seen {
	t.Helper()
	dir := t.TempDir()
	frame := fmt.Sprintf(`<!doctype html><title>nothing</title><style>body{margin:0}</style><iframe width="%d" height="4000" frameborder="0" srcdoc="%s"></iframe><script>%s</script>`,
		width, html.EscapeString(text), look)
	file := filepath.Join(dir, "frame.html")
	if err := os.WriteFile(file, []byte(frame), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + filepath.Join(dir, "profile"),
		"--window-size=1600,4000", "--virtual-time-budget=5000", "--dump-dom"}, flags...)
	out, err := exec.CommandContext(ctx, browser, append(args, "file://"+file)...).Output()
	if err != nil {
		t.Fatalf("%s: %v", browser, err)
	}
	m := titleOf.FindSubmatch(out)
	if m == nil {
		t.Fatalf("the browser printed no title: %.300s", out)
	}
	var s seen
	if err := json.Unmarshal([]byte(html.UnescapeString(string(m[1]))), &s); err != nil {
		t.Fatalf("the page was not measured: %s: %v", m[1], err)
	}
	return s
}

// A real browser shows the page: nothing is fetched, nothing sticks out or is
// hidden on a phone, a tablet and a desk, by day and by night.
func TestPageInABrowser(t *testing.T) {
	browser := os.Getenv(browserEnv)
	if browser == "" {
		t.Skipf("%s names no browser", browserEnv)
	}
	big, small := fixtures(t)
	rs := []*result.Result{big, small}
	text := page(t, rs...)
	f := func(name string, width int, dark bool, flags ...string) {
		t.Run(name, func(t *testing.T) {
			s := browse(t, browser, text, width, flags...)
			if s.Inner != width || s.Scroll > width {
				t.Errorf("in a window of %d the page is %d wide", s.Inner, s.Scroll)
			}
			if s.Loaded != 0 {
				t.Errorf("the page fetched %d resources", s.Loaded)
			}
			if len(s.Figures) != 2 || s.Figures[0].Width < 250 || s.Figures[0].Height < 150 {
				t.Errorf("figures are %v, want two that can be read", s.Figures)
			}
			if want := 3 * len(rs); s.Rows != want || len(s.Hidden) > 0 {
				t.Errorf("%d rows can be seen, want %d; hidden are %q", s.Rows, want, s.Hidden)
			}
			if s.Contrast < 7 || s.Dark != dark {
				t.Errorf("the text's contrast is %.1f on a ground whose darkness is %v, want 7 and %v", s.Contrast, s.Dark, dark)
			}
		})
	}
	f("desk", 1300, false)
	f("tablet", 800, false)
	f("phone", 390, false)
	f("night", 1300, true, "--blink-settings=preferredColorScheme=0")
}
