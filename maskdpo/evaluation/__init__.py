"""Models side by side: sampled alike, judged alike, scored with intervals."""
