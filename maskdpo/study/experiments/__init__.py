"""The five experiments of the study, and the choice of learning rates before them."""
