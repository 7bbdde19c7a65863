"""What people decided: appended to a file, compared with each other, applied to annotations."""

REVIEWS_NAME = "reviews.jsonl"
REVIEW_FILES = (REVIEWS_NAME, "corrections.jsonl")  # the second is from earlier versions
PAIR_REVIEWS_NAME = "pair_reviews.jsonl"  # decisions about pairs
