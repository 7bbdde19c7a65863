"""Durable jobs: a job is a run of `annotate` on its own files in RUN/jobs/ID/.

The rule: every call is in the store before its verdict is used, so a job needs no queue and no
checkpoint: its row says what is wanted, and any service process may start it again at any time.

- `Jobs` (jobs.py) creates, lists and changes jobs; used from any thread.
- `JobRunner` (runner.py) runs them in the event loop of a service process.
- A running job is leased in the store (annotator/calls/leases.py): the heartbeat and the lock file
  of its process decide whether that process lives. Each attempt writes its own name into the row,
  and a process whose name is not there any more changes nothing.
"""
