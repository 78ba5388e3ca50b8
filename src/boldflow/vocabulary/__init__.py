"""Words that several rooms share, each once: standard library only, and nothing of the package is imported."""
