"""Images that speak: each call says some words in the voice of a recording, and leaves a WAV file."""
