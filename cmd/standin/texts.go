package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"text/template"
)

// texts writes out the turns of a script.
type texts struct{ rng *rand.Rand }

func newTexts(seed uint64) *texts {
	return &texts{rand.New(rand.NewPCG(seed, 0x7465787473))}
}

// expand appends the turns with their repetitions written out. n is the number of
// the repetition that they are in.
func (t *texts) expand(out, turns []Turn, n int) ([]Turn, error) {
	for i, turn := range turns {
		if len(out) > maxSteps {
			return nil, fmt.Errorf("more than %d turns", maxSteps)
		}
		var err error
		if turn.Repeat < 0 || turn.Repeat > maxSteps {
			return nil, fmt.Errorf("turn %d: cannot be repeated %d times", i+1, turn.Repeat)
		}
		for k := range max(turn.Repeat, 1) {
			at := n
			if turn.Repeat > 0 {
				at = k + 1
			}
			if out, err = t.once(out, turn, at); err != nil {
				return nil, fmt.Errorf("turn %d: %w", i+1, err)
			}
		}
	}
	return out, nil
}

func (t *texts) once(out []Turn, turn Turn, n int) ([]Turn, error) {
	if len(turn.Turns) > 0 {
		if turn.Text != "" || turn.Reasoning != "" || len(turn.Calls) > 0 {
			return nil, fmt.Errorf("is a group, which says nothing itself")
		}
		return t.expand(out, turn.Turns, n)
	}
	if turn.Text == "" && len(turn.Calls) == 0 {
		return nil, fmt.Errorf("wants text or calls")
	}
	if turn.Pace != nil {
		if err := turn.Pace.check(); err != nil {
			return nil, err
		}
	}
	if turn.Fault != nil {
		if err := turn.Fault.check(); err != nil {
			return nil, err
		}
	}
	turn.Calls = append([]Call(nil), turn.Calls...)
	fields := []*string{&turn.Reasoning, &turn.Text}
	for i := range turn.Calls {
		c := &turn.Calls[i]
		fields = append(fields, &c.Command, &c.Path, &c.Text, &c.Old, &c.New, &c.Prompt)
	}
	for _, f := range fields {
		var err error
		if *f, err = t.fill(*f, n); err != nil {
			return nil, err
		}
	}
	return append(out, turn), nil
}

// fill carries out a text's template.
func (t *texts) fill(text string, n int) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	tmpl, err := template.New("text").Funcs(template.FuncMap{"words": t.words}).Parse(text)
	if err != nil {
		return "", fmt.Errorf("text %.40q: %w", text, err)
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, struct{ N int }{n}); err != nil {
		return "", fmt.Errorf("text %.40q: %w", text, err)
	}
	return b.String(), nil
}

// words is n words of filler in sentences.
func (t *texts) words(n int) (string, error) {
	if n < 0 || n > 100_000 {
		return "", fmt.Errorf("cannot make %d words", n)
	}
	var b strings.Builder
	first := true
	for i := range n {
		word := vocabulary[t.rng.IntN(len(vocabulary))]
		if first {
			word = strings.ToUpper(word[:1]) + word[1:]
		}
		b.WriteString(word)
		if first = i == n-1 || t.rng.IntN(9) == 0; first {
			b.WriteByte('.')
		}
		if i < n-1 {
			b.WriteByte(' ')
		}
	}
	return b.String(), nil
}

var vocabulary = strings.Fields(`
	the a this that each every one it and or but then so when where while because of to in on at by for from with
	into file line test table row column value name path list map loop branch commit index cache queue reader writer
	parser buffer stream header record field block page limit count offset error result check build step change
	reads writes keeps drops finds moves splits joins sorts counts returns holds opens closes passes fails starts ends
	small large first last next old new empty whole same other right wrong early late slow quick plain odd even`)
