"""Models on this machine: transformers and vllm."""
