"""cardrunner: reviewed YAML run cards that launch, watch and report training runs."""
