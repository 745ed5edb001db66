"""Work that outlives a call: a durable table of jobs, a runner with one child process per job, calls to watch them."""
