"""Kokoro: `files` tells what lies in a folder, `symbols` what phones are in its alphabet, `voice` speaks."""
