"""DataLad data sets and folders on their way to this machine."""
