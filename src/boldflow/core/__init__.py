"""Mathematics on arrays: no file, no process, no network is reached from here."""
