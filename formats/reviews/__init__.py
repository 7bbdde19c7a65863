"""What people decided: appended to a file, compared with each other, laid over annotations."""

REVIEWS_NAME = "reviews.jsonl"
REVIEW_FILES = (REVIEWS_NAME, "corrections.jsonl")  # the second is of earlier versions
