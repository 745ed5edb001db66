"""Work that takes minutes: trainings, videos, measurements."""
