"""MOSS-TTS-Nano: what lies in its folders, and its networks."""
