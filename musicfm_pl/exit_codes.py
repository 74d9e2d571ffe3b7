"""How a run that was stopped from outside ends: by these codes schedulers and launchers know what to do with it."""

import signal

TRY_AGAIN = 75
"""The same command goes on: the run was preempted, or another process is at it (EX_TEMPFAIL of sysexits.h)."""
TERMINATED = 128 + signal.SIGTERM
"""It was told to end for good, by SIGTERM; the number is what a shell makes of that."""
