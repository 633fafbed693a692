"""One job type per file: the only place where leads meet jobs."""
