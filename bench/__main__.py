"""``python -m bench [NAME ...] [--quick]``: run benches, print their rows, exit 0 only where all hold."""

import argparse
import difflib
import importlib
import sys

from bench import harness


def main(arguments: list[str] | None = None) -> int:
    """Run the benches that are named, or all of them.

    Returns
    -------
    int
        Exit status: 0 where every goal and every agreement holds, else 1 (2 for a name that is no bench).
    """
    known = harness.names()
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Speed against named peers; truth: Monte-Carlo checks of scores and intervals.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(known)}; all if left out")
    parser.add_argument("--quick", action="store_true", help="a small shape, to see that it works")
    chosen = parser.parse_args(arguments)
    for name in chosen.names:
        if name not in known:
            near = difflib.get_close_matches(name, known, cutoff=0.4) or known
            parser.error(f"no bench {name!r}; nearest: {', '.join(near)}")
    rows = []
    for name in chosen.names or known:
        bench = importlib.import_module(f"bench.{name.replace('-', '_')}")
        done = bench.run(quick=chosen.quick)
        print(getattr(bench, "table", harness.table)(done), end="\n\n", flush=True)
        rows += done
    print(harness.last_line(rows))
    return 0 if rows and all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
