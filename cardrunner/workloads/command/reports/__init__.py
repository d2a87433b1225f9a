"""The metrics that a script writes anyway: where they are, how they are read while it runs, and the rows they make."""
