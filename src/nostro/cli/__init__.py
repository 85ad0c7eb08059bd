"""The command line: what an operator does without HTTP, beside a running service or without one."""
