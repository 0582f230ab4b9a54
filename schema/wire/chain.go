package wire

import "fmt"

// AppendChained appends the request that says by itself what a Responses request
// says together with the answer that its previous_response_id names: before, which
// is that answer's whole input and its output items, stands in front of its input.
// The members previous_response_id and type are left out, and white space between
// members is; everything else is as it was sent. A request that names no answer is
// given an empty before.
func AppendChained(dst, request []byte, before [][]byte) ([]byte, error) {
	body := request
	for m, err := range Members(request) {
		if err != nil {
			return dst, fmt.Errorf("chain request: %w", err)
		}
		if m.Key == "response" && isObject(m.Value) {
			body = m.Value
		}
	}
	start := len(dst)
	dst = append(dst, '{')
	found := false
	for m, err := range Members(body) {
		if err != nil {
			return dst[:start], fmt.Errorf("chain request: %w", err)
		}
		if m.Key == "type" || m.Key == "previous_response_id" {
			continue
		}
		dst = append(appendString(comma(dst, '{'), m.Key), ':')
		if m.Key == "input" && !found {
			found = true
			dst = appendInput(dst, m.Value, before)
		} else {
			dst = append(dst, m.Value...)
		}
	}
	if !found {
		dst = appendInput(append(comma(dst, '{'), `"input":`...), []byte("[]"), before)
	}
	return append(dst, '}'), nil
}

// comma appends a comma unless dst ends with the brace that opened the list.
func comma(dst []byte, open byte) []byte {
	if dst[len(dst)-1] != open {
		dst = append(dst, ',')
	}
	return dst
}

// appendInput appends an input with items before it. A text becomes a message only
// where it has to.
func appendInput(dst, input []byte, before [][]byte) []byte {
	if len(before) == 0 {
		return append(dst, input...)
	}
	dst = array(dst, before...)
	dst = dst[:len(dst)-1]
	s := scanner{b: input}
	if s.peek() != '[' {
		if s.peek() != 'n' {
			dst = object(append(dst, ','), "type", "message", "role", "user", "content", input)
		}
		return append(dst, ']')
	}
	s.open('[')
	for first := true; s.item(first, ']'); first = false {
		dst = append(append(dst, ','), s.take()...)
	}
	return append(dst, ']')
}
