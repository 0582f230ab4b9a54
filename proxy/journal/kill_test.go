package journal_test

const victimEnv = "CAPSTAN_JOURNAL_VICTIM"

func victim() {}
