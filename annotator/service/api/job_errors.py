"""Errors of jobs as errors of the API."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from annotator.service.errors import ApiError, api_error_of, busy, invalid, unavailable
from annotator.service.jobs.jobs import JobStateError, TooManyJobsError, UnknownJobError
from annotator.service.jobs.upload import TooLargeError
from annotator.service.judges import UnknownNameError
from schemas.errors import BackendError, ConfigError, InputError

_RETRY_S = 30


@contextmanager
def job_errors() -> Iterator[None]:
    """Raise ApiError in place of the errors of jobs."""
    try:
        yield
    except UnknownJobError:
        raise ApiError(status=404, code="not_found", message="there is no such job") from None
    except JobStateError as error:
        raise ApiError(status=409, code="conflict", message=str(error)) from None
    except TooManyJobsError as error:
        raise busy(str(error), retry_after_s=_RETRY_S) from None
    except TooLargeError as error:
        raise ApiError(status=413, code="too_large", message=str(error)) from None
    except UnknownNameError as error:
        raise invalid(str(error), code="unknown_name") from None
    except ConfigError as error:
        raise invalid(str(error)) from None
    except (InputError, BackendError) as error:
        raise api_error_of(error) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise unavailable("no_space", "the disk of the service is full") from None
