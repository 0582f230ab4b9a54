package wire

import (
	"fmt"

	"github.com/tidwall/gjson"
)

// Params is what a request asks for besides its context. A nil or empty field was
// not given.
type Params struct {
	Model              string
	Stream             *bool // Gemini says it in the path
	MaxTokens          *int64
	Temperature        *float64
	TopP               *float64
	TopK               *int64
	Seed               *int64
	ReasoningEffort    string
	ToolChoice         string // text, or JSON where it was an object
	PreviousResponseID string // Responses: the answer whose context this one goes on from
	Generate           *bool  // Responses over WebSocket: false only warms the cache
	Store              *bool

	// Other holds the members that no field above takes, as they stand: those of
	// the body, or of the object that wraps its request. Context is not among them.
	Other []Member
}

// RequestParams reads the parameters of a request from its body, or from the
// envelope that [Split] made of it. A value of the wrong type counts as not given.
func RequestParams(format string, envelope []byte) (Params, error) {
	var p Params
	if !Known(format) {
		return p, fmt.Errorf("read parameters: %w", unknownFormat(format))
	}
	err := p.object(format, envelope, true)
	return p, err
}

func (p *Params) object(format string, object []byte, top bool) error {
	for m, err := range Members(object) {
		if err != nil {
			return err
		}
		wrapped := top && len(m.Value) > 0 && m.Value[0] == '{' && wraps(format, m.Key)
		switch {
		case wrapped:
			if err := p.object(format, m.Value, false); err != nil {
				return err
			}
		case isContext(m.Key, format):
		case p.take(format, m):
		default:
			p.Other = append(p.Other, m)
		}
	}
	return nil
}

// wraps says whether a member holds the request itself.
func wraps(format, key string) bool {
	switch format {
	case FormatGemini:
		return key == "request" || key == "generateContentRequest"
	case FormatResponses:
		return key == "response"
	}
	return false
}

func isContext(key, format string) bool {
	switch key {
	case "tools":
		return true
	case "messages":
		return format == FormatChat || format == FormatMessages
	case "system":
		return format == FormatMessages
	case "input", "instructions":
		return format == FormatResponses
	case "contents", "systemInstruction", "system_instruction":
		return format == FormatGemini
	}
	return false
}

// take reads one member and says whether a field holds all of it.
func (p *Params) take(format string, m Member) bool {
	if format == FormatGemini {
		return p.gemini(m)
	}
	v := gjson.ParseBytes(m.Value)
	switch m.Key {
	case "model":
		p.Model = text(v)
	case "stream":
		p.Stream = boolean(v)
	case "temperature":
		p.Temperature = decimal(v)
	case "top_p":
		p.TopP = decimal(v)
	case "top_k":
		p.TopK = integer(v)
	case "seed":
		p.Seed = integer(v)
	case "tool_choice":
		p.ToolChoice = textOrJSON(v)
	case "max_tokens":
		if p.MaxTokens == nil {
			p.MaxTokens = integer(v)
		}
	case "max_completion_tokens", "max_output_tokens":
		if n := integer(v); n != nil {
			p.MaxTokens = n
		}
	case "previous_response_id":
		p.PreviousResponseID = text(v)
	case "generate":
		p.Generate = boolean(v)
	case "store":
		p.Store = boolean(v)
	case "reasoning_effort":
		p.ReasoningEffort = text(v)
	case "reasoning", "output_config":
		p.ReasoningEffort = text(v.Get("effort"))
		return false
	case "type":
		return format == FormatResponses // of the message, response.create
	default:
		return false
	}
	return true
}

func (p *Params) gemini(m Member) bool {
	v := gjson.ParseBytes(m.Value)
	switch m.Key {
	case "model":
		p.Model = text(v)
		return true
	case "generationConfig", "generation_config":
		p.MaxTokens = integer(spelled(v, "maxOutputTokens", "max_output_tokens"))
		p.Temperature = decimal(v.Get("temperature"))
		p.TopP = decimal(spelled(v, "topP", "top_p"))
		p.TopK = integer(spelled(v, "topK", "top_k"))
		p.Seed = integer(v.Get("seed"))
		thinking := spelled(v, "thinkingConfig", "thinking_config")
		p.ReasoningEffort = text(spelled(thinking, "thinkingLevel", "thinking_level"))
	case "toolConfig", "tool_config":
		calling := spelled(v, "functionCallingConfig", "function_calling_config")
		p.ToolChoice = text(calling.Get("mode"))
	}
	return false
}

func text(v gjson.Result) string {
	if v.Type != gjson.String {
		return ""
	}
	return v.String()
}

func textOrJSON(v gjson.Result) string {
	if v.IsObject() {
		return v.Raw
	}
	return text(v)
}

func boolean(v gjson.Result) *bool {
	if !v.IsBool() {
		return nil
	}
	b := v.Bool()
	return &b
}

func decimal(v gjson.Result) *float64 {
	if v.Type != gjson.Number {
		return nil
	}
	n := v.Float()
	return &n
}

// integer takes a whole number, however it is written: 64 and 64.0.
func integer(v gjson.Result) *int64 {
	if v.Type != gjson.Number || v.Num != float64(int64(v.Num)) {
		return nil
	}
	n := v.Int()
	return &n
}
