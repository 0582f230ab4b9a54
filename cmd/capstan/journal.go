package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/capstan-bench/capstan/proxy/journal"
)

func journalCommand() *cli.Command {
	identity := &cli.StringFlag{Name: "identity", Usage: "`FILE` of age identities that open an encrypted journal"}
	return &cli.Command{
		Name:      "journal",
		Usage:     "look after journals: list, pause, resume, forget, repair, identity",
		ArgsUsage: "COMMAND DIR",
		Description: "A journal is the folder that a recording writes. It can be listed and paused while it\n" +
			"is written; forget and repair need it at rest.\n\nExamples:\n\n" +
			"  capstan journal list journal\n  capstan journal forget journal claude-20261125-161455-4f2a",
		HideHelpCommand: true,
		Action:          needsSubcommand,
		Subcommands: []*cli.Command{
			{
				Name: "list", Usage: "print the sessions of a journal", ArgsUsage: "DIR", Action: runJournalList,
				Description: "Prints one line a session: calls, those that were cut off or lost something, bytes.\n" +
					"The exit status is 1 where a part of the journal cannot be read.\n\nExample:\n\n  capstan journal list journal --json",
				Flags: []cli.Flag{jsonFlag, identity},
			},
			{
				Name: "pause", Usage: "record nothing until resume", ArgsUsage: "DIR", Action: runJournalPause,
				Description: "Takes effect within a second, also on a recording that begins later. Calls pass as before.\n\nExample:\n\n  capstan journal pause journal",
			},
			{
				Name: "resume", Usage: "end a pause", ArgsUsage: "DIR", Action: runJournalResume,
				Description: "Takes effect within a second.\n\nExample:\n\n  capstan journal resume journal",
			},
			{
				Name: "forget", Usage: "remove a session from a journal", ArgsUsage: "DIR SESSION", Action: runJournalForget,
				Description: "Writes every segment anew that holds a part of the session. What the disk keeps in\n" +
					"free blocks is beyond its reach. The exit status is 1 if there is no such session.\n\nExample:\n\n  capstan journal forget journal claude-20261125-161455-4f2a",
				Flags: []cli.Flag{identity, &cli.StringSliceFlag{Name: "encrypt-to", Usage: "age `RECIPIENT` that an encrypted journal is encrypted to again; repeat for several"}},
			},
			{
				Name: "repair", Usage: "make a damaged journal readable", ArgsUsage: "DIR", Action: runJournalRepair,
				Description: "Cuts what a crash tore, and sets files aside that are damaged elsewhere. No file is removed.\n\nExample:\n\n  capstan journal repair journal",
			},
			{
				Name: "identity", Usage: "make a key pair for encrypted journals", ArgsUsage: "FILE", Action: runJournalIdentity,
				Description: "Writes the secret identity to FILE, which only you can read, and prints the recipient\n" +
					"for --encrypt-to. Without FILE nobody can read what is encrypted to it.\n\nExample:\n\n  capstan record --encrypt-to \"$(capstan journal identity key.txt)\" -- claude",
			},
		},
	}
}

// needsSubcommand runs when a command's command was not named, or does not exist.
func needsSubcommand(c *cli.Context) error {
	var names []string
	for _, sub := range c.Command.Subcommands {
		names = append(names, sub.Name)
	}
	if name := c.Args().First(); name != "" {
		return usagef("%s: unknown command %q; there are %s", c.Command.Name, name, strings.Join(names, ", "))
	}
	return usagef("%s: name what to do: %s", c.Command.Name, strings.Join(names, ", "))
}

// journalDir is the journal that a command is about. It has to be one: a
// misspelt name makes no folder.
func journalDir(c *cli.Context, operands int, what string) (string, error) {
	if c.NArg() != operands {
		return "", usagef("journal %s: got %d operands, want %s", c.Command.Name, c.NArg(), what)
	}
	dir := c.Args().First()
	if _, err := os.Stat(filepath.Join(dir, "journal.key")); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("journal %s: %s is no journal", c.Command.Name, dir)
		}
		return "", fmt.Errorf("journal %s: %w", c.Command.Name, err)
	}
	return dir, nil
}

// identities reads the secret keys in a file, as age keeps them.
func identities(name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("--identity: %w", err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("--identity: %s holds none", name)
	}
	return out, nil
}

// sessionLine is what the list says of a session.
type sessionLine struct {
	Session    string    `json:"session"`
	Harness    string    `json:"harness,omitempty"`
	Calls      int       `json:"calls"`
	Unfinished int       `json:"unfinished"` // the recording ended before they did
	Lost       int       `json:"lost"`       // something of them was not kept
	Bytes      int64     `json:"bytes"`      // of bodies, decoded
	First      time.Time `json:"first"`
	Last       time.Time `json:"last"`
}

// journalList is what there is to say about a journal.
type journalList struct {
	Sessions []*sessionLine `json:"sessions"`
	LostAll  int64          `json:"lost_without_a_trace"` // exchanges of which nothing was kept
	Paused   bool           `json:"paused"`
	Damage   []string       `json:"damage,omitempty"`
}

