"""Print what Snakemake knows of a target's jobs as JSON: made from what now, recorded what, which would run.

Called by ``python -m boldflow why`` and ``verify`` in the working folder, since the package never imports Snakemake.
No job is started and nothing is locked. Usage: plan.py '{"targets": [...], "config": ["study=demo"]}'
"""

import json
import logging
import sys
from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.cli import parse_config
from snakemake.settings.enums import RerunTrigger
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

RECORDED = ("rule", "params", "input", "input_checksums", "endtime")
# as the profiles say: code is a parameter, by definition, and not the time of a script
TRIGGERS = frozenset({RerunTrigger.MTIME, RerunTrigger.PARAMS, RerunTrigger.INPUT, RerunTrigger.SOFTWARE_ENV})
FILES = ("missing_output", "incomplete_output", "updated_input", "updated_input_run")


def describe(job: Any, dag: Any, persistence: Any) -> dict[str, Any]:
    """Give one job: what it would be made from now, what its outputs were made from, and Snakemake's own reasons."""
    reason = dag.reason(job)
    records = [persistence.metadata(path) for path in job.output]
    return {
        "rule": job.rule.name,
        "wildcards": dict(job.wildcards.items()),
        "output": [str(path) for path in job.output],
        "input": [str(path) for path in job.input],
        "params": dict(job.params.items()),
        "runs": bool(dag.needrun(job)),
        "reason": {name: sorted(map(str, getattr(reason, name))) for name in FILES}
        | {"software": bool(reason.software_stack_changed)},
        "records": {
            str(path): {key: record.get(key) for key in RECORDED}
            for path, record in zip(job.output, records, strict=True)
            if record is not None and record.get("rule") is not None
        },
    }


def main(asked: dict[str, Any]) -> int:
    """Build the graph of jobs and print it; on an error print Snakemake's own words to stderr."""
    with SnakemakeApi(OutputSettings(log_level_override=logging.ERROR, nocolor=True, enable_file_logging=False)) as api:
        try:
            workflow_api = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(config=parse_config(asked["config"])),
                snakefile=Path("Snakefile"),
            )
            settings = DAGSettings(targets=set(asked["targets"]), force_incomplete=True, rerun_triggers=TRIGGERS)
            dag_api = workflow_api.dag(settings)
            workflow = dag_api.workflow_api._workflow
            # what Snakemake's own --summary does
            workflow._prepare_dag(forceall=False, ignore_incomplete=True, lock_warn_only=True, nolock=True)
            workflow._build_dag()
            jobs = [describe(job, workflow.dag, workflow.persistence) for job in workflow.dag.jobs]
            found = {
                "jobs": sorted(jobs, key=lambda job: (job["rule"], job["output"])),
                "study": str(workflow.config.get("study", "")),
            }
        except SystemExit as error:  # ours: it says all
            sys.stderr.write(f"{error}\n")
            return 1
        except BaseException as error:  # noqa: BLE001  whatever stops parsing is what the caller wants to show
            api.print_exception(error)
            return 1
    sys.stdout.write(json.dumps(found, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
