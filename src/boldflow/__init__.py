"""boldflow: decode pictures from fMRI and encode fMRI from pictures, as a Snakemake workflow."""
