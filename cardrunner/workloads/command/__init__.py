"""Any team's training script, run as its command line."""
