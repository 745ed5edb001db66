"""Videos as files: each a job, drawn in pieces."""
