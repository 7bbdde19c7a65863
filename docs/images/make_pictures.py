"""Makes the pictures of marked sentences that README.md shows: docs/images/marked-*.png.

    python docs/images/make_pictures.py [--chromium PROGRAM]

It turns annotations.jsonl of this folder, two answers about an invented person, into a page with
`maskdpo show --html`, and has chromium photograph the page in light and in dark. No network is
needed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROWS = HERE / "annotations.jsonl"  # its documents are next to it
SIZE = (1120, 815)
SCHEMES = {"light": 1, "dark": 0}
MAX_BYTES = 150_000


def main() -> None:
    """Write the pictures; their sizes are printed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chromium", default="chromium", help="the program [chromium]")
    program = parser.parse_args().chromium
    with tempfile.TemporaryDirectory() as name:
        page = Path(name) / "page.html"
        command = [sys.executable, "-m", "maskdpo", "show", str(ROWS), "--html", str(page)]
        subprocess.run(command, check=True)
        for scheme, code in SCHEMES.items():
            picture = HERE / f"marked-{scheme}.png"
            photograph(program, page, picture, code)
            print(f"{picture.name}: {picture.stat().st_size:,} bytes")


def photograph(program: str, page: Path, picture: Path, scheme: int) -> None:
    """A screenshot of the page's head, in 64 colours."""
    from PIL import Image

    subprocess.run(
        [
            program,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={page.parent / 'profile'}",
            f"--window-size={SIZE[0]},{SIZE[1]}",
            f"--blink-settings=preferredColorScheme={scheme}",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
    )
    with Image.open(picture) as image:
        small = image.convert("RGB").quantize(64, dither=Image.Dither.NONE)
    small.save(picture, optimize=True)
    if picture.stat().st_size > MAX_BYTES:
        raise SystemExit(f"{picture} has more than {MAX_BYTES:,} bytes")


if __name__ == "__main__":
    main()
