"""What the rules ask for: paths, inputs and resources of a study. Standard library only."""

from boldflow.planning.tables import StudyTables

__all__ = ["StudyTables"]
