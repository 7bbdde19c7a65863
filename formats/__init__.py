"""Other file formats, read into and written from the records of `schemas`."""
