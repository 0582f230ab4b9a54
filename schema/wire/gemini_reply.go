package wire

import "github.com/tidwall/gjson"

// geminiReply puts the content of the first candidate together: texts that follow
// each other become one part.
type geminiReply struct {
	kept  *kept
	parts []geminiPart
}

type geminiPart struct {
	raw     []byte // a part that is not only text
	text    []byte
	thought bool
}

func (g *geminiReply) plain(v gjson.Result, at Mark) { g.event(v, at) }

func (g *geminiReply) event(v gjson.Result, at Mark) {
	if wrapped := v.Get("response"); wrapped.IsObject() {
		v = wrapped
	}
	g.kept.names(v.Get("responseId"), v.Get("modelVersion"))
	g.kept.use(v.Get("usageMetadata"))
	each(v, "candidates", func(c gjson.Result) {
		if c.Get("index").Int() == 0 {
			each(c.Get("content"), "parts", func(p gjson.Result) { g.part(p, at) })
		}
	})
}

func (g *geminiReply) part(p gjson.Result, at Mark) {
	if call := p.Get("functionCall"); call.IsObject() {
		if place := g.kept.call(call.Get("id"), call.Get("name"), at); place >= 0 {
			g.kept.tools[place].Arguments = g.kept.raw(call.Get("args"))
		}
	}
	piece, thought, only := "", false, true
	p.ForEach(func(key, v gjson.Result) bool {
		switch {
		case key.String() == "text" && v.Type == gjson.String:
			piece = v.String()
		case key.String() == "thought":
			thought = v.Bool()
		default:
			only = false
		}
		return true
	})
	if !only {
		if raw := g.kept.raw(p); raw != nil && g.kept.take(entryCost) {
			g.parts = append(g.parts, geminiPart{raw: raw})
		}
		return
	}
	if piece == "" {
		return
	}
	if n := len(g.parts); n == 0 || g.parts[n-1].raw != nil || g.parts[n-1].thought != thought {
		if !g.kept.take(entryCost) {
			return
		}
		g.parts = append(g.parts, geminiPart{thought: thought})
	}
	last := &g.parts[len(g.parts)-1]
	last.text = g.kept.append(last.text, piece)
}

func (g *geminiReply) output() [][]byte {
	if len(g.parts) == 0 {
		return nil
	}
	b := []byte(`{"role":"model","parts":[`)
	for i, p := range g.parts {
		if i > 0 {
			b = append(b, ',')
		}
		if p.raw != nil {
			b = append(b, p.raw...)
			continue
		}
		b = append(append(b, `{"text":`...), quoted(p.text)...)
		if p.thought {
			b = append(b, `,"thought":true`...)
		}
		b = append(b, '}')
	}
	return [][]byte{append(b, "]}"...)}
}
