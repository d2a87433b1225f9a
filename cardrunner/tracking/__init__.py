"""Shows the progress of a run: to people at a terminal, and to trackers in their own processes."""
