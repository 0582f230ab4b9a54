package main

import (
	"encoding/json"
	"path"
	"strings"

	"github.com/capstan-bench/capstan/schema/wire"
)

// Names of tools by what they do, of the harnesses that were tried.
var (
	shellNames = []string{"Bash", "bash", "run_shell_command", "exec_command", "shell_command", "shell", "execute_command", "terminal"}
	readNames  = []string{"Read", "read", "read_file", "view"}
	writeNames = []string{"Write", "write", "write_file", "create_file", "create"}
	editNames  = []string{"Edit", "edit", "replace", "str_replace", "edit_file"}
	taskNames  = []string{"Agent", "Task", "task", "agent", "invoke_agent", "spawn_agent", "generalist"}
)

// bind puts a call in the names that the request declares. ok is false where the
// request has no tool to do it with, not even a shell.
func bind(c Call, conv *conversation) (p wire.Part, ok bool) {
	switch c.Tool {
	case ToolRead:
		if t, ok := find(conv.tools, readNames...); ok {
			return t.part(t.argument("file_path", "filePath", "absolute_path", "path"), conv.path(c.Path)), true
		}
		c.Command = "cat " + quote(c.Path)
	case ToolWrite:
		if t, ok := find(conv.tools, writeNames...); ok {
			return t.part(t.argument("file_path", "filePath", "path"), conv.path(c.Path),
				t.argument("content", "contents", "file_text"), c.Text), true
		}
		if t, ok := find(conv.tools, "apply_patch"); ok {
			return t.patch("*** Add File: " + c.Path + "\n" + prefixed("+", c.Text)), true
		}
		c.Command = "cat > " + quote(c.Path) + " <<'END_OF_FILE'\n" + strings.TrimSuffix(c.Text, "\n") + "\nEND_OF_FILE"
	case ToolEdit:
		if p, ok := bindEdit(c, conv); ok {
			return p, true
		}
		c.Command = "python3 - <<'END_OF_EDIT'\np = " + literal(c.Path) + "\ns = open(p).read()\nopen(p, 'w').write(s.replace(" +
			literal(c.Old) + ", " + literal(c.New) + ", 1))\nEND_OF_EDIT"
	case ToolTask:
		if p, ok := bindTask(c, conv); ok {
			return p, true
		}
		c.Command = "true # this harness has no sub-agents"
	case ToolJoin:
		if t, ok := find(conv.tools, "wait_agent", "wait"); ok && len(conv.agents) > 0 {
			return t.part(t.argument("targets", "ids"), conv.agents, "timeout_ms", 60_000), true
		}
		c.Command = "sleep 1 # the sub-agents work"
	}
	t, ok := find(conv.tools, shellNames...)
	if !ok {
		return wire.Part{}, false
	}
	return t.shell(c.Command), true
}

func (t *tool) shell(command string) wire.Part {
	name := t.argument("command", "cmd")
	value := any(command)
	if s := t.schema.Properties[name]; s.kind() == "array" {
		value = []string{"bash", "-lc", command}
	}
	args := []any{name, value}
	if t.takes("description") {
		args = append(args, "description", "Run a command of the task")
	}
	if t.takes("is_background") {
		args = append(args, "is_background", false)
	}
	return t.part(args...)
}

func bindEdit(c Call, conv *conversation) (p wire.Part, ok bool) {
	t, ok := find(conv.tools, editNames...)
	if !ok {
		if t, ok = find(conv.tools, "apply_patch"); !ok {
			return wire.Part{}, false
		}
		return t.patch("*** Update File: " + c.Path + "\n@@\n" + prefixed("-", c.Old) + prefixed("+", c.New)), true
	}
	args := []any{t.argument("file_path", "filePath", "path"), conv.path(c.Path)}
	old, replaced := t.argument("old_string", "oldString", "oldText", "old_str"), t.argument("new_string", "newString", "newText", "new_str")
	switch {
	case t.takes("edits"):
		inner := tool{schema: schema{Properties: map[string]schema{}}}
		if list := t.schema.Properties["edits"]; list.Items != nil {
			inner.schema = *list.Items
		}
		args = append(args, "edits", []any{map[string]string{
			inner.argument("oldText", "old_string"): c.Old, inner.argument("newText", "new_string"): c.New,
		}})
	default:
		args = append(args, old, c.Old, replaced, c.New)
	}
	if t.takes("instruction") {
		args = append(args, "instruction", "Change the text as the task says")
	}
	return t.part(args...), true
}

// bindTask fills in what a harness wants to know of a sub-agent: which of its kinds,
// and a title.
func bindTask(c Call, conv *conversation) (p wire.Part, ok bool) {
	t, ok := find(conv.tools, taskNames...)
	if !ok {
		return wire.Part{}, false
	}
	args := []any{t.argument("prompt", "message", "objective", "request", "task"), c.Prompt}
	if t.takes("description") {
		args = append(args, "description", "Task for "+c.Agent)
	}
	for _, name := range []string{"subagent_type", "agent_name", "agent_type"} {
		if t.takes(name) {
			args = append(args, name, t.kindOfAgent(name, conv.system))
		}
	}
	return t.part(args...), true
}

// kindOfAgent is the general kind of sub-agent, under the name that the harness has
// for it. (One describes its generalist as general-purpose.)
func (t *tool) kindOfAgent(argument, system string) string {
	all := string(t.raw) + system
	for _, name := range []string{"generalist", "general-purpose"} {
		if strings.Contains(all, name) {
			return name
		}
	}
	if e := t.schema.Properties[argument].Enum; len(e) > 0 {
		if name, ok := e[0].(string); ok {
			return name
		}
	}
	return "general"
}

// part is a call with the arguments given, name by value.
func (t *tool) part(args ...any) wire.Part {
	var b strings.Builder
	for i := 0; i < len(args); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(literal(args[i]) + ":" + literal(args[i+1]))
	}
	return wire.Part{Kind: wire.PartTool, Name: t.name, Namespace: t.namespace, Text: "{" + b.String() + "}"}
}

// patch is a call of a tool that takes patches, as text or as an argument.
func (t *tool) patch(change string) wire.Part {
	text := "*** Begin Patch\n" + change + "*** End Patch\n"
	if t.custom {
		return wire.Part{Kind: wire.PartTool, Name: t.name, Namespace: t.namespace, Custom: true, Text: text}
	}
	return t.part(t.argument("input", "patch", "patchText"), text)
}

// path is absolute where the working directory is known: some tools insist.
func (c *conversation) path(p string) string {
	if c.dir == "" || path.IsAbs(p) {
		return p
	}
	return path.Join(c.dir, p)
}

// literal is a value in JSON, which Python reads too.
func literal(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("standin: internal error: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// prefixed puts a prefix before each line.
func prefixed(prefix, text string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		b.WriteString(prefix + line + "\n")
	}
	return b.String()
}
