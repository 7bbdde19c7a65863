"""The study with a real small model: half-believed prose, then preference runs by LoRA."""
