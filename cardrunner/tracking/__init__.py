"""Who is told how a run goes: people at a terminal, and trackers in processes of their own."""
