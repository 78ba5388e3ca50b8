# Start, end and lock of a run. Needs: nothing of the rules. Makes: notes and kept outputs below .snakemake, so that a run
# says who holds a lock, and a job that failed or was killed costs nothing that was there before.
from boldflow import runs

runs.parsed(workflow)


onstart:
    runs.begin(workflow)


onsuccess:
    runs.succeed(workflow)


onerror:
    runs.fail(workflow)
