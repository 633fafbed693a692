"""What a job is: values and choices.  No I/O, no driver."""
