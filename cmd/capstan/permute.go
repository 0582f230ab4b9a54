package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// permute moves a command's flags before its operands, because urfave/cli v2
// takes everything after the first operand for operands. What follows "--" is
// left alone: record's command keeps its own flags. An argument that looks like a
// flag and is none of the command's is a usage error here, so that a misspelt
// flag is never taken for a file.
func permute(app *cli.App, args []string) ([]string, error) {
	if len(args) < 2 {
		return args, nil
	}
	cmd := app.Command(args[1])
	if cmd == nil {
		return args, nil
	}
	named := args[:2]
	if len(args) > 2 {
		if sub := subcommand(cmd, args[2]); sub != nil {
			cmd, named = sub, args[:3]
		}
	}
	flags, operands := []string{}, []string{}
	for rest := args[len(named):]; len(rest) > 0; {
		arg := rest[0]
		rest = rest[1:]
		if arg == "--" {
			operands = append(operands, rest...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			operands = append(operands, arg)
			continue
		}
		takesValue, known := lookupFlag(cmd, arg)
		if !known {
			return nil, usagef("%s: unknown flag %s; see `capstan %s --help`", cmd.Name, arg, cmd.Name)
		}
		flags = append(flags, arg)
		if takesValue {
			if len(rest) == 0 {
				return nil, usagef("%s: flag %s needs a value", cmd.Name, arg)
			}
			flags, rest = append(flags, rest[0]), rest[1:]
		}
	}
	return slices.Concat(named, flags, []string{"--"}, operands), nil
}

// subcommand finds a command's command by name.
func subcommand(cmd *cli.Command, name string) *cli.Command {
	for _, sub := range cmd.Subcommands {
		if sub.HasName(name) {
			return sub
		}
	}
	return nil
}

// lookupFlag says whether arg is a flag of cmd, and whether its value is the
// next argument.
func lookupFlag(cmd *cli.Command, arg string) (takesValue, known bool) {
	name, _, inline := strings.Cut(strings.TrimLeft(arg, "-"), "=")
	if name == "help" || name == "h" {
		return false, true
	}
	for _, f := range cmd.Flags {
		for _, n := range f.Names() {
			if n != name {
				continue
			}
			_, boolean := f.(*cli.BoolFlag)
			return !boolean && !inline, true
		}
	}
	return false, false
}
