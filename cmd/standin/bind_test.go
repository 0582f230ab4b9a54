package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/capstan-bench/capstan/schema/wire"
)

// object is the schema of an object with such properties, all texts.
func object(names ...string) string {
	s := ""
	for i, n := range names {
		if i > 0 {
			s += ","
		}
		s += literal(n) + `:{"type":"string"}`
	}
	return `{"type":"object","properties":{` + s + `}}`
}

func TestBind(t *testing.T) {
	conv := &conversation{dir: "/w/x"}
	f := func(c Call, want string, declarations ...string) {
		t.Helper()
		conv.tools = nil
		for _, d := range declarations {
			conv.tools = append(conv.tools, declared(conv.format, []byte(d))...)
		}
		p, ok := bind(c, conv)
		got := p.Name + p.Text
		if p.Namespace != "" {
			got = p.Namespace + "." + got
		}
		if !ok {
			got = "nothing"
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("bind(%+v) (-want +got):\n%s", c, diff)
		}
	}
	shell := Call{Tool: ToolShell, Command: `echo "a"`}
	read := Call{Tool: ToolRead, Path: "a b.txt"}
	write := Call{Tool: ToolWrite, Path: "n.md", Text: "x\ny\n"}
	edit := Call{Tool: ToolEdit, Path: "n.md", Old: "x", New: "z"}
	spawn := Call{Tool: ToolTask, Agent: "counter", Prompt: "count"}
	join := Call{Tool: ToolJoin}

	conv.format = wire.FormatMessages // Claude Code
	bash := declare(conv.format, "Bash", object("command", "description"))
	f(shell, `Bash{"command":"echo \"a\"","description":"Run a command of the task"}`, bash)
	f(read, `Read{"file_path":"/w/x/a b.txt"}`, bash, declare(conv.format, "Read", object("file_path")))
	f(write, `Write{"file_path":"/w/x/n.md","content":"x\ny\n"}`, declare(conv.format, "Write", object("file_path", "content")))
	f(edit, `Edit{"file_path":"/w/x/n.md","old_string":"x","new_string":"z"}`, declare(conv.format, "Edit", object("file_path", "old_string", "new_string")))
	f(spawn, `Agent{"prompt":"count","description":"Task for counter","subagent_type":"general-purpose"}`,
		`{"name":"Agent","description":"kinds: general-purpose","input_schema":`+object("prompt", "description", "subagent_type")+`}`)
	f(shell, `nothing`)
	f(shell, `nothing`, declare(conv.format, "Read", object("file_path")))

	conv.format = wire.FormatChat // OpenCode, pi
	f(read, `read{"filePath":"/w/x/a b.txt"}`, declare(conv.format, "read", object("filePath")))
	f(edit, `edit{"path":"/w/x/n.md","edits":[{"newText":"z","oldText":"x"}]}`, declare(conv.format, "edit",
		`{"properties":{"path":{"type":"string"},"edits":{"type":"array","items":`+object("oldText", "newText")+`}}}`))
	f(spawn, `task{"prompt":"count","description":"Task for counter","subagent_type":"general"}`,
		declare(conv.format, "task", object("prompt", "description", "subagent_type")))
	f(spawn, `bash{"command":"true # this harness has no sub-agents"}`, declare(conv.format, "bash", object("command")))

	conv.format = wire.FormatGemini
	f(edit, `replace{"file_path":"/w/x/n.md","old_string":"x","new_string":"z","instruction":"Change the text as the task says"}`,
		declare(conv.format, "replace", object("file_path", "instruction", "old_string", "new_string")))
	conv.system = "sub-agents: generalist, a general-purpose agent"
	f(spawn, `invoke_agent{"prompt":"count","agent_name":"generalist"}`, declare(conv.format, "invoke_agent", object("agent_name", "prompt")))

	conv.format = wire.FormatResponses // Codex
	exec := declare(conv.format, "exec_command", object("cmd"))
	f(shell, `exec_command{"cmd":"echo \"a\""}`, exec)
	f(shell, `shell{"command":["bash","-lc","echo \"a\""]}`, declare(conv.format, "shell", `{"properties":{"command":{"type":"array"}}}`))
	f(read, `exec_command{"cmd":"cat 'a b.txt'"}`, exec)
	f(write, `exec_command{"cmd":"cat > 'n.md' <<'END_OF_FILE'\nx\ny\nEND_OF_FILE"}`, exec)
	f(edit, `exec_command{"cmd":"python3 - <<'END_OF_EDIT'\np = \"n.md\"\ns = open(p).read()\nopen(p, 'w').write(s.replace(\"x\", \"z\", 1))\nEND_OF_EDIT"}`, exec)
	patch := `{"type":"custom","name":"apply_patch"}`
	f(write, "apply_patch*** Begin Patch\n*** Add File: n.md\n+x\n+y\n*** End Patch\n", exec, patch)
	f(edit, "apply_patch*** Begin Patch\n*** Update File: n.md\n@@\n-x\n+z\n*** End Patch\n", patch)
	f(edit, `apply_patch{"input":"*** Begin Patch\n*** Update File: n.md\n@@\n-x\n+z\n*** End Patch\n"}`, declare(conv.format, "apply_patch", object("input")))
	agents := `{"type":"namespace","name":"agents","tools":[` + declare(conv.format, "spawn_agent", object("message")) + `,` +
		declare(conv.format, "wait_agent", `{"properties":{"targets":{"type":"array"}}}`) + `]}`
	f(spawn, `agents.spawn_agent{"message":"count"}`, exec, agents)
	f(join, `exec_command{"cmd":"sleep 1 # the sub-agents work"}`, exec, agents)
	conv.agents = []string{"id-1", "id-2"}
	f(join, `agents.wait_agent{"targets":["id-1","id-2"],"timeout_ms":60000}`, exec, agents)
}

// TestContext finds what a request says besides its turns: the working directory in
// the words of each harness, and sub-agents that were started.
func TestContext(t *testing.T) {
	f := func(said, want string) {
		t.Helper()
		_, body := (&client{format: wire.FormatChat}).user(said).request()
		c, err := readConversation(wire.FormatChat, body)
		if err != nil || c.dir != want {
			t.Errorf("of %q, the working directory is %q, %v, want %q", said, c.dir, err, want)
		}
	}
	f("Primary working directory: /home/u/p\nGit: yes", "/home/u/p")
	f("<cwd>/w/lists</cwd>", "/w/lists")
	f("I'm currently working in the directory: /w/lists.\nHere", "/w/lists")
	f("- **Workspace Directories:**\n  - /w/lists\n", "/w/lists")
	f("Working directory: unknown\n/etc", "")
	f("say hi", "")

	body := `{"model":"m","input":[{"type":"function_call","call_id":"call_t0c0_x","name":"spawn_agent","arguments":"{}"},
{"type":"function_call_output","call_id":"call_t0c0_x","output":"{\"agent_id\":\"019a-bc\",\"nickname\":\"x\"}"}]}`
	c, err := readConversation(wire.FormatResponses, []byte(body))
	if err != nil || len(c.agents) != 1 || c.agents[0] != "019a-bc" {
		t.Errorf("agents = %q, %v, want the one that was started", c.agents, err)
	}
}
