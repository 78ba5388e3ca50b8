"""Which Snakemake the rules are made for: its private parts, which ``runs`` touches, change with major versions."""

from importlib import metadata

BELOW = 10  # the first major version that nobody has tried; the lowest one is in the Snakefile


def version_problems(version: str | None = None) -> list[str]:
    """Say what is wrong with the Snakemake that is installed, or of a version."""
    version = version or metadata.version("snakemake")
    if int(version.partition(".")[0]) < BELOW:
        return []
    return [f"Snakemake {version} is newer than any this version was tried with; install one below {BELOW}"]