func runJournalList(c *cli.Context) error {
	dir, err := journalDir(c, 1, "a journal alone")
	if err != nil {
		return err
	}
	keys, err := identities(c.String("identity"))
	if err != nil {
		return err
	}
	list, err := listJournal(dir, keys)
	if err != nil {
		return fmt.Errorf("list journal: %w", err)
	}
	if c.Bool("json") {
		enc := json.NewEncoder(c.App.Writer)
		enc.SetIndent("", "  ")
		err = enc.Encode(list)
	} else {
		err = list.print(c.App.Writer)
	}
	if err != nil {
		return err
	}
	if n := len(list.Damage); n > 0 {
		return fmt.Errorf("list journal %s: %d parts of it cannot be read: %s", dir, n, list.Damage[0])
	}
	return nil
}

// listJournal reads a journal, with one exchange in memory at a time.
func listJournal(dir string, keys []string) (*journalList, error) {
	r, err := journal.Open(dir, journal.ReadConfig{Identities: keys})
	if err != nil {
		return nil, err
	}
	list := &journalList{Sessions: []*sessionLine{}, Paused: exists(filepath.Join(dir, pauseFile))}
	byName := map[string]*sessionLine{}
	for x, err := range r.Exchanges() {
		if err != nil {
			list.Damage = append(list.Damage, err.Error())
			continue
		}
		s := byName[x.Flow.Session]
		if s == nil {
			s = &sessionLine{Session: x.Flow.Session, Harness: x.Flow.Harness, First: x.Flow.Started, Last: x.Flow.Started}
			byName[x.Flow.Session] = s
			list.Sessions = append(list.Sessions, s)
		}
		s.add(x)
	}
	for _, g := range r.Gaps() {
		list.LostAll += g.Exchanges
	}
	slices.SortFunc(list.Sessions, func(a, b *sessionLine) int { return a.First.Compare(b.First) })
	return list, nil
}

func (s *sessionLine) add(x *journal.Exchange) {
	s.Calls++
	if !x.Finished {
		s.Unfinished++
	}
	if x.Loss.Any() {
		s.Lost++
	}
	s.Bytes += int64(len(x.Request.Body) + len(x.Response.Body))
	if x.Flow.Started.Before(s.First) {
		s.First = x.Flow.Started
	}
	if x.Flow.Started.After(s.Last) {
		s.Last = x.Flow.Started
	}
}

func (l *journalList) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SESSION\tHARNESS\tCALLS\tUNFINISHED\tLOST\tBYTES\tFIRST\tLAST")
	for _, s := range l.Sessions {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", orDash(s.Session), orDash(s.Harness), s.Calls, s.Unfinished, s.Lost,
			bytesText(s.Bytes), s.First.Format(time.DateTime), s.Last.Format(time.DateTime))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if l.LostAll > 0 {
		fmt.Fprintf(w, "lost without a trace: %d exchanges\n", l.LostAll)
	}
	if l.Paused {
		fmt.Fprintln(w, "paused")
	}
	return nil
}

// orDash is a name for a terminal: without what would steer it, and never
// nothing.
func orDash(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s
}

func runJournalPause(c *cli.Context) error {
	dir, err := journalDir(c, 1, "a journal alone")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, pauseFile), nil, 0o600); err != nil {
		return fmt.Errorf("pause: %w", err)
	}
	return nil
}

func runJournalResume(c *cli.Context) error {
	dir, err := journalDir(c, 1, "a journal alone")
	if err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(dir, pauseFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("resume: %w", err)
	}
	return nil
}

func runJournalForget(c *cli.Context) error {
	dir, err := journalDir(c, 2, "a journal and a session")
	if err != nil {
		return err
	}
	keys, err := identities(c.String("identity"))
	if err != nil {
		return err
	}
	session := c.Args().Get(1)
	done, err := journal.Forget(dir, session, journal.ForgetConfig{Identities: keys, Recipients: c.StringSlice("encrypt-to")})
	if err != nil {
		return err
	}
	for _, name := range done.Unread {
		fmt.Fprintf(c.App.ErrWriter, "%s was set aside by repair, and may hold the session still: remove it\n", filepath.Join(dir, name))
	}
	if done.Exchanges == 0 {
		return fmt.Errorf("forget session: %s holds nothing of a session %s; `capstan journal list` shows what there is", dir, orDash(session))
	}
	fmt.Fprintf(c.App.ErrWriter, "forgot %d parts of exchanges in %d segments\n", done.Exchanges, done.Segments)
	return nil
}

func runJournalRepair(c *cli.Context) error {
	dir, err := journalDir(c, 1, "a journal alone")
	if err != nil {
		return err
	}
	done, err := journal.Repair(dir)
	for _, d := range done {
		fmt.Fprintln(c.App.Writer, d)
	}
	if err == nil && len(done) == 0 {
		fmt.Fprintln(c.App.ErrWriter, "nothing is wrong")
	}
	return err
}

func runJournalIdentity(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("journal identity: got %d operands, want a file alone", c.NArg())
	}
	secret, recipient, err := journal.NewIdentity()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.Args().First(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("journal identity: %w", err)
	}
	_, err = fmt.Fprintf(f, "# recipient: %s\n%s\n", recipient, secret)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("journal identity: %w", err)
	}
	fmt.Fprintln(c.App.Writer, recipient)
	return nil
}
