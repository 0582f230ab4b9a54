package main

import "github.com/capstan-bench/capstan/datasets"

var card = datasets.Card{
	Name:     "Smoke: sessions that were never recorded",
	License:  "apache-2.0",
	Tags:     []string{"synthetic"},
	Producer: "datasets/smoke/make",
	About: `**These sessions are not a recording.** They were written, by a program, for trying
capstan and for its tests: an agent that does not exist works on the repository of
capstan itself. The system prompt, the tool descriptions, what the user says and
what the agent says between its tool calls were written for this dataset. Tool
output is text of the repository as it stood. Durations, gaps and the choice of
files are drawn at random from a seed; their medians follow what public traces of
coding agents show (tools about a second, people about half a minute).

A capacity found with it says that the tool works. It says little about a machine:
contexts are shorter, sessions fewer and answers more alike than in life. Import
or record sessions of your own for that.

To write it again, from the root of the repository:

` + "```\nrm -r datasets/smoke/dataset && go generate ./datasets/smoke\n```",
}
