"""From pairs to weights: tokens and masks, the loss, the reference cache, the training run."""
