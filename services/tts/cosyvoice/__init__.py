"""CosyVoice's own two servers: what is asked of them, and over which wire."""
