"""Data of full size: what memory and time allow. Run by `make test-full-size`."""
