package main

// story is the outline of one session: what the user asks, where the work lies
// and how long it takes.
type story struct {
	title   string
	asks    []string // what the user says; the first opens the session
	folders []string // where the files lie that the agent looks at
	turns   int      // calls of the root trajectory
	tasks   []string // sub-agents started side by side after the third call
}

var stories = []story{
	{"gaps that are longer than the cap", []string{
		"A replay with --gap-cap 60s still waited almost five minutes between two turns yesterday. Find out where the cap is applied and make it hold for every gap, also for the one before the first turn of a sub-agent.",
		"Good. Now show me with a test that a join after two sub-agents waits for the later one, with the cap on and off.",
		"One more thing: say in the method document what is capped and what is not.",
	}, []string{"replay/plan", "replay/"}, 108, nil},
	{"a reader that trusts the footer", []string{
		"Somebody sent us a dataset whose file had been cut in the middle by a full disk. Our error was four lines long and did not name the file. Look at how we open files and make it one line that says which file, and what to do.",
		"And if the manifest says a different size than the disk?",
	}, []string{"schema", "datasets"}, 46, nil},
	{"cache blocks that straddle two messages", []string{
		"Please check that the simulated engine counts a block that lies across two messages only once. I would like to see it on paper first: which function decides it, and for which inputs would it be wrong.",
		"Then write the test that compares it with a plain list of blocks.",
	}, []string{"replay/sim"}, 38, []string{
		"Find every place that turns bytes into tokens or tokens into blocks. For each: the file, the function, how it rounds. Answer as a table.",
		"Find every test that sets the size of a cache block. For each: the file, the size, and what the test would miss if the size were one.",
	}},
	{"a column for the retry count", []string{
		"We want to know how many attempts a call took. Is there a column for it already? If so, is it written by both importers and checked by verify?",
	}, []string{"schema", "datasets/convert"}, 24, nil},
	{"limits in two units", []string{
		"The limit grammar takes seconds and milliseconds. What happens with 500us, with 1m, with a bare 10? Make the error say what was expected, with the column.",
		"Add the cases to the table of the test, please.",
	}, []string{"replay/capacity"}, 27, nil},
	{"names of the accelerators", []string{
		"In the report the accelerator's memory is printed as one number although the file lists two kinds. Print one line a kind, and keep the order of the file.",
	}, []string{"replay/cost", "replay/report"}, 21, nil},
	{"a stream without an end", []string{
		"An endpoint of ours closes the connection without the last event when it is restarted. Which class of error does the agent note then, and is the time until the cut kept? I think that it should be truncated, not reset.",
		"What about a server that sends the last event and then does not close?",
	}, []string{"replay/agent", "schema/wire"}, 33, nil},
	{"who pays for the rack", []string{
		"When the rack has no power limit the per-rack figure should say that only the number of accelerators bounds it. Check and mend.",
	}, []string{"replay/cost"}, 17, nil},
	{"one probe too many", []string{
		"The search probed level 6 twice in a row with the same seed in my last run. Read the search and tell me whether that can happen; if it can, mend it.",
		"Does the confirmation count towards the number of probes? It should.",
	}, []string{"replay/capacity", "replay/virtual"}, 30, nil},
	{"quantiles by hand", []string{
		"I want to understand the interval that is printed beside the quantile. Walk me through it with the code, then write the worked example into the package comment.",
	}, []string{"replay/stat"}, 19, nil},
	{"a session as a timeline", []string{
		"The timeline of a session should mark the calls that started before their parent had ended. Where is the best place for it?",
		"Then do it, and keep the columns aligned.",
	}, []string{"datasets/stats", "datasets"}, 25, nil},
	{"folding a context that was cut", []string{
		"After a compaction the context begins with the same system message and goes on with a summary. How many ranges does that take in our format? Show it with a test on three calls.",
	}, []string{"schema/fold", "schema"}, 22, []string{
		"Read the package that folds contexts and explain in ten lines how it finds the item that continues a range.",
	}},
	{"flags behind the operand", []string{
		"`capstan inspect data --json` works, `capstan inspect --json data` as well, but a misspelt flag behind the dataset was taken for a session once. Make sure that it is a usage error, with exit status 2.",
	}, []string{"cmd/capstan"}, 16, nil},
	{"the smallest level", []string{
		"If one agent alone misses the limits the capacity is zero. Is that printed as 0 with its interval, or does the table leave the row out? It must be a row.",
	}, []string{"replay/report", "replay/capacity"}, 14, nil},
}

// Sentences of the agent between its tool calls; %s is a file or a word.
var (
	looking = []string{
		"I will look at %s first, since everything else seems to hang on it.",
		"Next is %s; the name suggests that the decision is made there.",
		"Before I change anything I want to see how %s is used.",
		"The test beside %s should say what was meant.",
		"That leaves %s, which I have not read yet in this session.",
		"Two places could do this. I will read %s and compare.",
		"So far the code agrees with the comment. Let me check %s as well.",
	}
	changing = []string{
		"Now the change in %s, as small as I can make it.",
		"I will put the new case into %s beside its neighbours.",
		"The rule belongs into %s, where the others of its kind are.",
		"With that read, %s needs two lines more and one less.",
	}
	checking = []string{
		"Let me run the tests of the package.",
		"Now the whole suite, to see that nothing else leaned on the old behaviour.",
		"I will run it under the race detector as well.",
		"A quick look at formatting and vet before I go on.",
	}
	concluding = []string{
		"Done. The rule is now applied in one place, %s, and every caller goes through it. I checked it with the tests of the package and with the new case, which failed before the change. I left the neighbouring function alone although its comment could be clearer.",
		"This works now. The change is in %s; the test shows the old behaviour failing and the new one passing. Two callers relied on the order of the arguments and I kept that order for them.",
		"It can happen, and I mended it in %s: the value was taken before the loop and not again inside it. The test runs both ways round. The documents did not mention it, so I added a sentence.",
	}
	replies = []string{
		"ok  \tgithub.com/capstan-bench/capstan/%s\t%d.%03ds\n",
		"?   \tgithub.com/capstan-bench/capstan/%s\t[no test files]\nok  \tgithub.com/capstan-bench/capstan/%[1]s\t%d.%03ds\n",
		"--- FAIL: TestNewCase (0.%[3]02ds)\n    case_test.go:%[3]d: got %[2]d, want %[3]d\nFAIL\nFAIL\tgithub.com/capstan-bench/capstan/%[1]s\t%[2]d.%03[3]ds\n",
	}
)
