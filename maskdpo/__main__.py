"""`python -m maskdpo`, as torchrun and accelerate start it."""

from maskdpo.cli.main import main

if __name__ == "__main__":
    main()
