"""Faults in the script for one GPU."""

from __future__ import annotations

from mutant_rows import mutants_of

# fmt: off
GPU_DAY = [
    *mutants_of(
        "benchmarks/gpu_day.py",
        ("gpu-day-share-of-the-whole", "return self.left_s * part.share",
         "return self.total_s * part.share", "test_gpu_day.py"),
        ("gpu-day-time-below-zero", "return max(0.0, self.total_s", "return (self.total_s",
         "test_gpu_day.py"),
        ("gpu-day-too-short-a-part-begins", "elif limit < part.least_s:", "elif False:",
         "test_gpu_day.py"),
        ("gpu-day-missing-packages-unseen", "if missing := part.missing():",
         "if missing := []:", "test_gpu_day.py"),
        ("gpu-day-without-seeds", "if options.seeds < 1:", "if options.seeds < 0:",
         "test_gpu_day.py -k refuses"),
        ("gpu-day-stopped-part-goes-on", "    except BaseException:\n        kill_all(child)\n",
         "    except BaseException:\n", "test_gpu_day.py -k stopped"),
        ("gpu-day-sigterm-kills-nothing", "signal.signal(signal.SIGTERM, lambda *_:",
         "str(lambda *_:", "test_gpu_day.py -k stopped"),
        ("gpu-day-tiny-start-is-used", '.get("hidden_size") == hidden:', '.get("hidden_size"):',
         "test_gpu_day.py -k dry_run"),
        ("gpu-day-one-study-for-both", 'return "real-dry" if dry_run else "real"', 'return "real"',
         "test_gpu_day.py -k dry_run"),
        ("gpu-day-cut-part-is-done", "    if code is None:", "    if code == 999:",
         "test_gpu_day.py"),
        ("gpu-day-failed-rows-stay", 'and not row["errors"]]', "]", "test_gpu_day.py"),
        ("gpu-day-other-device-kept",
         "if any(values.get(key) != value for key, value in head.items()):", "if False:",
         "test_gpu_day.py"),
    ),
]
# fmt: on
