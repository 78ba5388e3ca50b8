"""What figures share: style, maps of the cortex, dots with intervals. Arrays and tables in, matplotlib out."""
