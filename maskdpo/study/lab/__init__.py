"""The lab: tasks with content keys, done in worker processes; a rerun continues."""
