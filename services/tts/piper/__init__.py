"""Piper's voices: `files` tells what lies in a folder, `graph` parts its network, `voice` speaks."""
