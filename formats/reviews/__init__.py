"""What people decided: appended to a file, compared with each other, applied to annotations."""

REVIEWS_NAME = "reviews.jsonl"
REVIEW_FILES = (REVIEWS_NAME, "corrections.jsonl")  # the second is from earlier versions
